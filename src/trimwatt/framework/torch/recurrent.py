"""Hidden units of LSTMs, GRUs and plain recurrent layers: what reads them, and how they are taken out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trimwatt.errors import TrialFailed, first_line
from trimwatt.framework.torch.copying import copied

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, order=True)
class Cell:
    """One direction (0 forward, 1 backward) of one level of a recurrent layer; its states are `hidden_size` units."""

    level: int
    direction: int

    @property
    def suffix(self) -> str:
        """How its weights are called: `weight_ih` and this."""
        return f"_l{self.level}" + ("_reverse" if self.direction else "")


@dataclass(frozen=True)
class Reader:
    """Columns of a dense or recurrent layer that take units of a cell: column columns[i] takes unit units[i]."""

    layer: str
    cell: Cell
    columns: tuple[int, ...]
    units: tuple[int, ...]


@dataclass(frozen=True)
class Found:
    """A recurrent layer, by name, whose units can be taken out, and the layers that read them."""

    layer: str
    cells: tuple[Cell, ...]
    units: int
    readers: tuple[Reader, ...]


@dataclass(frozen=True)
class Survey:
    """Recurrent layers that can be shrunk, and those that cannot with why."""

    found: tuple[Found, ...] = ()
    left: dict[str, str] = field(default_factory=dict)


def survey(module: nn.Module, rows: torch.Tensor) -> Survey:
    """The recurrent layers of a module in evaluation mode. rows: one row or more as the module takes them."""
    from torch import nn

    found, left = [], dict[str, str]()
    for name, layer in module.named_modules():
        if isinstance(layer, nn.RNNCellBase):
            left[name] = "a cell stepped by hand"
        if not isinstance(layer, nn.RNNBase):
            continue
        try:
            found.append(_followed(module, name, rows[:1]))
        except TrialFailed as error:
            left[name] = str(error)
    return Survey(tuple(found), left)


def cells_of(layer: nn.RNNBase) -> tuple[Cell, ...]:
    """The cells of a recurrent layer, in the order of its final states."""
    return tuple(Cell(level, way) for level in range(layer.num_layers) for way in range(1 + layer.bidirectional))


def _followed(module: nn.Module, name: str, row: torch.Tensor) -> Found:
    """Which columns read which units: each unit is spoilt with NaN in a row of its own, and NaN is looked for."""
    import torch

    layer: Any = module.get_submodule(name)
    if getattr(layer, "proj_size", 0):
        raise TrialFailed("its states are projected")
    cells, units = cells_of(layer), layer.hidden_size
    readers: list[Reader] = []
    many = row.expand(len(cells) * units, *row.shape[1:]).contiguous()
    try:
        with _spoiling(layer, cells), _watching(module, layer, cells, readers), torch.no_grad():
            answer = module(many)
    except (RuntimeError, ValueError, IndexError) as error:
        raise TrialFailed(f"its states cannot be followed: {first_line(error)}") from error
    if not isinstance(answer, torch.Tensor) or torch.isnan(answer).any():
        raise TrialFailed("its states are an answer themselves")
    seen = {reader.cell for reader in readers}
    if missing := [cell for cell in cells if cell.level == layer.num_layers - 1 and cell not in seen]:
        raise TrialFailed(f"nothing was seen to read its {missing[0].suffix[1:]} states")
    return Found(name, cells, units, tuple(dict.fromkeys(readers)))


@contextmanager
def _spoiling(layer: Any, cells: tuple[Cell, ...]) -> Iterator[None]:
    """Rows leave the layer with unit j of cell c as NaN in row c * units + j."""
    import torch

    units, last = layer.hidden_size, layer.num_layers - 1

    def spoil(_: Any, __: Any, given: Any) -> Any:
        output, states = given
        if not isinstance(output, torch.Tensor) or output.ndim != 3:
            raise TrialFailed("its rows are packed or come without their axis")
        output = (output if layer.batch_first else output.transpose(0, 1)).clone()
        if len(output) != len(cells) * units:
            raise TrialFailed("it is not asked once for each row")
        states = tuple(s.clone() for s in states) if isinstance(states, tuple) else (states.clone(),)
        for place, cell in enumerate(cells):
            for unit in range(units):
                row = place * units + unit
                for state in states:
                    state[place, row, unit] = torch.nan
                if cell.level == last:
                    output[row, :, cell.direction * units + unit] = torch.nan
        kept = output if layer.batch_first else output.transpose(0, 1)
        return kept, states if len(states) > 1 else states[0]

    handle = layer.register_forward_hook(spoil)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _watching(module: nn.Module, layer: Any, cells: tuple[Cell, ...], readers: list[Reader]) -> Iterator[None]:
    """Layers that read spoilt columns are noted in `readers`, and read zeros instead, so that NaN goes no further."""
    import torch
    from torch import nn

    def watch(name: str) -> Any:
        def look(asked: Any, given: tuple[Any, ...]) -> Any:
            if not given or not isinstance(given[0], torch.Tensor) or not torch.isnan(given[0]).any():
                return None
            if asked is layer:
                raise TrialFailed("it reads its own states")
            if not isinstance(asked, nn.Linear | nn.RNNBase):
                raise TrialFailed(f"its states go into {type(asked).__name__} {name!r}")
            rows_first = not isinstance(asked, nn.RNNBase) or asked.batch_first
            x = given[0] if rows_first else given[0].transpose(0, 1)
            readers.extend(_columns(name, torch.isnan(x), cells, layer.hidden_size))
            return (torch.nan_to_num(given[0]), *given[1:])

        return look

    known = [
        (name, part) for name, part in module.named_modules()
        if isinstance(part, nn.Linear | nn.RNNBase) or (not list(part.children()) and list(part.parameters()))
    ]  # fmt: skip
    handles = [part.register_forward_pre_hook(watch(name)) for name, part in known]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _columns(name: str, spoilt: torch.Tensor, cells: tuple[Cell, ...], units: int) -> list[Reader]:
    if len(spoilt) != len(cells) * units:
        raise TrialFailed(f"{name!r} does not read its states row by row")
    touched = spoilt.reshape(len(spoilt), -1, spoilt.shape[-1]).any(1)  # (cells * units, columns)
    if (touched.sum(0) > 1).any():
        raise TrialFailed(f"several of its units come mixed into one column of {name!r}")
    found = []
    for place, cell in enumerate(cells):
        unit, column = touched[place * units : (place + 1) * units].nonzero(as_tuple=True)
        if len(unit):
            found.append(Reader(name, cell, tuple(column.tolist()), tuple(unit.tolist())))
    return found


def gates(layer: Any) -> int:
    """How many gates each unit has: rows of its weights come gate by gate."""
    rows: int = layer.weight_hh_l0.shape[0]
    return rows // int(layer.hidden_size)


def rows_of(layer: Any, kept: torch.Tensor) -> torch.Tensor:
    """Rows of the weights of units `kept`, all gates."""
    import torch

    return torch.cat([kept + gate * layer.hidden_size for gate in range(gates(layer))])


def outgoing(
    module: nn.Module, found: Found, cell: Cell, of: Callable[[torch.Tensor], torch.Tensor] = lambda weight: weight.data
) -> torch.Tensor:
    """What `of` says of all weights that read a cell's units, (units, readers).

    These are its own gates, those of the next level, and the layers behind.
    """
    import torch

    layer: Any = module.get_submodule(found.layer)
    parts = [of(getattr(layer, f"weight_hh{cell.suffix}")).T]
    start = cell.direction * found.units
    parts += [of(getattr(layer, f"weight_ih{c.suffix}"))[:, start : start + found.units].T for c in _next(found, cell)]
    for reader in found.readers:
        if reader.cell == cell:
            for weight in map(of, read_weights(module.get_submodule(reader.layer))):
                block = weight.new_zeros(found.units, weight.shape[0])
                parts.append(block.index_add(0, torch.tensor(reader.units), weight[:, list(reader.columns)].T))
    return torch.cat(parts, 1)


def _next(found: Found, cell: Cell) -> list[Cell]:
    return [other for other in found.cells if other.level == cell.level + 1]


def read_weights(layer: nn.Module) -> list[torch.Tensor]:
    """The weights with which a layer reads its inputs."""
    names = read_names(layer)
    return [getattr(layer, name) for name in names]


def read_names(layer: nn.Module) -> list[str]:
    """Their names."""
    from torch import nn

    if not isinstance(layer, nn.RNNBase):
        return ["weight"]
    return ["weight_ih_l0", "weight_ih_l0_reverse"] if layer.bidirectional else ["weight_ih_l0"]


def states(module: nn.Module, name: str, rows: torch.Tensor) -> dict[Cell, torch.Tensor]:
    """What the cells of a recurrent layer answer for `rows`, at each step: (rows, steps, units), one call of it."""
    import torch

    layer: Any = module.get_submodule(name)
    given: list[torch.Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].detach()))
    try:
        with torch.no_grad():
            module(rows)
    finally:
        handle.remove()
    x, found = given[0], dict[Cell, torch.Tensor]()
    for level in range(layer.num_layers):
        with torch.no_grad():
            x = _level(layer, level)(x)[0]
        here = [cell for cell in cells_of(layer) if cell.level == level]
        for cell, part in zip(here, x.split(layer.hidden_size, -1), strict=True):
            found[cell] = part if layer.batch_first else part.transpose(0, 1)
    return found


def _level(layer: Any, level: int) -> Any:
    """One level of a recurrent layer, as a layer of its own."""
    options = {"nonlinearity": layer.nonlinearity} if hasattr(layer, "nonlinearity") else {}
    width = getattr(layer, f"weight_ih_l{level}").shape[1]
    one = _kind(layer)(
        width, layer.hidden_size, bias=layer.bias, batch_first=layer.batch_first,
        bidirectional=layer.bidirectional, **options,
    )  # fmt: skip
    weights = {name: getattr(layer, name.replace("_l0", f"_l{level}")) for name in one.state_dict()}
    one.load_state_dict(weights)
    return one.to(layer.weight_hh_l0.dtype).eval()


def _kind(layer: Any) -> Any:
    """The layer's kind of PyTorch's own three, whatever was derived from it."""
    from torch import nn

    return next(kind for kind in (nn.LSTM, nn.GRU, nn.RNN) if isinstance(layer, kind))


def shrink_(module: nn.Module, found: Found, kept: dict[Cell, torch.Tensor]) -> None:
    """Leave only units `kept` (as many in each cell) of a recurrent layer and of what reads them (in place)."""
    import torch

    layer: Any = module.get_submodule(found.layer)
    number = len(next(iter(kept.values())))
    every = {cell: rows_of(layer, kept[cell]) for cell in found.cells}
    for cell, rows in every.items():
        for name in (f"weight_ih{cell.suffix}", f"weight_hh{cell.suffix}"):
            _put(layer, name, getattr(layer, name)[rows])
        _put(layer, f"weight_hh{cell.suffix}", getattr(layer, f"weight_hh{cell.suffix}")[:, kept[cell]])
        if layer.bias:
            for name in (f"bias_ih{cell.suffix}", f"bias_hh{cell.suffix}"):
                _put(layer, name, getattr(layer, name)[rows])
        if cell.level:
            before = [other for other in found.cells if other.level == cell.level - 1]
            columns = torch.cat([kept[other] + other.direction * found.units for other in before])
            _put(layer, f"weight_ih{cell.suffix}", getattr(layer, f"weight_ih{cell.suffix}")[:, columns])
    layer.hidden_size = number
    layer.flatten_parameters()
    for name in sorted({reader.layer for reader in found.readers}):
        _narrow_(module.get_submodule(name), [r for r in found.readers if r.layer == name], kept)


def _narrow_(layer: Any, readers: list[Reader], kept: dict[Cell, torch.Tensor]) -> None:
    gone = {
        column
        for reader in readers
        for column, unit in zip(reader.columns, reader.units, strict=True)
        if unit not in set(kept[reader.cell].tolist())
    }
    columns = [column for column in range(read_weights(layer)[0].shape[1]) if column not in gone]
    for name in read_names(layer):
        _put(layer, name, getattr(layer, name)[:, columns])
    setattr(layer, "in_features" if hasattr(layer, "in_features") else "input_size", len(columns))


def _put(layer: Any, name: str, content: torch.Tensor) -> None:
    from torch import nn

    learns = getattr(layer, name).requires_grad
    setattr(layer, name, nn.Parameter(content.detach().clone(), requires_grad=learns))


def add_(module: nn.Module, found: Found, cell: Cell, share: torch.Tensor) -> None:
    """Let what reads a cell read its units as if each were units @ share, (units, units), added to it (in place).

    share[i, j]: how much of unit j stands for unit i, which is about to go.
    """
    import torch

    layer: Any = module.get_submodule(found.layer)
    with torch.no_grad():
        own = getattr(layer, f"weight_hh{cell.suffix}")
        own += own @ share
        start = cell.direction * found.units
        for other in _next(found, cell):
            weight = getattr(layer, f"weight_ih{other.suffix}")[:, start : start + found.units]
            weight += weight @ share
        for reader in found.readers:
            if reader.cell == cell:
                place = dict(zip(reader.units, reader.columns, strict=True))
                if len(place) != len(reader.units):
                    continue
                order = [place[unit] for unit in sorted(place)]
                some = share[sorted(place)][:, sorted(place)]
                for weight in read_weights(module.get_submodule(reader.layer)):
                    weight[:, order] += weight[:, order] @ some


def owned(module: nn.Module) -> nn.Module:
    """A copy of the module in evaluation mode."""
    return copied(module).eval()
