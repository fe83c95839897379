"""Options of a study on the command line: each is made from its field."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
import typer.core

from trimwatt.errors import flag, spell
from trimwatt.study.option import Field, describe
from trimwatt.study.options import Options
from trimwatt.study.signature import listed

F = TypeVar("F", bound=Callable[..., None])


def takes(kind: type) -> Callable[[F], F]:
    """Give a verb an option for each field of `kind`, between its own arguments and its own keyword-only options."""

    def change(verb: F) -> F:
        own = [p for p in inspect.signature(verb, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
        fields = [_parameter(field) for field in describe(kind) if field.option.panel]
        parameters = sorted([*own, *fields], key=lambda each: (each.kind, each in own))
        shown: Any = verb
        shown.__signature__ = inspect.Signature(parameters)
        shown.__annotations__ = {each.name: each.annotation for each in parameters}
        return verb

    return change


class Command(typer.core.TyperCommand):
    """A verb whose help lists what registries know, plugins among it, and loads them only then."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        fields = {field.name: field for field in describe(Options)}
        for shown in self.params:
            field = fields.get(shown.name or "")
            if field is not None and isinstance(shown, typer.core.TyperOption):
                shown.help = spell(f"{field.option.help} {listed('Known:', field.names())}".strip(), spell_name)
        super().format_help(ctx, formatter)


def _parameter(field: Field) -> inspect.Parameter:
    """What typer makes an option of."""
    option = typer.Option(
        *filter(None, (field.option.letter, field.flag)),
        help=spell(field.option.help, spell_name),
        metavar="|".join(field.allowed) or field.option.value or None,
        rich_help_panel=field.option.panel,
    )
    default = list(field.default) if field.is_repeatable else field.default
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(field.name, kind, default=default, annotation=Annotated[_type(field), option])


def _type(field: Field) -> Any:
    """The type in which the words of a command line are read; whatever may be text is text, and read by its class."""
    if field.is_repeatable:
        return list[str]
    kind = next((kind for kind in (bool, int, float) if set(field.members) <= {kind, type(None)}), str)
    return kind if field.default is not None else kind | None


def spell_name(name: str) -> str:
    """What the command line calls an option of a study, or what stands for an argument, by its name in Python."""
    flags = {field.name: field.flag for field in describe(Options)}
    return name.upper() if name in ("data", "model") else flags.get(name) or flag(name)
