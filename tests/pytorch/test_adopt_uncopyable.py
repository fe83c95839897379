"""Modules that cannot be deep-copied, wrapped ones, and what cannot be taken in at all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune, spectral_norm, weight_norm

from trimwatt import _handoff
from trimwatt.errors import InputError
from trimwatt.framework import torch as framework
from trimwatt.framework.torch.copying import copied
from trimwatt.scenario import Scenario
from trimwatt.testing.samples import digits
from trimwatt.workload import Workload

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


class Net(nn.Module):
    """Digits to logits, with whatever else it is made to hold."""

    def __init__(self, first: nn.Module | None = None, middle: nn.Module | None = None) -> None:
        super().__init__()
        self.first, self.middle, self.last = first or nn.Linear(64, 12), middle or nn.ReLU(), nn.Linear(12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.middle(self.first(x.float() / 16)))  # type: ignore[no-any-return]


class Keeps(Net):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = [super().forward(x)]
        return self.seen[0]


def _stepped(net: nn.Module) -> nn.Module:
    net(torch.from_numpy(digits().rows.train.x[:8])).sum().backward()
    return net


def _pruned() -> nn.Module:
    net = Net()
    prune.l1_unstructured(net.first, "weight", 0.5)
    return _stepped(net)


def _holding(**attributes: Any) -> nn.Module:
    net = Net()
    for name, value in attributes.items():
        setattr(net, name, value)
    return net


MAKERS: dict[str, Callable[[], nn.Module]] = {
    "weight_norm": lambda: _stepped(Net(weight_norm(nn.Linear(64, 12)))),
    "spectral_norm": lambda: _stepped(Net(spectral_norm(nn.Linear(64, 12)))),
    "pruning hooks": _pruned,
    "lock": lambda: _holding(lock=threading.Lock(), again=threading.RLock(), waits=threading.Condition()),
    "random generator": lambda: _holding(generator=torch.Generator()),
    "activation": lambda: _stepped(Keeps()),
    "script": lambda: torch.jit.script(Net()),
    "trace": lambda: torch.jit.trace(Net().eval(), torch.zeros(2, 64)),
    "frozen script": lambda: torch.jit.freeze(torch.jit.script(Net().eval())),
    "script inside": lambda: nn.Sequential(torch.jit.script(Net())),
    "data parallel": lambda: nn.DataParallel(Net()),
    "compiled": lambda: torch.compile(Net()),  # type: ignore[dict-item,return-value]
    "compiled inside": lambda: nn.Sequential(torch.compile(Net())),  # type: ignore[arg-type]
    "lazy": lambda: Net(nn.LazyLinear(12)),
}


def _adopted(model: nn.Module, **changes: Any) -> Workload:
    return framework.adopt(replace(digits(), model=model, form="torch", **changes))


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_it_is_taken_handed_over_and_left_as_it_was(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = make()
    lazy = any(isinstance(part, nn.LazyLinear) for part in model.modules())
    before = {} if lazy else {name: value.clone() for name, value in model.state_dict().items()}
    mode, state = getattr(model, "training", None), torch.get_rng_state()
    adopted = _adopted(model)
    assert torch.equal(torch.get_rng_state(), state) and getattr(model, "training", None) == mode
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    rows = digits().rows.val.x
    digest = _handoff.write(adopted, tmp_path / "base.bin")
    there = _handoff.read(tmp_path / "base.bin", digest)
    np.testing.assert_array_equal(framework.scores(there, rows), framework.scores(adopted, rows))
    if not lazy:
        with torch.no_grad():
            own = copied(model).eval()(torch.from_numpy(rows)).numpy()
        np.testing.assert_allclose(adopted.probabilities(own), framework.scores(adopted, rows), atol=1e-6)


def test_a_copy_shares_no_weights_and_keeps_shared_ones_shared() -> None:
    model = MAKERS["weight_norm"]()
    model.tied = model.last  # type: ignore[assignment]
    again = copied(model)
    assert again.tied is again.last and again.last is not model.last
    mine, theirs = ({p.data_ptr() for p in net.parameters()} for net in (model, again))
    assert not mine & theirs


def test_what_a_class_counts_is_not_copied_with_it() -> None:
    model = _holding(lock=threading.Lock(), kind=Net)
    assert copied(model).kind is Net and type(copied(model)) is Net


@pytest.mark.parametrize(("name", "value"), [("log", "file"), ("feed", "generator")])
def test_what_cannot_leave_the_process_is_named_in_one_line(name: str, value: str, tmp_path: Path) -> None:
    net = Net()
    (tmp_path / "log").touch()
    with (tmp_path / "log").open() as file:
        setattr(net.first, name, file if value == "file" else (n for n in range(3)))
        with pytest.raises(InputError) as refused:
            _handoff.write(_adopted(net), tmp_path / "base.bin")
    message = str(refused.value)
    assert "\n" not in message and "cannot" in message and "package.module:callable" in message
    if value == "generator":
        assert "model.first.feed" in message
    assert not (tmp_path / "base.bin").exists()


def _without_statistics() -> nn.Module:
    return Net(middle=nn.BatchNorm1d(12, track_running_stats=False))


def test_statistics_of_a_batch_need_a_batch() -> None:
    with pytest.raises(InputError, match=r"answers 64 rows, and not 1, as a request has here.*--batch-size") as refused:
        _adopted(_without_statistics())
    assert "\n" not in str(refused.value)
    assert _adopted(_without_statistics(), scenario=Scenario(8, 1, "array")).outputs == "logits"


class Fails(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise KeyError("no such table")


@pytest.mark.parametrize(
    "make", [Fails, lambda: nn.Linear(64, 10, device="meta"), lambda: torch.jit.script(nn.Linear(9, 10))]
)
def test_whatever_a_module_raises_is_one_line(make: Callable[[], nn.Module]) -> None:
    with pytest.raises(InputError) as refused:
        _adopted(make())
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


def test_a_given_network_of_more_classes_names_its_columns_itself() -> None:
    torch.manual_seed(0)
    names = [f"digit {i}" for i in reversed(range(12))]
    base = digits()
    data = replace(base.rows, classes=tuple(f"digit {i}" for i in range(10)))
    model = Net()
    model.last = nn.Linear(12, 12)
    model.config = {"id2label": dict(enumerate(names))}  # type: ignore[assignment]
    adopted = framework.adopt(replace(base, data=data, model=model, form="torch"))
    assert adopted.answers == (*data.classes, "digit 11", "digit 10")
    with torch.no_grad():
        own = model.eval()(torch.from_numpy(base.rows.val.x)).argmax(1).tolist()
    assert adopted.decide is not None
    assert adopted.decide.labels(framework.scores(adopted, base.rows.val.x)).tolist() == [names[i] for i in own]
    assert any("answers 12 classes, of which the data hold 10" in warning for warning in adopted.rows.warnings)
