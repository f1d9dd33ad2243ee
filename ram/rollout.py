"""What an episode of every lane leaves behind, for a learner to learn from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(eq=False)
class Rollout:
    """T glimpses in B lanes, a list of T tensors each; filled as they are looked at.

    Attributes:
        looking: the states that fixations are read off, (B, hidden).
        answering: the states that answers are read off, (B, hidden).
        drawn: the fixations as drawn, before any clamping, (B, 2).
        acts: the acts as drawn, int64 (B,); empty where answers are asked for.
        labels: the truth of what is asked, int64 (B,).
        rewards: what each step was paid, (B,).
        success: whether the episode ended well, bool (B,); None: as the last answer is right, which
            pays 1.
    """

    looking: list[Tensor]
    answering: list[Tensor]
    drawn: list[Tensor]
    acts: list[Tensor]
    labels: list[Tensor]
    rewards: list[Tensor]
    success: Tensor | None = None
