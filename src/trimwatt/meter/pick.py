"""The best meter this machine offers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import entry_points
from typing import Literal

from trimwatt.errors import SensorAbsent
from trimwatt.meter import attribute, cpu_model
from trimwatt.meter._base import Meter
from trimwatt.meter.combined import Combined, as_combined
from trimwatt.meter.unread import Unread

_log = logging.getLogger("trimwatt")
# counters of the processor, the best first; each file has open_meter(), which gives None where it cannot read
_PROCESSOR = ("rapl", "perf", "hwmon")
_ACCELERATOR = ("nvml", "accelerators")


def pick(require: Literal["measured"] | None = None) -> Meter:
    """One source for the processor, plugins' sensors, and every accelerator that can be read.

    The processor's: a plugin's, else powercap counters, else perf's, else a board's input rail, else the model of CPU
    time. A battery is not picked: it is told apart from noise only over minutes.
    A plugin (entry points `trimwatt.sensors`) is a callable that returns a Meter, or None where it cannot read; one
    that reads neither a processor nor the whole machine comes beside the others. What is there and cannot be opened (a
    broken driver) stays as a warning in each reading.
    require: "measured" raises SensorAbsent where any part would be estimated.
    """
    sensors = list(_plugins())
    if not any(_reads_processor(sensor) for sensor in sensors):
        sensors.insert(0, next(_opened(_PROCESSOR, _reads_processor), None) or cpu_model.detect())
    sensors += _opened(_ACCELERATOR, lambda _: True)
    found = sensors[0] if len(sensors) == 1 else Combined(sensors)
    if require == "measured":
        demand_measured(found)
    return found


def demand_measured(meter: Meter) -> None:
    """Raise SensorAbsent where any part of this meter is an estimate."""
    guessed = [part.name for part in as_combined(meter).parts if part.origin != "measured"]
    if guessed:
        raise SensorAbsent(
            f"measured energy was required, but here it would be estimated by {', '.join(guessed)};"
            " `trimwatt doctor` shows which sensors there are and what opens them"
        )


def _plugins() -> Iterator[Meter]:
    for point in entry_points(group="trimwatt.sensors"):
        found = _open(point.name, lambda point=point: point.load()())  # type: ignore[misc]
        if found is not None:
            yield found


def _opened(files: tuple[str, ...], fits: Callable[[Meter], bool]) -> Iterator[Meter]:
    for name in files:
        found = _open(name, import_module(f"trimwatt.meter.{name}").open_meter)
        if found is not None and fits(found):
            yield found


def _open(name: str, opener: Callable[[], Meter | None]) -> Meter | None:
    try:
        return opener()
    except Exception as error:  # a broken driver or a stranger's plugin, whatever it raises, must not end the program
        why = (str(error).strip().splitlines() or [""])[0][:200] or type(error).__name__
        _log.info("sensor %s cannot be opened and is left out: %s", name, why)
        return Unread(name, why)


def _reads_processor(sensor: Meter) -> bool:
    """Whether what it reads stands for the processor or the whole machine."""
    combined = as_combined(sensor)
    first, last = combined.mark(), combined.mark()
    domains = combined.between(first, last)
    return any(attribute.counted(domain) and not attribute.is_accelerator(domain) for domain in domains)
