"""What pyproject.toml asks of the gate: `[tool.trimwatt.check.NAME]`, every key known and every unit told."""

from __future__ import annotations

import difflib
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimwatt import units
from trimwatt.errors import InputError

TOLERANCE = 0.02
_TARGETS = ("command", "callable", "artifact")
_QUALITY_KEYS = ("metric", "floor", "max_drop", "target", "greater_is_better")
_KEYS = (
    *_TARGETS, "data", "batch_size", "threads", "setup", "share", "path", "files", "energy", "latency", "size",
    "quality", "tolerance",
)  # fmt: skip
_NAME = re.compile(r"[\w.-]+")
_CALLABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class QualityFloor:
    """The least quality: `floor` itself, or `max_drop` below the other commit's or baseline's.

    metric: a name; of an artifact one of ours, of a command or callable the key of what it prints or returns.
    """

    metric: str
    floor: float | None = None
    max_drop: float | None = None
    target: str | None = None
    greater_is_better: bool = True


@dataclass(frozen=True)
class Check:
    """One thing the gate runs, and what must hold of it. Exactly one of command, callable, artifact is given.

    energy in joules, latency in seconds, both a request (a run, a call, a prediction); size in bytes of `files`, or of
    the artifact. setup: run once in each tree before. share: untracked paths that the other commit's tree is lent.
    path: folders to import from, relative to the tree. tolerance: share above 1 that a ratio may reach.
    """

    name: str
    command: tuple[str, ...] = ()
    callable: str = ""
    artifact: str = ""
    data: str = ""
    batch_size: int = 1
    threads: int = 1
    setup: tuple[str, ...] = ()
    share: tuple[str, ...] = ()
    path: tuple[str, ...] = ("src", ".")
    files: tuple[str, ...] = ()
    energy: float | None = None
    latency: float | None = None
    size: float | None = None
    quality: QualityFloor | None = None
    tolerance: float = TOLERANCE

    @property
    def request(self) -> str:
        """What one request is called."""
        return "run" if self.command else "call" if self.callable else "prediction"


def read(path: Path) -> tuple[Check, ...]:
    """The checks of a TOML file; raises InputError for a file, key or value that cannot be used."""
    if not path.is_file():
        raise InputError(f"{path} does not exist; the gate reads [tool.trimwatt.check.NAME] in pyproject.toml")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} is not TOML: {error}; mend that line") from error
    tool = content.get("tool", {})
    return parse(tool.get("trimwatt", {}) if isinstance(tool, Mapping) else {})


def parse(table: Mapping[str, Any]) -> tuple[Check, ...]:
    """The checks of the table [tool.trimwatt]."""
    if not isinstance(table, Mapping):
        raise InputError(f"[tool.trimwatt] is a table, got {table!r}; add [tool.trimwatt.check.NAME]")
    near = [
        key for key in table if key != "check" and difflib.get_close_matches(key, ["check", "tolerance"], cutoff=0.8)
    ]
    if wrong := [key for key in near if key != "tolerance"]:
        raise InputError(f"[tool.trimwatt] has {wrong[0]!r}; did you mean check or tolerance?")
    given = table.get("check")
    if not isinstance(given, Mapping) or not given:
        raise InputError(
            "there is nothing to check: add [tool.trimwatt.check.NAME] with a command, callable or artifact"
        )
    common = _tolerance(table.get("tolerance", TOLERANCE), "[tool.trimwatt]")
    return tuple(_check(str(name), entry, common) for name, entry in given.items())


def _check(name: str, entry: Any, common: float) -> Check:
    where = f"[tool.trimwatt.check.{name}]"
    if not isinstance(entry, Mapping):
        raise InputError(f"{where} is a table of keys, got {entry!r}; allowed are {', '.join(_KEYS)}")
    if not _NAME.fullmatch(name):
        raise InputError(f"{where}: a check is named with letters, digits, dots and dashes")
    _known(entry, _KEYS, where)
    if len([key for key in _TARGETS if entry.get(key)]) != 1:
        raise InputError(f"{where} needs exactly one of {', '.join(_TARGETS)}")
    check = Check(
        name, _words(entry, "command", where), _target(entry, where), _text(entry, "artifact", where),
        _text(entry, "data", where), _whole(entry, "batch_size", where), _whole(entry, "threads", where),
        _words(entry, "setup", where), _paths(entry, "share", where),
        _paths(entry, "path", where) or ("src", "."), _paths(entry, "files", where),
        _limit(entry, "energy", where, units.parse_energy), _limit(entry, "latency", where, units.parse_duration),
        _limit(entry, "size", where, units.parse_bytes), _quality(entry.get("quality"), where),
        _tolerance(entry.get("tolerance", common), where),
    )  # fmt: skip
    return _consistent(check, where)


