"""Augmentation: the images of a batch moved, turned, resized and bent, each in its own way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_KNOTS_APART = 9
"""Pixels between the knots of a bend, nearly. Much finer bends tear strokes."""


@dataclass(frozen=True)
class Augmentation:
    """Draws a shift, an angle, a size and a bend for every image from PyTorch's generator.

    All are uniform but the bend, which is Gaussian.

    Attributes:
        shift: pixels along each axis, at most.
        rotate: degrees to either side, at most.
        zoom: share by which an image is enlarged or reduced, at most; below 1.
        elastic: pixels that the knots of a smooth bend move along each axis, a standard deviation.
    """

    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    elastic: float = 0.0

    def __post_init__(self) -> None:
        if self.zoom >= 1:
            raise ValueError(f"zoom={self.zoom}: take a share below 1")

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) as they are seen this time."""
        if not (self.shift or self.rotate or self.zoom or self.elastic):
            return images
        draws = 2 * torch.rand(4, len(images), device=images.device) - 1  # in [-1, 1)
        # As often halved as doubled: even in the logarithm.
        scale = torch.exp(draws[3] * math.log1p(self.zoom))
        bend = None
        if self.elastic:
            knots = [round((side - 1) / _KNOTS_APART) + 1 for side in images.shape[2:]]
            noise = torch.randn(len(images), 2, *knots, device=images.device)
            bend = smooth(self.elastic * noise, (images.shape[2], images.shape[3]))
        return moved(images, self.shift * draws[:2].T, self.rotate * draws[2], scale, bend)


def moved(
    images: Tensor, shift: Tensor, degrees: Tensor, scale: Tensor, bend: Tensor | None = None
) -> Tensor:
    """Images resized and turned about their centre, then shifted, read bilinearly; black outside.

    Args:
        images: (B, C, H, W).
        shift: pixels to the right and down, (B, 2).
        degrees: clockwise, (B,).
        scale: above 1 enlarges, (B,).
        bend: pixels further right and down that each pixel reads the image, (B, 2, H, W).
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
    if bend is not None:
        grid = grid + bend.movedim(1, -1) * grid.new_tensor([2 / width, 2 / height])
    return functional.grid_sample(images, grid, align_corners=False)


def smooth(knots: Tensor, size: tuple[int, int]) -> Tensor:
    """A field (B, C, H, W) that goes through knots (B, C, h, w) from corner to corner.

    In each axis it is PyTorch's bicubic interpolation. That is linear in the knots, so here it is
    two products of small matrices, which is faster.
    """
    down, across = (_weights(knots, n, side) for n, side in zip(knots.shape[2:], size, strict=True))
    return down @ knots @ across.T


def _weights(like: Tensor, knots: int, side: int) -> Tensor:
    """What each knot gives to each pixel of a line: (side, knots)."""
    lines = torch.eye(knots, dtype=like.dtype, device=like.device)[None, None]  # one a column
    wide = functional.interpolate(lines, (side, knots), mode="bicubic", align_corners=True)
    return wide[0, 0]
