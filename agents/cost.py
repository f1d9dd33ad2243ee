"""What an agent costs an image: parameters, multiply-adds, time.

Counts the policy's own work, neither the environment's nor that of drawing scenes.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .gaze import Policy
from .rollout import rollout

BATCH = 100  # scenes that are looked at side by side
REPEATS = 5  # the time is the least of so many passes over them, that others disturbed least


@dataclass(frozen=True)
class Cost:
    """Of one image, on one CPU thread: `milliseconds` were measured here and now.

    `parameters` are those of the policy's network, heads that only training uses included.
    `multiply_adds` are those of its matrix products and convolutions, over a whole episode.
    """

    parameters: int
    multiply_adds: float
    milliseconds: float


def cost(policy: Any, env: Any) -> Cost:
    """Measure a policy with a `network` on the first scenes of a native vector environment.

    Multiply-adds are half of what PyTorch's FlopCounterMode counts: additions, activations and
    copies are left out. Lanes whose episode has ended do not count.
    """
    scenes = range(min(BATCH, int(env.unwrapped.split_length)))
    metered = _Metered(policy)
    with _one_thread():
        with _counting() as counter:
            seen = rollout(metered, env, scenes)
        looks = float(seen.length.mean())  # decisions an image
        multiply_adds = counter.get_total_flops() / 2 / metered.decisions * looks
        times = []
        for _ in range(REPEATS):
            metered = _Metered(policy)
            rollout(metered, env, scenes)
            times.append(metered.seconds / metered.decisions * looks)
    return Cost(
        parameters=sum(weights.numel() for weights in policy.network.parameters()),
        multiply_adds=multiply_adds,
        milliseconds=1000 * min(times),
    )


class _Metered:
    """A policy that keeps how many decisions it was asked for and the seconds that they took."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.decisions = 0
        self.seconds = 0.0

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        started = time.perf_counter()
        result = self.policy.predict(observation, state, episode_start, deterministic)
        self.seconds += time.perf_counter() - started
        self.decisions += len(np.asarray(observation["progress"]))
        return result


@contextmanager
def _counting() -> Iterator[Any]:
    """PyTorch's counter of floating-point operations, where it sees recurrent layers too."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of oneDNN, about graphics hardware
        # oneDNN runs a recurrent layer as one operation, which the counter takes for nothing.
        with torch.backends.mkldnn.flags(enabled=False), FlopCounterMode(display=False) as counter:
            yield counter


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
