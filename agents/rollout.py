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

    index, length: int64 (N,). labels: int64 (N, Q), the truth of each question. answers: int64
    (N, A), in the order they were given, -1 for none: A is Q, or T where every step is an act.
    success: bool (N,). reward: float64 (N,), the sum. fixations: float32 (N, T, 2), those looked
    from, NaN after an early end. aim: float32 (N, 2), where the last action sent the eye. boxes:
    float32 (N, T, 4), in pixels, the target's at each glimpse, NaN after an early end; last_box:
    (N, 4), its place after the last action. reports: (N, ...) each, what the task told at the end,
    by name. frames: uint8 (N, T + 1, H, W, C), what stood before the eye at each glimpse and after
    the last action, where that was asked for.
    """

    index: NDArray[np.int64]
    labels: NDArray[np.int64]
    answers: NDArray[np.int64]
    success: NDArray[np.bool_]
    reward: NDArray[np.float64]
    length: NDArray[np.int64]
    fixations: NDArray[np.float32]
    aim: NDArray[np.float32]
    boxes: NDArray[np.float32]
    last_box: NDArray[np.float32]
    reports: dict[str, NDArray]
    frames: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.index)


def rollout(
    policy: Policy,
    env: Any,
    indices: Iterable[int] | None = None,
    first_fixation: ArrayLike | None = None,
    deterministic: bool = True,
    keep_frames: bool = False,
) -> Episodes:
    """One episode for each scene of `indices`; without it, for every scene of the split.

    A policy with `start(indices)` may say where the first glimpse goes, (2,) or (n, 2); else
    `first_fixation` (2,) does; else the environment. A lane whose episode ends is given the next
    scene at once, so that episodes may differ in length. Raises ValueError for scenes that the
    split does not have.
    """
    core = env.unwrapped
    lanes = int(env.num_envs)
    if getattr(core, "paths", 1) != 1:
        raise ValueError("each lane needs its own scene: make the environment with paths=1")
    scenes = np.arange(core.split_length) if indices is None else np.array(list(indices), np.int64)
    if len(scenes) and not 0 <= scenes.min() <= scenes.max() < core.split_length:
        raise ValueError(f"scenes must be in 0..{core.split_length - 1}, got {scenes.tolist()}")
    episodes = _empty(scenes, core, keep_frames)
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
            observation, _ = env.reset(options=options)
            began = free[: len(fresh)]
            episodes.labels[fresh] = core.labels[began]
        busy = np.flatnonzero(job >= 0)
        playing = job[busy]
        now = playing, episodes.length[playing]
        episodes.fixations[now] = observation["fixation"][busy]
        episodes.boxes[now] = core.truth["box"][busy]
        if episodes.frames is not None:
            episodes.frames[now] = core.images[busy]
        episodes.length[playing] += 1
        action, state = policy.predict(observation, state, ended, deterministic)
        observation, reward, terminated, truncated, info = env.step(action)
        episodes.reward[playing] += reward[busy]
        spoke = busy[core.said["answer"][busy] >= 0]
        said = (episodes.answers[job[spoke]] >= 0).sum(axis=1)  # answers before this one
        episodes.answers[job[spoke], said] = core.said["answer"][spoke]
        ended = terminated | truncated
        done = busy[ended[busy]]
        if len(done):
            _finish(episodes, job[done], done, core, info)


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


def _finish(
    episodes: Episodes, which: NDArray[np.int64], lanes: NDArray[np.int64], core: Any, info: Any
) -> None:
    """Take down how the episodes `which`, played in `lanes`, ended."""
    episodes.success[which] = info["is_success"][lanes]
    episodes.aim[which] = core.said["aim"][lanes]
    episodes.last_box[which] = core.truth["box"][lanes]
    if episodes.frames is not None:
        # After an early end everything stays as it was.
        for episode, lane in zip(which, lanes, strict=True):
            episodes.frames[episode, episodes.length[episode] :] = core.images[lane]
    for name, values in info.items():
        if name.startswith("_") or name in _ALWAYS:
            continue
        if name not in episodes.reports:
            shape = (len(episodes), *values.shape[1:])
            episodes.reports[name] = np.zeros(shape, values.dtype)
        episodes.reports[name][which] = values[lanes]


_ALWAYS = ("label", "index", "box", "is_success", "answer")  # what info tells of any task


def _empty(scenes: NDArray[np.int64], core: Any, keep_frames: bool) -> Episodes:
    count, glimpses = len(scenes), int(core.glimpses)
    questions = int(core.task.questions)
    given = glimpses if core.task.judged == "act" else questions
    frames = None
    if keep_frames:
        frames = np.zeros((count, glimpses + 1, *core.image_shape), np.uint8)
    return Episodes(
        index=scenes,
        labels=np.zeros((count, questions), np.int64),
        answers=np.full((count, given), -1, np.int64),
        success=np.zeros(count, bool),
        reward=np.zeros(count),
        length=np.zeros(count, np.int64),
        fixations=np.full((count, glimpses, 2), np.nan, np.float32),
        aim=np.zeros((count, 2), np.float32),
        boxes=np.full((count, glimpses, 4), np.nan, np.float32),
        last_box=np.zeros((count, 4), np.float32),
        reports={},
        frames=frames,
    )
