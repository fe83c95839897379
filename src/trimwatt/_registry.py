"""A registry: the members of one kind, read from the files of a folder and from other packages' entry points."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Generic, TypeVar

from trimwatt.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class Refused:
    """A plugin that is left out. package: where it says that it is. why: one line."""

    kind: str
    name: str
    package: str
    why: str

    def __str__(self) -> str:
        return f"the {self.kind} {self.name!r} of {self.package} is left out: {self.why}"


@dataclass(frozen=True)
class Known(Generic[T]):
    """Members by name, the packages that strangers' come from, and what was left out."""

    members: Mapping[str, type[T]]
    packages: Mapping[str, str]
    refused: tuple[Refused, ...]


class Registry(Generic[T]):
    """Members of one kind, imported at the first look.

    kind: the word for one of them. package: the dotted name of the folder whose files hold our own. group: of entry
    points, "" for none. base: the class that each member derives from. fault: what is wrong with a stranger's member,
    "" for nothing. A plugin that fails to import, breaks the contract or takes a name that is taken is left out, and
    named in `refused`; it never ends the program.
    """

    def __init__(self, kind: str, package: str, group: str, base: type[T], fault: Callable[[type[T]], str]) -> None:
        self.kind, self.package, self.group, self.base, self._fault = kind, package, group, base, fault

    @cached_property
    def known(self) -> Known[T]:
        """Ours, then strangers' in the order of their names."""
        members = {_name(member): member for member in self._ours()}
        packages, refused = {}, []
        for point in sorted(entry_points(group=self.group), key=lambda point: (point.name, point.value)):
            found = self._loaded(point, members)
            if isinstance(found, str):
                refused.append(Refused(self.kind, point.name, _package(point), found))
            else:
                members[_name(found)], packages[_name(found)] = found, _package(point)
        return Known(members, packages, tuple(refused))

    def get(self, name: str) -> type[T]:
        """The member called `name`; raises InputError, which names the nearest, where there is none."""
        members = self.known.members
        if name in members:
            return members[name]
        raise InputError(f"{self.kind} {name!r} is unknown; {nearest(name, members)}{self._left_out(name)}")

    def _left_out(self, name: str) -> str:
        return "".join(f"; {refused}" for refused in self.known.refused if refused.name == name)

    def _ours(self) -> Iterator[type[T]]:
        for module in _modules(self.package):
            for member in vars(module).values():
                if self._is_own(member, module):
                    yield member

    def _is_own(self, member: Any, module: ModuleType) -> bool:
        is_one = inspect.isclass(member) and issubclass(member, self.base) and bool(_name(member))
        return is_one and member.__module__ == module.__name__

    def _loaded(self, point: EntryPoint, members: Mapping[str, type[T]]) -> type[T] | str:
        """The member that an entry point names, or why it is left out."""
        try:
            member = point.load()
            if not (inspect.isclass(member) and issubclass(member, self.base)):
                return f"it is no {self.base.__name__}"
            if not _name(member):
                return "it has no name"
            if fault := self._fault(member):
                return fault
        except Exception as error:  # whatever a stranger's package raises when it is imported must not end the program
            return f"{type(error).__name__}: {error}".partition("\n")[0]
        if (taken := members.get(_name(member))) is not None:
            return f"{_name(member)!r} is already the name of {taken.__module__}.{taken.__qualname__}"
        return member


def nearest(name: str, known: Iterable[str]) -> str:
    """What is offered where `name` was not found: the names that resemble it, all where none does."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known are {', '.join(known) or 'none'}"


def _modules(package: str) -> Iterator[ModuleType]:
    """Every module in the folder, but for those with a leading underscore."""
    root = importlib.import_module(package)
    for found in pkgutil.walk_packages(root.__path__, f"{package}."):
        if not any(part.startswith("_") for part in found.name.removeprefix(package).split(".")):
            yield importlib.import_module(found.name)


def _name(member: type[Any]) -> str:
    name = vars(member).get("name")
    return name if isinstance(name, str) else ""


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value
