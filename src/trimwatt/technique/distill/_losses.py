"""The losses of distillation, as hooks of the one training loop."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from trimwatt.errors import TrialFailed
from trimwatt.framework.torch import Batch, Hooks
from trimwatt.framework.torch.copying import copied
from trimwatt.framework.torch.run import tensor
from trimwatt.technique.distill._teacher import LEAST, Teacher
from trimwatt.workload import Workload

if TYPE_CHECKING:
    from trimwatt.technique.distill.network import Distill

Unwrap = Callable[[nn.Module], nn.Module]


def hooks(technique: Distill, teacher: Teacher, student: Workload) -> tuple[Hooks, Unwrap]:
    """The hooks that teach `student`, and what takes the student out of the module that was trained."""
    said = _Said(technique, teacher, student)
    if technique.match == "answers":
        return Hooks(loss=said), lambda module: module
    matched = _Matched(technique, teacher, student, said)
    return Hooks(prepare=matched.wrap, loss=matched), matched.unwrap


class _Said:
    """The teacher's answers in the loss; see `Distill`."""

    def __init__(self, technique: Distill, teacher: Teacher, student: Workload) -> None:
        self.technique, self.teacher, self.student = technique, teacher, student
        y = student.rows.holdout(student.seed)[0].y
        self.mean, self.spread = float(y.mean()), float(y.std()) or 1.0

    def __call__(self, answer: torch.Tensor, batch: Batch, own: Callable[[], torch.Tensor]) -> torch.Tensor:
        weight = self.technique.weight
        if weight == 0:
            return own()
        soft = torch.from_numpy(self.teacher.says(batch.split)[batch.index]).float()
        values = self.student.task.target == "value"
        taught = self._values(answer, soft) if values else self._classes(answer, soft)
        return weight * taught + (1 - weight) * own() if weight < 1 else taught

    def _values(self, answer: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
        return functional.mse_loss(answer.reshape(len(answer), -1)[:, 0], (soft - self.mean) / self.spread)

    def _classes(self, answer: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
        columns, codes = _columns(self.student, soft.shape[1])
        return softened(_logits(answer, self.student)[:, columns], soft[:, codes], self.technique.temperature)


def softened(logits: torch.Tensor, probabilities: torch.Tensor, temperature: float) -> torch.Tensor:
    """T^2 KL(teacher at T || student at T), mean over rows: its gradient keeps its size whatever T is.

    logits (n, k) of the student, probabilities (n, k) of the teacher at temperature 1.
    """
    taught = functional.softmax(probabilities.clamp_min(LEAST).log() / temperature, dim=1)
    learned = functional.log_softmax(logits / temperature, dim=1)
    return temperature**2 * functional.kl_div(learned, taught, reduction="batchmean")


def _logits(answer: torch.Tensor, student: Workload) -> torch.Tensor:
    answer = answer.reshape(len(answer), -1)
    if student.outputs == "probabilities":
        answer = answer.clamp(LEAST, 1 - LEAST).logit() if answer.shape[1] == 1 else answer.clamp_min(LEAST).log()
    return torch.cat([torch.zeros_like(answer), answer], dim=1) if answer.shape[1] == 1 else answer


def _columns(student: Workload, classes: int) -> tuple[list[int], list[int]]:
    """The columns of the student's logits that stand for classes of the data, and the code of each."""
    codes = list(student.class_columns or range(len(student.answers) or classes))
    columns = [column for column, code in enumerate(codes) if code < classes]
    return columns, [codes[column] for column in columns]


class _Taught(nn.Module):
    """A student with the layer that translates its features into its teacher's."""

    def __init__(self, student: nn.Module, adapter: nn.Module) -> None:
        super().__init__()
        self.student, self.adapter = student, adapter

    def forward(self, x: torch.Tensor) -> Any:
        return self.student(x)


class _Matched:
    """Adds the distance between the last feature maps of student and teacher, or between their attention."""

    def __init__(self, technique: Distill, teacher: Teacher, student: Workload, said: _Said) -> None:
        if teacher.workload.form != "torch":
            raise TrialFailed(f"features are matched between networks only, the teacher is {teacher.workload.form}")
        self.technique, self.teacher, self.said = technique, teacher, said
        self.module = copied(teacher.workload.model).eval()
        few = tensor(teacher.workload, student.rows.train.take(slice(0, 2)).x)
        self.theirs = _Watch(self.module, few, "teacher")
        self.ours: _Watch | None = None
        self.adapter: nn.Module = nn.Identity()
        self.few = tensor(student, student.rows.train.take(slice(0, 2)).x)

    def wrap(self, module: nn.Module) -> nn.Module:
        self.ours = _Watch(module.eval(), self.few, "student")
        channels = self.ours.shape[1], self.theirs.shape[1]
        if self.technique.match == "features":
            self.adapter = nn.Conv2d(*channels, 1)
        return _Taught(module, self.adapter)

    def unwrap(self, module: nn.Module) -> nn.Module:
        """The student alone, unwatched."""
        if self.ours is not None:
            self.ours.mark.remove()
        student: nn.Module = module.get_submodule("student")
        return student

    def __call__(self, answer: torch.Tensor, batch: Batch, own: Callable[[], torch.Tensor]) -> torch.Tensor:
        value = self.said(answer, batch, own)
        if self.ours is None or self.ours.seen is None:
            return value
        mine = self.ours.seen.float()
        with torch.no_grad():
            self.module(tensor(self.teacher.workload, batch.split.take(batch.index).x))
        theirs = self.theirs.seen
        if theirs is None:
            return value
        return value + self.technique.match_weight * self._distance(mine, theirs.float())

    def _distance(self, mine: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        side = (min(mine.shape[2], theirs.shape[2]), min(mine.shape[3], theirs.shape[3]))
        mine, theirs = (functional.adaptive_avg_pool2d(maps, side) for maps in (mine, theirs))
        if self.technique.match == "attention":
            return functional.mse_loss(attention(mine), attention(theirs)) * mine[0, 0].numel()
        return functional.mse_loss(self.adapter(mine), theirs) / theirs.var().clamp_min(LEAST)


def attention(maps: torch.Tensor) -> torch.Tensor:
    """(n, channels, h, w) -> (n, h w): the mean of squares over channels, of length 1."""
    return functional.normalize(maps.pow(2).mean(dim=1).flatten(1), dim=1)


class _Watch:
    """Keeps what the last layer with a feature map gave in the latest call."""

    def __init__(self, module: nn.Module, rows: torch.Tensor, whose: str) -> None:
        self.seen: torch.Tensor | None = None
        order: list[tuple[str, nn.Module, torch.Size]] = []
        marks = [
            part.register_forward_hook(lambda layer, _, out, name=name: _note(order, name, layer, out))
            for name, part in module.named_modules()
            if not list(part.children())
        ]
        with torch.no_grad():
            module(rows)
        for mark in marks:
            mark.remove()
        if not order:
            raise TrialFailed(f"the {whose} has no feature map (n, channels, height, width) to match")
        self.layer, self.shape = order[-1][0], order[-1][2]
        self.mark = order[-1][1].register_forward_hook(self._keep)

    def _keep(self, layer: nn.Module, given: Any, out: torch.Tensor) -> None:
        self.seen = out


def _note(order: list[tuple[str, nn.Module, torch.Size]], name: str, layer: nn.Module, out: Any) -> None:
    if isinstance(out, torch.Tensor) and out.ndim == 4 and math.prod(out.shape[2:]) > 1:
        order.append((name, layer, out.shape))
