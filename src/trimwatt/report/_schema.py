"""Whether a study.json, or what a database kept, has the form that reports read."""

from __future__ import annotations

from typing import Any

from trimwatt._shape import anything, every, flag, list_of, number, object_of, one_of, text


def check_study(study: dict[str, Any]) -> None:
    """Raise ValueError, naming the first field that is not as `trimwatt optimize` writes it."""
    _STUDY(study, "")
    ids = [trial["id"] for trial in study.get("trials") or ()]
    if len(set(ids)) != len(ids):
        raise ValueError("two trials have one id")


_origin = one_of("measured", "estimated", "mixed")
_interval = {"low": number, "high": number}
_energy = object_of({"joules": number, **_interval, "origin": _origin}, cpu_s=number, duration_s=number)
_quality = object_of(metric=text, value=number, low=number, high=number, rows=number, greater_is_better=flag)
_ratio = object_of(
    {"value": number, **_interval, "verdict": text}, pairs=number, basis=text, gross=every(number)
)  # fmt: skip
_trial = object_of(
    {"id": text, "name": text, "status": one_of("done", "failed", "skipped", "stopped"), "runtime": text,
     "recipe": list_of(object_of())},
    family=text, reason=text, started=text, finished=text,
    meets_floor=flag, floor_test=one_of("proven", "not_disproven", "failed"), on_front=flag, floor_margin=number,
    dominated=number, rank=every(number), quality=_quality, test_quality=_quality, train_quality=_quality,
    energy_per_prediction=_energy, cpu_s_per_prediction=number, ratio_to_baseline=_ratio, latency_s=every(number),
    size_bytes=number, peak_rss_bytes=number, parameters=number, macs=number, cost=_energy, notes=list_of(text),
)  # fmt: skip
_entry = object_of(
    {"stage": text, "joules": number, **_interval, "origin": _origin}, trial=text, cpu_s=number, duration_s=number
)  # fmt: skip
_host = object_of(
    cpu=text, flags=list_of(text), cores=number, memory_bytes=number, load_average=list_of(number), os=text,
    machine=text, versions=every(text), git=text, command=list_of(text),
)  # fmt: skip
_self_test = object_of(
    {"ratio": number, **_interval}, pairs=number, resolution=number, pinned=flag, passed=flag
)  # fmt: skip
_STUDY = object_of(
    {"schema": text}, task=text, metric=text, scenario=object_of(batch_size=number, threads=number, request=text),
    floor=object_of(kind=text, value=number, max_drop=number), budget=object_of(amount=number, unit=text),
    data=object_of(name=text, rows=every(number), classes=list_of(anything)), host=_host,
    meter=object_of(name=text, origin=text), self_test=_self_test, baseline=text, reference=text,
    recommended=text, safest=text,    boldest=text, confirmed=flag, refit=text, validation=every(number), verdict=text,
    trials=list_of(_trial), ledger=list_of(_entry), total=_energy,
    duration_s=number, payback=every(number), untried=list_of(text), warnings=list_of(text),
)  # fmt: skip
