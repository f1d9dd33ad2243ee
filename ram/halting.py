"""When to stop looking: a halting unit, trained with the policy gradient (Li et al. 2017).

Li, Yang, Liu, Zhou, Wen and Xu's dynamic time draws the stop and reinforces it. Here every training
episode is played to its last glimpse, so that what each stop would have paid is known: REINFORCE's
sum over the two choices is taken in full instead of drawn, and every glimpse teaches its decision.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

_BOUND = 4.0  # of the logits


class HaltNetwork(nn.Module):
    """The halting unit: after each glimpse, shall this be the last?

    It reads the core's output and the answers' log-probabilities, through a rectified layer, and
    no gradient goes back into either. Logits stay within +-4, so that no choice dies out.
    """

    def __init__(self, hidden: int = 256, classes: int = 10, features: int = 64) -> None:
        super().__init__()
        self.before = nn.Linear(hidden + classes, features)
        self.logit = nn.Linear(features, 1)
        nn.init.kaiming_uniform_(self.before.weight, nonlinearity="relu")
        nn.init.zeros_(self.before.bias)
        nn.init.zeros_(self.logit.weight)
        nn.init.constant_(self.logit.bias, -2.0)  # a stop once in eight glimpses

    def forward(self, h: Tensor, scores: Tensor) -> Tensor:
        """The core's output (..., hidden) and scores (..., K) to a logit (...): above 0, stop."""
        known = torch.cat((h, scores.log_softmax(-1)), -1).detach()
        logit = self.logit(functional.relu(self.before(known))).squeeze(-1)
        return _BOUND * torch.tanh(logit / _BOUND)


class Halted(NamedTuple):
    """Episodes that stopped: `length` (B,) glimpses seen, `rewards` (T, B), `right` (B,)."""

    length: Tensor
    rewards: Tensor
    right: Tensor


def halted(stops: Tensor, right: Tensor, cost: float) -> Halted:
    """What the environment pays where `stops` answers at once.

    Args:
        stops: whether the agent stops after each glimpse, bool (T, B); at the last it has to.
        right: whether its answer there is right, bool (T, B).
        cost: of a glimpse, off the reward of each step that brings one.
    """
    steps, lanes = stops.shape
    forced = stops.clone()
    forced[-1] = True
    last = forced.int().argmax(0)  # (B,), counted from 0
    lane = torch.arange(lanes, device=stops.device)
    time = torch.arange(steps, device=stops.device)[:, None]
    rewards = -cost * (time < last).float()
    rewards[last, lane] = right[last, lane].float()
    return Halted(last + 1, rewards, right[last, lane])


def halting_loss(logits: Tensor, right: Tensor, cost: float) -> Tensor:
    """The policy gradient of when to stop, summed over both choices at every glimpse.

    With p_t the probability to stop after glimpse t, r_t whether the answer there is right, and

        V_T = r_T,    V_t = p_t r_t + (1 - p_t) (V_(t+1) - cost),

    the loss is - mean_(t < T, b) p_t (r_t - V_(t+1) + cost), the bracket a constant.

    Args:
        logits: of the T glimpses, (T, B); the last one's stop is forced.
        right: bool (T, B).
        cost: of a glimpse.
    """
    stop = logits.sigmoid()
    gained, chances = right.float(), stop.detach()
    value = gained[-1]
    losses = []
    for t in range(len(logits) - 2, -1, -1):
        further = value - cost
        losses.append(-(stop[t] * (gained[t] - further)).mean())
        value = chances[t] * gained[t] + (1 - chances[t]) * further
    return torch.stack(losses).mean()
