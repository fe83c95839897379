"""All techniques by name, those of plugins (entry points of group `trimwatt.techniques`) among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache
from typing import Any

from trimwatt.errors import InputError
from trimwatt.technique._base import Technique, applies_to, apply

__all__ = ["Technique", "applies_to", "apply", "from_json", "registry"]


def _ours() -> tuple[type[Technique], ...]:
    from trimwatt.technique.architecture import (
        DeepResNet,
        EfficientNet,
        MobileNetV1,
        MobileNetV2,
        MobileNetV3,
        ShuffleNetV2,
        SmallCnn,
        SmallResNet,
        SqueezeNet,
        TorchMlp,
    )  # fmt: skip
    from trimwatt.technique.classical import Boosted, ExtraTrees, Fit, Forest, Linear, Mlp, Neighbours, Tree
    from trimwatt.technique.distill import Distill, DistillTree, Ensemble
    from trimwatt.technique.factorize import Cp, Svd, Tucker
    from trimwatt.technique.inputs import Downsample, SelectColumns
    from trimwatt.technique.lower import Lower
    from trimwatt.technique.oneshot import Gptq, ObsChannels, ObsWeights
    from trimwatt.technique.precision import Half
    from trimwatt.technique.prune.blocks import PruneBlocks
    from trimwatt.technique.prune.budget import PruneBudget
    from trimwatt.technique.prune.channels import PruneChannels
    from trimwatt.technique.prune.dense import PruneDense
    from trimwatt.technique.prune.heads import PruneHeads
    from trimwatt.technique.prune.magnitude import PruneMagnitude
    from trimwatt.technique.prune.pattern import PrunePattern
    from trimwatt.technique.prune.recurrent import PruneRecurrent
    from trimwatt.technique.quantize import DynamicInt8, Equalise, MixedInt8, Qat, StaticInt8, WeightOnly
    from trimwatt.technique.sparse import L0, L1, GroupLasso, LassoFeatures, RigL
    from trimwatt.technique.threshold import Threshold
    from trimwatt.technique.train import FineTune, Train

    return (
        Boosted, Cp, DeepResNet, Distill, DistillTree, Downsample, DynamicInt8, EfficientNet, Ensemble, Equalise,
        ExtraTrees, FineTune, Fit, Forest, Gptq, GroupLasso, Half, L0, L1, LassoFeatures, Linear, Lower, MixedInt8, Mlp,
        MobileNetV1, MobileNetV2, MobileNetV3, Neighbours, ObsChannels, ObsWeights, PruneBlocks, PruneBudget,
        PruneChannels, PruneDense, PruneHeads, PruneMagnitude, PrunePattern, PruneRecurrent, Qat, RigL, SelectColumns,
        ShuffleNetV2, SmallCnn, SmallResNet, SqueezeNet, StaticInt8, Svd, Threshold, TorchMlp, Train, Tree, Tucker,
        WeightOnly,
    )  # fmt: skip


@cache
def registry() -> dict[str, type[Technique]]:
    """Techniques by the name they have in recipes."""
    from importlib.metadata import entry_points

    theirs = tuple(point.load() for point in entry_points(group="trimwatt.techniques"))
    return {kind.name: kind for kind in (*_ours(), *theirs)}


def from_json(recipe: Sequence[dict[str, Any]]) -> tuple[Technique, ...]:
    """The steps that `recipe.to_json` wrote; raises InputError for a technique or parameter that is unknown."""
    return tuple(_step(dict(entry)) for entry in recipe)


def _step(entry: dict[str, Any]) -> Technique:
    name = entry.pop("technique", None)
    kind = registry().get(str(name))
    if kind is None:
        raise InputError(f"technique {name!r} is unknown; known are {', '.join(sorted(registry()))}")
    known = {field.name for field in dataclasses.fields(kind)}
    if unknown := sorted(set(entry) - known):
        raise InputError(f"{name} has no parameter {unknown[0]!r}; it has {', '.join(sorted(known)) or 'none'}")
    return kind(**{key: _frozen(value) for key, value in entry.items()})


def _frozen(value: Any) -> Any:
    """Lists as tuples, those inside lists too."""
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
