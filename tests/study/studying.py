"""A study as `tw.optimize` runs it, without the pages for people, which take longer than small studies do."""

from __future__ import annotations

from typing import Any

from trimwatt import study
from trimwatt.study.options import Options
from trimwatt.study.study import Finished


def optimize(model: Any = None, *, data: Any, **options: Any) -> Finished:
    """See `trimwatt.study.optimize`."""
    return study.optimize(model, data, Options(**options))
