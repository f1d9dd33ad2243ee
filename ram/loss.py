"""The hybrid loss of the Recurrent Attention Model, and the parts that it is made of.

Pure functions of tensors, time first: T glimpses, B paths, K classes. Nothing here draws, steps
an environment or touches a network; gradients flow as the equations say and no further.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from .distributed import standardized


class Losses(NamedTuple):
    """The loss to descend, and its parts (scalars) for the record; `answer` is the acts' too."""

    total: Tensor
    answer: Tensor
    location: Tensor
    baseline: Tensor


def hybrid_loss(
    scores: Tensor | None,
    means: Tensor,
    drawn: Tensor,
    expected: Tensor | None,
    labels: Tensor,
    rewards: Tensor,
    *,
    std: float | Tensor,
    paths: int = 1,
    reward: Literal["success", "log_prob"] = "success",
    normalize_advantage: bool = False,
    location_weight: float = 1.0,
    label_smoothing: float = 0.0,
    times: Sequence[int] | None = None,
    acts: Tensor | None = None,
    discount: float = 1.0,
    entropy_weight: float = 0.0,
) -> Losses:
    """Cross-entropy of the answers plus REINFORCE on the fixations that were looked from.

    Location decision t is taken after glimpse t and looked from at glimpse t + 1; where only the
    answer counts, the T-th is never looked from and is not here: D = T-1. Where the aim itself is
    judged, it is: D = T. With l_t the drawn fixation and m_t its mean,

        answer    = - mean_(s, b) log p_s(label)
        location  = - mean_(t, b) log N(l_t; m_t, std) * A_t,   A_t = R_t - b_t, a constant
        baseline  =   mean_(t, b) (R_t - b_t)^2                 where b_t is learned
        total     = answer + location_weight * location + baseline

    Where the agent acts at every step there is nobody to say what was right, and the same
    REINFORCE trains the acts a_t (D = T for them, T-1 for the fixations), H their entropy:

        answer    = - mean_(t, b) log p_t(a_t) * A_t - entropy_weight * mean_(t, b) H_t

    Args:
        scores: unnormalised log-probabilities (S, B, K) after S of the glimpses; None where
            there are no answers.
        means: means of the fixations (D, B, 2).
        drawn: the fixations as drawn, before any clamping (D, B, 2).
        expected: returns expected by the learned baseline (D, B), (T, B) with acts; None takes
            the mean return of the other paths of the same scene instead.
        labels: the truth, int64 (B,), or at each of the S answers, (S, B).
        rewards: rewards of the T steps (T, B).
        std: standard deviation that the fixations were drawn with.
        paths: neighbouring rows that share a scene.
        reward: what location decisions are paid in, see `returns`.
        normalize_advantage: subtract the advantages' mean and divide by their deviation, those of
            all processes in a process group.
        location_weight: weight of REINFORCE.
        label_smoothing: share of the cross-entropy spent on all classes alike.
        times: after which glimpses, counted from 0, the S answers were; None: the last S.
        acts: the acts as drawn, int64 (T, B), S = T; None where answers are asked for.
        discount: what a reward is worth a step earlier.
        entropy_weight: weight of the acts' entropy.
    """
    decisions = len(rewards) if acts is not None else len(means)
    answer, truth = rewards.new_zeros(()), None
    if scores is not None:
        log_answers = scores.log_softmax(-1)  # (S, B, K)
        said = labels.expand(log_answers.shape[:2]) if acts is None else acts
        truth = log_answers.gather(-1, said[..., None])[..., 0]  # (S, B)
        if acts is None:
            answer = -truth.mean()
            if label_smoothing:
                answer = (1 - label_smoothing) * answer - label_smoothing * log_answers.mean()

    gained = returns(
        reward,
        None if truth is None else truth.detach(),
        rewards,
        times,
        discount,
        decisions,
    )  # (D, B)
    if expected is None:
        advantage = gained - leave_one_out(gained, paths)
        baseline = gained.new_zeros(())
    else:
        advantage = gained - expected.detach()
        baseline = (gained - expected).square().mean()
    if normalize_advantage:
        advantage = standardized(advantage)
    location = -(log_likelihood(drawn, means, std) * advantage[: len(means)]).mean()
    if acts is not None and truth is not None:
        entropy = -(log_answers.exp() * log_answers).sum(-1).mean()
        answer = -(truth * advantage).mean() - entropy_weight * entropy
    return Losses(answer + location_weight * location + baseline, answer, location, baseline)


def log_likelihood(drawn: Tensor, means: Tensor, std: float | Tensor) -> Tensor:
    """log N(l; m, std) of fixations (..., 2) as drawn, summed over x and y; gradient to m alone."""
    away = (drawn.detach() - means) / std
    spread = std.log() if isinstance(std, Tensor) else math.log(std)
    return -0.5 * away.square().sum(-1) - 2 * spread - math.log(2 * math.pi)


def returns(
    reward: Literal["success", "log_prob"],
    truth: Tensor | None,
    rewards: Tensor,
    times: Sequence[int] | None = None,
    discount: float = 1.0,
    decisions: int | None = None,
) -> Tensor:
    """What came after each of the first D decisions (D, B); D is T-1 unless told otherwise.

    "success": the rewards (T, B) of its own step and of all later ones, added, each step's worth
    `discount` of that of the step before.
    "log_prob": the truth's log-probability (S, B), averaged over the answers still to come;
    `times` as in `hybrid_loss`.
    """
    steps = len(rewards)
    decisions = steps - 1 if decisions is None else decisions
    if reward == "success":
        if discount == 1:
            return rewards.flip(0).cumsum(0).flip(0)[:decisions]
        later = [rewards[-1]]
        for now in rewards[:-1].flip(0):
            later.append(now + discount * later[-1])
        return torch.stack(later[::-1])[:decisions]
    assert truth is not None, "log_prob is what answers are worth"
    places = range(steps - len(truth), steps) if times is None else times
    told = dict(zip(places, truth, strict=True))
    later, total = [], torch.zeros_like(truth[0])
    for t in range(steps - 1, 0, -1):
        total = total + told[t] if t in told else total
        later.append(total / sum(place >= t for place in places))
    return torch.stack(later[::-1])[:decisions]  # the decision at t-1 is paid from glimpse t on


def leave_one_out(gained: Tensor, paths: int) -> Tensor:
    """The mean return of the scene's other paths at the same step, (T-1, B) to (T-1, B)."""
    scenes = gained.unflatten(1, (-1, paths))  # (T-1, B / paths, paths)
    others = (scenes.sum(-1, keepdim=True) - scenes) / (paths - 1)
    return others.flatten(1)  # (T-1, B)
