"""The end of a study: what it leaves in its folder, with the cost of writing that in the books.

Everything is written twice. The first time says what writing takes, the second holds the figures that are then final;
what the second takes is estimated from the first, and marked so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trimwatt.runtime.deployed import read_manifest
from trimwatt.study import deliver
from trimwatt.study import folder as folders
from trimwatt.study.engine import Engine, Found
from trimwatt.study.summary import plain, settle_accounts, summarize

Summary = dict[str, Any]
# writes what people read of a study, into its folder; made once, as not all of it depends on the last figures
Pages = Callable[[Summary, Path], Callable[[Summary], list[Path]]]

# an interpreter that has loaded what a study needs, and was told to leave its objects alone, ends in this time; where
# it has loaded PyTorch too, unloading that takes longer
_END_S, _END_WITH_TORCH_S = 0.06, 0.18


def conclude(engine: Engine, found: Found, pages: Pages | None) -> tuple[Summary, list[Path]]:
    """Write artifact, study.json and pages; return study.json's value and the pages' places."""
    ledger = engine.ledger
    ledger.turn_to("report", "hand-over")
    engine.event("stage", text="writing the report")
    summary = plain(summarize(engine, found))
    artifact = deliver.hand_over(engine, found, summary)
    summary["artifact"] = artifact and artifact.name
    # by which the artifact can be pinned where this user's key is not at hand
    summary["artifact_digest"] = artifact and read_manifest(artifact)[1]
    write = pages(summary, engine.folder) if pages is not None else _nothing
    before = ledger.meter.mark()
    with ledger.booking("report", None, "report, model card and study.json"):
        _write(engine, found, summary, write)
        engine.event("end", verdict=summary["verdict"])
        engine.keep_pending()
    after, end_s = ledger.meter.mark(), _end_s() if ledger.start.is_process else 0.0
    cpu_s, duration_s = after.cpu_s - before.cpu_s + end_s, after.time_s - before.time_s + end_s
    ledger.foresee(cpu_s, duration_s, "the same with the final figures, estimated")
    engine.keep_pending()
    return summary, _write(engine, found, summary, write)


def _write(engine: Engine, found: Found, summary: Summary, write: Callable[[Summary], list[Path]]) -> list[Path]:
    summary.update(plain(settle_accounts(engine, found)))
    written = write(summary)
    folders.write_json(engine.folder / "study.json", summary)
    return written


def _nothing(summary: Summary) -> list[Path]:
    return []


def _end_s() -> float:
    return _END_WITH_TORCH_S if "torch" in sys.modules else _END_S
