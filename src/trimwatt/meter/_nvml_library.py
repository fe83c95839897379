"""The dozen calls of NVIDIA's management library (NVML) that a meter makes, through ctypes.

Structs, units and codes as in NVIDIA's NVML API reference. Nothing but the driver's own library is needed.
"""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import byref, c_char, c_int, c_longlong, c_uint, c_ulonglong, c_void_p
from dataclasses import dataclass
from typing import Any

NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND, INSUFFICIENT_SIZE, NO_LIBRARY, NO_FUNCTION = 3, 4, 6, 7, 12, 13
# the library is installed, and no card is driven here
NO_DRIVER = 9
_POWER_INSTANT = 186
_UINT = 1
_REASONS = {
    1: "the library was not initialised",
    NOT_SUPPORTED: "not supported by this GPU",
    NO_PERMISSION: "this user may not read it",
    9: "the NVIDIA driver is not loaded",
    NO_LIBRARY: "the library could not be loaded",
    NO_FUNCTION: "the library lacks this function",
    15: "the GPU is lost: it fell off the bus or its driver stopped",
    16: "the GPU needs a reset",
    18: "library and kernel driver are of different versions; a reboot after the driver's update helps",
    999: "the driver gives no reason",
}


class NvmlError(Exception):
    """A call that NVML refused. code: NVML's own number."""

    def __init__(self, call: str, code: int, detail: str = "") -> None:
        self.call, self.code = call, code
        super().__init__(detail or f"{call}: {_REASONS.get(code, f'error {code}')}")


class _ProcessInfo(ctypes.Structure):
    _fields_ = (("pid", c_uint), ("memory", c_ulonglong), ("gpu_instance", c_uint), ("compute_instance", c_uint))


class _Utilisation(ctypes.Structure):
    _fields_ = (
        ("pid", c_uint), ("time_us", c_ulonglong), ("sm", c_uint), ("memory", c_uint), ("enc", c_uint), ("dec", c_uint),
    )  # fmt: skip


class _Value(ctypes.Union):
    _fields_ = (("double", ctypes.c_double), ("uint", c_uint), ("ulonglong", c_ulonglong))


class _Field(ctypes.Structure):
    _fields_ = (
        ("id", c_uint), ("scope", c_uint), ("time_us", c_longlong), ("latency_us", c_longlong),
        ("type", c_uint), ("code", c_int), ("value", _Value),
    )  # fmt: skip


class _Attributes(ctypes.Structure):
    _fields_ = (
        *((f"n{i}", c_uint) for i in range(6)),
        ("gpu_slices", c_uint),
        ("ci_slices", c_uint),
        ("mb", c_ulonglong),
    )


@dataclass(frozen=True)
class Process:
    """A process with a context on a GPU; instance: of MIG, None without."""

    pid: int
    instance: int | None