def _consistent(check: Check, where: str) -> Check:
    if check.artifact and not check.data:
        raise InputError(f"{where}: an artifact is asked with rows; add data = 'rows.csv'")
    if check.data and not check.artifact:
        raise InputError(f"{where}: data is for an artifact; a command or callable reads its own")
    if check.batch_size != 1 and not check.artifact:
        raise InputError(f"{where}: batch_size is for an artifact; a command or callable has its own")
    if check.size is not None and not (check.files or check.artifact):
        raise InputError(f"{where}: size needs files = ['model.onnx'] to look at")
    if check.artifact and check.quality and not check.quality.target:
        raise InputError(f"{where}: quality of an artifact needs target = 'COLUMN' of data (y for .npz)")
    return check


def _known(entry: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    for key in entry:
        if key not in allowed:
            close = difflib.get_close_matches(str(key), allowed, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise InputError(f"{where} has the unknown key {key!r}{hint} (allowed: {', '.join(allowed)})")


def _text(entry: Mapping[str, Any], key: str, where: str) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str):
        raise InputError(f"{where}: {key} is text, got {value!r}")
    return value


def _target(entry: Mapping[str, Any], where: str) -> str:
    value = _text(entry, "callable", where)
    if value and not _CALLABLE.fullmatch(value):
        raise InputError(f"{where}: callable is 'package.module:function', got {value!r}")
    return value


def _words(entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    try:
        words = shlex.split(value) if isinstance(value, str) else value
    except ValueError as error:
        raise InputError(f"{where}: {key} cannot be split into words ({error}): {value!r}") from error
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InputError(f"{where}: {key} is a list of words such as ['python', 'bench.py'], got {value!r}")
    return tuple(words)


def _paths(entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise InputError(f"{where}: {key} is a list of paths, got {value!r}")
    for item in value:
        if Path(item).is_absolute() or ".." in Path(item).parts:
            raise InputError(f"{where}: {key} holds paths inside the repository, got {item!r}")
    return tuple(value)


def _whole(entry: Mapping[str, Any], key: str, where: str) -> int:
    value = entry.get(key, 1)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{where}: {key} is a whole number from 1, got {value!r}")
    return value


def _limit(entry: Mapping[str, Any], key: str, where: str, parse: Callable[[str], float]) -> float | None:
    if key not in entry:
        return None
    value = entry[key]
    if not isinstance(value, str):
        raise InputError(f"{where}: {key} has a unit and stands in quotes, got {value!r}")
    try:
        limit = parse(value)
    except InputError as error:
        raise InputError(f"{where}: {key}: {error}") from error
    if not limit > 0:
        raise InputError(f"{where}: {key} is above zero, got {value!r}")
    return limit


def _tolerance(value: Any, where: str) -> float:
    """A share from "2%", "0.02" or 0.02."""
    text = str(value).strip()
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*(%?)", text)
    if isinstance(value, bool) or match is None:
        raise InputError(f"{where}: tolerance is a share such as '2%' or 0.02, got {value!r}")
    share = float(match[1]) / (100 if match[2] else 1)
    if not share < 1:
        raise InputError(f"{where}: tolerance is a share below 1, got {value!r}; did you mean '{float(match[1]):g}%'?")
    return share


def _quality(value: Any, where: str) -> QualityFloor | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: quality is like {{ metric = 'accuracy', floor = 0.9 }}, got {value!r}")
    _known(value, _QUALITY_KEYS, f"{where} quality")
    if not isinstance(value.get("metric"), str):
        raise InputError(f"{where}: quality names its metric, like {{ metric = 'accuracy', floor = 0.9 }}")
    for key in ("floor", "max_drop"):
        if key in value and (isinstance(value[key], bool) or not isinstance(value[key], int | float)):
            raise InputError(f"{where}: quality {key} is a number, got {value[key]!r}")
    if not ({"floor", "max_drop"} & set(value)):
        raise InputError(f"{where}: quality needs floor = 0.9 or max_drop = 0.01")
    if not isinstance(value.get("greater_is_better", True), bool) or not isinstance(value.get("target", ""), str):
        raise InputError(f"{where}: quality greater_is_better is true or false, target the name of a column")
    return QualityFloor(**value)
