"""Pictures that show the same: found by perceptual hashes, then checked by how well they lie on each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from trimwatt.independence._base import Table, Tie
from trimwatt.picture import channels_first
from trimwatt.workload import Array

_SIDE = 32
_HASH_SIDE = 8
_CROPS = (0.035, 0.07)
_DRAWS = 16
_NEIGHBOURS = 12
_FAR = 12
_SHIFTS = range(-2, 3)
_SAME = 0.98
_WORTH_SHIFTING = 0.7
_CHUNK = 1000
_REFERENCES = 256
_OFTEN = 0.97
_CLOSER = 0.25
_NOTHING = 1e-4
_TRIED = 6


def find(table: Table) -> Tie | None:
    """Pictures with twins as a tie, also where a twin is a little brighter, sharper or cropped; None without any."""
    from trimwatt.independence.twins import have_twins

    x = np.asarray(table.x)
    _, first, home = np.unique(_exact(x), return_index=True, return_inverse=True)
    labels = _near(thumbnails(x[first]))[home.reshape(-1)]
    return Tie("twins", labels) if have_twins(labels, table.part) > 1 else None


def _exact(x: Array) -> Array:
    """A hash of each picture's bytes."""
    return np.fromiter((hash(picture.tobytes()) for picture in x), np.int64, len(x))


