"""What results lead to: the other activations, a bolder or milder share, longer fine-tuning, layers left in float."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from trimwatt import runtime
from trimwatt.recipe import Recipe
from trimwatt.study.candidate import Candidate, final_form
from trimwatt.technique import make
from trimwatt.trial import Trial
from trimwatt.workload import Workload

_SHARES, _LONGER, _SHORT, _NO_SLOWER = 2, 3, 5, 1.25
_LEAST, _HALF, _MOST = 0.2, 0.5, 0.85  # shares of columns to leave out


class Suggestions:
    """Remembers what was learned from each trial, and proposes what follows from it."""

    def __init__(self, workload: Workload, baseline: Candidate, quantizes: bool = True) -> None:
        self.workload, self.plain, self.quantizes = workload, baseline.recipe, quantizes
        # the ratio to the baseline of its own recipe in each runtime; no trial tells that of the baseline itself
        self._runtimes: dict[str, float] = {baseline.runtime: 1.0}
        self._best, self._narrowest = self._runtimes.get("onnxruntime", math.inf), math.inf
        self._met: dict[Recipe, bool] = {}
        self._activations: dict[str, float] = {}
        self._shares: dict[Recipe, int] = {}

    def learn(self, trial: Trial, candidate: Candidate) -> None:
        """Remember whether what is not quantized meets the floor."""
        if candidate.recipe == self.plain and trial.ratio_to_baseline is not None:
            self._runtimes[candidate.runtime] = trial.ratio_to_baseline.value
        if candidate.first("quantize") is None:
            self._met[candidate.without("lower")] = trial.meets_floor

    def after(self, trial: Trial, candidate: Candidate) -> list[Candidate]:
        """What this trial suggests."""
        return [
            *self._other_int8(trial, candidate),
            *self._other_share(trial, candidate),
            *self._longer(trial, candidate),
            *self._fewer_columns(trial, candidate),
            *self._other_runtime(trial, candidate),
        ]

    def _other_runtime(self, trial: Trial, candidate: Candidate) -> list[Candidate]:
        """The best so far, and the model as given in int8, in runtimes that took little longer for it as given.

        Int8 whatever it brought in ONNX Runtime: which kernels a runtime has for it, each network tells anew.
        """
        ratio = trial.ratio_to_baseline
        if candidate.runtime != "onnxruntime" or ratio is None or not trial.meets_floor:
            return []
        if ratio.value >= self._best and not self._only_int8(candidate):
            return []
        if any(step.group == "classical" and step.name != "mlp" for step in candidate.recipe):
            return []  # OpenVINO has no operators for trees and neighbours
        self._best = min(self._best, ratio.value)
        most = _NO_SLOWER * self._runtimes.get("onnxruntime", 0.0)
        fast = [name for name, ratio in self._runtimes.items() if ratio <= most and _takes_onnx(name)]
        # fewer bits have their own speed: in them the same network before int8 is tried
        whole = candidate.without("quantize", "lower") if candidate.first("quantize") else candidate.recipe
        recipes = {name: candidate.recipe if runtime.precision(name) == "f32" else whole for name in fast}
        return [replace(candidate, recipe=recipe, runtime=name) for name, recipe in recipes.items()]

    def _only_int8(self, candidate: Candidate) -> bool:
        """Whether it is the baseline in int8 with the faster activations, and nothing else."""
        int8, plain = candidate.first("static-int8"), candidate.without("static-int8", "lower")
        return int8 is not None and plain == self.plain and int8.activations == self.fastest

    def _fewer_columns(self, trial: Trial, candidate: Candidate) -> list[Candidate]:
        """The cheapest model yet that meets the floor, on half of the columns of a table."""
        ratio, rows = trial.ratio_to_baseline, self.workload.rows.train.x
        if ratio is None or not isinstance(rows, dict) or len(rows) < 2 or candidate.runtime != "onnxruntime":
            return []
        cheapest = trial.meets_floor and ratio.value < self._narrowest
        self._narrowest = ratio.value if cheapest else self._narrowest
        if candidate.first("select-columns"):
            return self._other_columns(trial, candidate, cheapest, len(rows))
        kinds = {step.group for step in candidate.without("lower", "threshold")}
        ours = kinds & {"classical", "architecture"} and kinds <= {"classical", "architecture", "train"}
        return [self._on_half(candidate)] if cheapest and ours else []

    def _other_columns(self, trial: Trial, candidate: Candidate, cheapest: bool, columns: int) -> list[Candidate]:
        """Fewer still where that was the cheapest yet, more where it is not proven to meet the floor."""
        now = candidate.first("select-columns")
        shares = [(1 + 2 * now.share) / 3] if cheapest else []
        shares += [now.share / 2] if trial.floor_test != "proven" and now.share <= _HALF else []
        others = [replace(now, share=round(share, 3)) for share in shares if _LEAST <= share <= _MOST]
        return [candidate.swapped(now, other) for other in others if other.stay(columns) != now.stay(columns)]

    def _on_half(self, candidate: Candidate) -> Candidate:
        """The same model on half of the columns; a network is trained further."""
        plain, tail = candidate.without("lower", "threshold"), candidate.only("threshold")
        tune = (make("finetune", epochs=10, learning_rate=3e-3),)
        again = tune if final_form(plain, self.workload.form) == "torch" else ()
        return replace(candidate, recipe=(*plain, make("select-columns"), *again, *tail))

    @property
    def fastest(self) -> str:
        """The type of activations that took least here, of those tried."""
        return min(self._activations, key=lambda name: self._activations[name], default="uint8")

    def adapted(self, candidate: Candidate) -> Candidate:
        """`candidate` with the activations that turned out fastest, unless both types are still to be compared."""
        int8 = candidate.first("static-int8")
        if int8 is None or len(self._activations) < 2 or int8.activations == self.fastest:
            return candidate
        return candidate.swapped(int8, replace(int8, activations=self.fastest))

    def _other_int8(self, trial: Trial, candidate: Candidate) -> list[Candidate]:
        """The other activation type always, layers left in float only where the floor was missed."""
        int8 = candidate.first("static-int8")
        if int8 is None or int8.keep_float or int8.method != "minmax":
            return []
        if trial.ratio_to_baseline is not None:
            self._activations.setdefault(int8.activations, trial.ratio_to_baseline.value)
        spoilt = not trial.meets_floor and self._met.get(candidate.without("quantize", "lower"), False)
        others = [other for other in int8.variants(self.workload) if self._worth(other, int8, spoilt)]
        return [candidate.swapped(int8, other) for other in others] + (self._gentler(candidate) if spoilt else [])

    def _gentler(self, candidate: Candidate) -> list[Candidate]:
        """Where int8 cost the floor: ranges and biases that err less, layers chosen to stay in float, training that
        knows of the rounding."""
        plain, tail = candidate.without("quantize", "lower", "threshold"), candidate.only("threshold")
        closer = make("static-int8", activations=self.fastest, method="mse", correct_bias=True)
        ways: list[Recipe] = [(make("lower"), closer), (make("lower"), make("mixed-int8", activations=self.fastest))]
        if final_form(plain, self.workload.form) == "torch":
            ways.append((make("qat"),))
        return [replace(candidate, recipe=(*plain, *way, *tail)) for way in ways]

    def _worth(self, other: Any, int8: Any, spoilt: bool) -> bool:
        """The other type of activations once, as its speed is the host's; other layers where int8 cost the floor."""
        if other.activations != int8.activations:
            return len(self._activations) == 1
        return spoilt and int8.activations == self.fastest

    def _other_share(self, trial: Trial, candidate: Candidate) -> list[Candidate]:
        prune = candidate.first("prune")
        if prune is None or not hasattr(prune, "share"):
            return []
        # where chains end in int8, those without would only repeat the same shares; recurrent layers have no int8
        if self.quantizes and candidate.first("quantize") is None and prune.name != "prune-recurrent":
            return []
        if not trial.meets_floor and not self._met.get(candidate.without("quantize", "lower", "prune"), True):
            return []
        chain = candidate.without("prune")
        if self._shares.get(chain, 0) >= _SHARES:
            return []
        self._shares[chain] = self._shares.get(chain, 0) + 1
        share = _bolder(prune) if trial.meets_floor else _milder(prune)
        return [] if share < 0.1 or share == prune.share else [candidate.swapped(prune, replace(prune, share=share))]

    def _longer(self, trial: Trial, candidate: Candidate) -> list[Candidate]:
        """Three times the fine-tuning where a smaller network missed the floor by less than these rows resolve."""
        steps = candidate.recipe
        pruned = next((n for n, step in enumerate(steps) if step.group == "prune"), None)
        if pruned is None or trial.meets_floor or trial.floor_test != "not_disproven":
            return []
        tunes = [step for step in steps[pruned:] if step.name == "finetune" and step.epochs <= _SHORT]
        if not tunes:
            return []
        longer = replace(tunes[0], epochs=_LONGER * tunes[0].epochs)
        return [replace(candidate.swapped(tunes[0], longer), late=True)]


def _takes_onnx(name: str) -> bool:
    """Whether a runtime other than the usual one opens ONNX."""
    return name != "onnxruntime" and "onnx" in runtime.get(name).forms


def _bolder(prune: Any) -> float:
    """A share that removes more; of a budget it is the time that may be left."""
    if prune.name == "prune-budget":
        return float(round(0.7 * prune.share, 3))
    return float(round(min(0.9, prune.share + 0.2), 3))


def _milder(prune: Any) -> float:
    if prune.name == "prune-budget":
        return float(round((1 + prune.share) / 2, 3))
    return float(round(prune.share / 2, 3))
