"""The numbers that a training shows, collected without waiting for any single one."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from . import distributed
from .loss import Losses

if TYPE_CHECKING:
    from .learner import RAM


@dataclass(frozen=True, eq=False)
class Update:
    """What one update leaves: losses, the gradient's norm, means (D, B, 2) and what came of it."""

    losses: Losses
    grad_norm: Tensor
    means: Tensor
    rewards: Tensor  # (T, B)
    success: Any  # (B,)
    length: float  # mean glimpses


class Recorder:
    """Averages over `interval` updates. State: their numbers, and when it began."""

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self._tensors: list[Tensor] = []
        self._episodes: list[tuple[float, float, float]] = []
        self._start: float | None = None
        self._first = 0

    def add(self, update: Update, learner: RAM) -> dict[str, float]:
        """The means of the last `interval` updates, when there are so many; else nothing."""
        spread = update.means.detach().std(1, correction=0).mean()  # over the batch
        parts = (*update.losses, update.grad_norm, spread)
        self._tensors.append(torch.stack([part.detach() for part in parts]))
        reward = float(update.rewards.sum(0).mean())
        self._episodes.append((reward, float(np.mean(update.success)), update.length))
        now = time.perf_counter()
        if self._start is None:  # the first update also warms up
            self._start, self._first = now, learner.num_timesteps
        if len(self._tensors) < self.interval and not learner.finished:
            return {}
        said = "act" if learner.task.judged == "act" else "answer"
        means = torch.stack(self._tensors).mean(0)
        episodes = torch.tensor(np.mean(self._episodes, 0))
        distributed.average([means])
        distributed.average([episodes])
        loss, answer, location, baseline, norm, spread = means.tolist()
        reward, accuracy, length = episodes.tolist()
        self._tensors.clear()
        self._episodes.clear()
        return {
            "rollout/ep_rew_mean": reward,
            "rollout/ep_len_mean": length,
            "time/fps": (learner.num_timesteps - self._first) / max(now - self._start, 1e-9),
            "time/total_timesteps": float(learner.num_timesteps),
            "train/loss": loss,
            f"train/{said}_loss": answer,
            "train/location_loss": location,
            "train/baseline_loss": baseline,
            "train/accuracy": accuracy,
            "train/fixation_spread": spread,
            "train/location_std": learner.std,
            "train/location_entropy": 1 + math.log(2 * math.pi) + 2 * math.log(learner.std),
            "train/grad_norm": norm,
            "train/learning_rate": learner.learning_rate,
        }
