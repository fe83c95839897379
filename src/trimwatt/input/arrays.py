"""Arrays, frames and PyTorch data sets, alone, in pairs and in splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from trimwatt.errors import InputError
from trimwatt.input import frames, table
from trimwatt.input._base import Options, Part, Source
from trimwatt.input.checks import listed, shown, type_name
from trimwatt.input.original import Given
from trimwatt.input.raw import Raw, objects, of_stored, typed_values
from trimwatt.picture import channels_first
from trimwatt.rows import cells, columns
from trimwatt.workload import Array, Split, unmasked

Pair = tuple[Any, Any]
_SPLITS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}
_X_WORDS, _Y_WORDS = ("x", "images", "data", "features"), ("y", "labels", "targets", "target")
EXPECTED = "x_train, y_train[, x_val, y_val], x_test, y_test, or train_images, train_labels, ..., or x, y"


def pair_keys(keys: Iterable[str], what: str) -> dict[str, tuple[str, str]]:
    """For each split found among `keys` (else for "all") the keys of its rows and its target.

    Raises InputError, with the keys found, where nothing fits or one of two is missing.
    """
    spelled = {key.casefold(): key for key in keys}
    found = {}
    for split, words in {**_SPLITS, "all": ("",)}.items():
        x = _first(spelled, (name for word in words for name in _names(word, _X_WORDS)))
        y = _first(spelled, (name for word in words for name in _names(word, _Y_WORDS)))
        if x and y:
            found[split] = (x, y)
        elif x or y:
            raise InputError(
                f"{what} holds {x or y} but not its {'target' if x else 'rows'}; "
                f"it holds {listed(spelled.values())}; expected are {EXPECTED}"
            )
    if not found:
        raise InputError(f"{what} holds {listed(spelled.values()) or 'nothing'}; expected are {EXPECTED}")
    named = {split: pair for split, pair in found.items() if split != "all"}
    return named or found


def _names(split: str, words: tuple[str, ...]) -> Iterable[str]:
    for word in words:
        yield from (f"{word}_{split}", f"{split}_{word}") if split else (word,)


def _first(spelled: Mapping[str, str], names: Iterable[str]) -> str | None:
    return next((spelled[name] for name in names if name in spelled), None)


def unlabelled_key(keys: Iterable[str]) -> str | None:
    """The key of rows without a target, None where there are none."""
    return _first({key.casefold(): key for key in keys}, ("x_unlabelled", "unlabelled_images", "unlabelled"))


def from_dict(given: Mapping[Any, Any], options: Options, name: str) -> Source:
    """The source in a dict of the .npz keys."""
    words = [str(key) for key in given]
    keys, more = pair_keys(words, name), unlabelled_key(words)
    found = from_pairs({split: (given[x], given[y]) for split, (x, y) in keys.items()}, options, name)
    return found if more is None else with_unlabelled(found, given[more])


def with_unlabelled(source: Source, rows: Any) -> Source:
    """The source with rows that have no target, turned as its own were; raises InputError where they differ from it."""
    rows = as_array(rows, "unlabelled x")
    if source.derive.get("layout"):
        rows = np.ascontiguousarray(np.moveaxis(rows, 1, 3))
    part = next(iter(source.parts.values()))
    if isinstance(part.x, dict) or rows.shape[1:] != part.x.shape[1:] or rows.dtype != part.x.dtype:
        own = "named columns" if isinstance(part.x, dict) else f"{part.x.dtype} {part.x.shape[1:]}"
        raise InputError(
            f"unlabelled rows are {rows.dtype} {rows.shape[1:]} and the others {own}; give arrays of one shape and type"
        )
    return replace(source, unlabelled=rows)


def from_pairs(pairs: Mapping[str, Pair], options: Options, name: str) -> Source:
    """The source in (rows, target) pairs by split: arrays, tensors, frames with series, dicts of columns."""
    named = [isinstance(x, Mapping) or frames.is_pandas(x) or frames.is_frame(x) for x, _ in pairs.values()]
    if all(named):
        return _named(pairs, options, name)
    if any(named):
        raise InputError(f"{name}: some splits are arrays and others named columns; give one kind")
    refuse_columns(options, name)
    given = {split: (as_array(x, f"{split} x"), as_array(y, f"{split} y")) for split, (x, y) in pairs.items()}
    return replace(array_source(given, options, name), given=own(pairs))


def array_source(given: Mapping[str, tuple[Array, Array]], options: Options, name: str) -> Source:
    """Arrays as a source; images that come channels first are turned, unless they are to stay as stored."""
    notes: tuple[str, ...] = ()
    derive: dict[str, Any] = {}
    given = {split: (_masked(x), unmasked(y)) for split, (x, y) in given.items()}
    if not options.as_stored and all(channels_first(x.shape[1:]) for x, _ in given.values()):
        given = {split: (np.ascontiguousarray(np.moveaxis(x, 1, 3)), y) for split, (x, y) in given.items()}
        notes = ("images came channels first (n, c, h, w) and were turned to (n, h, w, c)",)
        derive = {"layout": {"kind": "layout", "order": "nchw"}}
    images = all(x.ndim >= 3 for x, _ in given.values())
    parts = {split: Part(x, y) for split, (x, y) in given.items()}
    return Source(parts, "image" if images else "table", name, "y", notes, derive)


def own(pairs: Mapping[str, Pair]) -> dict[str, Given]:
    """The user's own objects in `pairs`, in whose rows nothing but features stands."""
    return {split: Given(x) for split, (x, _) in pairs.items()}


