"""The Recurrent Attention Model (Mnih et al. 2014): networks, loss, training in an environment."""

from __future__ import annotations

from .callbacks import Callback, Checkpoint, StopOnInterrupt, Validation
from .learner import RAM, CheckpointError
from .loss import Losses, hybrid_loss
from .networks import RAMNetwork

__all__ = [
    "RAM",
    "Callback",
    "Checkpoint",
    "CheckpointError",
    "Losses",
    "RAMNetwork",
    "StopOnInterrupt",
    "Validation",
    "hybrid_loss",
]
