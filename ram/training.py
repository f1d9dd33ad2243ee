"""Learners that descend a loss, one update at a time: the loop, the schedule, what is kept.

What an update does is the learner's own.
"""

from __future__ import annotations

import abc
import math
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from . import distributed
from .callbacks import Callback, Callbacks, Metrics
from .checkpoint import CheckpointError
from .descent import plain_state, scheduled

KEPT = frozenset(
    [
        *("hyperparameters", "network", "optimizer"),
        *("num_timesteps", "total_timesteps", "walk", "callbacks"),
    ]
)
"""What `GradientLearner.kept` puts into a checkpoint."""


class GradientLearner(abc.ABC):
    """A learner whose every update is one step down the gradient of a loss.

    The same seed gives the same bytes, also where a saved learner goes on. A subclass sets `env`,
    `network` and `optimizer`, and says what an update is; its hyperparameters hold `seed`,
    `learning_rate`, `schedule`, `warmup`, `max_grad_norm` and `precision`.

    In a process group (`distributed`) each process has its share of the lanes; callbacks of any
    of them can end the training of all. Timesteps and checkpoints are those of all lanes.

    Attributes: `num_timesteps` so far, `metrics` (the newest value of everything measured),
    `network`, `env`, `hyperparameters`.
    """

    env: Any
    network: torch.nn.Module
    optimizer: torch.optim.Optimizer

    def __init__(self, hyperparameters: dict[str, Any], device: str) -> None:
        self.hyperparameters = hyperparameters
        self.device = torch.device(device)
        self.num_timesteps = 0
        self.total_timesteps = 0
        self.between_updates = True
        self.metrics: Metrics = {}
        self._begun = False
        self._learns = True  # whether what learning needs is there, which a checkpoint may lack
        self._walk: Mapping[str, Any] | None = None  # where a loaded learner's walk goes on
        self._callbacks = Callbacks()
        self._callback_states: dict[str, Any] = {}
        self._start()

    @abc.abstractmethod
    def _update(self, env: Any) -> Metrics:
        """One update; what was measured, at most updates nothing."""

    @abc.abstractmethod
    def _start(self) -> None:
        """Before the first update of a `learn`."""

    @abc.abstractmethod
    def validate(self, env: Any) -> Metrics:
        """What is measured on an evaluation split, under names that begin with `eval/`."""

    @abc.abstractmethod
    def save(self, path: str | os.PathLike[str], *, to_learn: bool = True) -> None:
        """Write a checkpoint; without `to_learn` a smaller one, which only predicts."""

    @property
    def finished(self) -> bool:
        """Whether the timesteps of the last `learn` are used up."""
        return self.num_timesteps >= self.total_timesteps

    @property
    def progress(self) -> float:
        """Share of the last `learn`'s timesteps that are used up, 0 to 1."""
        return min(1.0, self.num_timesteps / self.total_timesteps) if self.total_timesteps else 0.0

    @property
    def learning_rate(self) -> float:
        """The learning rate now."""
        h = self.hyperparameters
        return h["learning_rate"] * scheduled(h["schedule"], self.progress, h["warmup"])

    def learn(
        self, total_timesteps: int, callback: Callback | Iterable[Callback] | None = None
    ) -> Self:
        """Train until `num_timesteps` reaches `total_timesteps`; schedules run over all of them.

        A learner that was interrupted or loaded goes on where it stood. Raises RuntimeError where
        there is no environment, CheckpointError where it was saved to predict alone,
        FloatingPointError where the loss is no longer a number.
        """
        if not self._learns:
            raise CheckpointError(
                "saved to predict alone, without the optimiser's state: to go on, load a "
                "checkpoint of the run that it came from"
            )
        if self.env is None:
            name = type(self).__name__
            raise RuntimeError(f"to learn, load with an environment: {name}.load(path, env=env)")
        self.total_timesteps = total_timesteps
        self._callbacks = Callbacks(callback)
        self._callbacks.restore(self._callback_states)
        self._start()
        going = distributed.everyone(self._callbacks.on_start(self, {}))
        try:
            while going and not self.finished:
                self.between_updates = False
                measured = self._update(self.env)
                self.between_updates = True
                going = distributed.everyone(self._callbacks.on_step(self, measured))
                self.metrics.update(measured)
        finally:
            measured = {}
            self._callbacks.on_end(self, measured)
            self.metrics.update(measured)
            self._callback_states = self._callbacks.state()
        return self

    def _descend(self, loss: Tensor) -> Tensor:
        """A step down the gradient of `loss`; returns the gradient's length before clipping."""
        norm = self._gradient(loss)
        self._check_finite("gradient", norm)
        self._set_rate()
        self.optimizer.step()
        return norm

    def _gradient(self, loss: Tensor) -> Tensor:
        """Leave the clipped gradient of `loss` with the weights; its length before."""
        weights = [w for group in self.optimizer.param_groups for w in group["params"]]
        for each in weights:  # as `zero_grad` does, without its 0.1 ms of looking around
            each.grad = None
        loss.backward()
        distributed.mean_gradients(weights)
        longest = self.hyperparameters["max_grad_norm"] or math.inf
        return torch.nn.utils.clip_grad_norm_(weights, longest)

    def _set_rate(self) -> None:
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(self.learning_rate)
            else:
                group["lr"] = self.learning_rate

    def precision(self) -> AbstractContextManager[Any]:
        """Within it products and convolutions are as precise as the hyperparameter says."""
        if self.hyperparameters["precision"] == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def _check_finite(self, what: str, values: Tensor) -> None:
        if not math.isfinite(values.sum().item()):  # one pass over them; inf and nan both stay
            raise FloatingPointError(
                f"training diverged after {self.num_timesteps} timesteps (the {what} is no longer "
                f"finite): {self._remedy}"
            )

    _remedy = "lower learning_rate"

    def _reset(self, env: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The next episode of every lane; the first one as the seed or a checkpoint says."""
        first, self._begun = not self._begun, True
        if first and self._walk is not None:
            env.unwrapped.restore_walk(distributed.own_walk(self._walk))
        elif first:
            return env.reset(seed=self.hyperparameters["seed"])
        return env.reset()

    def _tensor(self, values: Any) -> Tensor:
        """Values on the device, without a copy where there need not be one."""
        if isinstance(values, np.ndarray) and not values.flags.writeable:
            values = values.copy()  # PyTorch knows no tensors that must not be written
        return torch.as_tensor(values, device=self.device)

    def kept(self, to_learn: bool = True) -> dict[str, Any]:
        """What a checkpoint holds of every learner: see KEPT.

        Only between updates, when callbacks are called: half an update cannot be taken up again.
        Without `to_learn` what learning alone needs is left empty.
        """
        if not to_learn:
            return {**self.kept(), "optimizer": None, "walk": None, "callbacks": {}}
        walk = self._walk
        if self._begun:
            walk = distributed.whole_walk(self.env.unwrapped.walk_state())
        return {
            "hyperparameters": self.hyperparameters,
            "network": self.network.state_dict(),
            "optimizer": plain_state(self.optimizer),
            "num_timesteps": self.num_timesteps,
            "total_timesteps": self.total_timesteps,
            "walk": walk,
            "callbacks": self._callbacks.state() or self._callback_states,
        }

    def take_up(self, content: Mapping[str, Any]) -> None:
        """Go on from what `kept` returned; raises what PyTorch does where it does not fit."""
        self.network.load_state_dict(content["network"])
        self._learns = content["optimizer"] is not None
        if self._learns:
            self.optimizer.load_state_dict(content["optimizer"])
        self.num_timesteps = content["num_timesteps"]
        self.total_timesteps = content["total_timesteps"]
        self._walk = content["walk"]
        self._callback_states = content["callbacks"]
