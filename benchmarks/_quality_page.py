"""What quality.py prints, and the claims that its figures are held to."""

from __future__ import annotations

from typing import Any

import _quality_judge as judging
from _quality_data import TABLES

SERVED, TIMES = ("frame", "dict", "array"), 10
ENOUGH = 6


def summary(sets: dict[str, Any]) -> dict[str, Any]:
    """Each claim with whether it is met; None where too little is known."""
    means = {name: judging.mean_gap(sets, name) for name in ("flaml", "autogluon", *judging.UNTUNED)}
    winners = [one["winner"] for one in sets.values() if "winner" in one]
    return {
        "wins": {name: winners.count(name) for name in sorted(set(winners))}, "trimwatt_minus_mean": means,
        "claims": [_not_worse(sets), _level(means["flaml"]), _cheaper_bare(sets), _cheaper_served(sets)],
    }  # fmt: skip


def _claim(text: str, met: bool | None, seen: Any) -> dict[str, Any]:
    return {"claim": text, "met": met, "seen": seen}


def _not_worse(sets: dict[str, Any]) -> dict[str, Any]:
    seen = {name: one["worse_than_untuned"] for name, one in sets.items() if one.get("worse_than_untuned")}
    worse = any("yes" in one.values() for one in seen.values())
    whole = len(seen) == len(TABLES) and all(len(one) == len(judging.UNTUNED) for one in seen.values())
    return _claim("on no set worse than an untuned fit by more than max-drop", False if worse else whole or None, seen)


def _level(mean: dict[str, Any] | None) -> dict[str, Any]:
    met = mean["level"] if mean is not None and mean["sets"] == len(TABLES) else None
    return _claim("level with FLAML on the mean over sets, within max-drop", met, mean)


def _cheaper_bare(sets: dict[str, Any]) -> dict[str, Any]:
    """On how many sets the bare session takes less than every exported model of equal quality; the interval decides."""
    seen = {name: _bare(one) for name, one in sets.items()}
    below = sum(one.startswith("below") for one in seen.values())
    possible = below + sum(one.startswith("unknown") for one in seen.values()) + len(TABLES) - len(seen)
    met = True if below >= ENOUGH else False if possible < ENOUGH else None
    return _claim(f"in a bare session below every exported model of equal quality on {ENOUGH} sets", met, seen)


def _bare(one: dict[str, Any]) -> str:
    bare = one["served"].get("forms", {}).get("bare", {})
    equal = [name for name, export in one["exports"].items() if export["equal_quality"]]
    if not bare or "refused" in bare.get("trimwatt", {}) or "trimwatt" not in one["quality"]:
        return "unknown: not measured"
    dearer = [name for name in equal if bare.get(name, {}).get("ratio", {"high": 0})["high"] >= 1]
    if dearer:
        return f"not below {', '.join(dearer)}"
    return "below" if equal else "below: no export is of equal quality"


def _cheaper_served(sets: dict[str, Any]) -> dict[str, Any]:
    """The least factor by which each set's peers take more than trimwatt in the same form of request."""
    seen = {}
    for name, one in sets.items():
        forms = {form: one["served"].get("forms", {}).get(form, {}) for form in SERVED}
        ratios = {
            f"{peer} {form}": round(1 / told["ratio"]["value"], 1)
            for form, peers in forms.items() for peer, told in peers.items() if "ratio" in told
        }  # fmt: skip
        if ratios:
            least = min(ratios, key=lambda key: ratios[key])
            seen[name] = {"least": ratios[least], "against": least}
    met = all(one["least"] >= TIMES for one in seen.values()) if len(seen) == len(TABLES) else None
    return _claim(f"served at least {TIMES} times below the peers", met, seen)


def show(name: str, one: dict[str, Any]) -> None:
    """One set in a few lines."""
    print(f"\n{name}: {one['metric']}, {one['rows']} rows judged ({one['kept_back']}), won by {one.get('winner', '-')}")
    for contestant, told in one["contestants"].items():
        if told["failed"]:
            print(f"  {contestant:24} failed: {told['failed'][:110]}")
            continue
        print(f"  {contestant:24} {_span(one['quality'][contestant])}{_gap(one, contestant)}  {_models(told)}")
    for form, told in one["served"].get("forms", {}).items():
        print(f"  {form:6} {'; '.join(_cost(who, cost) for who, cost in told.items())}")


def _models(told: dict[str, Any]) -> str:
    return "; ".join(dict.fromkeys(str(run.get("model")) for run in told["runs"]))[:100]


def _span(found: dict[str, float]) -> str:
    return f"{found['value']:.4f} [{found['low']:.4f}, {found['high']:.4f}]"


def _gap(one: dict[str, Any], contestant: str) -> str:
    gap = one["trimwatt_minus"].get(contestant)
    return f"  {'':28}" if gap is None else f"  {gap['value']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]"


def _cost(who: str, cost: dict[str, Any]) -> str:
    if "refused" in cost:
        return f"{who}: refused"
    time = "-" if cost["cpu_s"] is None else f"{1e6 * cost['cpu_s']:.1f} us"
    ratio = cost.get("ratio")
    return f"{who} {time}" + (f" (x{ratio['value']:.3f} [{ratio['low']:.3f}, {ratio['high']:.3f}])" if ratio else "")


def tell(found: dict[str, Any]) -> None:
    """The claims."""
    print()
    for one in found["claims"]:
        print(f"{ {True: 'met', False: 'NOT MET', None: 'unknown'}[one['met']]:8} {one['claim']}: {one['seen']}")
    print(f"wins: {found['wins']}; trimwatt minus, on the mean: {found['trimwatt_minus_mean']}")
