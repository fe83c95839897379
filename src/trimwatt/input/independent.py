"""Which rows of a source belong together, for the split to keep, and what a split that was given cuts through."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from trimwatt import independence
from trimwatt.independence import Table, Tie
from trimwatt.independence._base import TEST, TRAIN, UNSPLIT, VAL
from trimwatt.independence.groups import LEAST_GROUPS
from trimwatt.independence.ties import cut
from trimwatt.input._base import Options, Part, Source
from trimwatt.input.split import Places
from trimwatt.tasks import Task
from trimwatt.workload import Array, Data, Independence, count, joined, plain

_PARTS = {"train": TRAIN, "val": VAL, "test": TEST, "all": UNSPLIT}
_WORTH_TELLING = 0.01


def stack(source: Source, targets: Mapping[str, Array], task: Task) -> Table:
    """All rows of `source`, part below part, in the order of `source.parts`."""
    parts = list(source.parts.values())
    y = np.concatenate(list(targets.values()))
    codes = task.strata(y)
    where = [UNSPLIT if len(parts) == 1 else _PARTS[name] for name in source.parts]
    return Table(
        x=functools.reduce(joined, [plain(part.x, source.view) for part in parts]),
        y=y if codes is None else codes,
        classified=codes is not None,
        image=source.kind == "image",
        keys={name: np.concatenate([part.keys[name] for part in parts]) for name in parts[0].keys},
        part=np.repeat(where, [count(part.x) for part in parts]),
    )


def find_ties(table: Table, parts: Mapping[str, Part], options: Options) -> list[Tie]:
    """Twins, and the group or time that the user named, else those that the rows show."""
    named = []
    for kind, label in (("group", options.group), ("time", options.time)):
        values = [getattr(part, kind) for part in parts.values()]
        if label is not None and all(value is not None for value in values):
            labels = independence.number(np.concatenate(values))
            named.append(Tie(kind, labels, (label,), named=True))  # type: ignore[arg-type]
    return independence.find(table, named)


def keep_together(parts: Mapping[str, Part], ties: list[Tie]) -> dict[str, Part]:
    """The parts with labels of rows that a split made here must not part; those that the user named go first."""
    labels = independence.unparted(ties)
    if labels is None:
        return dict(parts)
    grouped, done, start = any(tie.kind == "group" for tie in ties), {}, 0
    for name, part in parts.items():
        own, start = labels[start : start + len(part.y)], start + len(part.y)
        named = part.group is not None or part.time is not None
        many = len(np.unique(own)) >= LEAST_GROUPS
        done[name] = part if named else replace(part, group=own) if grouped and many else replace(part, twins=own)
    return done


def judged(data: Data, table: Table, ties: list[Tie], parts: Mapping[str, Part], places: Places) -> Data:
    """`data` with what its splits cut through, and a warning where that is more than a few rows."""
    offset, start = {}, 0
    for name, part in parts.items():
        offset[name], start = start, start + len(part.y)
    index = {
        split: offset[home] + (np.arange(len(parts[home].y)) if rows is None else rows)
        for split, (home, rows) in places.items()
    }
    order = np.concatenate([index[name] for name in ("train", "val", "test")])
    where = np.repeat([TRAIN, VAL, TEST], [len(index[name]) for name in ("train", "val", "test")])
    ties = [replace(tie, labels=tie.labels[order]) for tie in ties]
    found = independence.judge(ties, where, table.y[order], table.classified)
    found = replace(found, not_examined=independence.unexamined(table))
    notes = [f"not independent: {found.reason}; {found.remedy}"] if _matters(found, where) else []
    return replace(data, independence=found, warnings=(*data.warnings, *notes, *_kept(ties, where)))


def _matters(found: Independence, part: Array) -> bool:
    return found.withheld or found.rows > _WORTH_TELLING * (part != TRAIN).sum()


def _kept(ties: list[Tie], where: Array) -> list[str]:
    """What the split made here keeps together without having been asked to."""
    return [
        f"rows of one {tie.columns[0] if tie.columns else 'cluster'} were kept in one split, since what a model learns "
        "on some of them does not hold for others; --group names another column"
        for tie in ties
        if tie.kind == "group" and not tie.named and not cut(tie, where).any()
    ]


def check_given(data: Data) -> Data:
    """A `Data` of the user's own with what its splits cut through, where that was not looked for yet."""
    if data.independence.examined:
        return data
    splits = {"train": data.train, "val": data.val, "test": data.test}
    parts = {name: Part(split.x, split.y) for name, split in splits.items()}
    source = Source(parts, data.kind, data.name)
    table = stack(source, {name: part.y for name, part in parts.items()}, data.task)
    return judged(data, table, independence.find(table), parts, {name: (name, None) for name in parts})
