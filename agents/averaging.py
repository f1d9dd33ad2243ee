"""Several sampled paths of a scene, whose answers are averaged: another protocol than one path.

Published figures often use it. It costs as many looks as there are paths, so that tables show it in
a column of its own.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config import Config
from .environments import EVALUATION_LANES, make_env
from .stats import Interval, proportion_interval
from .tables import interval_text


@dataclass(frozen=True)
class Averaged:
    """The error of so many paths a scene, answering together: a share, with its interval."""

    paths: int
    error: Interval

    def sentence(self) -> str:
        """In words."""
        return (
            f"Another protocol, {self.paths} sampled paths a scene that answer together:"
            f" error % {interval_text(self.error, 100)}."
        )


def averaged_error(
    policy: Any, config: Config, split: str, placements: int, paths: int
) -> Averaged | None:
    """The error of several sampled paths together; None where a policy has no such answer."""
    lanes = max(1, EVALUATION_LANES // paths) * paths
    env = make_env(config, split, placements=placements, num_envs=lanes, paths=paths)
    with contextlib.closing(env):
        if not averages(policy, env):
            return None
        wrong = ~right_on_average(policy, env)
        images = images_of(np.arange(len(wrong)), env.unwrapped, placements)
        return Averaged(paths, proportion_interval(wrong, images))


def images_of(scenes: NDArray[np.int64], core: Any, placements: int) -> NDArray[np.int64] | None:
    """Which image each scene shows, where one stands in several: they are one in intervals."""
    return None if placements == 1 else scenes % (int(core.split_length) // placements)


def averages(policy: Any, env: Any) -> bool:
    """Whether a policy's answers can be averaged over paths of its own in this environment.

    It must give scores of one answer that is due at the end, and draw where it looks.
    """
    core = env.unwrapped
    task = core.task
    one_answer = task.judged == "answer" and task.questions == 1 and not core.stop
    return env is core and one_answer and hasattr(policy, "scores") and hasattr(policy, "task")


def right_on_average(policy: Any, env: Any) -> NDArray[np.bool_]:
    """Whether the class that a scene's paths find likeliest together is right, bool (N,).

    Likeliest is what has the largest mean log-probability after the last glimpse. `env` has
    autoreset disabled and was made with `paths=M`, M dividing its lanes: each path begins at a
    place of its own, and the policy draws the others around its means.
    """
    core = env.unwrapped
    scenes, paths = int(core.split_length), int(core.paths)
    side_by_side = env.num_envs // paths
    right = np.zeros(scenes, np.bool_)
    for first in range(0, scenes, side_by_side):
        shown = np.minimum(np.arange(first, first + side_by_side), scenes - 1)
        observation, info = env.reset(options={"index": shown.repeat(paths)})
        labels = info["label"][::paths]
        state: Any = None
        for _ in range(int(core.glimpses)):
            action, state = policy.predict(observation, state, deterministic=False)
            observation, *_ = env.step(action)
        scores = policy.scores(state)  # (lanes, K)
        together = scores.reshape(side_by_side, paths, -1).mean(axis=1)
        right[shown] = together.argmax(axis=-1) == labels
    return right
