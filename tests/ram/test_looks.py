"""RAM learns where to look, on a task that no fixed path solves.

8x8 handwriting anywhere on 20x20, seen through a single 8x8 scale: a path that is the same for
every image finds few of the digits whole. About 20 seconds.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from saccade.envs.datasets import Dataset
from saccade.ram import RAM

sklearn_datasets = pytest.importorskip("sklearn.datasets")


def make_env(**keywords: Any) -> VectorEnv:
    bunch = sklearn_datasets.load_digits()
    images = (bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    return gymnasium.make_vec(
        "saccade/TranslatedDigits-v0",
        source=Dataset.from_arrays(images, bunch.target),
        canvas=20,
        size=8,
        scales=1,
        glimpses=6,
        action="dict",
        autoreset_mode=AutoresetMode.DISABLED,
        **keywords,
    )


def walk(
    ram: RAM, env: VectorEnv, path: NDArray[np.float32] | None = None
) -> tuple[float, NDArray[np.float32], NDArray[np.float32]]:
    """Error, fixations (N, T, 2) and targets (N, 2); with `path` (T, ...) the eye follows that."""
    lanes = env.num_envs
    observation, info = env.reset(options={"index": np.arange(lanes)})
    box, fixations, state = info["box"], [], None
    for t in range(6):
        fixations.append(observation["fixation"])
        action, state = ram.predict(observation, state, deterministic=True)
        if path is not None:
            action["fixation"] = np.broadcast_to(path[t], (lanes, 2)).astype(np.float32)
        observation, _, _, _, info = env.step(action)
    target = (box[:, :2] + box[:, 2:]) / 20 - 1
    return 1 - info["is_success"].mean(), np.stack(fixations, 1), target


def test_it_looks_at_the_digit() -> None:
    ram = RAM(make_env(num_envs=128, paths=4), core="rnn").learn(600_000)
    env = make_env(num_envs=700, split="validation", placements=4)
    learned, fixations, target = walk(ram, env)

    # The controls, on the same trained model.
    random, _, _ = walk(ram, env, np.random.default_rng(0).uniform(-1, 1, (6, 700, 2)))
    mean_path = np.roll(fixations.mean(0), -1, axis=0)  # step t looks where glimpse t + 1 was
    fixed, _, _ = walk(ram, env, mean_path)
    assert learned < 0.3
    assert random - learned > 0.15 and fixed - learned > 0.15

    # It ends on the digit: along x for a digit further along x, along y for one along y.
    together = np.corrcoef(fixations[:, -1].T, target.T)[:2, 2:]
    assert together[0, 0] > 0.4 and together[1, 1] > 0.4
    assert abs(together[0, 1]) < 0.3 and abs(together[1, 0]) < 0.3
