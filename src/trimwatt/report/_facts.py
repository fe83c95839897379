"""The figures above a report and the account of how they came about, as names and texts."""

from __future__ import annotations

from typing import Any

from trimwatt import units
from trimwatt.report import _study, _text

Study = dict[str, Any]


def headline(study: Study) -> str:
    """The answer in a few words."""
    chosen = _study.recommended(study)
    if chosen is None and study.get("exit_code") == 4:
        return "Nothing tried is proven to meet the floor"
    if chosen is None:
        return "Nothing tried meets the floor" if study.get("verdict") else "No verdict yet"
    if chosen["id"] == study.get("baseline"):
        return f"Keep the baseline, {chosen['name']}"
    if _study.withheld(study):
        return f"{chosen['name']}: not independently confirmed"
    return f"{chosen['name']}: not confirmed" if study.get("confirmed") is False else f"Use {chosen['name']}"


def badges(study: Study) -> list[tuple[str, str]]:
    """What a reader must know at once: (kind, text); kind is one of good, bad, measured, estimated, plain."""
    chosen = _study.recommended(study)
    found = []
    if study.get("confirmed") is not None and chosen:
        found.append(
            ("good", "confirmed on test rows") if study["confirmed"] else ("bad", "not confirmed on test rows")
        )
    if (chosen or study.get("exit_code") == 4) and _study.withheld(study):
        found.append(("bad", "not independently confirmed"))
    if chosen and (grade := _text.grade(chosen)):
        found.append(("good" if grade == "proven" else "plain", f"floor {grade}"))
    origins = _study.origins(study)
    if origins:
        kind = origins[0] if len(origins) == 1 else "mixed"
        found.append(("measured" if kind == "measured" else "estimated", f"joules {kind}"))
    if basis := _study.basis(study):
        found.append(("measured", f"ratios measured, as {basis}"))
    return found


def tiles(study: Study) -> list[dict[str, str]]:
    """Four figures of the recommended candidate: name, figure, interval, note."""
    trial = _study.recommended(study) or _study.baseline(study)
    if trial is None:
        return []
    energy, interval = _text.energy(trial.get("energy_per_prediction"))
    latency, asked = trial.get("latency_s") or {}, _study.asked_line(study)
    against = "; ".join(filter(None, (_against(study, trial), asked)))
    return [
        {"name": "energy a prediction", "figure": energy, "interval": interval, "note": against,
         "origin": (trial.get("energy_per_prediction") or {}).get("origin", "")},
        _quality_tile(study, trial),
        {"name": "latency", "figure": _text.seconds(latency.get("p50")), "interval": "",
         "note": f"{_text.seconds(latency.get('p95'))} at 95 %{asked and f', {asked}'}; "
         f"{_text.size(trial.get('size_bytes'))} on disk", "origin": ""},
        _payback_tile(study),
    ]  # fmt: skip


def _against(study: Study, trial: dict[str, Any]) -> str:
    if trial["id"] == study.get("baseline"):
        return "this is the baseline"
    ratio, interval = _text.ratio(trial.get("ratio_to_baseline"))
    return f"{ratio} than the baseline [{interval}]" if interval else "not compared"


def _quality_tile(study: Study, trial: dict[str, Any]) -> dict[str, str]:
    value = trial.get("test_quality") or trial.get("quality")
    figure, interval = _text.quality(value)
    kind, grade = "test rows" if trial.get("test_quality") else _study.judged_on(study), _text.grade(trial)
    notes = [f"{value['rows']:,} {kind}"] if value else []
    notes += [f"floor: {grade}"] if grade else []
    return {"name": str(study.get("metric")), "figure": figure, "interval": interval, "note": ", ".join(notes),
            "origin": ""}  # fmt: skip


def _payback_tile(study: Study) -> dict[str, str]:
    tile = {"name": "pays back", "interval": "", "origin": ""}
    lines = _study.payback_lines(study)
    if not lines:
        return tile | {"figure": _text.UNKNOWN, "note": "no recommendation yet"}
    if len(lines) == 1:
        return tile | {"figure": "never", "note": "the baseline stays, so nothing is saved"}
    payback = study["payback"]
    own, whole = payback.get("own_predictions"), payback.get("study_predictions")
    figure = "never" if own is None else _text.number(own)
    note = "the whole study: never" if whole is None else f"predictions; the whole study after {_text.number(whole)}"
    return tile | {"figure": figure, "note": note}


