"""Which candidates a study tries, in which order: cheap and promising first, then what the results suggest."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from trimwatt import _imports
from trimwatt.errors import InputError
from trimwatt.recipe import Recipe
from trimwatt.technique import Technique, registry
from trimwatt.trial import Trial
from trimwatt.workload import Workload, count

_PLUMBING = ("lower", "threshold")
_SMALL, _WIDE, _SHARES = 0.25, 1024, 2
_GROUPS = ("runtime", "prune", "quantize", "classical", "train", "architecture")


@dataclass(frozen=True)
class Candidate:
    """A recipe and the runtime that serves it.

    patience: share of the time left that it may take, in (0, 1]. given: the steps that train a model that was given
    untrained, which go without saying.
    """

    recipe: Recipe
    runtime: str = "onnxruntime"
    patience: float = 0.5
    given: Recipe = dataclasses.field(default=(), compare=False)

    @property
    def served(self) -> tuple[Recipe, str]:
        """What makes it the same candidate as another."""
        return self.recipe, self.runtime

    @property
    def name(self) -> str:
        own = self.recipe[len(self.given) :] if self.recipe[: len(self.given)] == self.given else self.recipe
        labels = [label(step) for step in own if step.name not in _PLUMBING]
        served = {"sklearn": " in scikit-learn", "torch": " in PyTorch"}.get(self.runtime, "")
        return (" + ".join(labels) or "model as given") + served

    def family(self, baseline: Candidate) -> str:
        """What it is counted under: the levers pulled, or the kind of model, or the runtime alone."""
        levers = [step.family for step in self.recipe if step.family in ("pruning", "quantization")]
        if levers:
            return "+".join(dict.fromkeys(levers))
        if self.recipe == baseline.recipe and self.runtime != baseline.runtime:
            return "runtime"
        models = [step.family for step in self.recipe if group(step) in ("classical", "architecture")]
        trained = any(step.name == "finetune" for step in self.recipe)
        return models[-1] if models else ("fine-tuned" if trained else "given")


def group(step: Any) -> str:
    """The folder a technique stands in: prune, quantize, classical, ...; "plugin" for a stranger's."""
    parts = type(step).__module__.split(".")
    return parts[2] if parts[:2] == ["trimwatt", "technique"] else "plugin"


def label(step: Any) -> str:
    """Its name with the parameters that are not at their defaults: "forest(trees=30)"."""
    changed = [
        f"{f.name}={_short(getattr(step, f.name))}"
        for f in dataclasses.fields(step)
        if getattr(step, f.name) != f.default
    ]
    return str(step.name) + (f"({', '.join(changed)})" if changed else "")


def _short(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, (tuple, list)) else f"{value}"


def allowed(techniques: str) -> frozenset[str]:
    """The groups that `--techniques` names; raises InputError for one that is unknown."""
    if techniques == "all":
        return frozenset((*_GROUPS, *_PLUMBING, "plugin"))
    asked = [name.strip() for name in techniques.split(",") if name.strip()]
    for name in asked:
        if name not in _GROUPS:
            raise InputError(f"techniques are {', '.join(_GROUPS)} or all, got {name!r}; separate several by commas")
    return frozenset((*asked, "runtime", *_PLUMBING))


def make(name: str, **parameters: Any) -> Technique:
    """A technique by its name."""
    return registry()[name](**parameters)


