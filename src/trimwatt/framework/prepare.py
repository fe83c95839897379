"""Fitted preprocessing: plain arrays, so that it costs little in every runtime and exports exactly.

The steps are those of scikit-learn's SimpleImputer(median), StandardScaler, OneHotEncoder(handle_unknown="ignore")
and OrdinalEncoder(unknown -1), fitted on training rows. They are written with numpy because a ColumnTransformer
takes longer for one row than most models do, and since the baseline is given its best.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from trimwatt.errors import InputError
from trimwatt.framework._array import ArrayPrepare
from trimwatt.framework._columns import ColumnPrepare, PackPrepare, StackPrepare
from trimwatt.framework._pixels import PixelScale
from trimwatt.workload import Array, Data, Prepare

Kind = Literal["scaled", "ordinal", "nchw"]
__all__ = [
    "ArrayPrepare", "ColumnPrepare", "PackPrepare", "PixelScale", "StackPrepare", "columns_read", "fit_prepare",
    "keep_missing",
]  # fmt: skip


def fit_prepare(data: Data, kind: Kind) -> Prepare:
    """Preprocessing fitted on training rows.

    kind: "scaled" (n, features): numbers imputed and standardised, categories one-hot, pixels 0 to 1 and flattened;
    "ordinal" (n, features): numbers imputed, categories as codes, pixels flattened; "nchw" (n, c, h, w): images
    standardised per channel. Raises InputError where the rows are not of that kind.
    """
    if kind not in ("scaled", "ordinal", "nchw"):
        raise InputError(f"preprocessing is scaled, ordinal or nchw, got {kind!r}")
    if kind == "nchw" and data.kind != "image":
        raise InputError("preprocessing 'nchw' is for images, and these rows are a table; use 'scaled'")
    rows = data.train.x
    if isinstance(rows, dict):
        return ColumnPrepare.fit(rows, kind == "scaled", data.view)
    if data.kind != "image":
        return _array(rows, kind)
    picture = data.picture
    return PixelScale.fit(rows, kind, picture is not None and picture.channels_first)


def keep_missing(prepare: Prepare) -> Prepare:
    """The same with missing numbers left as NaN, for models that have a way of their own with them."""
    if not isinstance(prepare, ArrayPrepare | ColumnPrepare) or prepare.fill is None:
        return prepare
    return replace(prepare, fill=np.full_like(prepare.fill, np.nan))


def columns_read(prepare: Prepare | None) -> tuple[str, ...] | None:
    """Names of the columns that this preprocessing reads; None where that is not known, or rows are one array."""
    return prepare.reads if isinstance(prepare, ColumnPrepare) else None


def _array(rows: Array, kind: Kind) -> Prepare:
    if rows.ndim != 2 or rows.dtype.kind not in "fiub":
        raise InputError(f"a table as one array is numbers (n, features), got {rows.dtype} {np.shape(rows)}")
    return ArrayPrepare.fit(rows, scale=kind == "scaled")
