"""Wait until accelerators have done what was asked of them, so that their energy falls into the window it belongs to.

Only frameworks that are loaded and have begun to use a device are asked; none is imported or started here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

# the largest index of a device that is asked for; asking is all it costs
_MOST_DEVICES = 64


def accelerators() -> tuple[str, ...]:
    """Wait for every framework that has begun to use an accelerator.

    Returns a line for each that could not be waited for; an error of the user's own work stays theirs to meet.
    """
    said = []
    for name, wait in _FRAMEWORKS.items():
        module = sys.modules.get(name)
        if module is None:
            continue
        try:
            wait(module)
        # a framework tells of failed device work here: it is told again to the caller who asked for that work
        except (RuntimeError, AttributeError, TypeError, ValueError, OSError, ImportError) as error:
            line = str(error).strip().splitlines()
            said.append(
                f"{name} could not be waited for, so its work may fall outside the window: {(line or ['?'])[0]}"
            )
    return tuple(said)


def _torch(torch: Any) -> None:
    for name in ("cuda", "xpu"):
        backend = getattr(torch, name, None)
        if backend is not None and backend.is_initialized():
            _torch_devices(torch, backend, name)
    mps = getattr(torch, "mps", None)
    if mps is not None and torch.backends.mps.is_available() and mps.driver_allocated_memory():
        mps.synchronize()


def _torch_devices(torch: Any, backend: Any, name: str) -> None:
    # waiting while a graph is captured would break the capture
    capturing = getattr(backend, "is_current_stream_capturing", None)
    if capturing is not None and capturing():
        return
    has_context = getattr(torch._C, f"_{name}_hasPrimaryContext", None)
    for index in range(min(backend.device_count(), _MOST_DEVICES)):
        # waiting for a device without a context would make one, with hundreds of megabytes
        in_use = has_context(index) if has_context else backend.memory_reserved(index) > 0
        if in_use:
            backend.synchronize(index)


def _jax(jax: Any) -> None:
    bridge = sys.modules.get("jax._src.xla_bridge")
    started = getattr(bridge, "backends_are_initialized", None)
    if started is None or not started():
        return
    jax.effects_barrier()
    for array in jax.live_arrays():
        if not array.is_deleted():
            array.block_until_ready()


def _cupy(cupy: Any) -> None:
    # no context on this thread, or no driver: nothing was begun
    try:
        begun = bool(cupy.cuda.driver.ctxGetCurrent())
    except (RuntimeError, AttributeError):
        return
    if begun:
        cupy.cuda.runtime.deviceSynchronize()


def _tensorflow(tensorflow: Any) -> None:
    current = getattr(sys.modules.get("tensorflow.python.eager.context"), "context_safe", lambda: None)()
    if current is not None and getattr(current, "_initialized", False) and tensorflow.executing_eagerly():
        tensorflow.test.experimental.sync_devices()


_FRAMEWORKS: dict[str, Callable[[Any], None]] = {
    "torch": _torch,
    "jax": _jax,
    "cupy": _cupy,
    "tensorflow": _tensorflow,
}
