"""How an option is declared: once, as an annotated field, from which signatures, help and tables are made."""

from __future__ import annotations

import dataclasses
import os
import reprlib
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from trimwatt.errors import OptionError, flag

# what a study that goes on asks of an option: to be equal; to come to the same rows, model, limits and requests, which
# are compared themselves; nothing, so that it may differ; or nothing, since it is about this call and not the study
Resumed = Literal["equal", "read", "free", "call"]


@dataclass(frozen=True)
class Option:
    """What a field says of itself, as the metadata of its type: `Annotated[int, Option(panel, help)] = 0`.

    panel: the heading under which help lists it; "" for one that only Python takes. help: a sentence, in which `name`
    is another option, which each face spells in its own way, and ``text`` is code. more: sentences that only the docs
    have room for. value: the unit of a value or what stands for it, such as ROWS or COLUMN. flag: its name on the
    command line where that is another, such as --recipe for `recipes`, which may be given again. letter: a short option
    such as "-o". names: the names that a registry knows, which help and docs list; loaded no sooner than that. resumed:
    what a study that goes on asks of it.
    """

    panel: str
    help: str
    more: str = ""
    value: str = ""
    flag: str = ""
    letter: str = ""
    names: Callable[[], Sequence[str]] | None = None
    resumed: Resumed = "equal"


_NOUNS: dict[Any, str] = {
    bool: "True or False", int: "an integer", float: "a number", str: "a string", os.PathLike: "a path",
    Sequence: "a list of strings",
}  # fmt: skip


@dataclass(frozen=True)
class Field:
    """An option with its name, its type without metadata, and its default (`dataclasses.MISSING`: it has none).

    is_named: whether Python takes it by its name only.
    """

    name: str
    type: Any
    default: Any
    option: Option
    is_named: bool = True

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return self.option.flag or flag(self.name)

    @property
    def members(self) -> tuple[Any, ...]:
        """The types that it may have."""
        union = typing.get_origin(self.type) in (typing.Union, types.UnionType)
        return typing.get_args(self.type) if union else (self.type,)

    @property
    def allowed(self) -> tuple[str, ...]:
        """The values of a choice; () where any value of its type will do."""
        choices = [each for each in self.members if typing.get_origin(each) is Literal]
        return tuple(word for choice in choices for word in typing.get_args(choice))

    def names(self) -> Sequence[str]:
        """What its registry knows, plugins among it, which may take loading frameworks; () without a registry."""
        return self.option.names() if self.option.names is not None else ()

    @property
    def is_repeatable(self) -> bool:
        """Whether it is a list, whose command-line option may be given again."""
        return any(typing.get_origin(each) is Sequence for each in self.members)

    def read(self, value: Any) -> Any:
        """`value` in the field's own type; raises OptionError for one of another type or outside a choice."""
        if Any in self.members or (value is None and type(None) in self.members):
            return value
        # a number out of an array is as good as Python's own
        value = value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value
        if self.allowed:
            if isinstance(value, str) and value in self.allowed:
                return value
            raise OptionError(f"`{self.name}` is one of {', '.join(self.allowed)}, got {{}}", _shown(value))
        for kind in self.members:
            if (reads := _READS.get(typing.get_origin(kind) or kind)) and reads[0](value):
                return reads[1](value)
        nouns = [_NOUNS[kind] for each in self.members if (kind := typing.get_origin(each) or each) in _NOUNS]
        meant = f" ({self.option.value})" if str in self.members and self.option.value else ""
        raise OptionError(f"`{self.name}` must be {' or '.join(nouns)}{meant}, got {{}}", _shown(value))


def _is(*kinds: type) -> Callable[[Any], bool]:
    """Whether a value is of one of these types; True and False are no numbers."""
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _are_texts(value: Any) -> bool:
    return isinstance(value, Sequence) and all(isinstance(each, str) for each in value)


# by type: whether a value will do, and how it is made one
_READS: dict[Any, tuple[Callable[[Any], bool], Callable[[Any], Any]]] = {
    bool: (_is(bool), bool),
    int: (_is(int), int),
    float: (_is(int, float), float),
    str: (_is(str), str),
    os.PathLike: (_is(os.PathLike), lambda value: value),
    # one text stands for a list of one
    Sequence: (_are_texts, lambda value: (value,) if isinstance(value, str) else tuple(value)),
}


def _shown(value: Any) -> str:
    """A value in one short line, whatever it is."""
    return " ".join(reprlib.repr(value).split())


def describe(kind: type) -> tuple[Field, ...]:
    """The options that the dataclass `kind` declares, in its order."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return tuple(_describe(field, hints[field.name]) for field in dataclasses.fields(kind))


def _describe(field: dataclasses.Field[Any], hint: Any) -> Field:
    options = [each for each in getattr(hint, "__metadata__", ()) if isinstance(each, Option)]
    if len(options) != 1:
        raise TypeError(f"the field {field.name} is declared as Annotated[type, Option(...)], got {hint}")
    return Field(field.name, typing.get_args(hint)[0], field.default, options[0], bool(field.kw_only))
