"""Models that look: RAM (Mnih et al. 2014), DRAM (Ba et al. 2015), their loss and training."""

from __future__ import annotations

from .callbacks import Callback, Checkpoint, StopOnInterrupt, Validation
from .dram import DRAM, DRAMNetwork
from .learner import RAM, CheckpointError
from .loss import Losses, hybrid_loss
from .networks import RAMNetwork

__all__ = [
    "DRAM",
    "RAM",
    "Callback",
    "Checkpoint",
    "CheckpointError",
    "DRAMNetwork",
    "Losses",
    "RAMNetwork",
    "StopOnInterrupt",
    "Validation",
    "hybrid_loss",
]
