"""Which candidates a study tries, in which order: cheap and promising first, then what the results suggest."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from trimwatt import _imports
from trimwatt import runtime as runtimes
from trimwatt.recipe import Recipe
from trimwatt.study import arrange, chains
from trimwatt.study.candidate import Allowed, Candidate, final_form, is_plumbing
from trimwatt.study.families import Families
from trimwatt.study.suggest import Suggestions
from trimwatt.technique import make, registry
from trimwatt.trial import Trial
from trimwatt.workload import Workload, count

_SMALL, _WIDE = 0.25, 1024


class Space:
    """The candidates for one workload. `baseline` is never proposed again.

    recipes: lines of text, tried before all else, whatever the techniques.
    """

    def __init__(
        self, workload: Workload, baseline: Candidate, techniques: str = "all", recipes: Sequence[str] = ()
    ) -> None:
        self.workload, self.baseline = workload, baseline
        self.allowed = Allowed(techniques)
        self.tail: Recipe = (make("threshold"),) if workload.needs_threshold else ()
        self.core = tuple(step for step in baseline.recipe if step.name != "threshold")
        self._proposed = {baseline.served}
        # of these a technique's own variants follow, where they meet the floor
        self._varied: set[tuple[Recipe, str]] = set()
        self.searches = Families(workload.metric, self._is_searched)
        self._results = Suggestions(workload, baseline, self.allowed.has("quantize"))
        self._asked = list(arrange.candidates(recipes, workload, self.tail, baseline.given))

    def first(self) -> list[Candidate]:
        """What is tried whatever the results, in order."""
        form = final_form(self.core, self.workload.form)
        network = form in ("torch", "onnx")
        parts = [self._runtime(), self._network(form) if network else []]
        if self._is_mlp(form):
            parts.append(self._compressed(self.core))
        parts += [self._rivals(), self._later(form) if network else []]
        listed = self._new((c for part in parts for c in part), self._asked)
        alone = self._new((), self._unlisted(form, listed))
        self._varied |= {candidate.served for candidate in (*self._asked, *alone)}
        return [*listed, *alone]

    def _unlisted(self, form: str, listed: Sequence[Candidate]) -> list[Candidate]:
        """What no list names, of whatever package, each as it is by default; what is experimental comes last."""
        known = {step.name for candidate in (*listed, self.baseline) for step in candidate.recipe}
        steps = [kind() for name, kind in registry().items() if name not in known and self._is_wanted(kind)]
        steps.sort(key=lambda step: step.maturity == "experimental" and step.name not in self.allowed.named)
        made = [arrange.alone(step, self._host(step, form), self.workload.form) for step in steps]
        return [self._of(*recipe) for recipe in made if recipe]

    def _is_wanted(self, kind: Any) -> bool:
        """Whether a technique may stand for itself in this study."""
        if kind.stage not in ("model", "compress") or not self.allowed.permits(kind):
            return False
        if self._wide and kind.stage == "model" and kind.gives == "sklearn":
            return False
        needs_torch = kind.untrained or kind.needs == {"torch"}
        return not _unsuited(kind(), self.workload) and (not needs_torch or _imports.available("torch"))

    def _host(self, step: Any, form: str) -> Recipe:
        """What a technique is tried on: the baseline's model, or a small dense network where it needs a network."""
        if step.stage == "model":
            return ()
        network = form in ("torch", "onnx") or self._is_mlp(form)
        if form in step.needs or not step.needs or (network and "onnx" in step.needs):
            return self.core
        if self.workload.rows.kind == "image" or count(self.workload.rows.train.x) == 0:
            return self.core
        return (make("mlp-torch"), make("train")) if step.needs == {"torch"} else (make("mlp"),)

    def after(self, trial: Trial, candidate: Candidate) -> list[Candidate]:
        """What a result suggests: variants of an int8 step, a bolder or a milder share of pruning, more training."""
        self._results.learn(trial, candidate)
        self.searches.learn(trial, candidate)
        if trial.status != "done" or not candidate.recipe:
            return []
        more = self._all_rivals() if self._wide and self._scout in candidate.recipe and _close(trial) else []
        own = self._new((), self._variants(trial, candidate))
        return [
            *own,
            *self._new([*self._results.after(trial, candidate), *self._beside_found(trial, candidate), *more]),
        ]

    def _variants(self, trial: Trial, candidate: Candidate) -> list[Candidate]:
        """What the techniques themselves offer beside what met the floor here."""
        if candidate.served not in self._varied or not trial.meets_floor:
            return []
        steps = [step for step in candidate.recipe if step not in self.core and step.stage in ("model", "compress")]
        return [candidate.swapped(step, other) for step in steps for other in _variants(step, self.workload)]

    def found(self, techniques: Sequence[Any]) -> list[Candidate]:
        """The strongest model that a search found, the first; the others wait for how it does."""
        self.searches.keep(techniques)
        return self._new(self._rival(step) for step in techniques[:1])

    def _beside_found(self, trial: Trial, candidate: Candidate) -> list[Candidate]:
        """Where the strongest model of a search meets the floor: cheaper ones of its family, and what it can teach."""
        cheaper = self.searches.cheaper(candidate)
        if cheaper is None or not trial.meets_floor:
            return []
        strongest = candidate.first("classical")
        taught = [self._of(strongest, student, patience=_SMALL) for student in self._students(strongest)]
        network = self._compressed((strongest,)) if strongest.name == "mlp" else []
        return [*(self._rival(step) for step in cheaper), *network, *taught]

    def _students(self, teacher: Any) -> list[Any]:
        """What may learn from trees: few rounds of boosting at a high rate."""
        if teacher.family not in ("boosted", "forest"):
            return []
        return [make("distill-tree", student="boosted", trees=30, leaf=20, learning_rate=0.3)]

    def adapted(self, candidate: Candidate) -> Candidate:
        """`candidate` with the int8 activations that turned out fastest on this host."""
        return self._results.adapted(candidate)

    def _new(self, candidates: Iterable[Candidate], asked: Sequence[Candidate] = ()) -> list[Candidate]:
        """Those not proposed before, what was asked for by its recipe first and as it is."""
        fresh = []
        for proposed in (*asked, *candidates):
            candidate = proposed if proposed in asked else self._allowed_part(proposed)
            if candidate is not None and candidate.served not in self._proposed:
                self._proposed.add(candidate.served)
                fresh.append(dataclasses.replace(candidate, given=self.baseline.given))
        return fresh

    def _allowed_part(self, candidate: Candidate) -> Candidate | None:
        """The candidate without the levers that were not asked for, or None where nothing asked for is left.

        Training comes along with what makes it necessary.
        """
        own = [step for step in candidate.recipe if step not in self.core and not is_plumbing(step)]
        wanted = [step for step in own if step.stage != "train"] or own
        permitted = [step for step in wanted if self.allowed.permits(step)]
        if permitted == wanted:
            return candidate
        if not permitted or any(step.stage == "model" and step not in permitted for step in wanted):
            return None
        kept = list(self._kept(candidate.recipe))
        if not any(step.needs == {"onnx"} for step in kept):
            kept = [step for step in kept if step.name != "lower"]
        return dataclasses.replace(candidate, recipe=tuple(kept))

    def _kept(self, recipe: Recipe) -> Iterator[Any]:
        """Its steps without the levers that were not asked for, nor the training that only mended what they did."""
        dropped = False
        for step in recipe:
            if step in self.core or self.allowed.permits(step) or (step.stage == "train" and not dropped):
                dropped = False
                yield step
            else:
                dropped = step.stage != "train"

    def _of(self, *steps: Any, patience: float = 0.5, runtime: str = "onnxruntime") -> Candidate:
        """The threshold is fitted on the model as it is in the end, before it is lowered where that is needed."""
        return Candidate((*steps, *self.tail), runtime, patience)

    def _runtime(self) -> list[Candidate]:
        """The baseline in other runtimes; what another than ONNX Runtime gives, networks alone can tell."""
        form = final_form(self.core, self.workload.form)
        network = form in ("torch", "onnx") or self._is_mlp(form)
        return [Candidate(self.baseline.recipe, name) for name in runtimes.serving(form, network)]

    def _is_mlp(self, form: str) -> bool:
        """Whether the baseline is a network of scikit-learn's: one that was given, or made here."""
        made = any(step.name == "mlp" for step in self.core)
        return form == "sklearn" and (made or "MLP" in type(_last(self.workload.model)).__name__)

    def _compressed(self, core: Recipe) -> list[Candidate]:
        """The levers that work on any dense network in ONNX."""
        return [self._of(*core, *chain) for chain in chains.first("dense", "onnx")]

    def _network(self, form: str) -> list[Candidate]:
        """The levers that suit the network that stands there."""
        sort = chains.kind(self.workload, self.core)
        return [self._of(*self.core, *chain) for chain in chains.first(sort, form)]

    def _later(self, form: str) -> list[Candidate]:
        sort, image = chains.kind(self.workload, self.core), self.workload.rows.kind == "image"
        return [self._of(*self.core, *chain) for chain in chains.later(sort, form, image)]

    @property
    def _is_searched(self) -> bool:
        """Whether good parameters of classical models are looked for."""
        return self.allowed.has("classical") and count(self.workload.rows.train.x) > 0 and not self._wide

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
        usual = [self._rival(make(kind)) for kind in ("linear", "forest", "boosted", "neighbours", "mlp", "tree")]
        self.searches.wait_for(usual)
        network = [self._rival(mlp, "sklearn"), *self._compressed((mlp,))]
        kinds = ("forest", "boosted", "mlp", "tree")
        leaner = [self._rival(step) for kind in kinds for step in make(kind).variants(self.workload)]
        return [*usual, *network, *self._lean_networks(), *leaner]

    def _rival(self, step: Any, runtime: str = "onnxruntime") -> Candidate:
        return self._of(step, runtime=runtime, patience=_SMALL)

    def _lean_networks(self) -> list[Candidate]:
        if not _imports.available("torch"):
            return []
        picture, image = self.workload.rows.picture, self.workload.rows.kind == "image"
        if image and (picture is None or picture.side < 8):
            return []
        kind = "small-cnn" if image else "mlp-torch"
        core = (make(kind), make("train"))
        int8 = (make("lower"), make("static-int8"))
        return [self._of(*core), self._of(*core, *int8)]


def _unsuited(step: Any, workload: Workload) -> str:
    """Why a technique makes no sense here; one that cannot say, as a stranger's may, is left out."""
    try:
        return str(step.suits(workload))
    except Exception as error:  # whatever a plugin raises must not end the study
        return f"it cannot say whether it suits: {type(error).__name__}"


def _variants(step: Any, workload: Workload) -> Sequence[Any]:
    """What a technique offers beside itself; nothing where a stranger's fails to say."""
    try:
        return tuple(step.variants(workload))
    except Exception:  # whatever a plugin raises must not end the study
        return ()


def _close(trial: Trial) -> bool:
    return trial.floor_test in ("proven", "not_disproven")


def _last(model: Any) -> Any:
    """The final estimator of a pipeline, or the model itself."""
    steps = getattr(model, "steps", None)
    return steps[-1][1] if steps else model
