"""Augmentation: the images of a batch moved, turned and resized a little, each in its own way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """Draws a shift, an angle and a size for every image, uniformly, from PyTorch's generator.

    Attributes:
        shift: pixels along each axis, at most.
        rotate: degrees to either side, at most.
        zoom: share by which an image is enlarged or reduced, at most; below 1.
    """

    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0

    def __post_init__(self) -> None:
        if self.zoom >= 1:
            raise ValueError(f"zoom={self.zoom}: take a share below 1")

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) as they are seen this time."""
        if not (self.shift or self.rotate or self.zoom):
            return images
        draws = 2 * torch.rand(4, len(images), device=images.device) - 1  # in [-1, 1)
        # As often halved as doubled: even in the logarithm.
        scale = torch.exp(draws[3] * math.log1p(self.zoom))
        return moved(images, self.shift * draws[:2].T, self.rotate * draws[2], scale)


def moved(images: Tensor, shift: Tensor, degrees: Tensor, scale: Tensor) -> Tensor:
    """Images resized and turned about their centre, then shifted, read bilinearly; black outside.

    Args:
        images: (B, C, H, W).
        shift: pixels to the right and down, (B, 2).
        degrees: clockwise, (B,).
        scale: above 1 enlarges, (B,).
    """
    height, width = images.shape[2:]
    angle = torch.deg2rad(degrees)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    right, down = shift.unbind(-1)
    # Where a pixel reads: turned back about the centre. In pixels, then in halves of the image.
    rows = (
        torch.stack((cos, sin * height / width, -2 * (cos * right + sin * down) / width), -1),
        torch.stack((-sin * width / height, cos, -2 * (cos * down - sin * right) / height), -1),
    )
    theta = torch.stack(rows, 1)  # (B, 2, 3)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)