class Library:
    """NVML, initialised. Every method raises NvmlError, and nothing else, where NVML refuses or lacks it."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._library = ctypes.CDLL(path)
        except OSError as error:
            raise NvmlError("load", NO_LIBRARY, f"{path} could not be loaded: {error}") from error
        self.start()

    def start(self) -> None:
        """Initialise; again in a forked child."""
        self._call("nvmlInit_v2")

    def handles(self) -> list[Any]:
        """A handle a physical GPU, None for one that answers nothing. MIG instances are inside theirs."""
        count = c_uint()
        self._call("nvmlDeviceGetCount_v2", byref(count))
        return [self._handle(i) for i in range(count.value)]

    def _handle(self, index: int) -> Any:
        handle = c_void_p()
        try:
            self._call("nvmlDeviceGetHandleByIndex_v2", c_uint(index), byref(handle))
        except NvmlError:
            return None
        return handle

    def driver(self) -> str:
        """The driver's version."""
        buffer = ctypes.create_string_buffer(80)
        self._call("nvmlSystemGetDriverVersion", buffer, c_uint(80))
        return buffer.value.decode(errors="replace")

    def name(self, handle: Any) -> str:
        return self._text("nvmlDeviceGetName", handle)

    def uuid(self, handle: Any) -> str:
        return self._text("nvmlDeviceGetUUID", handle)

    def energy_mj(self, handle: Any) -> int:
        """Millijoules since the driver was loaded."""
        value = c_ulonglong()
        self._call("nvmlDeviceGetTotalEnergyConsumption", handle, byref(value))
        return value.value

    def power_w(self, handle: Any) -> float:
        """Watts now where the GPU tells them, else what `nvmlDeviceGetPowerUsage` gives (a second's mean on some)."""
        try:
            return self.instant_w(handle)
        except NvmlError as error:
            if error.code not in (NOT_SUPPORTED, NO_FUNCTION):
                raise
        return self._uint("nvmlDeviceGetPowerUsage", handle) / 1000

    def instant_w(self, handle: Any) -> float:
        """Watts now."""
        fields = (_Field * 1)(_Field(id=_POWER_INSTANT))
        self._call("nvmlDeviceGetFieldValues", handle, c_int(1), fields)
        if fields[0].code or fields[0].type != _UINT:
            raise NvmlError("nvmlDeviceGetFieldValues", fields[0].code or NOT_SUPPORTED)
        return float(fields[0].value.uint) / 1000

    def limit_w(self, handle: Any) -> float:
        """The power limit in force, watts."""
        return self._uint("nvmlDeviceGetEnforcedPowerLimit", handle) / 1000

    def processes(self, handle: Any) -> list[Process]:
        """Processes with a compute context."""
        room = 16
        while True:
            count, found = c_uint(room), (_ProcessInfo * room)()
            try:
                self._call("nvmlDeviceGetComputeRunningProcesses_v3", handle, byref(count), found)
            except NvmlError as error:
                if error.code != INSUFFICIENT_SIZE or room > 1 << 16:
                    raise
                room = max(2 * room, count.value + 8)
                continue
            none = 0xFFFFFFFF
            return [Process(p.pid, None if p.gpu_instance == none else p.gpu_instance) for p in found[: count.value]]

    def utilisation(self, handle: Any, after_us: int) -> list[tuple[int, int, int]]:
        """(pid, microseconds since 1970, percent of the multiprocessors) of each sample newer than `after_us`."""
        room = 256
        while True:
            count, found = c_uint(room), (_Utilisation * room)()
            try:
                self._call("nvmlDeviceGetProcessUtilization", handle, found, byref(count), c_ulonglong(after_us))
            except NvmlError as error:
                if error.code == NOT_FOUND:
                    return []
                if error.code != INSUFFICIENT_SIZE or room > 1 << 16:
                    raise
                room = max(2 * room, count.value + 64)
                continue
            # drivers fill unused places with zeros and with percentages that cannot be
            return [(s.pid, s.time_us, s.sm) for s in found[: count.value] if s.time_us > after_us and s.sm <= 100]

    def instances(self, handle: Any) -> dict[int, int]:
        """Slices of each MIG instance by its id; empty where MIG is off."""
        current, pending, most = c_uint(), c_uint(), c_uint()
        try:
            self._call("nvmlDeviceGetMigMode", handle, byref(current), byref(pending))
            if not current.value:
                return {}
            self._call("nvmlDeviceGetMaxMigDeviceCount", handle, byref(most))
        except NvmlError as error:
            if error.code in (NOT_SUPPORTED, NO_FUNCTION):
                return {}
            raise
        made = (self._instance(handle, i) for i in range(most.value))
        return dict(pair for pair in made if pair)

    def _instance(self, handle: Any, index: int) -> tuple[int, int] | None:
        instance, number, attributes = c_void_p(), c_uint(), _Attributes()
        try:
            self._call("nvmlDeviceGetMigDeviceHandleByIndex", handle, c_uint(index), byref(instance))
            self._call("nvmlDeviceGetGpuInstanceId", instance, byref(number))
            self._call("nvmlDeviceGetAttributes_v2", instance, byref(attributes))
        except NvmlError:
            return None
        return number.value, attributes.gpu_slices

    def _uint(self, call: str, handle: Any) -> int:
        value = c_uint()
        self._call(call, handle, byref(value))
        return value.value

    def _text(self, call: str, handle: Any) -> str:
        buffer = (c_char * 96)()
        self._call(call, handle, buffer, c_uint(96))
        return buffer.value.decode(errors="replace")

    def _call(self, name: str, *arguments: Any) -> None:
        function = getattr(self._library, name, None)
        if function is None:
            raise NvmlError(name, NO_FUNCTION)
        function.restype = c_int
        code = function(*arguments)
        if code:
            raise NvmlError(name, code)


def path() -> str:
    """The library to load: `TRIMWATT_NVML`, else the driver's."""
    named = os.environ.get("TRIMWATT_NVML")
    return named or ("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