def _masked(x: Array) -> Array:
    """Rows with a mask only where something is masked; whole numbers become floats, whose NaN can say so too."""
    if not isinstance(x, np.ma.MaskedArray):
        return x
    return x.astype(np.float64 if x.dtype.kind in "biu" else x.dtype) if np.ma.is_masked(x) else np.asarray(x)


def refuse_columns(options: Options, name: str) -> None:
    """Raises InputError where a column was named for something that has none."""
    for option in ("target", "split", "group", "time"):
        value = getattr(options, option)
        if value is not None:
            raise InputError(f"{option} {value!r} names a column, but {name} has none; leave it out or give a table")


def as_array(value: Any, what: str) -> Array:
    """`value` as a numpy array in native byte order; what is a numpy array already is not copied.

    Raises InputError for what is no rectangle of numbers or text.
    """
    modules = {kind.__module__.partition(".")[0] for kind in type(value).__mro__}
    if "torch" in modules:
        value = value.detach().cpu().numpy()
    elif "scipy" in modules:
        raise InputError(f"{what} is a sparse matrix; dense arrays are allowed; use .toarray()")
    elif columns.library_of(value) is not None:
        return as_array(columns.as_pandas(value), what)
    elif frames.is_pandas(value):
        value = typed_values(columns.stored(value)) if value.ndim == 1 else value.to_numpy()
    elif not isinstance(value, np.ndarray | list | tuple):
        raise InputError(f"{what} is {type_name(value)}; an array, tensor, DataFrame or Series is allowed")
    try:
        array = np.asanyarray(value) if isinstance(value, np.ma.MaskedArray) else np.asarray(value)
    except ValueError as error:
        raise InputError(f"{what} is no rectangle of values ({shown(str(error))}); give rows of one shape") from error
    if array.dtype.fields is not None or array.ndim == 0:
        raise InputError(f"{what} is {shown(str(array.dtype))} of shape {array.shape}; give a plain array of rows")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _named(pairs: Mapping[str, Pair], options: Options, name: str) -> Source:
    if options.target is not None or options.split is not None:
        refuse_columns(Options(target=options.target, split=options.split), f"{name}, whose pairs say both,")
    first_x, first_y = next(iter(pairs.values()))
    names = _target_names(first_y, {str(label) for label in first_x})
    tables = {split: _with_targets(x, y, names, f"{name} {split}") for split, (x, y) in pairs.items()}
    return from_tables(tables, Options(**{**vars(options), "target": ",".join(names)}), name, own(pairs))


def _target_names(y: Any, taken: set[str]) -> list[str]:
    """The name of each column of a target that came beside named columns, none of which has it."""
    several = [str(label) for label in getattr(y, "columns", ())]
    if len(several) < 2:
        width = np.shape(y)[1] if np.ndim(y) == 2 else 1
        several = [str(getattr(y, "name", None) or "target")] if width == 1 else [f"label {n}" for n in range(width)]
    names: list[str] = []
    for name in (label.replace(",", ";") for label in several):
        while name in taken or name in names:
            name += "_"
        names.append(name)
    return names


