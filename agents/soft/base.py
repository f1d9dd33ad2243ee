"""What every classifier of whole images has in common: scores, a loss, and maps to look at."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

Criterion = Callable[[Tensor, Tensor], Tensor]
"""Scores (B, K) and labels (B,) to a mean loss."""


class SoftNetwork(nn.Module):
    """A classifier of images: float32 (B, C, H, W) in [0, 1] to scores (B, K).

    A subclass is made by `Network(image_shape, classes, **keywords)`, where `image_shape` is
    (C, H, W) and every keyword has a type and a default; these keywords are what a config's
    `agent` part can set. It checks them, with a ValueError of one line.
    """

    def loss(self, images: Tensor, labels: Tensor, criterion: Criterion) -> tuple[Tensor, Tensor]:
        """The loss to descend on a batch, and the scores (B, K) that count as its answers."""
        scores = self(images)
        return criterion(scores, labels), scores

    def attention(self, images: Tensor) -> dict[str, Tensor]:
        """Where it looks: maps (B, H, W), not negative, by name; the first is the principal one.

        Maps lie on the image's own pixels. Empty where a network weighs no places.
        """
        return {}
