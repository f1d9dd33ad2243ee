"""The hybrid loss of the Recurrent Attention Model, and the parts that it is made of.

Pure functions of tensors, time first: T glimpses, B paths, K classes. Nothing here draws, steps
an environment or touches a network; gradients flow as the equations say and no further.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor


class Losses(NamedTuple):
    """The loss to descend, and its parts (scalars) for the record."""

    total: Tensor
    answer: Tensor
    location: Tensor
    baseline: Tensor


def hybrid_loss(
    scores: Tensor,
    means: Tensor,
    drawn: Tensor,
    expected: Tensor | None,
    labels: Tensor,
    rewards: Tensor,
    *,
    std: float,
    paths: int = 1,
    reward: Literal["success", "log_prob"] = "success",
    normalize_advantage: bool = False,
    location_weight: float = 1.0,
    label_smoothing: float = 0.0,
) -> Losses:
    """Cross-entropy of the answers plus REINFORCE on the fixations that were looked from.

    Location decision t = 1..T-1 is taken after glimpse t and looked from at glimpse t + 1; the
    T-th is never looked from and is not here. With l_t the drawn fixation and m_t its mean,

        answer    = - mean_(s, b) log p_s(label)
        location  = - mean_(t, b) log N(l_t; m_t, std) * A_t,   A_t = R_t - b_t, a constant
        baseline  =   mean_(t, b) (R_t - b_t)^2                 where b_t is learned
        total     = answer + location_weight * location + baseline

    Args:
        scores: unnormalised log-probabilities (S, B, K) after the last S glimpses, S = T or 1.
        means: means of the fixations (T-1, B, 2).
        drawn: the fixations as drawn, before any clamping (T-1, B, 2).
        expected: returns expected by the learned baseline (T-1, B); None takes the mean return
            of the other paths of the same scene instead.
        labels: the truth, int64 (B,).
        rewards: rewards of the T steps (T, B).
        std: standard deviation that the fixations were drawn with.
        paths: neighbouring rows that share a scene.
        reward: what location decisions are paid in, see `returns`.
        normalize_advantage: subtract the advantages' mean and divide by their deviation.
        location_weight: weight of REINFORCE.
        label_smoothing: share of the cross-entropy spent on all classes alike.
    """
    log_answers = scores.log_softmax(-1)  # (S, B, K)
    truth = log_answers.gather(-1, labels.expand(len(log_answers), -1)[..., None])[..., 0]  # (S, B)
    answer = -truth.mean()
    if label_smoothing:
        answer = (1 - label_smoothing) * answer - label_smoothing * log_answers.mean()

    gained = returns(reward, truth.detach(), rewards)  # (T-1, B)
    if expected is None:
        advantage = gained - leave_one_out(gained, paths)
        baseline = gained.new_zeros(())
    else:
        advantage = gained - expected.detach()
        baseline = (gained - expected).square().mean()
    if normalize_advantage:
        advantage = (advantage - advantage.mean()) / (advantage.std(correction=0) + 1e-6)
    location = -(log_likelihood(drawn, means, std) * advantage).mean()
    return Losses(answer + location_weight * location + baseline, answer, location, baseline)


def log_likelihood(drawn: Tensor, means: Tensor, std: float) -> Tensor:
    """log N(l; m, std) of fixations (..., 2) as drawn, summed over x and y; gradient to m alone."""
    away = (drawn.detach() - means) / std
    return -0.5 * away.square().sum(-1) - 2 * math.log(std) - math.log(2 * math.pi)


def returns(reward: Literal["success", "log_prob"], truth: Tensor, rewards: Tensor) -> Tensor:
    """What came after each location decision (T-1, B).

    "success": the rewards (T, B) of its own step and of all later ones, added.
    "log_prob": the truth's log-probability (S, B), averaged over the answers still to come.
    """
    if reward == "success":
        return rewards.flip(0).cumsum(0).flip(0)[:-1]
    decisions = len(rewards) - 1
    if len(truth) == 1:  # one answer, at the end: it is all that is to come
        return truth.expand(decisions, -1)
    still = torch.arange(decisions, 0, -1, device=truth.device, dtype=truth.dtype)  # T-1 .. 1
    return truth[1:].flip(0).cumsum(0).flip(0) / still[:, None]


def leave_one_out(gained: Tensor, paths: int) -> Tensor:
    """The mean return of the scene's other paths at the same step, (T-1, B) to (T-1, B)."""
    scenes = gained.unflatten(1, (-1, paths))  # (T-1, B / paths, paths)
    others = (scenes.sum(-1, keepdim=True) - scenes) / (paths - 1)
    return others.flatten(1)  # (T-1, B)
