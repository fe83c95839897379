"""Training that takes weights, channels or inputs to zero."""

from trimwatt.technique.sparse.features import LassoFeatures
from trimwatt.technique.sparse.group_lasso import GroupLasso
from trimwatt.technique.sparse.l0 import L0
from trimwatt.technique.sparse.l1 import L1
from trimwatt.technique.sparse.rigl import RigL

__all__ = ["L0", "L1", "GroupLasso", "LassoFeatures", "RigL"]
