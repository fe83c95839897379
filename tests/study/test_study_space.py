"""Which candidates are proposed, and what results lead to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn import neural_network
from torch import nn

from trimwatt import metric
from trimwatt.errors import InputError
from trimwatt.study import chains
from trimwatt.study.candidate import Allowed, Candidate
from trimwatt.study.space import Space
from trimwatt.technique import make, registry
from trimwatt.technique.text import label
from trimwatt.testing.samples import people
from trimwatt.trial import Ratio, Trial
from trimwatt.workload import Data, Split, Workload


def _workload(form: str = "none", name: str = "accuracy", pixels: int = 0) -> Workload:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, pixels, pixels, 3) if pixels else (60, 4)).astype(np.float32)
    split = Split(x, np.arange(60) % 2)
    data = Data(split, split, split, kind="image" if pixels else "table", classes=("a", "b"))
    return Workload(data=data, metric=metric.get(name, 1), form=form, model=_model(form))  # type: ignore[arg-type]


def _model(form: str, *layers: nn.Module) -> Any:
    if form == "torch":
        return nn.Sequential(*(layers or (nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))))
    if form != "onnx":
        return None
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 2]) for name in "xy"]
    return onnx.helper.make_model(onnx.helper.make_graph([node], "none", ends[:1], ends[1:])).SerializeToString()


def _trial(meets: bool, ratio: float = 0.1) -> Trial:
    return Trial(
        "t", "t", "f", [], "onnxruntime", "k", meets_floor=meets, floor_test="not_disproven" if meets else "failed",
        ratio_to_baseline=Ratio(ratio, ratio, ratio, 20, "less", "cpu_seconds"),
    )  # fmt: skip


def _space(form: str, techniques: str = "all", pixels: int = 0) -> Space:
    served = {"torch": "torch", "onnx": "onnxruntime"}.get(form, "sklearn")
    return Space(_workload(form, pixels=pixels), Candidate((), served), techniques)


def test_the_change_of_runtime_comes_first_whatever_techniques_were_named() -> None:
    for techniques in ("all", "prune", "quantize,classical"):
        assert _space("torch", techniques).first()[0] == Candidate((), "onnxruntime")


def test_only_the_techniques_named_are_tried_and_fine_tuning_comes_with_pruning() -> None:
    names = {step.name for c in _space("torch", "prune").first() for step in c.recipe}
    assert {"prune-blocks", "prune-channels", "prune-budget", "finetune"} <= names
    assert {registry()[name].group for name in names} == {"prune", "train", "lower"}
    dense = {step.name for c in _space("onnx", "prune").first() for step in c.recipe}
    assert {"lower", "prune-dense"} <= dense and "finetune" not in dense
    both = {step.name for c in _space("torch", "prune,quantize").first() for step in c.recipe}
    assert {"prune-blocks", "prune-channels", "finetune", "static-int8"} <= both
    assert "forest" not in both
    with pytest.raises(InputError, match="'magic' is no group and no technique"):
        Allowed("prune,magic")
    with pytest.raises(InputError, match="did you mean forest"):
        Allowed("foerst")


def test_a_technique_is_tried_where_it_is_named_and_no_other_of_its_group() -> None:
    names = {step.name for c in _space("torch", "squeezenet,gptq").first() for step in c.recipe}
    assert names == {"lower", "gptq"}  # these rows are no pictures
    pictures = {step.name for c in _space("torch", "squeezenet", pixels=32).first() for step in c.recipe}
    assert pictures == {"squeezenet", "train"}
    named = [c.name for c in _space("none", "forest,weight-only").first()]
    assert named[0] == "given" and {"forest", "mlp + weight-only"} <= {*named} and "linear" not in named


@pytest.mark.parametrize(("form", "pixels"), [("none", 0), ("none", 32), ("torch", 32), ("onnx", 0)])
def test_everything_that_suits_is_proposed_and_what_is_experimental_comes_last(form: str, pixels: int) -> None:
    space = _space(form, pixels=pixels)
    names = [[step.name for step in c.recipe] for c in space.first()]
    proposed = {name for steps in names for name in steps}
    for name, kind in registry().items():
        if kind.stage == "model" and not kind().suits(space.workload) and not pixels:
            assert name in proposed or (name, form) == ("extra-trees", "onnx")
    tail = [any(registry()[name].maturity == "experimental" for name in steps) for steps in names]
    assert tail == sorted(tail) and any(tail)


def test_a_technique_that_cannot_say_whether_it_suits_is_left_out_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(technique: Any, workload: Workload) -> Any:
        raise RuntimeError("no luck")

    space = _space("none")
    monkeypatch.setattr(registry()["gptq"], "suits", broken)
    monkeypatch.setattr(registry()["extra-trees"], "variants", broken)
    first = space.first()
    assert "gptq" not in {step.name for c in first for step in c.recipe}
    (trees,) = [c for c in first if c.name == "extra-trees"]
    assert not [c for c in space.after(_trial(True), trees) if c.first("extra-trees")]


def test_recipes_are_tried_first_whatever_techniques_were_named() -> None:
    lines = ["forest(trees=7) @ sklearn", "mlp(hidden=8) + static-int8", "forest(trees=7) @ sklearn"]
    space = Space(_workload(), Candidate((make("boosted"),), "sklearn"), "runtime", lines)
    assert [c.name for c in space.first()] == [*lines[:2], "boosted"]


@pytest.mark.parametrize(
    ("line", "form", "said"),
    [
        ("static-int8", "none", "static-int8 needs a model before it; begin with boosted"),
        ("small-cnn", "none", "small-cnn comes untrained; put train after it"),
        ("boosted + forest", "none", "forest makes a model of its own, so it comes first"),
        (
            "forest + finetune",
            "none",
            "finetune works on a model as torch, and here it is sklearn; what fits is distill",
        ),
        ("static-int8 + prune-channels", "torch", "prune-channels works on a model as torch, and here it is onnx"),
        ("forest @ openvno", "none", "runtime 'openvno' is unknown; runtimes are onnxruntime"),
        ("linear @ torch", "none", "torch serves models as torch, and linear leaves sklearn"),
        ("given", "none", "no step makes a model"),
        ("statc-int8", "torch", "technique 'statc-int8' is unknown; did you mean static-int8"),
        ("forest(tree=3)", "none", "forest has no parameter 'tree'; did you mean trees"),
    ],
)
def test_a_recipe_that_does_not_fit_says_which_step_and_what_does(line: str, form: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        Space(_workload(form), Candidate((), "sklearn"), "all", [line])
    assert said in str(caught.value) and repr(line) in str(caught.value) and "\n" not in str(caught.value)


def test_a_merely_fine_tuned_network_is_shown_beside_what_is_pruned() -> None:
    names = [candidate.name for candidate in _space("torch").first()]
    assert names.index("finetune") < next(i for i, name in enumerate(names) if "prune-blocks" in name)


def test_large_images_get_a_scout_before_other_classical_models() -> None:
    space = _space("torch", pixels=32)
    scout = Candidate((make("forest", trees=30, depth=10),), "onnxruntime", 0.25)
    classical = [c for c in space.first() if any(s.name in ("linear", "forest", "boosted") for s in c.recipe)]
    assert classical == [scout]
    assert space.after(_trial(False), scout) == []
    again = _space("torch", pixels=32)
    again.first()
    assert any(step.name == "boosted" for c in again.after(_trial(True), scout) for step in c.recipe)


def test_the_other_activations_are_tried_once_and_the_faster_kept() -> None:
    space = _space("torch")
    space.first()
    chain = (make("lower"), make("static-int8"))
    first = Candidate(chain)
    proposed = space.after(_trial(True, 0.1), first)
    assert [c.recipe[-1].activations for c in proposed] == ["int8"]  # type: ignore[attr-defined]
    assert space.after(_trial(True, 0.05), proposed[0]) == []
    assert space.adapted(first).recipe[-1].activations == "int8"


def test_a_share_of_pruning_is_changed_twice_at_most_and_towards_the_floor() -> None:
    space = _space("torch")
    space.first()
    candidate = Candidate((make("prune-blocks", share=0.4), make("lower"), make("static-int8", activations="int8")))
    seen = []
    for meets in (True, False, True):
        now = candidate.recipe[0].share  # type: ignore[attr-defined]
        more = [c for c in space.after(_trial(meets), candidate) if c.recipe[0].share != now]  # type: ignore[attr-defined]
        seen += [c.recipe[0].share for c in more]  # type: ignore[attr-defined]
        candidate = more[0] if more else candidate
    assert seen[0] > 0.4 and len(seen) == 2 and seen[1] < seen[0]


def test_thresholds_end_every_recipe_where_the_metric_asks_for_one() -> None:
    space = Space(_workload(name="f1"), Candidate((make("boosted"), make("threshold")), "sklearn"), "all")
    assert all(c.recipe[-1].name == "threshold" for c in space.first())


def test_names_say_what_was_changed() -> None:
    assert label(make("forest")) == "forest"
    assert label(make("mlp", hidden=(32, 16))) == "mlp(hidden=32-16)"
    assert Candidate((make("lower"), make("static-int8"))).name == "static-int8"
    assert replace(Candidate(()), runtime="torch").name == "given @ torch"
    train = (make("train"),)
    assert Candidate(train, "torch", given=train).name == "given @ torch"
    assert Candidate((*train, make("lower"), make("static-int8")), given=train).name == "static-int8"
    assert Candidate((make("linear"),), given=train).name == "linear"


def test_what_narrowly_misses_the_floor_is_trained_longer() -> None:
    space = _space("torch")
    space.first()
    chain = (make("finetune"), make("prune-blocks"), make("finetune", epochs=3), make("lower"), make("static-int8"))
    close = replace(_trial(False), floor_test="not_disproven")
    longer = [c.recipe[2].epochs for c in space.after(close, Candidate(chain)) if c.recipe[1] == chain[1]]  # type: ignore[attr-defined]
    assert 9 in longer
    assert not any(c.recipe[2].epochs > 3 for c in space.after(_trial(False), Candidate(chain)))  # type: ignore[attr-defined]


def _columns(techniques: str = "all") -> Space:
    return Space(replace(people(), metric=metric.get("accuracy")), Candidate((make("forest"),), "sklearn"), techniques)


def test_the_cheapest_on_a_table_is_tried_on_fewer_columns_and_on_fewer_still() -> None:
    space = _columns()
    space.first()
    (half,) = [c for c in space.after(_trial(True, 0.5), Candidate((make("boosted"),))) if c.first("select-columns")]
    assert [step.name for step in half.recipe] == ["boosted", "select-columns"]
    assert space.after(_trial(True, 0.6), Candidate((make("linear"),))) == []
    lowered = Candidate((make("mlp"), make("lower"), make("prune-dense")))
    assert not [c for c in space.after(_trial(True, 0.4), lowered) if c.first("select-columns")]
    fewer, more = space.after(_trial(True, 0.3), half)
    assert fewer.first("select-columns").share > half.first("select-columns").share > more.first("select-columns").share
    assert space.after(replace(_trial(True, 0.4), floor_test="proven"), more) == []
    assert space.after(_trial(False, 0.2), fewer) == []
    tuned = space.after(_trial(True, 0.2), Candidate((make("mlp-torch"), make("train"))))
    assert [step.name for step in tuned[0].recipe[-2:]] == ["select-columns", "finetune"]


def test_columns_are_left_alone_where_that_was_not_asked_or_rows_are_one_array() -> None:
    only = _columns("classical")
    only.first()
    assert only.after(_trial(True, 0.5), Candidate((make("boosted"),))) == []
    array = Space(_workload(), Candidate((make("forest"),), "sklearn"), "all")
    array.first()
    assert array.after(_trial(True, 0.5), Candidate((make("boosted"),))) == []


@pytest.mark.parametrize(
    ("layers", "kind", "lever"),
    [
        ((nn.Conv2d(3, 4, 3), nn.Linear(4, 2)), "convolutional", "prune-blocks"),
        ((nn.GRU(3, 4), nn.Linear(4, 2)), "recurrent", "prune-recurrent"),
        ((nn.TransformerEncoderLayer(4, 2, 8),), "attending", "dynamic-int8"),
        ((nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), "dense", "prune-dense"),
    ],
)
def test_each_sort_of_network_gets_the_levers_that_suit_it(
    layers: tuple[nn.Module, ...], kind: str, lever: str
) -> None:
    workload = replace(_workload("torch"), model=_model("torch", *layers))
    assert chains.kind(workload, ()) == kind
    proposed = {step.name for c in Space(workload, Candidate((), "torch"), "all").first() for step in c.recipe}
    assert lever in proposed
    assert ("prune-recurrent" in proposed) == (kind == "recurrent")


def test_an_architecture_of_ours_tells_its_sort_before_it_is_built() -> None:
    train = make("train")
    assert chains.kind(_workload(), (make("small-resnet"), train)) == "convolutional"
    assert chains.kind(_workload(), (make("mlp-torch"), train)) == "dense"


def test_where_int8_cost_the_floor_gentler_ways_are_tried() -> None:
    space = _space("torch")
    space.first()
    tune, lower, int8 = make("finetune"), make("lower"), make("static-int8")
    space.after(_trial(True), Candidate((tune,)))
    space.after(_trial(True, 0.2), Candidate((lower, make("static-int8", activations="int8"))))
    proposed = space.after(_trial(False, 0.1), Candidate((tune, lower, int8)))
    names = [[step.name for step in c.recipe] for c in proposed]
    assert ["finetune", "lower", "mixed-int8"] in names
    assert int8.activations == "uint8" and any(step.keep_float for c in proposed for step in c.only("static-int8"))  # type: ignore[attr-defined]


def test_a_budget_of_time_is_made_smaller_where_the_floor_is_met_and_tables_are_no_part_of_a_name() -> None:
    space = _space("torch")
    space.first()
    prune = make("prune-budget", share=0.5, costs=tuple((f"l{n}", 8, 8, 1e-6) for n in range(12)))
    assert label(prune) == "prune-budget"
    chain = (prune, make("lower"), make("static-int8", activations="int8"))
    bolder = [c.first("prune").share for c in space.after(_trial(True), Candidate(chain)) if c.first("prune") != prune]
    assert bolder == [0.35]


def test_training_that_only_mended_a_lever_goes_with_it() -> None:
    recipes = [[step.name for step in c.recipe] for c in _space("torch", "quantize").first()]
    assert ["finetune", "lower", "static-int8"] in recipes
    assert not any(names.count("finetune") > 1 for names in recipes)


def test_the_best_so_far_is_tried_in_a_runtime_that_is_no_slower() -> None:
    pytest.importorskip("openvino")
    space = _space("torch")
    first = space.first()
    assert [c.runtime for c in first[:3]] == ["onnxruntime", "openvino", "openvino-bf16"]
    for candidate, ratio in zip(first[:3], (0.3, 0.31, 0.9), strict=True):
        space.after(_trial(True, ratio), candidate)
    tuned = Candidate((make("finetune"),))
    proposed = [c for c in space.after(_trial(True, 0.2), tuned) if c.runtime != "onnxruntime"]
    assert [(c.runtime, c.recipe, c.late) for c in proposed] == [("openvino", tuned.recipe, False)]
    worse = Candidate((make("finetune", epochs=4),))
    assert not [c for c in space.after(_trial(True, 0.25), worse) if c.runtime != "onnxruntime"]


def test_in_bfloat16_the_network_before_int8_is_tried() -> None:
    pytest.importorskip("openvino")
    space = _space("torch")
    for candidate, ratio in zip(space.first()[:3], (0.3, 0.9, 0.1), strict=True):
        space.after(_trial(True, ratio), candidate)
    tune, lower, int8 = make("finetune"), make("lower"), make("static-int8", activations="int8")
    proposed = [
        c for c in space.after(_trial(True, 0.05), Candidate((tune, lower, int8))) if c.runtime != "onnxruntime"
    ]
    assert [(c.runtime, c.recipe) for c in proposed] == [("openvino-bf16", (tune,))]


def test_trees_are_not_offered_to_a_runtime_without_them() -> None:
    pytest.importorskip("openvino")
    space = _space("torch")
    for candidate, ratio in zip(space.first()[:3], (0.3, 0.2, 0.1), strict=True):
        space.after(_trial(True, ratio), candidate)
    assert [c.runtime for c in space.after(_trial(True, 0.01), Candidate((make("forest"),)))] == []
    later = space.after(_trial(True, 0.05), Candidate((make("finetune"),)))
    assert {c.runtime for c in later} >= {"openvino", "openvino-bf16"}


def _others(space: Space, candidate: Candidate, ratio: float, meets: bool = True) -> list[Candidate]:
    return [c for c in space.after(_trial(meets, ratio), candidate) if c.runtime != "onnxruntime"]


def test_a_given_onnx_model_in_int8_is_tried_in_the_runtimes_that_are_no_slower_for_it_as_given() -> None:
    pytest.importorskip("openvino")
    space = _space("onnx")
    as_given = space.first()[:2]
    assert [(c.recipe, c.runtime) for c in as_given] == [((), "openvino"), ((), "openvino-bf16")]
    for candidate, ratio in zip(as_given, (1.2, 1.3), strict=True):
        space.after(_trial(True, ratio), candidate)
    int8 = Candidate((make("lower"), make("static-int8")))
    assert [(c.recipe, c.runtime) for c in _others(space, int8, 0.6)] == [(int8.recipe, "openvino")]
    dearer = Candidate((make("lower"), make("prune-dense")))
    assert _others(_space("onnx"), dearer, 1.1) == [] and _others(space, dearer, 0.5) != []


def test_int8_is_tried_in_another_runtime_also_where_it_brought_nothing_in_onnx_runtime() -> None:
    pytest.importorskip("openvino")
    space = _space("torch")
    for candidate, ratio in zip(space.first()[:3], (0.3, 0.31, 0.9), strict=True):
        space.after(_trial(True, ratio), candidate)
    lower = make("lower")
    slow = Candidate((lower, make("static-int8")))
    assert [(c.recipe, c.runtime) for c in _others(space, slow, 0.35)] == [(slow.recipe, "openvino")]
    assert _others(space, Candidate((lower, make("static-int8", activations="int8"))), 0.5) == []
    assert _others(space, Candidate((make("finetune"), lower, make("static-int8"))), 0.4) == []
    missed = _space("onnx")
    missed.after(_trial(True, 1.0), missed.first()[0])
    assert _others(missed, slow, 0.2, meets=False) == []


def test_a_given_network_of_scikit_learn_gets_other_runtimes_too() -> None:
    pytest.importorskip("openvino")
    network = neural_network.MLPClassifier((8,))
    space = Space(replace(_workload("sklearn"), model=network), Candidate((), "sklearn"), "all")
    plain = [c for c in space.first() if c.recipe == ()]
    assert [c.runtime for c in plain] == ["onnxruntime", "openvino", "openvino-bf16"]
    for candidate, ratio in zip(plain, (0.2, 0.22, 0.3), strict=True):
        space.after(_trial(True, ratio), candidate)
    int8 = Candidate((make("lower"), make("static-int8")))
    assert [c.runtime for c in _others(space, int8, 0.1)] == ["openvino"]
    named = Space(_workload(), Candidate((make("mlp"),), "sklearn"), "all").first()
    assert {c.runtime for c in named if c.recipe == (make("mlp"),)} == {"onnxruntime", "openvino", "openvino-bf16"}
    trees = Space(_workload(), Candidate((make("boosted"),), "sklearn"), "all").first()
    assert {c.runtime for c in trees if c.recipe == (make("boosted"),)} == {"onnxruntime"}
