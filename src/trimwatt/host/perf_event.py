"""perf_event_open: a counter of the kernel as a file descriptor. Linux only."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

# the number of the system call, which libc has no name for
_CALL = {"x86_64": 298, "aarch64": 241, "i386": 336, "i686": 336, "armv7l": 364, "ppc64le": 319, "riscv64": 241}
_ATTR_BYTES = 128
_FLAG_CLOEXEC = 8
HARDWARE, SOFTWARE = 0, 1
TASK_CLOCK = 1
# bits of the attributes
INHERIT, EXCLUDE_KERNEL, EXCLUDE_HYPERVISOR = 1 << 1, 1 << 5, 1 << 6


def open_event(kind: int, config: int, pid: int, cpu: int, flags: int = 0) -> int:
    """A descriptor that counts event `config` of the PMU `kind`. Raises OSError with the kernel's reason.

    pid -1 with a cpu counts all that runs there; pid 0 with cpu -1 this thread, wherever it runs. flags: of INHERIT
    and those beside it.
    """
    number = _CALL.get(platform.machine())
    if number is None or os.name != "posix":
        raise OSError(f"perf events are not known for {platform.machine()}")
    attr = ctypes.create_string_buffer(_ATTR_BYTES)
    struct.pack_into("=IIQQQQQ", attr, 0, kind, _ATTR_BYTES, config, 0, 0, 0, flags)
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (ctypes.c_long(number), attr, ctypes.c_int(pid), ctypes.c_int(cpu), ctypes.c_int(-1))
    descriptor = libc.syscall(*arguments, ctypes.c_ulong(_FLAG_CLOEXEC))
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(descriptor)


def read_event(descriptor: int) -> int | None:
    """The count so far, None where it cannot be read."""
    try:
        raw = os.read(descriptor, 8)
    except OSError:
        return None
    return int(struct.unpack("=Q", raw)[0]) if len(raw) == 8 else None
