"""Training that takes weights, channels or inputs to zero."""

from trimwatt.technique.sparse.features import LassoFeatures
from trimwatt.technique.sparse.group_lasso import GroupLasso
from trimwatt.technique.sparse.l0 import L0
from trimwatt.technique.sparse.l1 import L1
from trimwatt.technique.sparse.rigl import RigL

__all__ = ["GroupLasso", "L0", "L1", "LassoFeatures", "RigL"]  # noqa: RUF022
