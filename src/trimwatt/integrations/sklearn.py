"""Energy of scikit-learn fits by its own callbacks (1.9 and newer): `estimator.set_callbacks(EnergyCallback())`."""

from __future__ import annotations

from typing import Any

from trimwatt.integrations._callback import Hooks, harmless
from trimwatt.integrations._phases import Window


class EnergyCallback(Hooks):
    """A phase for each task of a fit: the fit itself, each candidate and split of a search, each step of a pipeline.

    It follows scikit-learn's experimental callback protocol. Tasks that run in processes of their own (n_jobs above 1)
    are part of the whole fit's reading and have none of their own.
    """

    def __init__(self, sensor: Any = None) -> None:
        super().__init__(sensor)
        self._windows: dict[tuple[Any, ...], Window | None] = {}

    @harmless
    def setup(self, estimator: Any, context: Any) -> None:
        """Nothing to prepare; the protocol asks for this method."""

    @harmless
    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        within = _title(context.parent) if context.parent is not None else None
        index = None if context.parent is None else int(context.task_id)
        self._windows[_path(context)] = self.energy.begin(_title(context), index, within=within)

    @harmless
    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        window = self._windows.pop(_path(context), None)
        if window is not None:
            self.energy.end(window)

    @harmless
    def teardown(self, estimator: Any, context: Any) -> None:
        """A fit that ended by an error leaves its tasks open: they end here."""
        root = context.root_uuid
        for path in [path for path in self._windows if path[0] == root]:
            window = self._windows.pop(path)
            if window is not None:
                window.note = window.note or "ended before its time: the fit was broken off"
                self.energy.end(window)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_windows": {}}


def _title(context: Any) -> str:
    """ "GridSearchCV fit", as the estimator that began the task names it."""
    return f"{context.source_estimator_name or context.estimator_name} {context.source_task_name or context.task_name}"


def _path(context: Any) -> tuple[Any, ...]:
    """What tells a task from all others: the run and the way down to it."""
    ids: list[Any] = []
    at = context
    while at is not None:
        ids.append(at.task_id)
        at = at.parent
    return (context.root_uuid, *reversed(ids))
