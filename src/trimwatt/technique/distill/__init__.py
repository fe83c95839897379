"""Distillation: a student learns from what its teacher answers, whatever the teacher is."""

from __future__ import annotations

from trimwatt.technique.distill.ensemble import Ensemble
from trimwatt.technique.distill.network import Distill
from trimwatt.technique.distill.tree import DistillTree

__all__ = ["Distill", "DistillTree", "Ensemble"]
