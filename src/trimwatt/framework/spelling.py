"""The classes a given model knows beside those of the data, which may write the same label otherwise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)


def in_form_of(known: Sequence[Any], classes: Sequence[Any]) -> list[Any] | None:
    """The labels of a model as the data write them, others as they are; None where it shares none with the data.

    Labels are the same where they are equal, or, if none of either side becomes ambiguous so, as numbers ('1', 1, 1.0,
    True) or as truth values ('true', True).
    """
    for spelled in (_exactly, _as_number, _as_word):
        own = {spelled(label): label for label in classes}
        wanted = [spelled(label) for label in known]
        merged = len(own) < len(classes) or len(set(wanted)) < len(set(map(_exactly, known)))
        if not merged and set(wanted) & set(own):
            return [own.get(word, label) for word, label in zip(wanted, known, strict=True)]
    return None


def _exactly(label: Any) -> Any:
    return isinstance(label, str), label


def _as_number(label: Any) -> Any:
    if isinstance(label, str):
        return Decimal(label.strip()) if _NUMBER.fullmatch(label.strip()) else label
    return Decimal(str(int(label) if isinstance(label, bool) else label)) if isinstance(label, int | float) else label


def _as_word(label: Any) -> Any:
    word = str(label).strip().casefold()
    return word if word in ("true", "false") else label
