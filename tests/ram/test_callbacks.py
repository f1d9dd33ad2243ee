"""Validation, checkpoints and the orderly stop."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from saccade.ram import RAM, Callback, Checkpoint, StopOnInterrupt, Validation

UPDATE = 4 * 8


def test_validation_is_the_same_for_every_number_of_lanes(make_ram, make_env) -> None:
    """20 scenes: once each, whether 1, 8 or 64 lanes walk them."""
    ram = make_ram().learn(3 * UPDATE)
    results = [
        list(ram.validate(make_env(num_envs=lanes, split="validation", placements=2)).values())
        for lanes in (1, 8, 64)
    ]
    np.testing.assert_allclose(results[1:], [results[0]] * 2, atol=1e-5)


def test_validation_counts_wrong_answers(make_ram, make_env) -> None:
    ram = make_ram().learn(3 * UPDATE)
    found = ram.validate(make_env(num_envs=8, split="validation"))
    error, reward = found["eval/error"], found["eval/mean_reward"]
    env = make_env(num_envs=1, split="validation")
    wrong, total = 0, 0.0
    for index in range(env.unwrapped.split_length):
        observation, info = env.reset(options={"index": index})
        state = None
        for _ in range(4):
            action, state = ram.predict(observation, state, deterministic=True)
            observation, *_ = env.step(action)
        wrong += int(action["answer"][0] != info["label"][0])
        total -= float(ram.scores(state)[0, info["label"][0]])
    assert error == pytest.approx(wrong / env.unwrapped.split_length)
    assert reward == pytest.approx(1 - error)
    assert found["eval/mean_ep_length"] == 4
    assert found["eval/cross_entropy"] == pytest.approx(
        total / env.unwrapped.split_length, abs=1e-5
    )


class Scripted(Validation):
    """A validation whose errors are given."""

    def __init__(self, env, errors: list[float], monkeypatch, **keywords) -> None:
        super().__init__(env, UPDATE, **keywords)
        results = iter(errors)
        monkeypatch.setattr(
            RAM, "validate", lambda self, env: {"eval/error": next(results), "eval/mean_reward": 0}
        )


def test_validation_keeps_the_best(make_ram, make_env, monkeypatch, tmp_path) -> None:
    path = tmp_path / "best.pt"
    validation = Scripted(make_env(), [0.5, 0.2, 0.4, 0.3], monkeypatch, path=path)
    ram = make_ram().learn(4 * UPDATE, validation)
    assert validation.error == 0.2 and validation.timesteps == 2 * UPDATE
    assert [row[1] for row in validation.history] == [0.5, 0.2, 0.4, 0.3]
    assert ram.metrics["eval/error"] == 0.3
    best = make_ram().learn(4 * UPDATE, StopAfter(2))
    for name, value in best.network.state_dict().items():
        assert torch.equal(value, validation.weights[name])
        assert torch.equal(value, RAM.load(path).network.state_dict()[name])
    validation.restore_best(ram)
    assert torch.equal(ram.network.answer.linear.weight, best.network.answer.linear.weight)


def test_patience_ends_the_training(make_ram, make_env, monkeypatch) -> None:
    validation = Scripted(make_env(), [0.5, 0.4, 0.4, 0.6, 0.1], monkeypatch, patience=2)
    ram = make_ram().learn(100 * UPDATE, validation)
    assert ram.num_timesteps == 4 * UPDATE


class StopAfter(Callback):
    def __init__(self, updates: int) -> None:
        self.left = updates

    def on_step(self, learner: RAM, metrics: dict[str, float]) -> bool:
        self.left -= 1
        return self.left > 0


def test_validation_goes_on_where_it_was(make_ram, make_env, tmp_path) -> None:
    def callbacks() -> tuple[Validation, Checkpoint]:
        env = make_env(split="validation")
        return Validation(env, 2 * UPDATE), Checkpoint(tmp_path / "last.pt", 100 * UPDATE)

    whole, _ = callbacks()
    make_ram().learn(9 * UPDATE, whole)
    part, checkpoint = callbacks()
    make_ram().learn(9 * UPDATE, [checkpoint, part, StopAfter(4)])
    assert len(part.history) == 2
    resumed, checkpoint = callbacks()
    RAM.load(tmp_path / "last.pt", make_env()).learn(9 * UPDATE, [checkpoint, resumed])
    assert resumed.history == whole.history
    assert [row[0] // UPDATE for row in whole.history] == [2, 4, 6, 8, 9]
    assert (resumed.error, resumed.timesteps) == (whole.error, whole.timesteps)


@pytest.mark.parametrize("stop", [False, True])
def test_who_may_stop_is_judged_by_what_is_paid(make_ram, make_env, monkeypatch, stop) -> None:
    """Errors fall while glimpses, which cost something, grow: the second is worth most."""
    told = iter([(0.30, 0.68), (0.25, 0.72), (0.24, 0.70)])

    def validate(ram: RAM, env: object) -> dict[str, float]:
        error, reward = next(told)
        return {"eval/error": error, "eval/mean_reward": reward, "eval/cross_entropy": error}

    monkeypatch.setattr(RAM, "validate", validate)
    env = make_env(split="validation", stop=stop)
    validation = Validation(env, UPDATE)
    make_ram(env={"stop": stop}).learn(3 * UPDATE, validation)
    assert validation.timesteps == (2 if stop else 3) * UPDATE


def test_validation_does_not_disturb_the_training(make_ram, make_env) -> None:
    plain = make_ram().learn(5 * UPDATE)
    watched = make_ram().learn(5 * UPDATE, Validation(make_env(split="validation"), UPDATE))
    for one, other in zip(plain.network.parameters(), watched.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_checkpoints_come_in_time_and_at_the_end(make_ram, tmp_path, monkeypatch) -> None:
    written = []
    monkeypatch.setattr(RAM, "save", lambda ram, path: written.append(ram.num_timesteps // UPDATE))
    make_ram().learn(5 * UPDATE, Checkpoint(tmp_path / "x.pt", 2 * UPDATE))
    assert written == [2, 4, 5]


def test_no_checkpoint_of_half_an_update(make_ram, tmp_path, monkeypatch) -> None:
    ram = make_ram()
    step, calls = ram.env.step, []

    def failing_step(action: object) -> object:
        calls.append(action)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return step(action)

    monkeypatch.setattr(ram.env, "step", failing_step)
    with pytest.raises(KeyboardInterrupt):
        ram.learn(5 * UPDATE, Checkpoint(tmp_path / "x.pt", 100 * UPDATE))
    assert not (tmp_path / "x.pt").exists()


def test_ctrl_c_stops_between_updates(make_ram, make_env, tmp_path: Path) -> None:
    class CtrlC(Callback):
        def on_step(self, learner: RAM, metrics: dict[str, float]) -> None:
            if learner.num_timesteps == 3 * UPDATE:
                os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    stop = StopOnInterrupt()
    keep = Checkpoint(tmp_path / "last.pt", 100 * UPDATE)
    make_ram().learn(8 * UPDATE, [CtrlC(), stop, keep])
    assert stop.interrupted
    assert signal.getsignal(signal.SIGINT) is before
    resumed = RAM.load(tmp_path / "last.pt", make_env())
    assert resumed.num_timesteps == 3 * UPDATE
    resumed.learn(8 * UPDATE)
    whole = make_ram().learn(8 * UPDATE)
    assert torch.equal(resumed.network.core.linear.weight, whole.network.core.linear.weight)
