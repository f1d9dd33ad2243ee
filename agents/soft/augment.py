"""Augmentation: the images of a batch moved, turned and resized a little, each in its own way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Augmentation:
    """Draws a shift, an angle and a zoom for every image, uniformly, from PyTorch's generator.

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
        """Images (B, C, H, W) as they are seen this time; black comes in from outside."""
        if not (self.shift or self.rotate or self.zoom):
            return images
        count, _, height, width = images.shape
        shift_x, shift_y, turn, zoom = 2 * torch.rand(4, count, device=images.device) - 1
        angle = turn * math.radians(self.rotate)
        scale = torch.exp(zoom * math.log1p(self.zoom))
        # Output to input, in pixels from the centre: read at R(angle) p / scale - shift.
        cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
        aspect = height / width
        rows = [
            torch.stack((cos, sin * aspect, -shift_x * self.shift * 2 / width), -1),
            torch.stack((-sin / aspect, cos, -shift_y * self.shift * 2 / height), -1),
        ]
        theta = torch.stack(rows, 1)  # (B, 2, 3)
        grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, align_corners=False)
