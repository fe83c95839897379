"""PyTorch eager in bfloat16: convolutions and matrix products of half the bits, where the processor has them."""

from __future__ import annotations

from typing import Any

from trimwatt.runtime._base import Artifact, Session
from trimwatt.runtime.torch import TorchRuntime, TorchSession
from trimwatt.scenario import Scenario
from trimwatt.workload import Array

_BOUND = 5e-2


class TorchBf16Runtime(TorchRuntime):
    """Exports as `torch` does; answers under autocast, which changes them by up to a hundredth."""

    name = "torch-bf16"
    precision = "bf16"

    def open(self, artifact: Artifact, scenario: Scenario) -> Session:
        """A session; raises InputError where only weights are left, which say nothing of the network."""
        opened = super().open(artifact, scenario)
        assert isinstance(opened, TorchSession)  # noqa: S101 - for the type checker
        return _Halved(opened)


class _Halved:
    """A session of PyTorch under autocast. error_bound: how far answers may be from those in float32."""

    error_bound = _BOUND

    def __init__(self, session: TorchSession) -> None:
        self._session, self.takes_requests = session, session.takes_requests

    def predict(self, rows: Any) -> Array:
        """Labels or values (n,)."""
        import torch

        with torch.autocast("cpu", torch.bfloat16):
            return self._session.predict(rows)

    def scores(self, rows: Any) -> Array:
        """Probabilities (n, k) in the order of the classes, or values (n,)."""
        import torch

        with torch.autocast("cpu", torch.bfloat16):
            return self._session.scores(rows)
