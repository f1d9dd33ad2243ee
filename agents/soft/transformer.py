"""The spatial transformer (Jaderberg et al. 2015): a layer that cuts out what it finds.

Grids, the sampler and its adjoint are pure functions; the classifier is in `stn.py`.

Points are (x, y) in [-1, 1], x to the right, y down: (-1, -1) is the centre of the first pixel,
(1, 1) that of the last, in the input and in the output alike. Beyond the image all is 0.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

Kind = Literal["affine", "zoom", "tps"]


def affine_grid(theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Equation 1: each output point (x, y) is read at theta (x, y, 1).

    theta (B, 2, 3) and the output's (h, w) to points (B, h, w, 2).
    """
    x, y = _lattice(size, theta).unbind(-1)  # (h, w) each
    homogeneous = torch.stack((x, y, torch.ones_like(x)), -1)  # (h, w, 3)
    return torch.einsum("bij,hwj->bhwi", theta, homogeneous)


def zoom_grid(theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Equation 2, the paper's "attention": theta (B, 3) is the scale s, then the shift in x, y.

    s = 0.5 reads a window half as wide as the image. Points (B, h, w, 2).
    """
    scale, shift = theta[:, None, None, :1], theta[:, None, None, 1:]  # (B, 1, 1, 1), (B, 1, 1, 2)
    return scale * _lattice(size, theta) + shift


def thin_plate_grid(points: Tensor, size: tuple[int, int]) -> Tensor:
    """The smoothest warp that reads control point k of an n x n lattice at `points[:, k]`.

    f(p) = a + A p + sum_k w_k U(|p - c_k|) with U(r) = r^2 log r, sum_k w_k = 0 and
    sum_k w_k c_k = 0 (Bookstein 1989); f(c_k) = points_k. The lattice covers the output from
    corner to corner, row by row. Points (B, n * n, 2) to points (B, h, w, 2).
    """
    side = round(points.shape[1] ** 0.5)
    if side < 2 or side * side != points.shape[1]:
        raise ValueError(f"{points.shape[1]} control points are no square of 2 or more a side")
    exact = torch.zeros((), dtype=torch.float64, device=points.device)
    centres = _lattice((side, side), exact).flatten(0, 1)  # (n * n, 2)
    line = torch.cat((torch.ones_like(centres[:, :1]), centres), 1)  # (n * n, 3)
    system = torch.cat(
        (
            torch.cat((_bend(centres, centres), line), 1),
            torch.cat((line.T, line.new_zeros(3, 3)), 1),
        )
    )  # (n * n + 3, n * n + 3)
    solved = torch.linalg.inv(system)[:, : len(centres)]  # (n * n + 3, n * n)
    where = _lattice(size, exact).flatten(0, 1)  # (h * w, 2)
    basis = torch.cat((_bend(where, centres), torch.ones_like(where[:, :1]), where), 1)
    weights = (basis @ solved).to(points.dtype)  # (h * w, n * n): each row sums to 1
    return (weights @ points).unflatten(1, size)


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Bilinear values of images (B, C, H, W) at points (B, h, w, 2): (B, C, h, w)."""
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=True)


def spread(values: Tensor, grid: Tensor, size: tuple[int, int]) -> Tensor:
    """The adjoint of `sample`: each value goes to the pixels that its point was read from.

    Values (B, h, w), points (B, h, w, 2) and the image's (H, W) to maps (B, H, W).
    """
    height, width = size
    last = grid.new_tensor([width - 1, height - 1])
    place = ((grid + 1) / 2 * last).flatten(1, 2)  # (B, h * w, 2), in pixels
    # A point far outside reaches no pixel; held near the image it also fits an integer.
    place = torch.minimum(place.clamp(min=-2), last + 2)
    before = place.floor()
    after_share = place - before
    maps = values.new_zeros(len(values), height * width)
    for right in (0, 1):
        for down in (0, 1):
            column, row = (before + before.new_tensor([right, down])).long().unbind(-1)
            x = after_share[..., 0] if right else 1 - after_share[..., 0]
            y = after_share[..., 1] if down else 1 - after_share[..., 1]
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            pixel = torch.where(inside, row * width + column, 0)  # (B, h * w)
            maps = maps.scatter_add(1, pixel, torch.where(inside, x * y * values.flatten(1), 0))
    return maps.unflatten(1, size)


