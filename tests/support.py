"""What the tests share: the ids, and comparing what Gymnasium nests."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import saccade  # noqa: F401  (registers the ids)
from saccade.envs.actions import ACTIONS
from saccade.envs.fit import fitting_actions
from saccade.envs.registration import ENVIRONMENTS
from saccade.envs.tasks import TASKS, Task

ON_DISK = ("mnist", "fashion-mnist")
DATA = Path(os.environ.get("SACCADE_DATA", "."))


def has_data(name: str) -> bool:
    """Whether the files of a data set that is not bundled are at hand."""
    return any((DATA / name).glob("*ubyte*"))


def needs_data(env_id: str) -> str | None:
    """The data set of an id, where that is not bundled."""
    source = ENVIRONMENTS[env_id]["source"]
    return source if source in ON_DISK else None


def with_data(env_id: str, *more: Any) -> Any:
    """A test's parameters, an id first; skipped without the id's data, and it says so."""
    source = needs_data(env_id)
    missing = source is not None and not has_data(source)
    reason = f"needs {source} under $SACCADE_DATA"
    return pytest.param(env_id, *more, marks=pytest.mark.skipif(missing, reason=reason))


def ids() -> list:
    """Every registered id; those without their data are skipped, and say so."""
    return [with_data(name) for name in ENVIRONMENTS]


@dataclass(frozen=True)
class RandomAnswerer:
    """Scores that follow from what is seen, for `action="fixation"`."""

    answers: int

    def __call__(self, observation: dict, episode_start: np.ndarray) -> np.ndarray:
        mean = observation["glimpse"].mean(axis=(1, 2, 3))
        return np.sin(mean[:, None] * 1000 + np.arange(self.answers)).astype(np.float32)


def task_of(env_id: str) -> Task:
    """The task of an id, with its own options."""
    found = ENVIRONMENTS[env_id]
    kind = TASKS[found.get("task", "classify")]
    return kind(**{name: found[name] for name in kind.__dataclass_fields__ if name in found})


def action_keywords(action: str, env_id: str = "saccade/Digits-v0") -> dict:
    """The keywords that make an environment with this action mode."""
    answers = task_of(env_id).answers(10)
    if action != "fixation" or not answers:
        return {"action": action}
    return {"action": action, "answerer": RandomAnswerer(answers)}


def ids_and_actions() -> list:
    """Every id with each action mode that fits its task."""
    return [
        pytest.param(param.values[0], action, marks=param.marks, id=f"{param.values[0]}-{action}")
        for param in ids()
        for action in fitting_actions(task_of(param.values[0]))
    ]


ACTION_MODES = list(ACTIONS)


def assert_same(left, right, path: str = "") -> None:
    """Equal to the last bit, through dictionaries and arrays of objects."""
    if isinstance(left, dict):
        assert isinstance(right, dict) and set(left) == set(right), (path, set(left) ^ set(right))
        for name in left:
            assert_same(left[name], right[name], f"{path}/{name}")
    elif isinstance(left, tuple):
        assert isinstance(right, tuple) and len(left) == len(right), path
        for place, (one, other) in enumerate(zip(left, right, strict=True)):
            assert_same(one, other, f"{path}[{place}]")
    elif isinstance(left, np.ndarray) and left.dtype == object:
        assert right.dtype == object and len(left) == len(right), path
        for place, (one, other) in enumerate(zip(left, right, strict=True)):
            assert_same(one, other, f"{path}[{place}]")
    elif isinstance(left, np.ndarray):
        assert left.dtype == right.dtype and left.shape == right.shape, path
        assert np.array_equal(left, right), path
    else:
        assert type(left) is type(right) and left == right, path


def make_shards(env_id: str, lanes: int, autoreset_mode: str, **keywords) -> gym.vector.VectorEnv:
    """Gymnasium's own vector environment over the single environments that are the lanes."""
    return gym.vector.SyncVectorEnv(
        [
            lambda lane=lane: gym.make(env_id, shard=(lane, lanes), **keywords)
            for lane in range(lanes)
        ],
        autoreset_mode=autoreset_mode,
    )


def walk_together(native, reference, steps: int, mode: str) -> None:
    """Drive two vector environments with the same actions and compare all that they say."""
    native.action_space.seed(3)
    assert native.action_space == reference.action_space
    assert native.observation_space == reference.observation_space
    assert_same(native.reset(seed=5), reference.reset(seed=[5] * native.num_envs))
    for _ in range(steps):
        actions = native.action_space.sample()
        ours, theirs = native.step(actions), reference.step(actions)
        assert_same(ours, theirs)
        ended = ours[2] | ours[3]
        if mode == "Disabled" and ended.any():
            again = [env.reset(options={"reset_mask": ended.copy()}) for env in (native, reference)]
            assert_same(*again)
