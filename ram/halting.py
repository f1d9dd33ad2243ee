"""When to stop looking: a halting unit, taught by what each stop would have paid (Li et al. 2017).

Li, Yang, Liu, Zhou, Wen and Xu's dynamic time draws the stop and reinforces it. Here every training
episode is played to its last glimpse, so that what each stop would have paid is known and every
glimpse teaches its decision.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class HaltNetwork(nn.Module):
    """The halting unit: after each glimpse, shall this be the last?

    It reads the core's output and the answers' log-probabilities, through a rectified layer, and
    no gradient goes back into either.
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
        return self.logit(functional.relu(self.before(known))).squeeze(-1)


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
    """Logistic loss of the better choice at every glimpse, weighted by how much better it was.

    With p_t the probability to stop after glimpse t, r_t whether the answer there is right, and

        V_T = r_T,    V_t = p_t r_t + (1 - p_t) (V_(t+1) - cost),    g_t = r_t - V_(t+1) + cost,

    what a stop gains over going on, the loss is

        - mean_(t < T, b) |g_t| log P(g_t > 0),    P the unit's probability of the better choice.

    REINFORCE summed over both choices has the slope - p_t (1 - p_t) g_t at the logit, which dies
    where a choice is sure: a unit that learns early to go on never stops again. Here it is
    - (1 - p_t) g_t for gains and - p_t g_t for losses: the same sign, and the same decision in the
    end, as the best logit is above 0 where the expected gain is.

    Args:
        logits: of the T glimpses, (T, B); the last one's stop is forced.
        right: bool (T, B).
        cost: of a glimpse.
    """
    gained, chances = right.float(), logits.detach().sigmoid()
    value = gained[-1]
    gains = []
    for t in range(len(logits) - 2, -1, -1):
        further = value - cost
        gains.append(gained[t] - further)
        value = chances[t] * gained[t] + (1 - chances[t]) * further
    gain = torch.stack(gains[::-1])  # (T-1, B)
    return functional.binary_cross_entropy_with_logits(logits[:-1], (gain > 0).float(), gain.abs())
