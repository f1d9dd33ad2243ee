"""The environments' contract, over the registry: Gymnasium's and SB3's checkers, and the native
vector environment against Gymnasium's own over single environments, to the last bit."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from saccade.envs.scenes import TranslatedScene
from support import (
    ACTION_MODES,
    action_keywords,
    assert_same,
    ids,
    ids_and_actions,
    make_shards,
    walk_together,
)

MODES = ["NextStep", "SameStep", "Disabled"]


@pytest.mark.parametrize(("env_id", "action"), ids_and_actions())
def test_gymnasium_checker_has_no_complaint(env_id, action, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # it tries every render mode
    env = gym.make(env_id, render_mode="rgb_array", **action_keywords(action, env_id))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_render_check=find_spec("pygame") is None)


@pytest.mark.parametrize(("env_id", "action"), ids_and_actions())
def test_sb3_checker_raises_nothing(env_id, action):
    env = gym.make(env_id, render_mode="rgb_array", **action_keywords(action, env_id))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its advice on float images and Dict actions
        sb3_check_env(env.unwrapped)


@pytest.mark.parametrize("env_id", ids())
@pytest.mark.parametrize("mode", MODES)
def test_native_equals_gymnasiums_own_over_the_shards(env_id, mode):
    native = gym.make_vec(env_id, num_envs=3, autoreset_mode=mode)
    assert native.unwrapped.metadata["autoreset_mode"] == AutoresetMode(mode)
    walk_together(native, make_shards(env_id, 3, mode), 20, mode)


@pytest.mark.parametrize(
    "keywords",
    [
        *(action_keywords(action) for action in ACTION_MODES),
        {"action": "box", "stop": True},
        {"action": "dict", "stop": True},
        {"action": "grid", "stop": True, "grid": (3, 5)},
        {**action_keywords("fixation"), "stop": True},
        {"moves": "relative", "reach": 0.25},
        {"reveal": ("image", "box")},
        {"reveal": "context", "context_size": 5, "scene": "drifting", "canvas": 40},
        {"memory": "canvas", "scales": 2},
        {"reward": "dense"},
        {"glimpse_cost": 0.01, "action": "discrete"},
        {"split": "validation", "placements": 2},
        {"split": "test", "first_fixation": "center"},
        {"glimpses": 1},
        {"scene": "cluttered", "canvas": (40, 50), "pieces": 2, "size": 5, "scales": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", MODES)
def test_native_equals_the_shards_with_every_option(keywords, mode):
    env_id = "saccade/Digits-v0"
    native = gym.make_vec(env_id, num_envs=4, autoreset_mode=mode, **keywords)
    walk_together(native, make_shards(env_id, 4, mode, **keywords), 40, mode)


def test_paths_share_scenes_also_across_shards():
    keywords = {"paths": 2, "scene": "translated", "canvas": 40}
    native = gym.make_vec("saccade/Digits-v0", num_envs=4, autoreset_mode="Disabled", **keywords)
    walk_together(
        native, make_shards("saccade/Digits-v0", 4, "Disabled", **keywords), 12, "Disabled"
    )
    fixation = native.reset()[0]["fixation"]
    images = native.unwrapped.images
    assert np.array_equal(images[0], images[1]) and np.array_equal(images[2], images[3])
    assert not np.array_equal(images[0], images[2])
    assert not np.array_equal(fixation[0], fixation[1])


def test_a_scene_that_paths_share_is_drawn_once(monkeypatch):
    drawn = []
    draw = TranslatedScene.draw

    def counted(self, images, index, key):
        drawn.append(len(index))
        return draw(self, images, index, key)

    monkeypatch.setattr(TranslatedScene, "draw", counted)
    keywords = {"scene": "translated", "canvas": 40, "autoreset_mode": "Disabled"}
    env = gym.make_vec("saccade/Digits-v0", num_envs=12, paths=4, **keywords)
    env.reset(seed=0)
    env.reset(options={"reset_mask": np.arange(12) >= 6})  # half of a group with the rest of one
    env.reset(options={"index": np.arange(12)})
    assert drawn == [3, 2, 12]


def test_two_ranks_equal_one():
    whole = gym.make_vec("saccade/Digits-v0", num_envs=6)
    halves = [gym.make_vec("saccade/Digits-v0", num_envs=3, shard=(i, 2)) for i in range(2)]
    whole.action_space.seed(0)
    expected, _ = whole.reset(seed=1)
    got = [env.reset(seed=1)[0] for env in halves]
    for _ in range(15):
        for name, values in expected.items():
            assert np.array_equal(values, np.concatenate([part[name] for part in got]))
        actions = whole.action_space.sample()
        expected = whole.step(actions)[0]
        got = [env.step(actions[3 * i : 3 * i + 3])[0] for i, env in enumerate(halves)]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gymnasiums_vectorisation_by_name(mode):
    env = gym.make_vec("saccade/Digits-v0", num_envs=2, vectorization_mode=mode)
    observation, _ = env.reset(seed=0)
    assert observation["glimpse"].shape == (2, 1, 8, 8)
    observation, reward, *_ = env.step(env.action_space.sample())
    assert reward.shape == (2,)
    env.close()


def test_own_vectorisation_is_the_default():
    env = gym.make_vec("saccade/Digits-v0", num_envs=2)
    assert not isinstance(env.unwrapped, SyncVectorEnv)
    assert type(env.unwrapped).__name__ == "GlimpseVectorEnv"


def test_observations_are_fresh_arrays():
    env = gym.make_vec("saccade/Digits-v0", num_envs=2, reveal=("image", "box", "context"))
    observation, _ = env.reset(seed=0)
    kept = []
    for _ in range(16):
        kept.append((observation, {name: values.copy() for name, values in observation.items()}))
        observation = env.step(env.action_space.sample())[0]
        for old, copies in kept:
            assert_same(old, copies)
            assert not any(np.shares_memory(old[name], observation[name]) for name in old)


def test_writing_into_what_was_returned_changes_nothing():
    careful, careless = (gym.make_vec("saccade/Digits-v0", num_envs=3) for _ in range(2))
    careful.action_space.seed(0)
    a, b = careful.reset(seed=0), careless.reset(seed=0)
    for _ in range(20):
        assert_same(a, b)
        for part in b:
            for values in part.values() if isinstance(part, dict) else [part]:
                values[...] = 0
        actions = careful.action_space.sample()
        a, b = careful.step(actions), careless.step(actions.copy())


def test_metadata_belongs_to_the_instance():
    one = gym.make_vec("saccade/Digits-v0", num_envs=1, autoreset_mode="SameStep").unwrapped
    other = gym.make_vec("saccade/Digits-v0", num_envs=1).unwrapped
    assert one.metadata["autoreset_mode"] == one.autoreset_mode == AutoresetMode.SAME_STEP
    assert other.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    single, another = (gym.make("saccade/Digits-v0").unwrapped for _ in range(2))
    single.metadata["render_fps"] = 30
    assert another.metadata["render_fps"] == 4


@pytest.mark.parametrize("env_id", ids())
def test_budget_is_part_of_the_task(env_id):
    assert gym.spec(env_id).max_episode_steps is None
    env = gym.make(env_id)
    env.reset(seed=0)
    ends = [env.step(env.action_space.sample())[2:4] for _ in range(env.unwrapped.glimpses)]
    assert ends == [(False, False)] * (len(ends) - 1) + [(True, False)]
