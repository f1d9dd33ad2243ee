"""Name the target: one answer an episode, rewarded at its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..checks import choose, number
from .base import Task, Turn


@dataclass(frozen=True)
class Classify(Task):
    """Asks for the target's class.

    Attributes:
        reward: `"success"`: 1 when a right answer ends the episode, else 0 (Mnih et al. 2014).
            `"dense"`: with phi_t = log p_t(label) / log K and phi_0 = -1, where p_t is the softmax
            of `score_scale` times the scores, each step is worth phi_t - phi_(t-1).
        score_scale: what the scores, which lie in [-1, 1], are multiplied with before the softmax.
        glimpse_cost: taken off the reward of every step that brings a new glimpse.

    Raises:
        ValueError: an unknown reward.
    """

    reward: Literal["success", "dense"] = "success"
    score_scale: float = 5.0
    glimpse_cost: float = 0.0

    def __post_init__(self) -> None:
        choose("reward", self.reward, ("success", "dense"))
        number("score_scale", self.score_scale, above=0)
        number("glimpse_cost", self.glimpse_cost)

    @property
    def needs_scores(self) -> bool:
        return self.reward == "dense"

    @property
    def answer_alone(self) -> bool:
        return not self.needs_scores and not self.glimpse_cost

    def answers(self, classes: int) -> int:
        if self.needs_scores and classes < 2:
            raise ValueError("reward='dense' needs at least 2 classes: with one nothing is gained")
        return classes

    def memory(self, lanes: int) -> dict[str, NDArray]:
        return {"potential": np.full(lanes, -1.0)} if self.needs_scores else {}

    def judge(
        self, turn: Turn, memory: dict[str, NDArray]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        success = turn.answered & (turn.answer == turn.label)
        if turn.scores is None:
            reward = success.astype(np.float64)
        else:
            logits = self.score_scale * turn.scores.astype(np.float64)
            potential = _log_softmax(logits, turn.label) / np.log(logits.shape[1])
            reward = potential - memory["potential"]
            memory["potential"][:] = potential
        if self.glimpse_cost:
            reward -= self.glimpse_cost * turn.looks
        return success, reward


def _log_softmax(logits: NDArray[np.float64], label: NDArray[np.int64]) -> NDArray[np.float64]:
    """The log-probability of each row's label, `(n,)`."""
    logits = logits - logits.max(axis=1, keepdims=True)
    chosen = np.take_along_axis(logits, label[:, None], axis=1)[:, 0]
    return chosen - np.log(np.exp(logits).sum(axis=1))
