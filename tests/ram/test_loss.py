"""The loss against a slow, obvious reference, and where its gradients go."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from saccade.ram.loss import hybrid_loss, leave_one_out, log_likelihood, returns

T, B, K, PATHS = 4, 6, 3, 3


def inputs(steps: int = T, learned: bool = True) -> dict:
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(T - 1, B, 2, generator=generator)
    return {
        "scores": torch.randn(steps, B, K, generator=generator).requires_grad_(),
        "means": means.clone().requires_grad_(),
        "drawn": means + 0.2 * torch.randn(T - 1, B, 2, generator=generator),
        "expected": torch.randn(T - 1, B, generator=generator).requires_grad_()
        if learned
        else None,
        "labels": torch.randint(K, (B,), generator=generator),
        "rewards": torch.rand(T, B, generator=generator),
        "std": 0.2,
    }


def slow_loss(
    scores: Tensor,
    means: Tensor,
    drawn: Tensor,
    expected: Tensor | None,
    labels: Tensor,
    rewards: Tensor,
    *,
    std: float,
    paths: int,
    reward: str,
) -> tuple[float, float, float]:
    """Answer, location and baseline loss, one number at a time."""
    scores, means = scores.detach(), means.detach()
    expected = None if expected is None else expected.detach()
    steps = len(scores)

    def log_p(s: int, b: int) -> float:
        total = sum(math.exp(float(scores[s, b, k])) for k in range(K))
        return float(scores[s, b, labels[b]]) - math.log(total)

    def gained(t: int, b: int) -> float:
        if reward == "success":
            return sum(float(rewards[s, b]) for s in range(t, T))
        later = [log_p(s - (T - steps), b) for s in range(t + 1, T) if s >= T - steps]
        return sum(later) / len(later)

    def baseline(t: int, b: int) -> float:
        if expected is not None:
            return float(expected[t, b])
        scene = b // paths
        others = [o for o in range(scene * paths, (scene + 1) * paths) if o != b]
        return sum(gained(t, o) for o in others) / len(others)

    answer = -sum(log_p(s, b) for s in range(steps) for b in range(B)) / (steps * B)
    location = square = 0.0
    for t in range(T - 1):
        for b in range(B):
            likelihood = 0.0
            for axis in range(2):
                z = (float(drawn[t, b, axis]) - float(means[t, b, axis])) / std
                likelihood += -0.5 * z * z - math.log(std * math.sqrt(2 * math.pi))
            advantage = gained(t, b) - baseline(t, b)
            location -= likelihood * advantage / ((T - 1) * B)
            square += advantage**2 / ((T - 1) * B)
    return answer, location, square if expected is not None else 0.0


@pytest.mark.parametrize("reward", ["success", "log_prob"])
@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("steps", [T, 1])
def test_it_is_the_slow_loss(reward: str, learned: bool, steps: int) -> None:
    given = inputs(steps, learned)
    losses = hybrid_loss(**given, paths=PATHS, reward=reward, location_weight=0.3)
    answer, location, baseline = slow_loss(**given, paths=PATHS, reward=reward)
    expected = (answer + 0.3 * location + baseline, answer, location, baseline)
    for fast, slow in zip(losses, expected, strict=True):
        assert fast.item() == pytest.approx(slow, rel=1e-4, abs=1e-5)


def test_the_mean_gets_the_gradient_of_reinforce() -> None:
    given = inputs()
    hybrid_loss(**given).total.backward()
    gained = returns("success", torch.zeros(1, B), given["rewards"])
    advantage = (gained - given["expected"]).detach()[..., None]
    closed_form = -advantage * (given["drawn"] - given["means"]) / given["std"] ** 2
    torch.testing.assert_close(given["means"].grad, closed_form.detach() / ((T - 1) * B))


def test_the_drawn_fixation_gets_no_gradient() -> None:
    given = inputs()
    given["drawn"].requires_grad_()
    hybrid_loss(**given, reward="log_prob").total.backward()
    assert given["drawn"].grad is None


def test_the_return_gets_no_gradient() -> None:
    """Paid in the truth's log-probability, REINFORCE does not train the answers."""
    given = inputs()
    losses = hybrid_loss(**given, reward="log_prob")
    paid, alone = (
        torch.autograd.grad(loss, given["scores"], retain_graph=True)[0]
        for loss in (losses.total, losses.answer)
    )
    torch.testing.assert_close(paid, alone)


def test_the_advantage_does_not_train_the_baseline() -> None:
    given = inputs()
    losses = hybrid_loss(**given)
    total, own = (
        torch.autograd.grad(loss, given["expected"], retain_graph=True)[0]
        for loss in (losses.total, losses.baseline)
    )
    torch.testing.assert_close(total, own)


@pytest.mark.parametrize("learned", [True, False])
def test_credit_stays_in_its_lane(learned: bool) -> None:
    """A reward in lane 4 moves lane 4 (and, as a baseline, the other paths of its scene: 3, 5)."""
    given = inputs(learned=learned)
    given["rewards"] = torch.zeros(T, B)
    given["rewards"][-1, 4] = 1.0
    if learned:
        given["expected"] = torch.zeros(T - 1, B)
    hybrid_loss(**given, paths=PATHS).location.backward()
    moved = given["means"].grad.abs().sum((0, 2)) > 0
    assert moved.tolist() == [False, False, False, not learned, True, not learned]


def test_credit_stays_with_its_decision() -> None:
    """A reward at step 2 pays the decisions of steps 1 and 2 and not that of step 3."""
    given = inputs()
    given["expected"] = torch.zeros(T - 1, B)
    given["rewards"] = torch.zeros(T, B)
    given["rewards"][1] = 1.0
    hybrid_loss(**given).location.backward()
    assert (given["means"].grad.abs().sum((1, 2)) > 0).tolist() == [True, True, False]


def test_leave_one_out_is_the_mean_of_the_others() -> None:
    gained = torch.randn(T - 1, B)
    fast = leave_one_out(gained, PATHS)
    for t in range(T - 1):
        for b in range(B):
            first = b // PATHS * PATHS
            others = [float(gained[t, o]) for o in range(first, first + PATHS) if o != b]
            assert fast[t, b].item() == pytest.approx(sum(others) / len(others), abs=1e-6)


def test_the_likelihood_is_the_gaussians() -> None:
    drawn, means = torch.randn(3, 5, 2), torch.randn(3, 5, 2)
    expected = torch.distributions.Normal(means, 0.3).log_prob(drawn).sum(-1)
    torch.testing.assert_close(log_likelihood(drawn, means, 0.3), expected)


def test_normalised_advantages_do_not_care_for_the_reward_s_size() -> None:
    small, large = inputs(learned=False), inputs(learned=False)
    large["rewards"] = 100 * large["rewards"]
    locations = [
        hybrid_loss(**given, paths=PATHS, normalize_advantage=True).location
        for given in (small, large)
    ]
    torch.testing.assert_close(*locations, rtol=1e-3, atol=1e-4)


def test_equal_rewards_move_nothing() -> None:
    given = inputs(learned=False)
    given["rewards"] = torch.ones(T, B)
    hybrid_loss(**given, paths=PATHS, normalize_advantage=True).location.backward()
    assert given["means"].grad.abs().max() == 0


def test_label_smoothing_is_pytorch_s() -> None:
    given = inputs(1)
    answer = hybrid_loss(**given, label_smoothing=0.2).answer
    expected = torch.nn.functional.cross_entropy(
        given["scores"][0], given["labels"], label_smoothing=0.2
    )
    torch.testing.assert_close(answer, expected)