def _with_targets(x: Any, y: Any, names: list[str], name: str) -> Raw:
    raw = from_columns(x, name)
    parts = [y] if len(names) == 1 else _columns_of(y, len(names), name)
    for target, part in zip(names, parts, strict=True):
        own = _stored_column(part, target)
        if len(own) != len(raw):
            raise InputError(f"{name}: x has {len(raw)} rows and y {len(own)}; give one target a row")
        read = {**raw.columns, target: columns.plain(own, target)}
        raw = replace(raw, columns=read, stored={**raw.stored, target: own})
    return raw


def _columns_of(y: Any, width: int, name: str) -> list[Any]:
    """The columns of a target of several; raises InputError where it has another number of them."""
    array = as_array(y, f"{name} y")
    if array.ndim != 2 or array.shape[1] != width:
        raise InputError(f"{name}: y has shape {array.shape}, in another split it has {width} columns; give the same")
    return list(array.T)


def from_columns(x: Any, name: str) -> Raw:
    """A frame or a dict of columns as raw columns."""
    if frames.is_pandas(x) or frames.is_frame(x):
        return frames.from_frame(x, name)
    stored = {str(label): _stored_column(column, str(label)) for label, column in x.items()}
    if len({len(column) for column in stored.values()}) != 1:
        raise InputError(f"{name}: its columns have {len(stored)} lengths that differ; give one value a row in each")
    return of_stored(stored, name)


def _stored_column(column: Any, label: str) -> Any:
    """One column as it was given: of an array, a list or a series; raises InputError where it is not one."""
    if columns.library_of(column) is not None:
        column = columns.as_pandas(column)
    if frames.is_pandas(column) and column.ndim == 1:
        return columns.stored(column)
    array = as_array(column, label)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"column {label!r} has shape {array.shape}; (n,) is allowed")
    return array


def from_tables(tables: Mapping[str, Raw], options: Options, name: str, given: Mapping[str, Given]) -> Source:
    """Tables by split as one source, understood together so that all splits agree. given: the objects they were."""
    if set(tables) == {"all"}:
        return table.source(tables["all"], options, name, given=given)
    exact = [label for label in (options.target, options.group, options.time) if label is not None]
    raw = joined(list(tables.values()), name, exact)
    assigned = cells.text(split for split, part in tables.items() for _ in range(len(part)))
    return table.source(raw, options, name, assigned, given, {split: part.stored for split, part in tables.items()})


def joined(tables: list[Raw], name: str, exact: Iterable[str] = ()) -> Raw:
    """Tables of the same columns, one below the other, those called `exact` as stored too.

    Raises InputError where columns or their kinds differ.
    """
    labels = list(tables[0].columns)
    for other in tables[1:]:
        differing = sorted(set(labels) ^ set(other.columns))
        if differing:
            raise InputError(f"{name}: the splits differ in columns {listed(differing)}; give the same to each")
    read = {label: _stacked([t.columns[label] for t in tables], label, name) for label in labels}
    stored = {label: _below([t.exact(label) for t in tables]) for label in exact if label in labels}
    unreadable = {label: reason for table in tables for label, reason in table.unreadable.items()}
    first = tables[0]
    return Raw(read, name, typed=True, stored=stored, labels=first.labels, library=first.library, unreadable=unreadable)


def _below(columns: list[Any]) -> Array:
    """Stored columns, one below the other, no value changed."""
    if len({str(column.dtype) for column in columns}) == 1 and all(type(column) is np.ndarray for column in columns):
        return np.concatenate(columns)
    return objects(value for column in columns for value in column.tolist())


def _stacked(columns: list[Array], label: str, name: str) -> Array:
    kinds = {column.dtype.kind for column in columns if column.dtype.kind != "f" or not np.isnan(column).all()}
    if len(kinds) > 1:
        raise InputError(f"{name}: column {label!r} is text in one split and not in another; give one kind")
    if kinds == {"O"}:
        columns = [c if c.dtype == object else cells.text([""] * len(c)) for c in columns]
    if kinds == {"M"}:
        columns = [c if c.dtype.kind == "M" else np.full(len(c), "NaT", "datetime64[s]") for c in columns]
    return np.concatenate(columns)


def pair_of(member: Any, what: str) -> Pair:
    """One split as (rows, target): a pair, a Split or a PyTorch data set."""
    if isinstance(member, Split):
        return member.x, member.y
    if isinstance(member, tuple | list) and len(member) == 2:
        return member[0], member[1]
    from trimwatt.input import torchset

    if torchset.is_dataset(member):
        return torchset.rows(member, what)
    raise InputError(f"{what} is {shown(type(member).__name__)}; an (x, y) pair or a PyTorch Dataset is allowed")
