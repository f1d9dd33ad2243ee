"""The fast SB3 environment equals SB3's own over single environments, step for step."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecMonitor, VecNormalize

from saccade.agents.sb3 import GlimpseExtractor, NativeVecEnv, make_vec_env
from support import assert_same

ID = "saccade/Digits-v0"


def dummy(lanes: int, seed: int, **keywords) -> DummyVecEnv:
    """SB3's own vector environment over the shards, all of them with one seed."""

    def make(lane: int):
        return lambda: gym.make(ID, shard=(lane, lanes), **keywords)

    env = DummyVecEnv([make(lane) for lane in range(lanes)])
    env._seeds = [seed] * lanes
    return env


def plain(value):
    """SB3 mixes ordered dictionaries in; only what they hold matters."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(plain(inner) for inner in value)
    return value


@pytest.mark.parametrize("action", ["box", "grid", "discrete"])
@pytest.mark.parametrize("keywords", [{}, {"glimpses": 1}, {"reveal": ("box",)}], ids=str)
def test_equals_dummy_vec_env_step_for_step(action, keywords):
    ours = make_vec_env(ID, 3, seed=4, action=action, **keywords)
    theirs = dummy(3, 4, action=action, **keywords)
    assert ours.action_space == theirs.action_space
    assert ours.observation_space == theirs.observation_space
    assert_same(plain(ours.reset()), plain(theirs.reset()))
    assert_same(plain(ours.reset_infos), plain(theirs.reset_infos))
    ours.action_space.seed(1)
    for _ in range(25):
        actions = np.array([ours.action_space.sample() for _ in range(3)])
        assert_same(plain(ours.step(actions)), plain(theirs.step(actions)))
        assert_same(plain(ours.reset_infos), plain(theirs.reset_infos))


@pytest.mark.parametrize("lanes", [1, 7, 64])
def test_an_evaluation_counts_every_scene_once(lanes):
    env = make_vec_env(ID, lanes, action="discrete", split="validation")
    scenes = env.get_attr("split_length")[0]

    class Sure:
        def predict(self, observation, state=None, episode_start=None, deterministic=True):
            return np.full(lanes, 49), state

    seen: list[int] = []

    def note(names, _):
        lane = names["i"]
        counted = names["episode_counts"][lane] < names["episode_count_targets"][lane]
        if names["done"] and counted:
            seen.append(names["info"]["index"])

    for _ in range(2):  # a second evaluation begins the walk again
        seen.clear()
        evaluate_policy(Sure(), VecMonitor(env), n_eval_episodes=scenes, callback=note)
        assert sorted(seen) == list(range(scenes))


def test_seeds_options_attributes_and_methods():
    env = make_vec_env(ID, 2, seed=3, action="discrete", grid=(2, 2))
    first = env.reset()
    env.seed(3)
    assert_same(first, env.reset())
    env.set_options([{"index": 5}, {"index": 9}])
    env.reset()
    assert [info["index"] for info in env.reset_infos] == [5, 9]
    assert env.get_attr("glimpses") == [6, 6] and env.get_attr("glimpses", 1) == [6]
    assert env.has_attr("action_masks") and not env.has_attr("nothing")
    masks = np.stack(env.env_method("action_masks"))
    assert masks.shape == (2, 14) and masks.all()
    assert env.env_is_wrapped(gym.Wrapper) == [False, False]
    env.set_attr("note", "all of them")
    assert env.get_attr("note") == ["all of them"] * 2
    with pytest.raises(ValueError, match="share one object"):
        env.set_attr("note", "one", indices=[0])


def test_pictures_are_tiled():
    env = make_vec_env(ID, 4, seed=0, render_mode="rgb_array")
    env.reset()
    one = env.get_images()[0]
    assert env.render().shape == (2 * one.shape[0], 2 * one.shape[1], 3)


@pytest.mark.parametrize(
    "wrap",
    [
        VecMonitor,
        lambda env: VecNormalize(env, norm_obs_keys=["fixation"]),
        lambda env: VecFrameStack(env, 3, channels_order={"glimpse": "first", **LAST}),
    ],
)
def test_sb3_wrappers_and_algorithms_learn_on_it(wrap):
    env = wrap(make_vec_env(ID, 4, seed=0, action="grid"))
    policy = {"features_extractor_class": GlimpseExtractor}
    if env.observation_space["glimpse"].shape[0] > 1:
        policy = {}
    PPO(
        "MultiInputPolicy", env, n_steps=16, batch_size=32, policy_kwargs=policy, device="cpu"
    ).learn(128)


LAST = {"fixation": "last", "progress": "last"}


def test_off_policy_too_and_an_evaluation_with_a_model():
    env = make_vec_env(ID, 4, seed=0, action="discrete")
    model = DQN("MultiInputPolicy", env, learning_starts=16, device="cpu").learn(64)
    unseen = make_vec_env(ID, 4, action="discrete", split="validation")
    mean, _ = evaluate_policy(model, VecMonitor(unseen), n_eval_episodes=8)
    assert 0 <= mean <= 1


def test_what_sb3_cannot_take_is_said():
    with pytest.raises(ValueError, match="use action='grid'"):
        make_vec_env(ID, 2, action="dict")
    with pytest.raises(ValueError, match="autoreset_mode='SameStep'"):
        NativeVecEnv(gym.make_vec(ID, num_envs=2))
