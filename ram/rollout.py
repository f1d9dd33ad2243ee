"""What an episode of every lane leaves behind, for a learner to learn from."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(eq=False)
class Rollout:
    """T glimpses in B lanes, a list of T tensors each; filled as they are looked at.

    Attributes:
        looking: the states that fixations are read off, (B, hidden).
        means: the fixations' means, (B, 2).
        scores: the answers' scores, (B, K).
        drawn: the fixations as drawn, before any clamping, (B, 2).
        acts: the acts as drawn, int64 (B,); empty where answers are asked for.
        labels: the truth of what is asked, int64 (B,).
        rewards: what each step was paid, (B,).
        success: whether the episode ended well, bool (B,); None: as the last answer is right, which
            pays 1.
    """

    looking: list[Tensor] = field(default_factory=list)
    means: list[Tensor] = field(default_factory=list)
    scores: list[Tensor] = field(default_factory=list)
    drawn: list[Tensor] = field(default_factory=list)
    acts: list[Tensor] = field(default_factory=list)
    labels: list[Tensor] = field(default_factory=list)
    rewards: list[Tensor] = field(default_factory=list)
    success: Tensor | None = None
