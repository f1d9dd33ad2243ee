"""Updates that do not leave the device: one CUDA graph from the first glimpse to the new weights.

The environment resets on the host, a few numbers a lane, while the device is still busy with the
update before. What follows is launched at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from . import distributed
from .descent import make_capturable
from .rollout import Rollout

if TYPE_CHECKING:
    from ..envs.device.episode import Episode
    from .learner import RAM

_WARM_UP = 3  # updates' gradients before a capture, for what is set up when first used


class Resident:
    """RAM's updates in tensors alone, the same as through the environment's `step`.

    On a CUDA device they are captured once and replayed; elsewhere, and in a process group, they
    run as they are written.

    State: what goes into an update (first observation, labels, noise, spread), in tensors that
    stay where they are, and what comes out.
    """

    def __init__(self, learner: RAM, episode: Episode) -> None:
        self._learner = learner
        self._episode = episode
        self._captures = learner.device.type == "cuda" and distributed.world().size == 1
        self._graph: Any = None
        self._inputs: dict[str, Tensor] = {}
        self._numbers = torch.zeros(0)

    @classmethod
    def of(cls, learner: RAM, env: Any) -> Resident | None:
        """The updates in an environment; None where they have to go through its steps."""
        if getattr(env, "device", None) is None or learner.task.judged != "answer":
            return None
        from ..envs.device.episode import Episode

        episode = Episode.of(env)
        return None if episode is None else cls(learner, episode)

    def update(self, observation: Mapping[str, Tensor], label: np.ndarray, noise: Tensor) -> Tensor:
        """One update from the first observation; what is measured, `Update.numbers`.

        Args:
            observation: what the network sees of it, (B, ...) each.
            label: the truth, int64 (B,).
            noise: standard normal (T, B, 2), from the host.

        Raises:
            FloatingPointError: the gradient is no longer a number (a CUDA device: `check`).
        """
        learner = self._learner
        given = {
            **observation,
            "label": torch.as_tensor(label),
            "noise": noise,
            "std": torch.tensor(learner.std),
        }
        if not self._captures:
            given = {name: values.to(learner.device) for name, values in given.items()}
            loss, update = learner.learn_from(self._look(given), learner.std)
            return update.numbers(learner._descend(loss))
        self._put(given)
        learner._set_rate()
        if self._graph is None:
            self._capture()
        self._graph.replay()
        return self._numbers.clone()

    def check(self) -> None:
        """Raise FloatingPointError where the last update was not finite; waits for the device."""
        if self._graph is not None:
            self._learner._check_finite("gradient", self._numbers)

    def _look(self, given: Mapping[str, Tensor]) -> Rollout:
        """Look without the environment; what is answered counts in `learn_from`."""
        learner, network, std = self._learner, self._learner.network, given["std"]
        glimpse, fixation = given["glimpse"], given["fixation"]
        state = network.begin(given)
        rollout = Rollout()
        for noise in given["noise"]:
            with learner.precision():
                state = network.see(glimpse, fixation, state)
            mean, _ = learner.read(state, rollout)  # (B, 2)
            drawn = mean + std * noise
            rollout.drawn.append(drawn)
            rollout.labels.append(given["label"])
            rollout.rewards.append(torch.zeros_like(drawn[:, 0]))
            if len(rollout.drawn) < self._episode.glimpses:
                fixation = self._episode.move(drawn, fixation)
                glimpse = self._episode.look(fixation)
        return rollout

    def _put(self, given: Mapping[str, Tensor]) -> None:
        """What goes into an update, where the graph finds it; without waiting."""
        for name, values in given.items():
            if values.device.type == "cpu":
                values = values.pin_memory()
            if name not in self._inputs:
                self._inputs[name] = torch.empty_like(values, device=self._learner.device)
            self._inputs[name].copy_(values, non_blocking=True)

    def _capture(self) -> None:
        """Write down an update as one graph; the weights stay as they are."""
        learner = self._learner
        make_capturable(learner.optimizer, learner.device)
        learner._set_rate()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                self._gradient()
        torch.cuda.current_stream().wait_stream(side)
        learner.optimizer.zero_grad(set_to_none=True)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._numbers = self._gradient()
            learner.optimizer.step()

    def _gradient(self) -> Tensor:
        """Leave an update's gradient with the weights; what is measured.

        Nothing of it stays alive but that: a capture wants its backward pass to itself.
        """
        loss, update = self._learner.learn_from(self._look(self._inputs), self._inputs["std"])
        return update.numbers(self._learner._gradient(loss))
