"""On a real NVIDIA GPU: the energy counter against power integrated beside it. Run by `make test-gpu`.

Writes benchmarks/results/gpu_meter.json. Skips, and says why, where there is no GPU or nothing that could load it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from trimwatt.meter import _nvml_library, nvml
from trimwatt.meter._base import Mark
from trimwatt.meter._nvml_library import Library, NvmlError
from trimwatt.meter.nvml import NvmlMeter
from trimwatt.meter.sampled import SampledMeter

pytestmark = pytest.mark.gpu

RESULT = Path(__file__).parents[2] / "benchmarks" / "results" / "gpu_meter.json"
SECONDS = 10.0
TRAINING = """
    import sys, time, torch
    model = torch.nn.Sequential(*[torch.nn.Linear(4096, 4096) for _ in range(4)]).cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    x = torch.randn(2048, 4096, device="cuda")
    end = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
        torch.cuda.synchronize()
"""


@pytest.fixture(scope="module")
def meter() -> NvmlMeter:
    found = None if os.environ.get("TRIMWATT_NVML") else nvml.open_meter()
    if found is None or not any(g.mode == "counter" for g in found.gpus):
        detail = "; ".join(probe.detail for probe in nvml.probe())
        pytest.skip(f"no NVIDIA GPU with an energy counter is at hand ({detail})")
    return found


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """What keeps the GPU busy, and its command without the seconds."""
    asked = "import torch, sys; sys.exit(not torch.cuda.is_available())"
    if not subprocess.run([sys.executable, "-c", asked], capture_output=True, check=False).returncode:
        return "training step in PyTorch", [sys.executable, "-c", textwrap.dedent(TRAINING)]
    compiler = shutil.which("nvcc")
    if compiler is None:
        pytest.skip("neither a CUDA build of PyTorch nor nvcc is here to load the GPU with")
    program = tmp_path_factory.mktemp("load") / "load"
    subprocess.run([compiler, "-O2", "-o", str(program), str(Path(__file__).with_name("load.cu"))], check=True)
    return "multiply-adds compiled by nvcc", [str(program)]


def _watts(library: Library, handle: Any) -> float | None:
    try:
        return library.power_w(handle)
    except NvmlError:
        return None


def _window(
    meter: NvmlMeter, power: SampledMeter, seconds: float
) -> tuple[dict[str, float], dict[str, float], Mark, Mark]:
    a, pa = meter.mark(), power.mark()
    time.sleep(seconds)
    b, pb = meter.mark(), power.mark()
    counted = {d: e.joules / (b.time_s - a.time_s) for d, e in meter.between(a, b).items()}
    return counted, {d: e.joules / (pb.time_s - pa.time_s) for d, e in power.between(pa, pb).items()}, a, b


def test_the_counter_agrees_with_integrated_power(meter: NvmlMeter, load: tuple[str, list[str]]) -> None:
    library = Library(_nvml_library.path())
    gpus = [g for g in meter.gpus if g.mode == "counter"]
    power = SampledMeter({g.domain: partial(_watts, library, g.handle) for g in gpus}, 0.02)
    idle, _, _, _ = _window(meter, power, 3)
    name, command = load
    with subprocess.Popen([*command, str(SECONDS + 6)]) as child:
        time.sleep(4)
        counted, integrated, a, b = _window(meter, power, SECONDS)
        shares = {pid: meter.shares(a, b, [pid]) for pid in (child.pid, os.getpid())}
        child.terminate()
    gpu = max(gpus, key=lambda g: counted[g.domain] - idle[g.domain]).domain
    _write(meter, name, gpu, idle[gpu], counted[gpu], integrated[gpu], shares[child.pid][gpu])
    assert counted[gpu] > 1.2 * idle[gpu]
    assert counted[gpu] == pytest.approx(integrated[gpu], rel=0.1)
    # in a container the driver's process numbers may be the host's: then nothing is known of the share
    assert shares[child.pid][gpu][2] == 1
    assert shares[os.getpid()][gpu][0] == 0


def _write(
    meter: NvmlMeter, load: str, gpu: str, idle_w: float, counter_w: float, power_w: float, share: tuple[float, ...]
) -> None:
    found = next(g for g in meter.gpus if g.domain == gpu)
    start = time.perf_counter()
    for _ in range(100):
        meter.mark()
    record = {
        "gpu": found.name,
        "driver": Library(_nvml_library.path()).driver(),
        "gpus": len(meter.gpus),
        "load": load,
        "window_s": SECONDS,
        "idle_w": round(idle_w, 2),
        "counter_w": round(counter_w, 2),
        "integrated_power_w": round(power_w, 2),
        "counter_over_power": round(counter_w / power_w, 4),
        "share_of_the_loading_process": share,
        "counter_step_s": meter._edges[gpu].period_s,
        "mark_s": round((time.perf_counter() - start) / 100, 6),
    }
    RESULT.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))
