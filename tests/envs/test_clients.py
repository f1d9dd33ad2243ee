"""Real clients: stable-baselines3 trains on the ids as they are, Gymnasium's wrappers fit."""

from __future__ import annotations

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import FlattenObservation, RecordEpisodeStatistics
from gymnasium.wrappers.vector import RecordEpisodeStatistics as RecordVectorStatistics
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import SubprocVecEnv

from support import action_keywords

ID = "saccade/Digits-v0"


@pytest.mark.parametrize(
    ("algorithm", "action", "options"),
    [
        (PPO, "box", {"n_steps": 32, "batch_size": 32}),
        (PPO, "grid", {"n_steps": 32, "batch_size": 32}),
        (PPO, "discrete", {"n_steps": 32, "batch_size": 32}),
        (PPO, "fixation", {"n_steps": 32, "batch_size": 32}),
        (A2C, "box", {}),
        (A2C, "grid", {}),
        (DQN, "discrete", {"learning_starts": 20}),
        (SAC, "box", {"learning_starts": 20}),
        (SAC, "fixation", {"learning_starts": 20}),
    ],
)
def test_sb3_trains(algorithm, action, options):
    keywords = action_keywords(action)
    if action == "fixation":
        keywords["answerer"] = single_answerer
    env = make_vec_env(ID, n_envs=1, seed=0, env_kwargs=keywords)
    model = algorithm("MultiInputPolicy", env, seed=0, device="cpu", **options)
    model.learn(total_timesteps=64)
    mean, _ = evaluate_policy(model, env, n_eval_episodes=3, warn=False)
    assert 0 <= mean <= 1


def single_answerer(observation, episode_start):
    return np.eye(10, dtype=np.float32)[:1]


def test_sb3_takes_the_id_itself():
    PPO("MultiInputPolicy", ID, n_steps=16, batch_size=16).learn(total_timesteps=16)


def test_sb3_in_other_processes():
    env = make_vec_env(f"saccade:{ID}", n_envs=2, seed=0, vec_env_cls=SubprocVecEnv)
    observation = env.reset()
    assert observation["glimpse"].shape == (2, 1, 8, 8)
    observation, reward, done, info = env.step(np.zeros((2, 12), np.float32))
    assert reward.shape == done.shape == (2,)
    assert {"label", "index", "box"} <= set(info[0])
    env.close()


def test_gymnasium_wrappers_fit():
    env = FlattenObservation(RecordEpisodeStatistics(gym.make(ID)))
    observation, _ = env.reset(seed=0)
    assert observation.shape == (64 + 2 + 1,)
    ended = False
    while not ended:
        _, _, ended, _, info = env.step(env.action_space.sample())
    assert info["episode"]["l"] == 6


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_gymnasium_vector_wrappers_count_whole_episodes(mode):
    env = RecordVectorStatistics(gym.make_vec(ID, num_envs=3, autoreset_mode=mode))
    env.reset(seed=0)
    for _ in range(6):
        *_, ended, _, info = env.step(env.action_space.sample())
    last = info["final_info"] if "final_info" in info and "episode" not in info else info
    assert ended.all() and last["episode"]["l"].tolist() == [6, 6, 6]


def test_ids_are_found_through_the_module_name_alone():
    code = (
        "import gymnasium; env = gymnasium.make('saccade:saccade/Digits-v0'); env.reset(seed=0);"
        "print(env.spec.id)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "saccade/Digits-v0", run.stderr
