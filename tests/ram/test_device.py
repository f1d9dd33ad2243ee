"""RAM learns from tensors where they are: the same weights as from arrays, and no copies."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from saccade.agents.config import resolve
from saccade.agents.train import train
from saccade.ram import DRAM, RAM

HOW = {"num_envs": 16, "paths": 2, "action": "dict", "autoreset_mode": "Disabled"}
SHOWN = {"reveal": ("context",), "context_size": 6}


@pytest.mark.parametrize("kind", [RAM, DRAM])
@pytest.mark.parametrize("env_id", ["saccade/ClutteredDigits-v0", "saccade/Catch-v0"])
def test_the_same_weights_come_of_both_paths(kind, env_id):
    learned = []
    for device in (None, "cpu"):
        env = gym.make_vec(env_id, device=device, **HOW, **SHOWN)
        learner = kind(env, hidden=8, seed=0).learn(1000)
        learned.append(learner.network.state_dict())
    assert all(torch.equal(values, learned[1][name]) for name, values in learned[0].items())


def test_tensors_are_taken_without_a_copy():
    env = gym.make_vec("saccade/Digits-v0", device="cpu", **HOW)
    learner = RAM(env, hidden=8)
    observation, _ = env.reset(seed=0)
    for name, values in learner._seen(observation).items():
        assert values.data_ptr() == observation[name].data_ptr()
    action, state = learner.predict(observation, deterministic=True)
    host = {name: values.numpy() for name, values in observation.items()}
    expected, known = learner.predict(host, deterministic=True)
    assert np.array_equal(action["fixation"], expected["fixation"])
    assert np.array_equal(state[0], known[0])


def test_a_run_on_a_device_looks_there(tmp_path):
    config = resolve(
        {
            "env": {"id": "saccade/Digits-v0"},
            "agent": {"name": "ram", "num_envs": 16, "paths": 2, "hidden": 8},
            "train": {"total_timesteps": 200, "eval_freq": 200, "threads": 1},
            "device": "cpu:0",  # any but "cpu"
        }
    )
    made = []
    real = gym.make_vec

    def watched(env_id, **keywords):
        made.append((keywords["split"], keywords.get("device")))
        return real(env_id, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gym, "make_vec", watched)
        done = train(config, tmp_path)
    assert done.timesteps >= 200
    assert ("train", "cpu:0") in made and ("validation", None) in made