def density(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """How densely each pixel of an image (H, W) was sampled: (B, H, W).

    A map sums to the number of points (B, h, w, 2) inside the image.
    """
    return spread(grid.new_ones(grid.shape[:3]), grid, size)


class SpatialTransformer(nn.Module):
    """Localise, make a grid, sample: images or maps (B, C, H, W) to (B, C, h, w).

    `theta` is linear in what `localisation` makes of the input; its weights start at 0, so that
    every input is first cut at the same place: all of it, or its middle where `zoom` < 1.

    Args:
        localisation: makes features (B, features) of the input.
        features: how many.
        kind: "affine" (6 numbers), "zoom" (3: isotropic scale and shift) or "tps" (thin-plate
            spline with 4 x 4 control points: 32).
        output: side or (height, width) of the output; None: the input's.
        zoom: share of the input's width that is cut out at the start.
        oversample: reads so many points a side for each value of the output and averages them,
            against aliasing where the output is coarser than what it is cut from.
    """

    def __init__(
        self,
        localisation: nn.Module,
        features: int,
        *,
        kind: Kind = "affine",
        output: int | tuple[int, int] | None = None,
        zoom: float = 1.0,
        oversample: int = 1,
    ) -> None:
        super().__init__()
        if kind not in get_args(Kind):
            raise ValueError(f"kind={kind!r}: use one of {', '.join(get_args(Kind))}")
        size = (output, output) if isinstance(output, int) else output
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise ValueError(
                f"output={output}: give a side or (height, width), at least 1, or None"
            )
        if not 0 < zoom < float("inf"):
            raise ValueError(f"zoom={zoom}: give a positive number; 1 is the whole input")
        if oversample < 1:
            raise ValueError(f"oversample={oversample}: give 1 (off) or more")
        self.localisation = localisation
        self.kind, self.output, self.oversample = kind, size, oversample
        start = _start(kind, zoom)
        self.last = nn.Linear(features, len(start))
        nn.init.zeros_(self.last.weight)
        with torch.no_grad():
            self.last.bias.copy_(start)

    def theta(self, images: Tensor) -> Tensor:
        """The transformation's parameters for each input: (B, 6), (B, 3) or (B, 32)."""
        features = self.localisation(images)
        with torch.autocast(images.device.type, enabled=False):  # half a pixel is much in bfloat16
            return self.last(features.to(self.last.weight.dtype))

    def grid(self, images: Tensor) -> Tensor:
        """Where it samples each input: points (B, h, w, 2), times `oversample` a side."""
        height, width = self.output or images.shape[-2:]
        size = (height * self.oversample, width * self.oversample)
        return self._at(self.theta(images), size)

    def corners(self, images: Tensor) -> Tensor:
        """The corners of what it cuts out, (B, 4, 2): clockwise from the output's top left."""
        return self._at(self.theta(images), (2, 2)).flatten(1, 2)[:, [0, 1, 3, 2]]

    def density(self, images: Tensor) -> Tensor:
        """How densely it samples each pixel of the inputs: (B, H, W)."""
        height, width = images.shape[-2:]
        return density(self.grid(images), (height, width))

    def forward(self, images: Tensor) -> Tensor:
        """Inputs (B, C, H, W) to what is cut out of them (B, C, h, w), differentiable in both."""
        grid = self.grid(images)
        with torch.autocast(images.device.type, enabled=False):
            cut = sample(images.to(grid.dtype), grid)
        return functional.avg_pool2d(cut, self.oversample) if self.oversample > 1 else cut

    def _at(self, theta: Tensor, size: tuple[int, int]) -> Tensor:
        with torch.autocast(theta.device.type, enabled=False):
            if self.kind == "affine":
                return affine_grid(theta.unflatten(1, (2, 3)), size)
            if self.kind == "zoom":
                return zoom_grid(theta, size)
            return thin_plate_grid(theta.unflatten(1, (-1, 2)), size)


def _start(kind: Kind, zoom: float) -> Tensor:
    """The parameters that cut out the middle, `zoom` times as wide as the input."""
    if kind == "affine":
        return torch.tensor([zoom, 0, 0, 0, zoom, 0])
    if kind == "zoom":
        return torch.tensor([zoom, 0, 0])
    return zoom * _lattice((4, 4), torch.zeros(())).flatten()


def _lattice(size: tuple[int, int], like: Tensor) -> Tensor:
    """Points (h, w, 2) from corner to corner; a single row or column lies in the middle."""
    y, x = (
        torch.linspace(-1, 1, side, dtype=like.dtype, device=like.device)
        if side > 1
        else like.new_zeros(1)
        for side in size
    )
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


def _bend(points: Tensor, centres: Tensor) -> Tensor:
    """U(r) = r^2 log r between points (P, 2) and centres (K, 2): (P, K)."""
    squared = (points[:, None] - centres).square().sum(-1)
    return torch.special.xlogy(squared, squared) / 2
