"""One-shot compression of second order: from calibration rows, without labels and without training."""

from __future__ import annotations

from trimwatt.technique.oneshot.gptq import Gptq
from trimwatt.technique.oneshot.obs_channels import ObsChannels
from trimwatt.technique.oneshot.obs_weights import ObsWeights

__all__ = ["Gptq", "ObsChannels", "ObsWeights"]
