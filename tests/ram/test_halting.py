"""The halting unit: what an early answer pays, against the environment and a slow reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saccade.ram import RAM
from saccade.ram.halting import halted, halting_loss

STOP = {"stop": True, "glimpse_cost": 0.05}


@pytest.mark.parametrize("action", ["dict", "box"])
def test_a_stop_pays_what_the_environment_pays(make_env, action) -> None:
    lanes, glimpses = 8, 4
    env = make_env(action=action, **STOP)
    _, info = env.reset(seed=0)
    random = np.random.default_rng(0)
    stops = random.random((glimpses, lanes)) < 0.3
    answers = random.integers(0, 4, (glimpses, lanes))
    label = info["label"]
    ours = halted(torch.tensor(stops), torch.tensor(answers == label), 0.05)
    paid, over = np.zeros((glimpses, lanes)), np.zeros(lanes, bool)
    for lane in range(lanes):  # an episode each, so that none waits for the others
        env.reset(seed=0)
        for t in range(glimpses):
            if action == "dict":
                actions = {
                    "fixation": np.zeros((lanes, 2), np.float32),
                    "answer": answers[t],
                    "stop": np.where(np.arange(lanes) == lane, stops[t], False).astype(int),
                }
            else:
                scores = np.eye(4)[answers[t]]
                said = np.where((np.arange(lanes) == lane) & stops[t], 1.0, -1.0)
                actions = np.c_[np.zeros((lanes, 2)), scores, said].astype(np.float32)
            _, reward, ends, _, info = env.step(actions)
            paid[t, lane] = reward[lane]
            if ends[lane]:
                assert ours.length[lane] == t + 1
                assert bool(ours.right[lane]) == bool(info["is_success"][lane])
                over[lane] = True
                break
    assert over.all()
    np.testing.assert_allclose(ours.rewards, paid, atol=1e-7)


def test_every_decision_is_pulled_to_the_better_choice_by_how_much_better_it_is() -> None:
    generator = torch.Generator().manual_seed(0)
    steps, lanes, cost = 4, 5, 0.1
    logits = torch.randn(steps, lanes, generator=generator, requires_grad=True)
    right = torch.rand(steps, lanes, generator=generator) < 0.5
    halting_loss(logits, right, cost).backward()
    assert logits.grad is not None and not logits.grad[-1].any()  # the last stop is forced
    p = logits.detach().sigmoid()
    for b in range(lanes):

        def worth(t: int, b: int = b) -> float:
            """Expected rewards from glimpse t on, over every place to stop at, one by one."""
            total, reached = 0.0, 1.0
            for s in range(t, steps):
                here = 1.0 if s == steps - 1 else float(p[s, b])
                total += reached * here * (float(right[s, b]) - cost * (s - t))
                reached *= 1 - here
            return total

        for t in range(steps - 1):
            gain = float(right[t, b]) - (worth(t + 1) - cost)
            unsure = float(1 - p[t, b]) if gain > 0 else float(p[t, b])
            slope = -unsure * gain / ((steps - 1) * lanes)
            assert logits.grad[t, b].item() == pytest.approx(slope, abs=1e-7)


def test_it_stops_when_it_knows(make_ram, make_env) -> None:
    """A glimpse of the whole image tells all; one of a dark corner tells nothing."""
    shown = {**STOP, "num_envs": 64, "paths": 4, "size": 10, "first_fixation": "center"}
    ram = make_ram(env=shown, core="lstm", learning_rate=2e-2, std=0.3)
    ram.learn(64 * 4 * 200)
    found = ram.validate(make_env(**shown | {"paths": 1, "split": "validation"}))
    assert found["eval/error"] < 0.1 and found["eval/mean_ep_length"] < 1.5
    dear = make_ram(env=shown | {"glimpse_cost": 0.0, "size": 2, "first_fixation": "random"})
    dear.learn(64 * 4 * 200)
    assert dear.metrics["rollout/ep_len_mean"] > 2


@pytest.mark.parametrize("action", ["dict", "box"])
def test_validation_is_what_the_environment_says(make_ram, make_env, action) -> None:
    ram: RAM = make_ram(env={**STOP, "action": action})
    ram.network.halt.forward = lambda h, scores: torch.sin(1e4 * h.sum(-1))  # now and then
    env = make_env(**STOP, action=action, split="validation", num_envs=1)
    scenes = env.unwrapped.split_length
    right = reward_sum = looks = 0.0
    env.reset(seed=0)
    for index in range(scenes):
        observation, _ = env.reset(options={"index": index})
        state, over = None, False
        while not over:
            action_, state = ram.predict(observation, state, deterministic=True)
            assert env.action_space.contains(action_)
            observation, reward, ends, _, info = env.step(action_)
            reward_sum, looks, over = reward_sum + reward[0], looks + 1, bool(ends[0])
        right += info["is_success"][0]
    found = ram.validate(make_env(**STOP, action=action, split="validation", num_envs=4))
    assert found["eval/error"] == pytest.approx(1 - right / scenes)
    assert found["eval/mean_reward"] == pytest.approx(reward_sum / scenes)
    assert found["eval/mean_ep_length"] == pytest.approx(looks / scenes)
    assert 1 < looks / scenes < 4


def test_resumed_is_uninterrupted(make_ram, make_env, tmp_path) -> None:
    straight = make_ram(env=STOP).learn(8 * 4 * 6)
    straight.save(tmp_path / "ram.pt")
    loaded = RAM.load(tmp_path / "ram.pt", env=make_env(**STOP))
    loaded.learn(8 * 4 * 9)
    straight.learn(8 * 4 * 9)
    for name, weight in loaded.network.state_dict().items():
        assert torch.equal(weight, straight.network.state_dict()[name]), name
