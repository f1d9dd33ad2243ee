"""RAM in tasks of other kinds: several questions, acts at every step, aims that are judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pytest
import torch

import saccade.ram.learner as learner_module
from saccade.envs import Task
from saccade.ram.loss import hybrid_loss, returns


@dataclass(frozen=True)
class Twice(Task):
    """The class, and then the class after it."""

    questions: ClassVar[int] = 2

    def answers(self, classes):
        return classes

    def truth(self, labels, asked):
        return (labels[:, 0] + asked) % 4

    def memory(self, lanes):
        return {"right": np.zeros(lanes)}

    def judge(self, turn, memory):
        right = turn.answered & (turn.answer == turn.label)
        memory["right"] += right
        return turn.ends & (memory["right"] == 2), right / 2


@dataclass(frozen=True)
class Press(Task):
    """Press the key of the class at every step."""

    judged: ClassVar[Literal["answer", "act", "aim"]] = "act"

    def answers(self, classes):
        return classes

    def judge(self, turn, memory):
        right = turn.answer == turn.label
        return right & turn.ends, right / turn.glimpses


@dataclass(frozen=True)
class Corner(Task):
    """Send the eye to the upper left, at the last step or at every one."""

    judged: ClassVar[Literal["answer", "act", "aim"]] = "aim"

    def answers(self, classes):
        return 0

    def judge(self, turn, memory):
        near = np.abs(turn.aim + 0.5).max(axis=1) < 0.25
        return near & turn.ends, (near & turn.ends).astype(float)


TASKS = [Twice(), Press(), Corner()]


@pytest.mark.parametrize("action", ["dict", "box"])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_what_it_does_is_the_environment_s(make_ram, task, action) -> None:
    ram = make_ram(env={"task": task, "action": action})
    observation, _ = ram.env.reset(seed=0)
    for deterministic in (True, False):
        actions, _ = ram.predict(observation, deterministic=deterministic)
        assert ram.env.action_space.contains(actions)


@pytest.mark.parametrize(
    ("task", "keywords", "level"),
    [
        (Twice(), {}, 0.95),
        (Twice(), {"answer_every_step": False}, 0.95),
        (Press(), {"baseline": "learned", "discount": 0.2, "entropy_weight": 0.01}, 0.9),
        (Corner(), {"std": 0.3}, 0.9),
    ],
    ids=str,
)
def test_it_learns(make_ram, make_env, task, keywords, level) -> None:
    shown = {"task": task, "num_envs": 64, "paths": 4, "size": 10, "first_fixation": "center"}
    ram = make_ram(env=shown, core="lstm", learning_rate=2e-2, **keywords)
    ram.learn(64 * 4 * 300)
    found = ram.validate(make_env(**shown | {"paths": 1, "split": "validation"}))
    assert found["eval/error"] < 1 - level
    assert ("eval/cross_entropy" in found) == (task.judged == "answer")


def test_each_answer_is_held_against_its_own_question(make_ram, monkeypatch) -> None:
    ram = make_ram(env={"task": Twice(), "glimpses": 5})
    given = {}

    def spied(**values):
        given.update(values)
        return hybrid_loss(**values)

    monkeypatch.setattr(learner_module, "hybrid_loss", spied)
    ram.total_timesteps = 10**6
    ram._update(ram.env)
    labels, times = given["labels"], given["times"]
    assert times == [0, 1, 2, 3, 4] and labels.shape == (5, 8)
    assert torch.equal(labels[1], labels[0]) and torch.equal(labels[2], labels[0])  # due: 3 of 5
    assert torch.equal(labels[3], (labels[0] + 1) % 4) and torch.equal(labels[4], labels[3])
    assert ram.task.due(5) == [2, 4]


def test_the_aim_that_is_judged_is_reinforced_too(make_ram, monkeypatch) -> None:
    ram = make_ram(env={"task": Corner()})
    given = {}

    def spied(**values):
        given.update(values)
        return hybrid_loss(**values)

    monkeypatch.setattr(learner_module, "hybrid_loss", spied)
    ram.total_timesteps = 10**6
    ram._update(ram.env)
    assert given["means"].shape == (4, 8, 2) and given["scores"] is None


def test_acts_are_reinforced_with_what_came_after_them() -> None:
    generator = torch.Generator().manual_seed(0)
    steps, lanes, keys, gamma = 3, 4, 5, 0.7
    scores = torch.randn(steps, lanes, keys, generator=generator, requires_grad=True)
    means = torch.randn(steps - 1, lanes, 2, generator=generator, requires_grad=True)
    acts = torch.randint(keys, (steps, lanes), generator=generator)
    rewards = torch.rand(steps, lanes, generator=generator)
    expected = torch.rand(steps, lanes, generator=generator)
    losses = hybrid_loss(
        scores=scores,
        means=means,
        drawn=means.detach() + 0.1,
        expected=expected,
        labels=torch.zeros(steps, lanes, dtype=torch.int64),
        rewards=rewards,
        std=0.2,
        acts=acts,
        discount=gamma,
        entropy_weight=0.3,
    )
    slow, entropy = 0.0, 0.0
    for t in range(steps):
        for b in range(lanes):
            p = scores[t, b].detach().softmax(0)
            gained = sum(gamma ** (s - t) * rewards[s, b] for s in range(t, steps))
            slow -= float(p[acts[t, b]].log() * (gained - expected[t, b])) / (steps * lanes)
            entropy -= float((p * p.log()).sum()) / (steps * lanes)
    assert losses.answer.item() == pytest.approx(slow - 0.3 * entropy, rel=1e-5)
    losses.total.backward()
    assert means.grad is not None and means.grad.abs().min() > 0


def test_log_prob_pays_the_answers_still_to_come() -> None:
    truth = torch.tensor([[-1.0], [-3.0]])
    rewards = torch.zeros(5, 1)
    paid = returns("log_prob", truth, rewards, times=[2, 4])
    assert paid[:, 0].tolist() == [-2.0, -2.0, -3.0, -3.0]


def test_numbers_that_it_cannot_say_are_refused(make_env) -> None:
    @dataclass(frozen=True)
    class Size(Corner):
        @property
        def measures(self):
            return 2

    with pytest.raises(ValueError, match="says no further numbers"):
        learner_module.RAM(make_env(task=Size()))


def test_when_to_stop_is_learned_where_there_is_one_answer(make_env) -> None:
    with pytest.raises(ValueError, match="stop=False"):
        learner_module.RAM(make_env(task=Twice(), stop=True))


def test_an_act_is_drawn_as_often_as_it_is_likely(make_ram) -> None:
    ram = make_ram(env={"task": Press()})
    p = torch.tensor([0.1, 0.2, 0.3, 0.4])
    uniform = torch.rand((20_000, 4), generator=torch.Generator().manual_seed(0))
    drawn = ram._act(p.log().expand(20_000, 4), uniform)
    share = torch.bincount(drawn, minlength=4) / 20_000
    assert torch.allclose(share, p, atol=0.015)