def method(study: Study) -> list[tuple[str, str]]:
    """How it was measured: names and values, what is unknown left out."""
    host, data = (study.get(name) or {} for name in ("host", "data"))
    facts = [
        ("data", _data(data)), ("asked", _study.asked_line(study)), ("meter", _meter(study)),
        ("ratios", _ratios(study)), ("self-test", _self_test(study)), ("processor", _processor(host)),
        ("memory", _text.size(host.get("memory_bytes"))),
        ("system", " ".join(str(host[k]) for k in ("os", "machine") if host.get(k))), ("load", _load(host)),
        ("took", _took(study)), ("seed", str(host.get("seed", ""))), ("revision", str(host.get("git") or "")),
        ("versions", ", ".join(f"{name} {value}" for name, value in (host.get("versions") or {}).items())),
    ]  # fmt: skip
    return [(name, value) for name, value in facts if value and value != _text.UNKNOWN]


def _data(data: dict[str, Any]) -> str:
    rows = ", ".join(f"{count:,} {name}" for name, count in (data.get("rows") or {}).items())
    classes = data.get("classes")
    return " · ".join(p for p in (str(data.get("name") or ""), rows, f"{len(classes)} classes" if classes else "") if p)


def _meter(study: Study) -> str:
    meter = study.get("meter") or {}
    about = meter.get("about")
    detail = "; ".join(f"{k} {v}" for k, v in about.items()) if isinstance(about, dict) else str(about or "")
    name = f"{meter['name']}, {meter.get('origin')}" if meter.get("name") else ""
    return f"{name} ({detail})" if name and detail else name


def _ratios(study: Study) -> str:
    basis = _study.basis(study)
    pairs = [t["ratio_to_baseline"]["pairs"] for t in _study.trials(study) if t.get("ratio_to_baseline")]
    if not basis or not pairs:
        return ""
    return (
        f"{basis} of randomised pairs on the same core, {min(pairs)} to {max(pairs)} pairs a candidate; 95 % intervals"
    )


def _self_test(study: Study) -> str:
    test = study.get("self_test")
    if not test:
        return ""
    found = f"the baseline against itself: {test['ratio']:.3f} [{test['low']:.3f} to {test['high']:.3f}]"
    claim = f"effects below {test['resolution']:.1%} are not claimed" if _text.known(test.get("resolution")) else ""
    pinned = "both arms pinned to one core" if test.get("pinned") else "arms could not be pinned"
    return ", ".join(part for part in (found, f"{test['pairs']} pairs", pinned, claim) if part)


def _processor(host: dict[str, Any]) -> str:
    cores = f"{host['cores']} cores" if host.get("cores") else ""
    return " · ".join(part for part in (str(host.get("cpu") or ""), cores, " ".join(host.get("flags") or [])) if part)


def _load(host: dict[str, Any]) -> str:
    load = host.get("load_average")
    return f"{load[0]:.2f} over the last minute when the study ended" if load else ""


def _took(study: Study) -> str:
    budget = study.get("budget") or {}
    spent = _text.seconds(study.get("duration_s"))
    if not _text.known(budget.get("amount")) or spent == _text.UNKNOWN:
        return spent
    return f"{spent}, budget {units.spent(budget['amount'], str(budget.get('unit')))}"


def seen(study: Study) -> str:
    """The scatter in words."""
    known = _study.measured(study)
    if not known:
        return "Nothing was measured yet."
    low, high = min(_study.cost_of(study, t) or 0 for t in known), max(_study.cost_of(study, t) or 0 for t in known)
    span = f"{len(known)} candidates take {units.joules(low)} to {units.joules(high)} a prediction"
    return f"{span}; {len(_study.front(study))} are on the front. {headline(study)}."


def seen_pairs(study: Study) -> str:
    """The pairs in words."""
    named = ([f"{t['name']} at {units.joules(_study.cost_of(study, t) or 0)}" for t in p] for p in _study.pairs(study))
    return "; ".join(f"{before}, after: {after}" for before, after in named) + "."


def seen_ledger(study: Study) -> str:
    """The ledger in words."""
    return ", ".join(f"{row['stage']} {_text.energy(row)[0]}" for row in _study.ledger(study)) + "."
