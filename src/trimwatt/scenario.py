"""How a model is asked: part of every energy figure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from trimwatt.errors import OptionError

Request = Literal["array", "dict", "frame"]


@dataclass(frozen=True)
class Scenario:
    """The same for all arms of a comparison.

    batch_size: rows a request. threads: of the runtime. request: the form in which rows arrive: one array,
    a dict of named columns, or a pandas DataFrame; whatever a runtime must do with it is inside what is timed.
    """

    batch_size: int = 1
    threads: int = 1
    request: Request = "array"

    def __post_init__(self) -> None:
        for name in ("batch_size", "threads"):
            if getattr(self, name) < 1:
                raise OptionError(f"`{name}` must be an integer >= 1, got {{}}", getattr(self, name))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
