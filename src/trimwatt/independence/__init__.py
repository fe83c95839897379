"""Whether judged rows are independent of training rows: twins, groups and time that run across the splits.

What is found decides which rows a split made here keeps together, and on which judged rows a floor is tested again.
"""

from trimwatt.independence._base import TEST, TRAIN, UNSPLIT, VAL, Table, Tie, number
from trimwatt.independence.groups import LEAST_GROUPS
from trimwatt.independence.ties import find, judge, unparted
from trimwatt.workload import Independence

__all__ = [
    "Independence", "LEAST_GROUPS", "TEST", "TRAIN", "Table", "Tie", "UNSPLIT", "VAL", "find", "judge", "number",
    "unparted",
]  # fmt: skip
