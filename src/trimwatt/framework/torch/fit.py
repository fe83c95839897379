"""One training loop for all that is trained in PyTorch."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from trimwatt.errors import TrialFailed
from trimwatt.framework.torch import augment, loss, precision, regularise
from trimwatt.framework.torch.copying import copied
from trimwatt.framework.torch.hooks import Batch, Hooks
from trimwatt.framework.torch.run import tensor, threads
from trimwatt.framework.torch.scaling import unscaled
from trimwatt.framework.torch.size import team
from trimwatt.tasks import Loss
from trimwatt.workload import Array, Split, Workload

if TYPE_CHECKING:
    import torch
    from torch import nn

WARM_UP = 0.1
EVALUATE = 500
MOST_BYTES = 5e8
MIRRORED = 1.1


class Plan(Protocol):
    """How to train; see `technique.train.Train` for what each means."""

    @property
    def epochs(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def batch(self) -> int: ...
    @property
    def patience(self) -> int | None: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def optimizer(self) -> str: ...
    @property
    def flip(self) -> bool | None: ...
    @property
    def shift(self) -> int | None: ...
    @property
    def precision(self) -> str: ...
    @property
    def max_seconds(self) -> float | None: ...
    @property
    def dropout(self) -> float | None: ...
    @property
    def label_smoothing(self) -> float: ...
    @property
    def mixup(self) -> float: ...


class Rows:
    """Rows as stored with their targets, handed out as the module and the loss take them.

    They are prepared once where that fits into MOST_BYTES, else batch by batch.
    """

    def __init__(self, workload: Workload, split: Split, criterion: Loss) -> None:
        self._workload, self._stored, self.y = workload, split, criterion.targets(split.y)
        one = tensor(workload, split.take(slice(0, 1)).x)
        fits = one.nbytes * len(split) <= MOST_BYTES or workload.prepare is None
        self._x = tensor(workload, split.x) if fits else None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: Array) -> Batch:
        """Rows and targets at `index`."""
        x = tensor(self._workload, self._stored.take(index).x) if self._x is None else self._x[index]
        return Batch(x, self.y[index], index, self._stored)

    def batches(self, rows: int) -> list[Batch]:
        """All rows in order, at most `rows` at a time."""
        return [self.take(np.arange(start, min(start + rows, len(self)))) for start in range(0, len(self), rows)]


def fit(workload: Workload, plan: Plan, from_scratch: bool = False, hooks: Hooks | None = None) -> nn.Module:
    """A trained copy of the workload's module, in evaluation mode, as good on held-out rows as any epoch made it.

    Training rows only, 15 % of them held out. Repeatable under `workload.seed` on one machine, unless
    `plan.max_seconds` ends it; the process's random state and number of threads are as before.
    from_scratch: the module is untrained, so a regression's targets are standardised and the scale is folded into
    the trained module. hooks: what a technique changes about it. Raises TrialFailed where the loss becomes NaN or
    infinite.
    """
    import torch

    from trimwatt.framework.torch.reached import zero_unreached

    hooks = hooks or Hooks()
    module: nn.Module = copied(workload.model)
    if hooks.prepare is not None:
        module = hooks.prepare(module)
    if plan.epochs == 0:
        return module.eval()
    learned, held = workload.rows.holdout(workload.seed)
    criterion = loss.criterion(workload, learned.y, from_scratch, plan.label_smoothing)
    with threads(team(workload, plan.batch)), torch.random.fork_rng(devices=[]):
        torch.manual_seed(workload.seed)
        # convolutions are faster with channels last, and the layout changes no figure that is saved
        _laid_out_(module, torch.channels_last)
        run = _Run(workload, plan, module, criterion, hooks)
        held_rows = Rows(workload, held, criterion)
        some = held_rows.batches(64)[0].x
        regularise.check_mixup(plan.mixup, some, hooks)
        with regularise.dropping(module, plan.dropout, some[:2]), zero_unreached(module, some[:2]):
            run.train(Rows(workload, learned, criterion), held_rows, from_scratch)
        _laid_out_(module.eval(), torch.contiguous_format)
        return unscaled(module, criterion.scale, some) if criterion.scale else module


class _Run:
    """State of one training."""

    def __init__(self, workload: Workload, plan: Plan, module: nn.Module, criterion: Loss, hooks: Hooks) -> None:
        self.workload, self.plan, self.module, self.criterion, self.hooks = workload, plan, module, criterion, hooks
        self.shuffle = np.random.default_rng(workload.seed)
        self.moves: augment.Moves | None = None
        self.precision = precision.settled(workload, plan.precision, plan.batch)
        self.scaler = precision.scaler(self.precision)
        self.started = time.monotonic()

    def train(self, learned: Rows, held: Rows, from_scratch: bool) -> None:
        # a module that has learned nothing cannot tell whether a mirror image means the same
        minds = (lambda axes: True) if from_scratch else (lambda axes: self._mirror_hurts(held, axes))
        self.moves = augment.moves(self.workload, self.plan.flip, self.plan.shift, minds)
        optimizer = _optimizer(self.module, self.plan)
        steps = math.ceil(len(learned) / self.plan.batch)
        rate = _schedule(self.plan.learning_rate, steps * self.plan.epochs)
        done = (step / (steps * self.plan.epochs) for step in itertools.count(1))
        best, weights, since = self.held_loss(held), _weights(self.module), 0
        for _ in range(self.plan.epochs):
            self._epoch(learned, optimizer, rate, done)
            if self.hooks.keep_last:
                if self._late():
                    return
                continue
            now = self.held_loss(held)
            best, weights, since = (now, _weights(self.module), 0) if now < best else (best, weights, since + 1)
            if (self.plan.patience is not None and since >= self.plan.patience) or self._late():
                break
        if not self.hooks.keep_last:
            self.module.load_state_dict(weights)

    def _late(self) -> bool:
        return self.plan.max_seconds is not None and time.monotonic() - self.started > self.plan.max_seconds

    def _epoch(self, rows: Rows, optimizer: Any, rate: Iterator[float], done: Iterator[float]) -> None:
        self.module.train()
        order = self.shuffle.permutation(len(rows))
        for index in np.array_split(order, math.ceil(len(order) / self.plan.batch)):
            now = next(rate)
            for group in optimizer.param_groups:
                group["lr"] = now
            batch = rows.take(index)
            if self.moves is not None:
                batch = replace(batch, x=self.moves(batch.x, self.shuffle))
            value = self._mixed_loss(batch) if self.plan.mixup else self.loss(batch)
            if self.hooks.penalty is not None:
                value = value + self.hooks.penalty(self.module)
            if not math.isfinite(value.item()):
                other = " or train in bfloat16" if self.precision == "float16" else ""
                raise TrialFailed(f"training diverged: the loss is {value.item():g}; lower the learning rate{other}")
            optimizer.zero_grad(set_to_none=True)
            self.scaler.scale(value).backward()
            self.scaler.step(optimizer)
            self.scaler.update()
            if self.hooks.after_step is not None:
                self.hooks.after_step(self.module, next(done))
            if self._late():
                break

    def _mirror_hurts(self, held: Rows, axes: tuple[int, int]) -> bool:
        """Whether mirrored images cost the module more than a tenth of its held-out loss."""
        self.module.eval()
        batch = held.batches(EVALUATE)[0]
        return bool(self._value(replace(batch, x=batch.x.flip(axes[1]))) > MIRRORED * self._value(batch))

    def _value(self, batch: Batch) -> float:
        import torch

        with torch.no_grad():
            return float(self.loss(batch).item())

    def loss(self, batch: Batch) -> torch.Tensor:
        answer = self._answer(batch.x)
        # what is held out is judged by the targets as they are
        judge = self.criterion if self.module.training else self.criterion.without_smoothing()
        if self.hooks.loss is None:
            return judge(answer, batch.y)
        return self.hooks.loss(answer, batch, lambda: judge(answer, batch.y))

    def _mixed_loss(self, batch: Batch) -> torch.Tensor:
        x, others, share = regularise.mixed(batch, self.plan.mixup, self.shuffle)
        answer = self._answer(x)
        return share * self.criterion(answer, batch.y) + (1 - share) * self.criterion(answer, others)

    def _answer(self, x: torch.Tensor) -> torch.Tensor:
        with precision.halved(self.precision):
            answer: torch.Tensor = self.module(x)
        return answer.float()

    def held_loss(self, rows: Rows) -> float:
        self.module.eval()
        value = sum(self._value(batch) * len(batch.y) for batch in rows.batches(EVALUATE)) / len(rows)
        return value if math.isfinite(value) else math.inf


def _laid_out_(module: nn.Module, layout: Any) -> None:
    """Put the weights of 2-D convolutions into a memory format (in place)."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=layout)


def _weights(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def _optimizer(module: nn.Module, plan: Plan) -> Any:
    import torch

    weights = [p for p in module.parameters() if p.requires_grad]
    # shrinking biases and normalization scales hurts: Goyal et al. 2017, arXiv:1706.02677
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if not groups:
        raise TrialFailed("the module has no weights that require a gradient; there is nothing to train")
    if plan.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=plan.learning_rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=plan.learning_rate)


def _schedule(peak: float, steps: int) -> Iterator[float]:
    """Learning rates: a linear rise over the first tenth, then half a cosine down to zero."""
    rise = max(1, round(WARM_UP * steps))
    for step in range(steps):
        if step < rise:
            yield peak * (step + 1) / rise
        else:
            yield peak * (1 + math.cos(math.pi * (step - rise + 1) / max(1, steps - rise))) / 2
