"""Environments met by whatever a caller may hand in: it works, or it is refused in one line."""

from __future__ import annotations

import functools
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import Error
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.envs.actions import ACTIONS, ActionError
from saccade.envs.registration import ENVIRONMENTS, keywords
from saccade.envs.scenes import SCENES
from saccade.envs.sensors import SENSORS
from saccade.envs.tasks import TASKS
from support import ON_DISK

IDS = [name for name, own in ENVIRONMENTS.items() if own["source"] not in ON_DISK]
NAMES = [*ACTIONS, *SCENES, *SENSORS, *TASKS, "image", "box", "context", "canvas", "relative"]
NAMES += ["train", "validation", "test", "center", "dense", "digits", "Disabled", ""]
# A huge number stands for all that would take memory; the small ones are often right.
NUMBERS = [0, 1, 2, 3, 8, -1, 10**9, 10**18, 10**400, 0.5, 1e300, float("nan"), float("inf")]

plain = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(NAMES),
    st.none(),
    st.booleans(),
    st.binary(max_size=3),
)
anything = st.one_of(plain, st.lists(plain, max_size=3), st.lists(plain, max_size=3).map(tuple))
# Windows are not opened here, nor folders and devices looked for.
LEFT_OUT = {"render_mode", "device", "source", "num_envs"}


def one_line(error: BaseException) -> None:
    assert str(error) and "\n" not in str(error) and len(str(error)) < 2000, str(error)


@given(
    st.sampled_from(IDS),
    st.sampled_from([None, 1, 3]),
    st.sampled_from(list(SENSORS)),
    st.lists(st.tuples(st.integers(0, 10**6), anything), max_size=3),
)
@settings(max_examples=max(250, settings.default.max_examples))
def test_any_keywords(env_id, lanes, sensor, chosen):
    known = sorted(keywords(env_id, sensor).keys() - LEFT_OUT)
    own = {known[place % len(known)]: value for place, value in chosen}
    own.setdefault("sensor", sensor)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Gymnasium's, of spaces that are no common ones
            if lanes is None:
                env = gym.make(env_id, disable_env_checker=True, **own)
            else:
                env = gym.make_vec(env_id, lanes, **own)
    except (ValueError, TypeError, Error) as error:
        one_line(error)
        return
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    observation, *_ = env.step(env.action_space.sample())
    assert observation in env.observation_space
    env.close()


@functools.cache
def environment(env_id: str, action: str, lanes: int | None):
    keywords = {"action": action, "glimpses": 3}
    if lanes is None:
        return gym.make(env_id, disable_env_checker=True, **keywords)
    return gym.make_vec(env_id, lanes, **keywords)


arrays = st.sampled_from(["f4", "f8", "i8", "u1", "?", "c8", "O", "U3", "M8[s]"]).flatmap(
    lambda kind: st.lists(st.integers(0, 4), max_size=3).map(lambda shape: np.zeros(shape, kind))
)
junk = st.one_of(anything, arrays, st.dictionaries(st.sampled_from(NAMES), anything, max_size=2))
options = st.dictionaries(
    st.sampled_from(["index", "fixation", "restart", "reset_mask", "idnex"]),
    st.one_of(junk, st.just(np.array([True, False, True])), st.just([[0, 0]] * 3)),
    max_size=2,
)


@pytest.mark.parametrize("lanes", [None, 3])
@given(options=options, seed=st.one_of(st.none(), anything))
def test_any_options_of_reset(lanes, options, seed):
    env = environment("saccade/Digits-v0", "box", lanes)
    env.reset(seed=0)
    try:
        observation, _ = env.reset(seed=seed, options=options)
    except (ValueError, TypeError, Error) as error:
        one_line(error)
        observation, _ = env.reset(seed=0)  # it goes on as if nothing had been
    assert observation in env.observation_space


@pytest.mark.parametrize("lanes", [None, 3])
@pytest.mark.parametrize("action", ["box", "dict", "grid", "discrete"])
@given(given=st.one_of(junk, st.fixed_dictionaries({"fixation": junk, "answer": junk})))
def test_any_action(lanes, action, given):
    env = environment("saccade/Digits-v0", action, lanes)
    env.reset(seed=0)
    try:
        observation, *_ = env.step(given)
    except ActionError as error:
        one_line(error)
        observation, *_ = env.step(env.action_space.sample())
    assert observation in env.observation_space
