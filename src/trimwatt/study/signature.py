"""Functions that take options: their signature and the help of their parameters come from the fields of a class."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar, cast

from trimwatt.errors import spell
from trimwatt.study.option import Field, describe

P = ParamSpec("P")
R = TypeVar("R")


def takes(kind: Callable[P, object]) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """Make a function show the fields of the dataclass `kind` as its parameters, to people and to type checkers.

    Its docstring gets what the fields say of themselves. An argument that is no field raises TypeError, as ever.
    """
    fields = sorted(describe(cast(type, kind)), key=_place)

    def change(function: Callable[..., R]) -> Callable[P, R]:
        shown: Any = function
        returns = inspect.signature(function).return_annotation
        made = inspect.signature(kind).parameters
        parameters = [made[each.name].replace(annotation=each.type) for each in fields]
        shown.__signature__ = inspect.Signature(parameters, return_annotation=returns)
        shown.__annotations__ = {each.name: each.type for each in fields}
        shown.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\nArgs:\n{explain(fields)}\n"
        return cast(Callable[P, R], function)

    return change


def _place(field: Field) -> tuple[bool, bool]:
    """What may be given without its name comes first, then what must be given."""
    return field.is_named, field.default is not dataclasses.MISSING


def explain(fields: Iterable[Field]) -> str:
    """A paragraph of a docstring for each field, as Python spells them."""
    return "\n".join(
        textwrap.fill(f"{each.name}: {_tell(each)}", 110, initial_indent="    ", subsequent_indent=" " * 8)
        for each in fields
    )


def _tell(field: Field) -> str:
    """For a docstring, which is made when nothing may be loaded."""
    where = " `trimwatt optimize --help` lists those known." if field.option.names is not None else ""
    return tell(field, str) + where


def tell(field: Field, how: Callable[[str], str], mark: str = "", known: Sequence[str] = ()) -> str:
    """All that a field says of itself.

    how: spells other options. mark: stands around code. known: the names that its registry knows.
    """
    sentences = (field.option.help, listed("One of", field.allowed), listed("Known:", known), field.option.more)
    return spell(" ".join(filter(None, sentences)), how, mark)


def listed(head: str, words: Sequence[str]) -> str:
    """A sentence that lists words; none for none."""
    return f"{head} {', '.join(f'``{word}``' for word in words)}." if words else ""


def check_names(kind: type, given: Iterable[str], function: str) -> None:
    """Raise TypeError, as a call of `function` would, where a name is no field of `kind`, with the nearest one."""
    names = [field.name for field in dataclasses.fields(kind)]
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it takes {', '.join(names)}"
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")
