"""Pasting, cutting and warping many images at once on a device: twins of `envs/scenes`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..scenes.warping import blocks, middle, spline
from . import upload

_BLOCK = 1 << 24  # pixels that are warped together


def add_patches(
    frames: Tensor, patches: Tensor, top: NDArray[np.int64], left: NDArray[np.int64]
) -> None:
    """Add `patches`, uint8 `(n, h, w, C)`, onto `frames` in place, clamped at white (255)."""
    n, height, width, _ = patches.shape
    lanes = torch.arange(n, device=frames.device)[:, None, None]
    place = (lanes, *_window(top, left, height, width, frames.device))
    under = frames[place]
    frames[place] = under + torch.minimum(patches, 255 - under)


def crop_patches(
    images: Tensor,
    index: NDArray[np.int64],
    top: NDArray[np.int64],
    left: NDArray[np.int64],
    height: int,
    width: int,
) -> Tensor:
    """Cut one patch, `(n, height, width, C)`, out of each image named by `index`."""
    lanes = upload(index, images.device)[:, None, None]
    return images[(lanes, *_window(top, left, height, width, images.device))]


class Warping:
    """The functions of `scenes/warping.py` on a device; what they are told comes from the host."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def blocks(self, count: int, tall: int, wide: int) -> Iterator[slice]:
        """So many frames in parts that are best warped together: large ones, to launch little."""
        return blocks(count, tall, wide, _BLOCK)

    def projected(
        self, matrices: NDArray[np.float64], tall: int, wide: int
    ) -> tuple[Tensor, Tensor]:
        """Where each pixel of a frame reads its image: x and y, float32 `(n, tall, wide)`."""
        maps = upload(matrices, self.device)
        across = (maps[:, :, :1] * self._middles(wide)).float()  # (n, 3, wide)
        down = (maps[:, :, 1:2] * self._middles(tall) + maps[:, :, 2:]).float()  # (n, 3, tall)
        x, y, depth = (down[:, i, :, None] + across[:, i, None, :] for i in range(3))
        depth = depth.clamp_min(1e-6)  # behind the horizon: far outside
        return x / depth, y / depth

    def bent(
        self,
        moves: NDArray[np.float64],
        scale: NDArray[np.float64],
        shape: tuple[int, int],
        frame: tuple[int, int],
    ) -> tuple[Tensor, Tensor]:
        """The same for images that a thin-plate spline bends, in the middle of the frame."""
        height, width = shape
        tall, wide = frame
        middle_x, middle_y = middle(shape, frame)
        x, y = self.shifts(moves, shape, frame)
        x = x + (self._middles(wide) - middle_x).float()
        y = y + (self._middles(tall) - middle_y).float()[:, None]
        shrink = upload((1 / scale).astype(np.float32), self.device)[:, None, None]
        return x * shrink + width / 2, y * shrink + height / 2

    def shifts(
        self, moves: NDArray[np.float64], shape: tuple[int, int], frame: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """How far right and down each pixel's reading moves, `(n, tall, wide)` each."""
        n, (tall, wide) = len(moves), frame
        told = upload(moves, self.device).permute(2, 0, 1).reshape(2 * n, -1)
        weights = _spline(shape, frame, self.device)
        right, down = (told @ weights).reshape(2, n, tall, wide).float()
        return right, down

    def read(self, images: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Read images uint8 `(n, h, w, C)` at x and y `(n, tall, wide)`, bilinearly."""
        n, height, width, channels = images.shape
        padded = torch.zeros(n, height + 2, width + 2, channels, device=self.device)
        padded[:, 1:-1, 1:-1] = images
        flat = padded.reshape(-1, channels)
        (column, right), (row, down) = _split(x, width), _split(y, height)
        lanes = torch.arange(n, device=self.device)[:, None, None] * (height + 2)
        index = (lanes + row) * (width + 2) + column  # (n, tall, wide)
        right, down = right[..., None], down[..., None]

        def between(start: int) -> Tensor:
            here = flat[index + start]
            return here + (flat[index + (start + 1)] - here) * right

        above = between(0)
        return (above + (between(width + 2) - above) * down + 0.5).to(torch.uint8)

    def box_of_readers(self, x: Tensor, y: Tensor, shape: tuple[int, int]) -> NDArray[np.float32]:
        """The boxes `(n, 4)` of the pixels that read inside an image; of all where none does."""
        height, width = shape
        inside = (x > 0) & (x < width) & (y > 0) & (y < height)
        ends = []
        for axis in (1, 2):  # columns (n, wide), then rows (n, tall)
            hit = inside.any(dim=axis)
            hit = hit | ~hit.any(dim=1, keepdim=True)
            place = torch.arange(hit.shape[1], device=self.device)
            ends.append(place.where(hit, hit.shape[1]).amin(dim=1))
            ends.append(place.where(hit, -1).amax(dim=1) + 1)
        left, right, top, bottom = ends
        box: NDArray[np.float32] = torch.stack([left, top, right, bottom], 1).float().cpu().numpy()
        return box

    def _middles(self, length: int) -> Tensor:
        return torch.arange(length, dtype=torch.float64, device=self.device) + 0.5


@lru_cache(maxsize=16)
def _spline(shape: tuple[int, int], frame: tuple[int, int], device: torch.device) -> Tensor:
    return upload(spline(shape, frame), device)


def _window(
    top: NDArray[np.int64],
    left: NDArray[np.int64],
    height: int,
    width: int,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Rows `(n, height, 1)` and columns `(n, 1, width)` of windows that begin there."""
    rows = upload(top, device)[:, None] + torch.arange(height, device=device)
    columns = upload(left, device)[:, None] + torch.arange(width, device=device)
    return rows[:, :, None], columns[:, None, :]


def _split(position: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Part positions into a first pixel, of an image padded by one, and a fraction."""
    last = float(np.nextafter(np.float32(length + 1), np.float32(0)))
    position = (position + 0.5).clamp(0, last)
    first = position.floor()
    return first.long(), position - first
