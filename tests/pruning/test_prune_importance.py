"""Importance from gradients: exact derivatives, and better than chance."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from pruning_samples import chain, drawn, on_images, pictures
from torch import nn

from trimwatt.errors import InputError
from trimwatt.framework.torch import importance
from trimwatt.framework.torch.groups import groups
from trimwatt.framework.torch.loss import criterion
from trimwatt.framework.torch.run import example, tensor
from trimwatt.technique._base import apply
from trimwatt.technique.prune.channels import PruneChannels
from trimwatt.workload import Workload


def loss_with(workload: Workload, layer: str, channel: int, each: int, scale: float, start: int) -> float:
    """Loss of one batch where what is read of one channel is scaled."""
    module = copy.deepcopy(workload.model)
    with torch.no_grad():
        module.get_submodule(layer).weight[:, channel * each : (channel + 1) * each] *= scale
    rows = workload.rows.train.sample(importance.ROWS, workload.seed)
    judge = criterion(workload, rows.y, False)
    part = slice(start, start + importance.BATCH)
    x = tensor(workload, rows.x[part]).double()  # type: ignore[index]
    with torch.no_grad():
        return float(judge(module(x), judge.targets(rows.y)[part]))


@pytest.mark.parametrize(("maker", "taker", "each"), [("0", "2", 1), ("2", "5", 16), ("5", "7", 1)])
def test_taylor_is_the_squared_derivative_of_the_loss_by_the_channels_scale(maker: str, taker: str, each: int) -> None:
    workload = on_images(drawn(chain()))
    found = groups(workload.model, example(workload), "inner")
    table = importance.gradients(workload, found, "taylor")
    workload.model.double()
    n, step = len(workload.rows.train), 1e-5
    for channel in (0, 5):
        slopes = [
            (
                loss_with(workload, taker, channel, each, 1 + step, start)
                - loss_with(workload, taker, channel, each, 1 - step, start)
            )
            / (2 * step)
            for start in range(0, n, importance.BATCH)
        ]
        np.testing.assert_allclose(float(table[maker][channel]), np.mean(np.square(slopes)), rtol=1e-2)


def test_hessian_is_half_of_squared_weights_times_squared_gradients() -> None:
    workload = on_images(drawn(chain()), 20)
    assert len(workload.rows.train) <= importance.BATCH
    found = groups(workload.model, example(workload), "inner")
    table = importance.gradients(workload, found, "hessian")
    model, rows = copy.deepcopy(workload.model), workload.rows.train
    judge = criterion(workload, rows.y, False)
    judge(model(tensor(workload, rows.x)), judge.targets(rows.y)).backward()
    weight = model[7].weight
    expected = (weight**2 * weight.grad**2).sum(0) / 2
    torch.testing.assert_close(table["5"], expected.detach(), rtol=1e-4, atol=1e-12)


def test_a_channel_nobody_listens_to_scores_nothing_and_goes_first() -> None:
    model = drawn(chain())
    with torch.no_grad():
        model[2].weight[:, ::2] = 0
    workload = on_images(model)
    for kind in importance.BY_GRADIENT:
        table = importance.gradients(workload, groups(model, example(workload), "inner"), kind)
        assert (table["0"][::2] == 0).all() and (table["0"][1::2] > 0).all()


@pytest.mark.parametrize("kind", ["l2", "bn", "taylor", "hessian"])
def test_every_importance_prunes(kind: str) -> None:
    model = chain()
    model.insert(1, nn.BatchNorm2d(8))
    workload = on_images(drawn(model))
    after = apply(PruneChannels(0.5, importance=kind, round_to=1), workload)
    assert after.model[0].out_channels == 4


def test_what_matters_to_the_loss_is_kept_better_than_at_random() -> None:
    workload = pictures()
    whole = _held(workload)
    by_gradient = _held(apply(PruneChannels(0.5, importance="taylor", round_to=1), workload))
    chance = []
    for seed in range(4):
        draw = torch.Generator().manual_seed(seed)
        chance.append(_held(_at_random(workload, draw)))
    assert whole < by_gradient < np.mean(chance)


def _at_random(workload: Workload, draw: torch.Generator) -> Workload:
    from dataclasses import replace

    from trimwatt.framework.torch.groups import shrunk

    model = shrunk(
        workload.model, example(workload), "inner",
        lambda group: torch.rand(group.channels, generator=draw), lambda _, channels: channels // 2,
    )  # fmt: skip
    return replace(workload, model=model)


def _held(workload: Workload) -> float:
    rows = workload.rows.val
    judge = criterion(workload, rows.y, False)
    with torch.no_grad():
        return float(judge(workload.model(tensor(workload, rows.x)), judge.targets(rows.y)))


def test_an_importance_there_is_none_of_is_refused() -> None:
    with pytest.raises(InputError, match=r"importance is l1 or l2 or bn or taylor or hessian, got 'luck'"):
        PruneChannels(importance="luck")
