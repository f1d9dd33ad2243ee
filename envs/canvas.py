"""What the eye remembers: everything seen so far, each pixel at the finest resolution it was seen.

It paints glimpses in place; `eye.py` says when an episode begins.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from .sensors import Layer, Sensor, fixation_to_pixel

UNSEEN = 254  # a rank coarser than any that a glimpse has


class Canvas:
    """One picture a lane, onto which each glimpse is painted where it was seen.

    Coarse layers are painted first and finer ones over them; what was once seen finer stays.
    Painting a glimpse twice changes nothing.

    State: the painted values, float32, and the finest rank that each pixel was seen at, both with
    a margin for the part of a glimpse that lies off the image.

    Args:
        sensor: what a glimpse is.
        lanes: number of lanes.
        frame_shape: `(H, W, C)` of the images.
    """

    def __init__(self, sensor: Sensor, lanes: int, frame_shape: tuple[int, int, int]) -> None:
        self._height, self._width, channels = frame_shape
        self._layers = sensor.layers(self._height, self._width)
        self._before, behind = margins(self._layers)
        extra = self._before + behind
        padded = (self._height + extra, self._width + extra)
        self._values = np.zeros((lanes, channels, *padded), np.float32)
        self._finest = np.full((lanes, 1, *padded), UNSEEN, np.uint8)
        self._lanes = np.arange(lanes)

    def clear(self, lanes: NDArray[np.int64] | slice) -> None:
        """Forget what was seen in `lanes`."""
        self._values[lanes] = 0
        self._finest[lanes] = UNSEEN

    def paint(self, glimpse: NDArray[np.float32], fixation: NDArray[np.float32]) -> None:
        """Add one glimpse of every lane, `(n, k * C, rows, columns)`, seen from `(n, 2)`."""
        x = fixation_to_pixel(fixation[:, 0], self._width)
        y = fixation_to_pixel(fixation[:, 1], self._height)
        lanes, channels = self._values.shape[:2]
        # A row of values a channel, through all views: (n, C, k * rows * columns).
        seen = glimpse.reshape(lanes, -1, channels, *glimpse.shape[2:]).swapaxes(1, 2)
        seen = seen.reshape(lanes, channels, -1)
        for layer in reversed(self._layers):
            rank = layer.rank
            place = (self._lanes, *window_at(layer, x, y, self._before))
            patch = seen.take(layer.value, axis=2)  # (n, C, tall, wide)
            values, finest = (windows(p, *rank.shape) for p in (self._values, self._finest))
            if rank.any():
                before = finest[place]
                patch = np.where(before >= rank, patch, values[place])
                finest[place] = np.minimum(before, rank)
            else:
                finest[place] = 0
            values[place] = patch

    def picture(self) -> NDArray[np.float32]:
        """What was seen, float32 `(n, C + 1, H, W)` in [0, 1], a fresh array.

        0 where nothing was seen; the last plane is 1 where it was seen at full resolution.
        """
        rows = slice(self._before, self._before + self._height)
        columns = slice(self._before, self._before + self._width)
        values, finest = self._values[:, :, rows, columns], self._finest[:, :, rows, columns]
        return np.concatenate([values, finest == 0], axis=1, dtype=np.float32)


def margins(layers: tuple[Layer, ...]) -> tuple[int, int]:
    """How many pixels before and behind an image the layers of a glimpse from it may reach."""
    moved = [(layer.first, max(layer.rank.shape)) for layer in layers if layer.first is not None]
    before = max((-first for first, _ in moved), default=0)
    return max(before, 0), max([first + side - 1 for first, side in moved] + [0])


def window_at(
    layer: Layer, x: NDArray[np.int64], y: NDArray[np.int64], margin: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column `(n,)` where a layer's window begins, of planes with such a margin.

    `x` and `y` `(n,)` are the fixated pixels.
    """
    if layer.first is None:
        still = np.full_like(x, margin)
        return still, still
    return y + (layer.first + margin), x + (layer.first + margin)


def windows(planes: NDArray, tall: int, wide: int) -> NDArray:
    """All windows of planes `(n, C, H, W)`: a view `(n, h, w, C, tall, wide)`."""
    lanes, channels, height, width = planes.shape
    lane, channel, row, column = planes.strides
    shape = (lanes, height - tall + 1, width - wide + 1, channels, tall, wide)
    return as_strided(planes, shape, (lane, row, column, channel, row, column))
