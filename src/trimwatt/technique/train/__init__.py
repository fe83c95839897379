"""Training as a step of a recipe."""

from trimwatt.technique.train.finetune import FineTune
from trimwatt.technique.train.train import Train

__all__ = ["FineTune", "Train"]
