"""Waiting for accelerators: only those in use; the real PyTorch, and stand-ins for what is not installed here."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from trimwatt.meter import sync
from trimwatt.meter.fake import Clock, FakeMeter
from trimwatt.meter.session import meter


class Backend:
    """torch.cuda as far as it is asked, of which the second of three devices is in use."""

    def __init__(self, started: bool = True, capturing: bool = False, error: str = "") -> None:
        self.waited: list[int] = []
        self._started, self._capturing, self._error = started, capturing, error

    def is_initialized(self) -> bool:
        return self._started

    def is_current_stream_capturing(self) -> bool:
        return self._capturing

    def device_count(self) -> int:
        assert self._started, "counting devices starts the driver"
        return 3

    def synchronize(self, index: int) -> None:
        if self._error:
            raise RuntimeError(self._error)
        self.waited.append(index)


def _put(monkeypatch: pytest.MonkeyPatch, name: str, **parts: Any) -> None:
    module = ModuleType(name)
    module.__dict__.update(parts)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture(autouse=True)
def _nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "jax", "cupy", "tensorflow", "jax._src.xla_bridge", "tensorflow.python.eager.context"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def _torch(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    _put(monkeypatch, "torch", cuda=backend, _C=SimpleNamespace(_cuda_hasPrimaryContext=lambda index: index == 1))


def test_with_nothing_loaded_nothing_is_loaded() -> None:
    before = set(sys.modules)
    assert sync.accelerators() == ()
    assert set(sys.modules) == before


def test_the_device_in_use_is_waited_for_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Backend()
    _torch(monkeypatch, backend)
    assert sync.accelerators() == ()
    assert backend.waited == [1]


def test_a_window_waits_at_both_ends_and_says_what_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Backend()
    _torch(monkeypatch, backend)
    clock = Clock()
    with meter(sensor=FakeMeter(clock)) as m:
        assert backend.waited == [1]
        clock.advance(1)
    assert backend.waited == [1, 1]
    with meter(sensor=FakeMeter(clock)) as m:
        clock.advance(1)
        backend._error = "device-side assert triggered"
    assert any("device-side assert triggered" in said for said in m.reading.warnings)


@pytest.mark.parametrize("backend", [Backend(started=False), Backend(capturing=True)])
def test_what_has_not_begun_or_is_captured_is_left_alone(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    _torch(monkeypatch, backend)
    assert sync.accelerators() == ()
    assert backend.waited == []


def test_failed_work_is_said_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    _torch(monkeypatch, Backend(error="device-side assert triggered\nCompile with ..."))
    (said,) = sync.accelerators()
    assert said.startswith("torch could not be waited for")
    assert said.endswith("device-side assert triggered")


@pytest.mark.parametrize("started", [False, True])
def test_jax_is_waited_for_once_its_backends_run(monkeypatch: pytest.MonkeyPatch, started: bool) -> None:
    waited: list[str] = []
    live = SimpleNamespace(is_deleted=lambda: False, block_until_ready=lambda: waited.append("live"))
    gone = SimpleNamespace(is_deleted=lambda: True, block_until_ready=lambda: waited.append("gone"))
    _put(monkeypatch, "jax", effects_barrier=lambda: waited.append("effects"), live_arrays=lambda: [live, gone])
    _put(monkeypatch, "jax._src.xla_bridge", backends_are_initialized=lambda: started)
    assert sync.accelerators() == ()
    assert waited == (["effects", "live"] if started else [])


@pytest.mark.parametrize("context", [0, 7])
def test_cupy_is_waited_for_once_it_has_a_context(monkeypatch: pytest.MonkeyPatch, context: int) -> None:
    waited: list[int] = []
    runtime = SimpleNamespace(deviceSynchronize=lambda: waited.append(1))
    driver = SimpleNamespace(ctxGetCurrent=lambda: context)
    _put(monkeypatch, "cupy", cuda=SimpleNamespace(driver=driver, runtime=runtime))
    assert sync.accelerators() == ()
    assert waited == ([1] if context else [])


@pytest.mark.parametrize("context", [None, SimpleNamespace(_initialized=False), SimpleNamespace(_initialized=True)])
def test_tensorflow_is_waited_for_once_its_context_runs(monkeypatch: pytest.MonkeyPatch, context: Any) -> None:
    waited: list[int] = []
    experimental = SimpleNamespace(sync_devices=lambda: waited.append(1))
    _put(monkeypatch, "tensorflow", test=SimpleNamespace(experimental=experimental), executing_eagerly=lambda: True)
    _put(monkeypatch, "tensorflow.python.eager.context", context_safe=lambda: context)
    assert sync.accelerators() == ()
    assert waited == ([1] if getattr(context, "_initialized", False) else [])


def test_the_real_torch_is_not_started() -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    code = """
        import time, torch
        from trimwatt.meter import sync
        assert sync.accelerators() == ()
        assert not torch.cuda.is_initialized()
        start = time.process_time()
        for _ in range(100):
            sync.accelerators()
        assert time.process_time() - start < 0.1
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=300)
