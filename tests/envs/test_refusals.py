"""Bad input to the environments: each gets one line that names the value and what would fit."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from saccade.envs import Dataset
from saccade.envs.actions import ActionError
from support import RandomAnswerer

ID = "saccade/Digits-v0"
ONE = (np.zeros((30, 28, 28), np.uint8), np.arange(30) % 3)


@pytest.mark.parametrize(
    ("action", "bad", "message"),
    [
        ("box", np.full(12, 1.1), r"1\.1.* is outside \[-1, 1\]"),
        ("box", np.r_[np.nan, np.zeros(11)], "nan"),
        ("box", np.zeros(11), r"shape \(11,\).*\(12,\) is needed"),
        ("box", "left", "not an array of numbers"),
        ("box", np.zeros(12, complex), "not an array of numbers"),
        ("grid", [[1, 2], [3]], "not an array of numbers"),
        ("dict", {"fixation": np.zeros(2)}, "'answer'"),
        ("dict", {"fixation": np.zeros(2), "answer": 10}, r"answer'\] 10 .*\[0, 10\)"),
        ("dict", np.zeros(3), "dictionary"),
        ("grid", np.array([7, 0, 0]), r"action 7 in lane 0, element 0"),
        ("grid", np.array([0.5, 0, 0]), "whole numbers"),
        ("discrete", 59, r"59 in lane 0 is outside \[0, 59\)"),
        ("discrete", -1, "-1 in lane 0"),
    ],
)
def test_a_bad_action_is_named(action, bad, message):
    env = gym.make(ID, action=action, disable_env_checker=True)
    env.reset(seed=0)
    with pytest.raises(ActionError, match=message) as caught:
        env.step(bad)
    assert "\n" not in str(caught.value)


def test_a_rounding_error_is_no_bad_action():
    env = gym.make(ID)
    env.reset(seed=0)
    observation, *_ = env.step(np.full(12, np.float32(1.0000005)))
    assert observation["fixation"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"split": "tset"}, "split='tset': did you mean 'test'"),
        ({"action": "dictt"}, "did you mean 'dict'"),
        ({"moves": "jump"}, "moves='jump'"),
        ({"moves": "relative", "reach": 0}, "reach=0"),
        ({"glimpses": 0}, "glimpses=0"),
        ({"size": 0}, "size=0"),
        ({"scales": 9}, "scales=9"),
        ({"canvas": "40"}, "canvas='40'"),
        ({"canvas": (40, 40.5)}, "canvas="),
        ({"size": "8"}, "size='8'"),
        ({"size": True}, "size=True"),
        ({"glimpses": float("nan")}, "glimpses=nan"),
        ({"glimpses": None}, "glimpses=None"),
        ({"stop": 2}, "stop=2"),
        ({"reach": float("inf")}, "reach=inf"),
        ({"glimpse_cost": float("nan")}, "glimpse_cost=nan"),
        ({"scene": "cluttered", "pieces": 2.5}, "pieces=2.5"),
        ({"shard": 3}, "shard=3"),
        ({"autoreset_mode": "SameStep"}, "make_vec"),
        ({"source": Dataset.from_splits({"train": ONE})}, "has no split"),
        ({"grid": (0, 3)}, "grid=.*rows"),
        ({"grid": [7]}, "grid=.*rows"),
        ({"paths": 2}, "paths=2"),
        ({"shard": (2, 2)}, r"shard=\(2, 2\)"),
        ({"reveal": ("label",)}, "reveal='label'"),
        ({"context_size": 0}, "context_size=0"),
        ({"reward": "sparse"}, "reward='sparse'"),
        ({"reward": "dense", "action": "dict"}, "needs a score"),
        ({"action": "fixation"}, "answerer"),
        ({"answerer": RandomAnswerer(10)}, "answerer"),
        ({"first_fixation": "left"}, "first_fixation='left'"),
        ({"source": "mnits"}, "mnits"),
        ({"canvas": 20}, "canvas=20"),
        ({"scene": "cluterred"}, "did you mean 'cluttered'"),
        ({"task": "clasify"}, "did you mean 'classify'"),
        ({"render_mode": "ansi"}, "render_mode"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_bad_keyword_is_named_in_one_line(keywords, message):
    split = {} if "source" not in keywords or "split" in keywords else {"split": "test"}
    with pytest.raises(ValueError, match=message) as caught:
        gym.make(ID, **keywords, **split)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lanes", [None, 2])
@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"glimpse": 4}, "'glimpse'.*did you mean 'glimpses'"),
        ({"scene": "cluttered", "pices": 4}, "did you mean 'pieces'"),
        ({"glimpse_cots": 0.1}, "did you mean 'glimpse_cost'"),
        (
            {"frameskip": 1},
            "unexpected keyword argument 'frameskip'",
        ),  # TorchRL's try, word by word
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_an_unknown_keyword_is_pythons_own_error(lanes, keywords, message):
    with pytest.raises(TypeError, match=message) as caught:
        gym.make_vec(ID, lanes, **keywords) if lanes else gym.make(ID, **keywords)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"idnex": 3}, "did you mean 'index'"),
        ({"index": 10**6}, "counted from 0"),
        ({"index": -1}, "counted from 0"),
        ({"index": 0.5}, "whole number"),
        ({"index": [[1], [2, 3]]}, "not an array"),
        ({"fixation": "ab"}, r"within \[-1, 1\]"),
        ({"restart": "no"}, "True or False"),
        ({"fixation": (2, 0)}, r"within \[-1, 1\]"),
        ({"fixation": (0, 0, 0)}, "one a lane"),
        ({"reset_mask": np.zeros(2, bool)}, "at least one True"),
        ({"reset_mask": [1, 0]}, "bool array"),
    ],
)
def test_a_bad_option_is_named(options, message):
    env = gym.make_vec(ID, num_envs=2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.reset(options=options)


def test_bad_seeds_are_refused():
    for seed in (-1, [1, 2], 1.5, 2**64):
        with pytest.raises(ValueError, match="seed"):
            gym.make_vec(ID, num_envs=2).reset(seed=seed)


def test_steps_out_of_turn_are_refused():
    env = gym.make(ID, glimpses=1, disable_env_checker=True).unwrapped
    with pytest.raises(ResetNeeded, match="before reset"):
        env.step(env.action_space.sample())
    env.reset(seed=0)
    env.step(env.action_space.sample())
    with pytest.raises(ResetNeeded, match="after the end"):
        env.step(env.action_space.sample())


def test_a_seed_is_for_all_lanes():
    env = gym.make_vec(ID, num_envs=2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="all lanes"):
        env.reset(seed=1, options={"reset_mask": np.array([True, False])})


def test_a_restored_walk_wants_a_reset_first():
    env = gym.make_vec(ID, num_envs=2)
    env.reset(seed=0)
    env.unwrapped.restore_walk(env.unwrapped.walk_state())
    with pytest.raises(ResetNeeded):
        env.step(env.action_space.sample())
