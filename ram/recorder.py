"""The numbers that a training shows, collected without waiting for any single one."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from . import distributed
from .loss import Losses

if TYPE_CHECKING:
    from .learner import RAM


@dataclass(frozen=True, eq=False)
class Update:
    """What one update leaves, on the device: losses, means (D, B, 2) and what came of it."""

    losses: Losses
    means: Tensor
    rewards: Tensor  # (T, B)
    success: Tensor  # (B,)
    length: Tensor  # mean glimpses

    def numbers(self, grad_norm: Tensor) -> Tensor:
        """All that is shown of it, (9,), in the order in which `Recorder` reads it."""
        spread = self.means.detach().std(1, correction=0).mean()  # over the batch
        came = (self.rewards.sum(0).mean(), self.success.float().mean(), self.length)
        parts = (*self.losses, grad_norm, spread, *came)
        return torch.stack([part.detach() for part in parts])


class Recorder:
    """Averages over `interval` updates. State: their numbers, and when it began."""

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self._numbers: list[Tensor] = []
        self._start: float | None = None
        self._first = 0

    def add(self, numbers: Tensor, learner: RAM) -> dict[str, float]:
        """The means of the last `interval` updates, when there are so many; else nothing.

        Args:
            numbers: of this one, `Update.numbers`.

        Raises:
            FloatingPointError: they are no longer finite.
        """
        self._numbers.append(numbers)
        now = time.perf_counter()
        if self._start is None:  # the first update also warms up
            self._start, self._first = now, learner.num_timesteps
        if len(self._numbers) < self.interval and not learner.finished:
            return {}
        said = "act" if learner.task.judged == "act" else "answer"
        means = torch.stack(self._numbers).mean(0)
        learner._check_finite("loss", means)
        distributed.average([means])
        loss, answer, location, baseline, norm, spread, reward, accuracy, length = means.tolist()
        self._numbers.clear()
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
