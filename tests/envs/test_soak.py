"""Random actions in every id, action mode, autoreset mode and, where there is one, stop.

Two episodes a case here; 100,000 steps a case, some twenty minutes, by
`python -m pytest tests/envs/test_soak.py -m slow`.
"""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from saccade.envs.registration import ENVIRONMENTS
from support import action_keywords, ids_and_actions, task_of

LANES = 8
LONG = pytest.param(100_000, marks=pytest.mark.slow)


def stops(env_id: str) -> bool:
    """Whether an agent may stop early there: not where every step counts."""
    task = task_of(env_id)
    return task.judged != "act" and not task.every_step


def cases() -> list:
    found = []
    for param in ids_and_actions():
        env_id, action = param.values
        for stop in (False, True)[: 1 + stops(env_id)]:
            name = f"{param.id}{'-stop' * stop}"
            found.append(pytest.param(env_id, action, stop, marks=param.marks, id=name))
    return found


@pytest.mark.parametrize("steps", [0, LONG])
@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
@pytest.mark.parametrize(("env_id", "action", "stop"), cases())
def test_soak(env_id, action, stop, mode, steps):
    lanes = LANES if not steps else 250
    keywords = {**action_keywords(action, env_id), "stop": stop, "autoreset_mode": mode}
    env = gym.make_vec(env_id, num_envs=lanes, **keywords)
    glimpses = ENVIRONMENTS[env_id]["glimpses"]
    watched = Watched(env, glimpses, may_stop=stop or action == "discrete")
    env.action_space.seed(1)
    watched.reset()
    for _ in range(steps // lanes or 2 * glimpses + 4):
        watched.step(env.action_space.sample())
    assert watched.episodes >= lanes


class Watched:
    """Steps a vector environment and checks all that it says; counts where each lane is."""

    def __init__(self, env: gym.vector.VectorEnv, glimpses: int, may_stop: bool) -> None:
        self.env, self.core, self.glimpses, self.may_stop = env, env.unwrapped, glimpses, may_stop
        self.mode = self.core.autoreset_mode.value
        self.lanes = env.num_envs
        self.age = np.zeros(self.lanes, int)  # steps taken in the episode
        self.gained = np.zeros(self.lanes)  # rewards of the episode
        self.ended = np.zeros(self.lanes, bool)
        self.episodes = 0

    def reset(self) -> None:
        observation, info = self.env.reset(seed=2)
        self._seen(observation, np.ones(self.lanes))
        self._told(info, np.ones(self.lanes, bool))

    def step(self, actions) -> None:
        waited = self.ended.copy()  # in the next-step mode these begin anew
        observation, reward, ended, truncated, info = self.env.step(actions)
        self.age = np.where(waited, 0, self.age + 1)
        assert reward.shape == (self.lanes,) and reward.dtype == np.float64
        assert np.isfinite(reward).all() and not reward[waited].any()
        assert ended.dtype == truncated.dtype == np.bool_ and not truncated.any()
        self._ends(ended)
        self.gained = np.where(waited, 0, self.gained + reward)
        assert (self.gained > -1e-9).all() and (self.gained < 1 + 1e-9).all()

        # At an end nothing new is seen; `progress` counts what was.
        seen = self.age + ~ended
        if self.mode == "SameStep":
            if ended.any():
                self._final(info, ended, seen)
                info = {name: values for name, values in info.items() if "final" not in name}
            seen = np.where(ended, 1, seen)
        elif ended.any():
            self._success(info, ended)
        assert ("is_success" in info) == (self.mode != "SameStep" and bool(ended.any()))
        self._seen(observation, seen)
        self._told(info, np.ones(self.lanes, bool))
        self.episodes += ended.sum()

        if self.mode == "NextStep":
            self.ended = ended
        elif ended.any():
            if self.mode == "Disabled":
                self._reset(ended, observation, seen)
            self.age[ended], self.gained[ended] = 0, 0

    def _reset(self, ended: np.ndarray, before: dict, seen: np.ndarray) -> None:
        observation, info = self.env.reset(options={"reset_mask": ended.copy()})
        self._seen(observation, np.where(ended, 1, seen))
        self._told(info, ended)
        for name, values in observation.items():  # the others wait and see what they saw
            assert np.array_equal(values[~ended], before[name][~ended])

    def _ends(self, ended: np.ndarray) -> None:
        over = self.age == self.glimpses
        assert ended[over].all() and (self.age <= self.glimpses).all()
        if not self.may_stop:
            assert np.array_equal(ended, over)

    def _seen(self, observation: dict, seen: np.ndarray) -> None:
        assert self.env.observation_space.contains(observation)
        progress = (seen / self.glimpses).astype(np.float32)
        assert np.array_equal(observation["progress"][:, 0], progress)

    def _told(self, info: dict, lanes: np.ndarray) -> None:
        """What is true of `lanes`, and the layout of all that is told."""
        height, width, _ = self.core.image_shape
        self._layout(info)
        for name in ("label", "index", "box"):
            assert np.array_equal(info[f"_{name}"], lanes)
        answers = self.core.answers or self.core.num_classes
        assert (info["label"] >= 0).all() and (info["label"] < answers).all()
        assert (info["index"] >= 0).all() and (info["index"] < self.core.split_length).all()
        x0, y0, x1, y1 = info["box"][lanes].T
        assert ((x0 >= 0) & (x0 < x1) & (x1 <= width)).all()
        assert ((y0 >= 0) & (y0 < y1) & (y1 <= height)).all()

    def _layout(self, info: dict) -> None:
        for name in [name for name in info if not name.startswith("_")]:
            values, mask = info[name], info[f"_{name}"]
            assert mask.dtype == np.bool_ and mask.shape == (self.lanes,)
            assert len(values) == self.lanes and np.isfinite(values).all()
            assert not values[~mask].any()
        assert all(name[1:] in info for name in info if name.startswith("_"))

    def _success(self, info: dict, ended: np.ndarray) -> None:
        """What is told of lanes that end, and of them alone."""
        self._layout(info)
        assert np.array_equal(info["_is_success"], ended)
        assert info["is_success"].dtype == np.bool_ and info["answer"].dtype == np.int64
        success = info["is_success"] & ended
        assert (self.gained[success] > 0.5).all()  # a success pays in every task
        answer = info["answer"][ended]
        assert (answer >= -1).all() and (answer < max(self.core.answers, 1)).all()

    def _final(self, info: dict, ended: np.ndarray, seen: np.ndarray) -> None:
        """The last observation and infos of lanes that ended and began anew in one step."""
        assert np.array_equal(info["_final_obs"], ended)
        assert np.array_equal(info["_final_info"], ended)
        for lane, last in enumerate(info["final_obs"]):
            assert (last is None) == (not ended[lane])
            if last is not None:
                assert self.env.single_observation_space.contains(last)
                assert last["progress"] == np.float32(seen[lane] / self.glimpses)
        self._success(info["final_info"], ended)
        self._told(info["final_info"], ended)
