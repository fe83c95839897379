"""What the callbacks share: a recorder, hooks that never raise, and a framework's base class joined when asked for."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

from trimwatt.integrations._phases import Phase, Recorder
from trimwatt.meter._base import Meter

H = TypeVar("H", bound=Callable[..., Any])


def harmless(hook: H) -> H:
    """A hook whose faults become a warning: no training ends because of its meter."""

    @functools.wraps(hook)
    def guarded(self: Hooks, *args: Any, **kwargs: Any) -> Any:
        try:
            return hook(self, *args, **kwargs)
        except Exception as error:
            self.energy.fault(f"{hook.__name__} of the energy callback failed: {type(error).__name__}: {error}")
            return None

    return cast(H, guarded)


class Hooks:
    """The part of a callback that needs no framework.

    energy: the Recorder with all phases. sensor: the meter to read; None is the best of this machine.
    """

    def __init__(self, sensor: Meter | None = None) -> None:
        super().__init__()
        self.sensor = sensor
        self.energy = Recorder(sensor)

    def begin_run(self, name: str) -> None:
        """Open the outermost phase; what an earlier run that failed left open ends here."""
        self.energy.close("ended before its time: the run before was broken off")
        self.energy.begin(name)

    def end_epoch(self) -> Phase | None:
        return self.energy.end("epoch")


def joined(module: str, hooks: type[Hooks], base: type) -> type:
    """The class `EnergyCallback` of `module`: `hooks` over a framework's own base class.

    It is made when first asked for, since the base class loads the framework, and kept under its name, so that
    copies sent to other processes find it.
    """
    made: Any = type("EnergyCallback", (hooks, base), {"__module__": module, "__doc__": hooks.__doc__})
    sys.modules[module].EnergyCallback = made  # type: ignore[attr-defined]
    return made  # type: ignore[no-any-return]
