"""Whether judged rows are independent of training rows: twins, groups and time that run across the splits.

What is found decides which rows a split made here keeps together, and on which judged rows a floor is tested again.
"""

from trimwatt.independence._base import Table, Tie, number
from trimwatt.independence.ties import find, judge, unexamined, unparted

__all__ = ["Table", "Tie", "find", "judge", "number", "unexamined", "unparted"]
