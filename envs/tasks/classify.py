"""Name the target: one answer an episode, rewarded at its end."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Reward = Literal["success", "dense"]


class Classify:
    """Scores answers against labels.

    State: `potential`, float64 `(n,)`, of the dense reward.

    Args:
        lanes: number of lanes, n.
        classes: number of classes, K.
        reward: `"success"`: 1 when a right answer ends the episode, else 0 (Mnih et al. 2014).
            `"dense"`: with phi_t = log p_t(label) / log K and phi_0 = -1, where p_t is the softmax
            of `score_scale` times the scores, each step is worth phi_t - phi_(t-1).
        score_scale: what the scores, which lie in [-1, 1], are multiplied with before the softmax.
        glimpse_cost: taken off the reward of every step that brings a new glimpse.
    """

    def __init__(
        self,
        lanes: int,
        classes: int,
        reward: Reward = "success",
        score_scale: float = 5.0,
        glimpse_cost: float = 0.0,
    ) -> None:
        if reward not in ("success", "dense"):
            raise ValueError(f"reward={reward!r}: use 'success' or 'dense'")
        self.needs_scores = reward == "dense"
        self.classes = classes
        self.score_scale = score_scale
        self.glimpse_cost = glimpse_cost
        self.potential = np.full(lanes, -1.0)

    def begin(self, lanes: NDArray[np.int64]) -> None:
        """Start an episode in `lanes`."""
        self.potential[lanes] = -1.0

    def reward(
        self,
        success: NDArray[np.bool_],
        looks: NDArray[np.bool_],
        label: NDArray[np.int64],
        scores: NDArray[np.floating] | None,
    ) -> NDArray[np.float64]:
        """What the step is worth in each lane, float64 `(n,)`.

        Args:
            success: lanes whose episode ended with a right answer, `(n,)`.
            looks: lanes that get a new glimpse, `(n,)`.
            label: the truth, `(n,)`.
            scores: `(n, K)`, where `needs_scores`.
        """
        if scores is None:
            reward = success.astype(np.float64)
        else:
            potential = self._log_probability(scores, label) / np.log(self.classes)
            reward = potential - self.potential
            self.potential = potential
        if self.glimpse_cost:
            reward -= self.glimpse_cost * looks
        return reward

    def _log_probability(
        self, scores: NDArray[np.floating], label: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        logits = self.score_scale * scores.astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        chosen = np.take_along_axis(logits, label[:, None], axis=1)[:, 0]
        return chosen - np.log(np.exp(logits).sum(axis=1))
