"""Between SB3 and a run: what SB3 logs is kept for the run's callbacks, which act after updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

from ..ram.callbacks import Metrics

if TYPE_CHECKING:
    from .baselines import Baseline


class Measured(KVWriter):
    """Keeps what SB3 logs until the run's callbacks ask for it."""

    def __init__(self) -> None:
        self.values: Metrics = {}
        self._taken = 0

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """SB3's numbers, those that it keeps out of TensorBoard left out."""
        for name, value in key_values.items():
            if "tensorboard" not in key_excluded.get(name, ()) and np.isscalar(value):
                self.values[name] = float(value)  # type: ignore[arg-type]

    def close(self) -> None:
        """Nothing is open."""

    def take(self, timesteps: int, interval: int, last: bool) -> Metrics:
        """All values, once in `interval` timesteps and at the end; else nothing."""
        if not self.values or (timesteps - self._taken < interval and not last):
            return {}
        self._taken = timesteps
        values, self.values = self.values, {}
        return values


class BetweenUpdates(BaseCallback):
    """Calls the run's callbacks where SB3 begins to collect, which is after every update."""

    def __init__(self, learner: Baseline, measured: Measured) -> None:
        super().__init__()
        self.learner = learner
        self.measured = measured
        self.going = True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps > self.learner.num_timesteps:
            self.going = self.learner.advance(self.measured)
        self.learner.between_updates = not self.going

    def _on_step(self) -> bool:
        return self.going
