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
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("env_id", ["saccade/ClutteredDigits-v0", "saccade/Catch-v0"])
def test_the_same_weights_come_of_both_paths(kind, env_id, precision):
    learned = []
    for device in (None, "cpu"):
        env = gym.make_vec(env_id, device=device, **HOW, **SHOWN)
        learner = kind(env, hidden=8, seed=0, precision=precision).learn(1000)
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


def test_an_update_alone_looks_without_the_environment(monkeypatch):
    env = gym.make_vec("saccade/ClutteredDigits-v0", device="cpu", **HOW)
    monkeypatch.setattr(env, "step", None)
    assert RAM(env, hidden=8).learn(200).num_timesteps >= 200


@pytest.mark.parametrize("keywords", [{"stop": True}, {"glimpse_cost": 0.1}])
def test_where_more_counts_it_goes_through_the_environment(keywords):
    env = gym.make_vec("saccade/Digits-v0", device="cpu", **HOW, **keywords)
    steps = []
    real = env.step
    env.step = lambda action: steps.append(0) or real(action)
    RAM(env, hidden=8).learn(100)
    assert steps


@pytest.mark.parametrize(
    "keywords",
    [{}, {"optimizer": "sgd"}, {"core": "lstm", "std_final": 0.1}, {"precision": "bfloat16"}],
)
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graph_learns_what_its_parts_do(keywords, tmp_path, monkeypatch):
    learned = []
    for captured in (True, False):
        env = gym.make_vec("saccade/ClutteredDigits-v0", device="cuda", **HOW)
        learner = RAM(env, hidden=32, seed=0, device="cuda", learning_rate=1e-3, **keywords)
        if not captured:
            learner._start()
            learner._asked_resident = True  # and there is none
            monkeypatch.setattr(learner, "_start", lambda: None)
        learner.learn(16 * 6 * 30)
        if captured:
            assert learner._resident is not None
            path = tmp_path / "ram.pt"
            learner.save(path)
            again = RAM.load(path, device="cpu")
            states = (again.network.state_dict(), learner.network.state_dict())
            assert all(torch.equal(states[0][name], states[1][name].cpu()) for name in states[0])
        learned.append(learner.network.state_dict())
    for name, values in learned[0].items():
        torch.testing.assert_close(values, learned[1][name], rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_run_on_a_gpu_goes_on_where_it_stopped(tmp_path):
    made = []
    for stops in ((2000, 4000), (4000,)):
        learner, path = None, tmp_path / "ram.pt"
        for stop in stops:
            env = gym.make_vec("saccade/Digits-v0", device="cuda", **HOW)
            how = {"schedule": "constant"}
            learner = (
                RAM(env, hidden=16, device="cuda", **how)
                if learner is None
                else RAM.load(path, env=env, device="cuda")
            )
            learner.learn(stop)
            learner.save(path)
        made.append(learner.network.state_dict())
    for name, values in made[0].items():
        torch.testing.assert_close(values, made[1][name], rtol=1e-3, atol=1e-4)
