"""The mistakes that implementations of RAM are known for, each looked for in a whole update."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import saccade.ram.learner as learner_module
from saccade.ram import RAM


class Spied:
    """What one update of a learner passed to the environment and to the loss."""

    def __init__(self, ram: RAM, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loss: dict[str, Any] = {}
        self.actions: list[Any] = []
        self.fixations: list[np.ndarray] = []  # observed, from reset on
        loss, reset, step = learner_module.hybrid_loss, ram.env.reset, ram.env.step

        def spied_loss(**given: Any) -> Any:
            self.loss = given
            return loss(**given)

        def spied_reset(**given: Any) -> Any:
            result = reset(**given)
            self.fixations.append(result[0]["fixation"])
            return result

        def spied_step(action: Any) -> Any:
            self.actions.append(action)
            result = step(action)
            self.fixations.append(result[0]["fixation"])
            return result

        monkeypatch.setattr(learner_module, "hybrid_loss", spied_loss)
        monkeypatch.setattr(ram.env, "reset", spied_reset)
        monkeypatch.setattr(ram.env, "step", spied_step)
        ram.total_timesteps = 10**6
        ram._update(ram.env)


def gradients(ram: RAM, box: str) -> dict[str, torch.Tensor]:
    ram.total_timesteps = 10**6
    ram._update(ram.env)
    module = getattr(ram.network, box)
    return {name: value.grad for name, value in module.named_parameters()}


@pytest.mark.parametrize("core", ["rnn", "lstm"])
@pytest.mark.parametrize("through_core", [True, False])
def test_reinforce_and_nothing_else_reaches_the_location(
    make_ram, core: str, through_core: bool
) -> None:
    common = {"core": core, "through_core": through_core, "max_grad_norm": 0.0}
    without = gradients(make_ram(location_weight=0.0, **common), "location")
    with_it = gradients(make_ram(location_weight=1.0, **common), "location")
    assert all(not grad.any() for grad in without.values())
    assert all(grad.any() for grad in with_it.values())


@pytest.mark.parametrize("box", ["glimpse", "core", "answer"])
@pytest.mark.parametrize("through_core", [True, False])
def test_reinforce_enters_the_core_only_when_asked(make_ram, box: str, through_core: bool) -> None:
    common = {"through_core": through_core, "max_grad_norm": 0.0}
    without = gradients(make_ram(location_weight=0.0, **common), box)
    with_it = gradients(make_ram(location_weight=1.0, **common), box)
    same = all(torch.equal(without[name], with_it[name]) for name in without)
    assert same == (not through_core or box == "answer")
    assert all(grad.any() for grad in without.values())  # cross-entropy reaches all of them


def test_the_baseline_s_regression_stays_out_of_the_core(make_ram) -> None:
    common = {"env": {"paths": 2}, "location_weight": 0.0, "max_grad_norm": 0.0}
    learned = gradients(make_ram(baseline="learned", **common), "core")
    paths = gradients(make_ram(baseline="leave_one_out", **common), "core")
    assert all(torch.equal(learned[name], paths[name]) for name in learned)


def test_the_likelihood_is_of_the_drawn_sample_and_the_eye_gets_the_clamped(
    make_ram, monkeypatch
) -> None:
    ram = make_ram(std=0.3)
    with torch.no_grad():
        ram.network.location.mean.bias.copy_(torch.tensor([1.0, -1.0]))
    spied = Spied(ram, monkeypatch)
    drawn, means = spied.loss["drawn"], spied.loss["means"].detach()
    assert (drawn.abs() > 1).any(), "nothing was clamped: the test shows nothing"
    noise = torch.randn(4, 8, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn, means + 0.3 * noise[:-1])
    for t, action in enumerate(spied.actions[:-1]):
        np.testing.assert_array_equal(action["fixation"], drawn[t].clamp(-1, 1))
    assert not drawn.requires_grad


def test_only_fixations_that_were_looked_from_are_reinforced(make_ram, monkeypatch) -> None:
    spied = Spied(make_ram(), monkeypatch)
    drawn = spied.loss["drawn"]
    assert drawn.shape == spied.loss["means"].shape == (3, 8, 2)  # T - 1 decisions
    for t in range(3):
        np.testing.assert_array_equal(spied.fixations[t + 1], drawn[t].clamp(-1, 1))
    assert len(spied.actions) == 4  # T steps


def test_labels_and_rewards_stay_in_their_lanes(make_ram, make_env, monkeypatch) -> None:
    spied = Spied(make_ram(), monkeypatch)
    _, info = make_env().reset(seed=0)
    np.testing.assert_array_equal(spied.loss["labels"], [info["label"]] * 4)
    right = spied.actions[-1]["answer"] == info["label"]
    np.testing.assert_array_equal(spied.loss["rewards"][-1], right.astype(np.float32))
    assert not spied.loss["rewards"][:-1].any()
    assert torch.equal(
        spied.loss["scores"][-1].argmax(-1), torch.tensor(spied.actions[-1]["answer"])
    )


def test_x_comes_first_and_to_the_right(make_ram) -> None:
    """A mean at (0.8, -0.5) looks to the right of the centre and above it."""
    ram = make_ram()
    with torch.no_grad():
        ram.network.location.mean.weight.zero_()
        ram.network.location.mean.bias.copy_(torch.tensor([0.8, -0.5]))
    observation, _ = ram.env.reset(seed=0)
    action, _ = ram.predict(observation, deterministic=True)
    observation, *_ = ram.env.step(action)
    np.testing.assert_allclose(observation["fixation"], np.tile([0.8, -0.5], (8, 1)), atol=1e-6)
    column, row = np.floor((np.array([0.8, -0.5]) + 1) / 2 * 9 + 0.5).astype(int)
    images = np.pad(ram.env.unwrapped.images[..., 0], ((0, 0), (4, 4), (4, 4)))
    patch = images[:, row + 2 : row + 6, column + 2 : column + 6] / 255
    np.testing.assert_allclose(observation["glimpse"][:, 0], patch, atol=1e-6)


def test_relative_moves_are_drawn_alike(make_ram, monkeypatch) -> None:
    spied = Spied(make_ram(env={"moves": "relative", "reach": 0.25}), monkeypatch)
    for t in range(3):
        moved = spied.fixations[t] + 0.25 * spied.loss["drawn"][t].clamp(-1, 1).numpy()
        np.testing.assert_allclose(spied.fixations[t + 1], moved.clip(-1, 1), atol=1e-6)
