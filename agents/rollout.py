"""Run a policy through an environment's scenes and keep what happened: one path an image.

Serves every policy with stable-baselines3's `predict` and every native vector environment made
with autoreset disabled. Measures nothing; `evaluate` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .gaze import Policy


@dataclass(frozen=True, eq=False)
class Episodes:
    """What N episodes showed, in the order of the scenes asked for.

    index, label, answer, length: int64 (N,); answer is -1 where none was given. success: bool
    (N,). reward: float64 (N,), the sum. fixations: float32 (N, T, 2), those looked from, NaN
    after an early end. box: float32 (N, 4), the target's, in pixels.
    """

    index: NDArray[np.int64]
    label: NDArray[np.int64]
    answer: NDArray[np.int64]
    success: NDArray[np.bool_]
    reward: NDArray[np.float64]
    length: NDArray[np.int64]
    fixations: NDArray[np.float32]
    box: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.index)


def rollout(
    policy: Policy,
    env: Any,
    indices: Iterable[int] | None = None,
    first_fixation: ArrayLike | None = None,
    deterministic: bool = True,
) -> Episodes:
    """One episode for each scene of `indices`; without it, for every scene of the split.

    A policy with `start(indices)` may say where the first glimpse goes, (2,) or (n, 2); else
    `first_fixation` (2,) does; else the environment. A lane whose episode ends is given the next
    scene at once, so that episodes may differ in length. Raises ValueError for scenes that the
    split does not have.
    """
    core = env.unwrapped
    lanes, glimpses = int(env.num_envs), int(core.glimpses)
    if getattr(core, "paths", 1) != 1:
        raise ValueError("each lane needs its own scene: make the environment with paths=1")
    scenes = np.arange(core.split_length) if indices is None else np.array(list(indices), np.int64)
    if len(scenes) and not 0 <= scenes.min() <= scenes.max() < core.split_length:
        raise ValueError(f"scenes must be in 0..{core.split_length - 1}, got {scenes.tolist()}")
    episodes = _empty(scenes, glimpses)
    start = getattr(policy, "start", None)

    job = np.full(lanes, -1)  # which episode each lane plays; -1: none is left for it
    given = 0
    ended = np.ones(lanes, bool)
    state: Any = None
    while True:
        if ended.any():
            free = np.flatnonzero(ended)
            fresh = np.arange(given, min(given + len(free), len(scenes)))
            job[free] = -1
            job[free[: len(fresh)]] = fresh
            given += len(fresh)
            if (job < 0).all():
                return episodes
            shown = scenes[np.maximum(job, 0)]  # lanes without a job play the first scene again
            options: dict[str, Any] = {"index": shown}
            if not ended.all():
                options["reset_mask"] = ended.copy()
            first = None if start is None else start(shown)
            first = first_fixation if first is None else first
            if first is not None:
                options["fixation"] = np.asarray(first, np.float32)
            observation, info = env.reset(options=options)
            began = free[: len(fresh)]
            episodes.label[fresh] = info["label"][began]
            episodes.box[fresh] = info["box"][began]
        busy = np.flatnonzero(job >= 0)
        episodes.fixations[job[busy], episodes.length[job[busy]]] = observation["fixation"][busy]
        episodes.length[job[busy]] += 1
        action, state = policy.predict(observation, state, ended, deterministic)
        observation, reward, terminated, truncated, info = env.step(action)
        episodes.reward[job[busy]] += reward[busy]
        ended = terminated | truncated
        done = busy[ended[busy]]
        if len(done):
            episodes.success[job[done]] = info["is_success"][done]
            episodes.answer[job[done]] = info["answer"][done]


def shown(
    env: Any, indices: Iterable[int] | None = None
) -> Iterator[tuple[dict[str, NDArray], dict[str, NDArray]]]:
    """What `reset` shows of scenes, without playing them: observations and infos in their order.

    Without `indices`, all scenes of the split; as many at a time as there are lanes.
    """
    core = env.unwrapped
    scenes = np.arange(core.split_length) if indices is None else np.array(list(indices), np.int64)
    lanes = int(env.num_envs)
    for start in range(0, len(scenes), lanes):
        part = scenes[start : start + lanes]
        filled = np.resize(part, lanes)  # lanes that are left over show some of them again
        observation, info = env.reset(options={"index": filled})
        yield (
            {name: values[: len(part)] for name, values in observation.items()},
            {name: info[name][: len(part)] for name in ("index", "label", "box")},
        )


def _empty(scenes: NDArray[np.int64], glimpses: int) -> Episodes:
    count = len(scenes)
    return Episodes(
        index=scenes,
        label=np.zeros(count, np.int64),
        answer=np.full(count, -1, np.int64),
        success=np.zeros(count, bool),
        reward=np.zeros(count),
        length=np.zeros(count, np.int64),
        fixations=np.full((count, glimpses, 2), np.nan, np.float32),
        box=np.zeros((count, 4), np.float32),
    )