def _near(small: Array) -> Array:
    """Labels of pictures; those that show the same have one."""
    own = without_background(small)
    versions = np.concatenate([own, *(enlarge(own, crop) for crop in _CROPS)])
    pairs = list(_candidates(perceptual_hashes(versions), len(small)))
    once = np.unique(np.concatenate([i * len(versions) + j for i, j in pairs]))
    i, j = _alike(versions, once // len(versions), once % len(versions), _least_correlation(own))
    return _of_first(i % len(small), j % len(small), len(small))


def without_background(small: Array) -> Array:
    """What each picture shows beside its mean and the mean picture, both as strong as they are in it."""
    flat = small.reshape(len(small), -1)
    own = flat - flat.mean(axis=1, keepdims=True)
    shared = own.mean(axis=0)
    length = float(shared @ shared)
    if length > 0:
        own = own - np.outer(own @ shared / length, shared)
    shows = (own**2).sum(axis=1, keepdims=True) > _NOTHING**2 * (flat**2).sum(axis=1, keepdims=True)
    return np.asarray(np.where(shows, own, 0.0), dtype=np.float32).reshape(small.shape)


def _least_correlation(own: Array) -> Array:
    """How well another picture must lie on each `(n,)` to show the same: far better than pictures drawn at random do.

    Parts on one conveyor belt look alike though none was photographed twice.
    """
    unit = own.reshape(len(own), -1)
    unit = unit / np.maximum(np.sqrt((unit**2).sum(axis=1, keepdims=True)), 1e-12)
    drawn = np.random.default_rng(0).permutation(len(own))[:_REFERENCES]
    rank = 1 + int((1 - _OFTEN) * len(drawn))  # itself may be among them
    by_chance = [
        np.partition(unit[start : start + _CHUNK] @ unit[drawn].T, -1 - rank, axis=1)[:, -1 - rank]
        for start in range(0, len(unit) if len(drawn) > rank else 0, _CHUNK)
    ]
    if not by_chance:
        return np.full(len(own), _SAME)
    return np.asarray(np.maximum(_SAME, 1 - _CLOSER * (1 - np.concatenate(by_chance))))


def _of_first(i: Array, j: Array, pictures: int) -> Array:
    """Labels of pictures that show the same as one before them, not by way of others: a series may end far away."""
    labels = np.arange(pictures)
    early, late = np.minimum(i, j), np.maximum(i, j)
    for a, b in sorted(zip(early.tolist(), late.tolist(), strict=True), key=lambda pair: (pair[1], pair[0])):
        if labels[b] == b and labels[a] == a:
            labels[b] = a
    return labels


def thumbnails(x: Array) -> Array:
    """Grey pictures of at most 32 x 32 `(n, h, w)`, float32, by averaging."""
    return np.concatenate([_thumbnails(x[start : start + 1000]) for start in range(0, len(x), 1000)])


def _thumbnails(x: Array) -> Array:
    grey = x.astype(np.float32)
    if grey.ndim == 4:
        grey = grey.mean(axis=1 if channels_first(x.shape[1:]) else 3)
    return _resized(_resized(np.nan_to_num(grey), 1, _SIDE), 2, _SIDE)


def _resized(x: Array, axis: int, side: int) -> Array:
    """`axis` in at most `side` parts of about equal length, each averaged."""
    length = x.shape[axis]
    if length <= side:
        return x
    edges = np.linspace(0, length, side + 1).astype(np.int64)
    shape = [1, 1, 1]
    shape[axis] = side
    sums: Array = np.add.reduceat(x, edges[:-1], axis=axis)
    return np.asarray(sums / np.diff(edges).reshape(shape), dtype=np.float32)


def enlarge(small: Array, crop: float) -> Array:
    """The pictures without a share `crop` of each side, in their former size."""
    rows, columns = (_interpolation(side, crop) for side in small.shape[1:])
    return np.asarray(rows @ small @ columns.T, dtype=np.float32)


def _interpolation(side: int, crop: float) -> Array:
    """Weights `(side, side)` of the old places in the new ones."""
    margin = crop * side
    place = np.clip(margin + (np.arange(side) + 0.5) * (side - 2 * margin) / side - 0.5, 0, side - 1)
    weights = np.maximum(0.0, 1 - np.abs(place[:, None] - np.arange(side)[None, :]))
    return np.asarray(weights, dtype=np.float32)


def perceptual_hashes(small: Array) -> Array:
    """64 signs `(n, 64)` of the lowest frequencies of each picture, brightness left out."""
    from scipy.fft import dctn

    low = np.asarray(dctn(small, axes=(1, 2)))[:, : _HASH_SIDE + 1, : _HASH_SIDE + 1].reshape(len(small), -1)[:, 1:]
    return np.asarray(low > np.median(low, axis=1, keepdims=True))


def _candidates(hashes: Array, pictures: int) -> Iterator[tuple[Array, Array]]:
    """Pairs of versions of two pictures that agree in all of a few bits, drawn several times, and most of the others.

    hashes: of all versions, one version of all `pictures` below the other. One of a pair is always as it was given.
    """
    rng = np.random.default_rng(0)
    rows, bits = hashes.shape
    drawn = int(np.clip(np.log2(max(2, rows)) - 2, 6, 24))
    for _ in range(_DRAWS):
        chosen = rng.choice(bits, min(drawn, bits), replace=False)
        keys = hashes[:, chosen].astype(np.int64) @ (1 << np.arange(len(chosen)))
        # neighbours in the order of the other bits come first, where many share a cell
        order = np.lexsort((*hashes[:, rng.permutation(bits)[:8]].T, keys))
        for step in range(1, min(_NEIGHBOURS, rows - 1) + 1):
            i, j = order[:-step], order[step:]
            same = (keys[i] == keys[j]) & (np.minimum(i, j) < pictures) & (i % pictures != j % pictures)
            i, j = i[same], j[same]
            close = (hashes[i] != hashes[j]).sum(axis=1) <= _FAR
            yield np.minimum(i, j)[close], np.maximum(i, j)[close]


def _alike(small: Array, i: Array, j: Array, least: Array) -> tuple[Array, Array]:
    """Of the pairs, those that correlate nearly fully, at best after a shift of a pixel or two.

    least: the correlation that each picture demands, for any version of it.
    """
    pictures = len(least)
    unshifted = _in_chunks(_correlation, small, i, j)
    kept = np.zeros(len(i), dtype=bool)
    for ends in (i % pictures, j % pictures):
        order = np.lexsort((-unshifted, ends))
        start = np.flatnonzero(np.diff(ends[order], prepend=-1))
        rank = np.arange(len(order)) - np.repeat(start, np.diff(start, append=len(order)))
        kept[order[rank < _TRIED]] = True
    i, j = i[kept], j[kept]
    best = _in_chunks(correlation, small, i, j)
    demanded = np.maximum(least[i % pictures], least[j % pictures])
    return i[best >= demanded], j[best >= demanded]


def _in_chunks(compare: Callable[[Array, Array], Array], small: Array, i: Array, j: Array) -> Array:
    found = np.full(len(i), -1.0)
    for start in range(0, len(i), _CHUNK):
        part = slice(start, start + _CHUNK)
        found[part] = compare(small[i[part]], small[j[part]])
    return found


def correlation(a: Array, b: Array) -> Array:
    """The best correlation `(n,)` of pictures `a` and `b` `(n, h, w)` over small shifts; 1 where both are flat."""
    found = _correlation(a, b)
    near = np.flatnonzero(found >= _WORTH_SHIFTING)
    if len(near):
        found[near] = np.maximum(found[near], _shifted(a[near], b[near]))
    return found


def _shifted(a: Array, b: Array) -> Array:
    found = np.full(len(a), -1.0)
    height, width = a.shape[1:]
    for down in _SHIFTS if height > 8 else (0,):
        for right in _SHIFTS if width > 8 else (0,):
            shifted_a = a[:, max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)]
            shifted_b = b[:, max(0, -down) : height + min(0, -down), max(0, -right) : width + min(0, -right)]
            found = np.maximum(found, _correlation(shifted_a, shifted_b))
    return found


def _correlation(a: Array, b: Array) -> Array:
    a, b = (p.reshape(len(p), -1) - p.reshape(len(p), -1).mean(axis=1, keepdims=True) for p in (a, b))
    product, norms = (a * b).sum(axis=1), np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    both_flat = ((a == 0).all(axis=1) & (b == 0).all(axis=1)).astype(np.float64)
    return np.asarray(np.where(norms > 0, product / np.where(norms > 0, norms, 1.0), both_flat))
