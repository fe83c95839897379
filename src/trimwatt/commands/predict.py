"""trimwatt predict: ask a delivered model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from trimwatt import units
from trimwatt._printable import visible
from trimwatt.commands import _output
from trimwatt.errors import InputError, TrialFailed, TrialStopped

_UNSEEN = "unseen"


class Command(TyperCommand):
    """`--trust` takes the word behind it only where that is a digest, so that it may stand before ARTIFACT too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*_joined(args[:end]), *args[end:]])


def _joined(words: list[str]) -> list[str]:
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "--trust":
            pinned = word.startswith("sha256:")
            joined[-1:] = [f"--trust={word}"] if pinned else [f"--trust={_UNSEEN}", word]
        else:
            joined.append(word)
    return [f"--trust={_UNSEEN}" if word == "--trust" else word for word in joined]


def predict(
    artifact: Annotated[Path, typer.Argument(help="The artifact folder of a study.", show_default=False)],
    data: Annotated[
        str,
        typer.Argument(help="Rows: a table with the columns of training, an .npz with the key x, or images.",
                       show_default=False),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; stdout unless given.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file given with -o.")] = False,
    trust: Annotated[
        str | None,
        typer.Option(metavar="[sha256:...]", show_default=False,
                     help="Open an artifact that was made elsewhere and can run code: pinned by "
                     "the digest that optimize printed, or, with --trust alone, unseen."),
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option(show_default=False, help="Most memory it may take, like 2GB; else what is free.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(help="Longest time it may take, like 60s; else no limit.", show_default=False)
    ] = None,
) -> None:  # fmt: skip
    """Predict with a delivered model, as CSV: prediction and, for classifiers, probability:<class>.

    The model runs in a process of its own, under limits of memory, threads and, where asked, time.
    """
    target = _output.free(output, force) if output else None
    limits = (
        None if max_memory is None else int(units.parse_bytes(max_memory)),
        math.inf if timeout is None else units.parse_duration(timeout),
    )
    text = _answers(artifact, data, True if trust == _UNSEEN else trust, *limits)
    if target is None:
        _output.write(text)
        return
    from trimwatt.report import put

    _output.write(f"{visible(put(target, text))}\n")


def _answers(artifact: Path, data: str, trust: bool | str | None, asked_bytes: int | None, most_s: float) -> str:
    """The CSV, from a child process; raises InputError, naming the bound, where it took too much."""
    from trimwatt._process import Child
    from trimwatt.host import memory

    most_bytes = memory.free_bytes() if asked_bytes is None else asked_bytes
    origin = "what is free; --max-memory names another bound" if asked_bytes is None else "--max-memory"
    bound = f"{units.size(most_bytes)} of memory ({origin})"
    try:
        handed = str(artifact), data, trust, most_bytes
        with Child(
            "trimwatt.commands._predicting:serve", handed, memory_limit_bytes=most_bytes, timeout_s=most_s
        ) as child:
            for note in child.call("check", most_s):
                _output.say(f"trimwatt: {note}")
            answers: str = child.call("answers", most_s)
    except TrialStopped as error:
        raise InputError(f"predict took more than {units.seconds(most_s)}, the --timeout; give more time") from error
    except TrialFailed as error:
        raise InputError(_told(str(error), bound)) from error
    return answers


def _told(reason: str, bound: str) -> str:
    """The reason, with the bound where memory is what ran out."""
    words = ("memory", "alloc", "killed by", "took more than")
    return f"{reason}; it may take {bound}" if any(word in reason.lower() for word in words) else reason
