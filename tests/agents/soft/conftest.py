"""Made-up images that any network can learn to tell apart in a few steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.fixture
def separable() -> Callable[[tuple[int, int, int]], tuple[Tensor, Tensor]]:
    """Of an image's shape: 32 images in [0, 1], and which quarter is bright, 0 to 3."""

    def make(shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(0)
        images = 0.3 * torch.rand(32, *shape, generator=generator)
        labels = torch.arange(32) % 4
        _, height, width = shape
        for image, label in zip(images, labels.tolist(), strict=True):
            row, column = divmod(label, 2)
            top, left = row * height // 2, column * width // 2
            image[:, top : top + height // 2, left : left + width // 2] += 0.7
            image[:, label::4] *= 0.5  # stripes, for those that average places away
        return images, labels

    return make
