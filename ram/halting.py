"""When to stop looking: a halting unit, trained with REINFORCE (Li et al. 2017, dynamic time).

In training every episode is played to its last glimpse, and where the agent would have stopped is
drawn beside it: the same distribution, and the glimpses behind the stop still teach the answers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class HaltNetwork(nn.Module):
    """The halting unit: after each glimpse, shall this be the last?

    It reads the core's output and the answers' log-probabilities, through a rectified layer, and
    no gradient goes back into either. It starts at stopping once in about eight glimpses.
    """

    def __init__(self, hidden: int = 256, classes: int = 10, features: int = 64) -> None:
        super().__init__()
        self.before = nn.Linear(hidden + classes, features)
        self.logit = nn.Linear(features, 1)
        self.expected = nn.Linear(features, 1)
        nn.init.kaiming_uniform_(self.before.weight, nonlinearity="relu")
        nn.init.zeros_(self.before.bias)
        nn.init.zeros_(self.logit.weight)
        nn.init.constant_(self.logit.bias, -2.0)
        nn.init.zeros_(self.expected.weight)
        nn.init.zeros_(self.expected.bias)

    def forward(self, h: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """The core's output (..., hidden) and scores (..., K) to a logit and a return, (...)."""
        known = torch.cat((h, scores.log_softmax(-1)), -1).detach()
        features = functional.relu(self.before(known))
        return self.logit(features).squeeze(-1), self.expected(features).squeeze(-1)


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


def halting_loss(logits: Tensor, expected: Tensor, stops: Tensor, episodes: Halted) -> Tensor:
    """REINFORCE on the decisions that were taken, and the regression of their baseline.

    With s_t the decision after glimpse t = 1..min(length, T-1), R_t the rewards of its step and of
    the later ones, and V_t the return expected,

        - mean log p(s_t) (R_t - V_t) + mean (R_t - V_t)^2,    R_t - V_t a constant in the first.

    Args:
        logits, expected: of the T glimpses, (T, B).
        stops: the decisions as drawn, bool (T, B).
        episodes: what came of them.
    """
    logits, expected, stops = logits[:-1], expected[:-1], stops[:-1]
    gained = episodes.rewards.flip(0).cumsum(0).flip(0)[:-1]
    time = torch.arange(len(logits), device=logits.device)[:, None]
    taken = (time < episodes.length).float()
    likelihood = -functional.binary_cross_entropy_with_logits(
        logits, stops.float(), reduction="none"
    )
    advantage = gained - expected.detach()
    loss = -likelihood * advantage + (gained - expected).square()
    return (loss * taken).sum() / taken.sum()