class Space:
    """The candidates for one workload. `baseline` is never proposed again."""

    def __init__(self, workload: Workload, baseline: Candidate, techniques: str) -> None:
        self.workload, self.baseline = workload, baseline
        self.allowed = allowed(techniques)
        self.tail: Recipe = (make("threshold"),) if workload.needs_threshold else ()
        self.core = tuple(step for step in baseline.recipe if step.name != "threshold")
        self._proposed = {(baseline.recipe, baseline.runtime)}
        self._met: dict[Recipe, bool] = {}
        self._activations: dict[str, float] = {}
        self._shares: dict[Recipe, int] = {}

    def first(self) -> list[Candidate]:
        """What is tried whatever the results, in order."""
        form = _final_form(self.core, self.workload.form)
        parts = [self._runtime(), self._network(self.core, form) if form in ("torch", "onnx") else []]
        if form == "sklearn" and "MLP" in type(_last(self.workload.model)).__name__:
            parts.append(self._compressed(self.core))
        parts.append(self._rivals())
        return self._new(candidate for part in parts for candidate in part)

    def after(self, trial: Trial, candidate: Candidate) -> list[Candidate]:
        """What a result suggests: variants of an int8 step, a bolder or a milder share of pruning."""
        if not any(group(step) == "quantize" for step in candidate.recipe):
            self._met[_without(candidate, "lower")] = trial.meets_floor
        if trial.status != "done" or not candidate.recipe:
            return []
        more = self._all_rivals() if self._wide and self._scout in candidate.recipe and _close(trial) else []
        return self._new([*self._other_int8(trial, candidate), *self._other_share(trial, candidate), *more])

    def _new(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        fresh = []
        for candidate in candidates:
            if candidate.served not in self._proposed and self._levers(candidate) <= self.allowed:
                self._proposed.add(candidate.served)
                fresh.append(dataclasses.replace(candidate, given=self.baseline.given))
        return fresh

    def _levers(self, candidate: Candidate) -> set[str]:
        """The groups that must be allowed; fine-tuning comes along with what makes it necessary."""
        groups = {group(step) for step in candidate.recipe if step not in self.core} - set(_PLUMBING)
        return (groups - {"train"}) or groups or {"runtime"}

    def _of(self, *steps: Any, patience: float = 0.5, runtime: str = "onnxruntime") -> Candidate:
        """The threshold is fitted on the model as it is in the end, before it is lowered where that is needed."""
        return Candidate((*steps, *self.tail), runtime, patience)

    def _runtime(self) -> list[Candidate]:
        return [Candidate(self.baseline.recipe)]

    def _compressed(self, core: Recipe) -> list[Candidate]:
        """The levers that work on any network in ONNX."""
        lower, int8, prune = make("lower"), make("static-int8"), make("prune-dense")
        chains = [(lower, int8), (lower, prune), (lower, prune, int8)]
        return [self._of(*core, *chain) for chain in chains]

    def _network(self, core: Recipe, form: str) -> list[Candidate]:
        lower, int8 = make("lower"), make("static-int8")
        if form == "onnx":
            return self._compressed(core)
        tune, again = make("finetune"), make("finetune", epochs=3, learning_rate=3e-3)
        blocks, channels = make("prune-blocks", share=0.4), make("prune-channels")
        chains = [(lower, int8), (tune,), (tune, lower, int8)]
        chains += [(tune, prune, again, lower, int8) for prune in (blocks, channels)]
        return [self._of(*core, *chain) for chain in chains]

    def _rivals(self) -> list[Candidate]:
        """Classical models and lean networks fitted to the same rows."""
        if count(self.workload.rows.train.x) == 0:
            return []
        if self._wide:
            return [self._of(self._scout, patience=_SMALL)]
        return self._all_rivals()

    @property
    def _wide(self) -> bool:
        """Whether rows are images so large that fitting classical models to all their pixels needs a reason first."""
        rows = self.workload.rows.train.x
        return self.workload.rows.kind == "image" and not isinstance(rows, dict) and rows[0].size > _WIDE

    @property
    def _scout(self) -> Any:
        return make("forest", trees=30, depth=10)

    def _all_rivals(self) -> list[Candidate]:
        mlp = make("mlp")
        first = [self._rival(make(kind)) for kind in ("linear", "forest")]
        network = [self._rival(mlp, "sklearn"), self._rival(mlp), *self._compressed((mlp,))]
        others = [self._rival(make(kind)) for kind in ("tree", "boosted", "neighbours")]
        kinds = ("forest", "boosted", "mlp", "tree")
        leaner = [self._rival(step) for kind in kinds for step in make(kind).variants(self.workload)]
        return [*first, *network, *others, *self._lean_networks(), *leaner]

    def _rival(self, step: Any, runtime: str = "onnxruntime") -> Candidate:
        return self._of(step, runtime=runtime, patience=_SMALL)

    def _lean_networks(self) -> list[Candidate]:
        if not _imports.available("torch"):
            return []
        rows, image = self.workload.rows.train.x, self.workload.rows.kind == "image"
        if image and (isinstance(rows, dict) or min(rows.shape[1:3]) < 8):
            return []
        kind = "small-cnn" if image else "mlp-torch"
        core = (make(kind), make("train"))
        int8 = (make("lower"), make("static-int8"))
        return [self._of(*core), self._of(*core, *int8)]

    def _other_int8(self, trial: Trial, candidate: Candidate) -> list[Candidate]:
        """The other activation type always, layers left in float only where the floor was missed."""
        int8 = next((step for step in candidate.recipe if step.name == "static-int8"), None)
        if int8 is None or int8.keep_float or int8.method != "minmax":
            return []
        self._learn_activations(int8, trial)
        spoilt = not trial.meets_floor and self._met.get(_without(candidate, "quantize", "lower"), False)
        others = [other for other in int8.variants(self.workload) if self._worth(other, int8, spoilt)]
        return [self._swap(candidate, int8, other) for other in others]

    def _worth(self, other: Any, int8: Any, spoilt: bool) -> bool:
        """The other type of activations once, as its speed is the host's; other layers where int8 cost the floor."""
        if other.activations != int8.activations:
            return len(self._activations) == 1
        return spoilt and int8.activations == self.fastest

    def _learn_activations(self, int8: Any, trial: Trial) -> None:
        if trial.ratio_to_baseline is not None and int8.activations not in self._activations:
            self._activations[int8.activations] = trial.ratio_to_baseline.value

    @property
    def fastest(self) -> str:
        """The type of activations that took least here, of those tried."""
        return min(self._activations, key=lambda name: self._activations[name], default="uint8")

    def adapted(self, candidate: Candidate) -> Candidate:
        """`candidate` with the activations that turned out fastest, unless both types are still to be compared."""
        int8 = next((step for step in candidate.recipe if step.name == "static-int8"), None)
        if int8 is None or len(self._activations) < 2 or int8.activations == self.fastest:
            return candidate
        return self._swap(candidate, int8, dataclasses.replace(int8, activations=self.fastest))

    def _other_share(self, trial: Trial, candidate: Candidate) -> list[Candidate]:
        prune = next((step for step in candidate.recipe if group(step) == "prune"), None)
        if prune is None or not any(step.name == "static-int8" for step in candidate.recipe):
            return []
        if not trial.meets_floor and not self._met.get(_without(candidate, "quantize", "lower", "prune"), True):
            return []
        chain = _without(candidate, "prune")
        if self._shares.get(chain, 0) >= _SHARES:
            return []
        self._shares[chain] = self._shares.get(chain, 0) + 1
        share = round(min(0.9, prune.share + 0.2) if trial.meets_floor else prune.share / 2, 3)
        if share < 0.1 or share == prune.share:
            return []
        return [self._swap(candidate, prune, dataclasses.replace(prune, share=share))]

    def _swap(self, candidate: Candidate, old: Any, new: Any) -> Candidate:
        recipe = tuple(new if step == old else step for step in candidate.recipe)
        return dataclasses.replace(candidate, recipe=recipe)


def _without(candidate: Candidate, *groups: str) -> Recipe:
    """Its recipe without the steps of these groups."""
    return tuple(step for step in candidate.recipe if group(step) not in groups)


def _close(trial: Trial) -> bool:
    return trial.floor_test in ("proven", "not_disproven")


def _final_form(recipe: Sequence[Any], form: str) -> str:
    for step in recipe:
        form = step.gives or form
    return form


def _last(model: Any) -> Any:
    """The final estimator of a pipeline, or the model itself."""
    steps = getattr(model, "steps", None)
    return steps[-1][1] if steps else model
