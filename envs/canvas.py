"""What the eye remembers: everything seen so far, each pixel at the finest resolution it was seen.

It paints glimpses in place; `eye.py` says when an episode begins.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from .sensor import GlimpseSensor, fixation_to_pixel


class Canvas:
    """One picture a lane, onto which each glimpse is painted where it was seen.

    Coarse patches are painted first and finer ones over them; what was once seen finer stays.
    Painting a glimpse twice changes nothing.

    State: the painted values, float32, and the finest scale that each pixel was seen at, both with
    a margin for the part of a glimpse that lies off the image.

    Args:
        sensor: what a glimpse is.
        lanes: number of lanes.
        frame_shape: `(H, W, C)` of the images.
    """

    def __init__(
        self, sensor: GlimpseSensor, lanes: int, frame_shape: tuple[int, int, int]
    ) -> None:
        self.sensor = sensor
        self._height, self._width, channels = frame_shape
        largest = sensor.extent(sensor.scales - 1)
        self._margin = largest // 2
        padded = (self._height + largest - 1, self._width + largest - 1)
        self._values = np.zeros((lanes, channels, *padded), np.float32)
        self._finest = np.full((lanes, 1, *padded), sensor.scales, np.uint8)
        self._lanes = np.arange(lanes)

    def clear(self, lanes: NDArray[np.int64] | slice) -> None:
        """Forget what was seen in `lanes`."""
        self._values[lanes] = 0
        self._finest[lanes] = self.sensor.scales

    def paint(self, glimpse: NDArray[np.float32], fixation: NDArray[np.float32]) -> None:
        """Add one glimpse of every lane, `(n, scales * C, size, size)`, seen from `(n, 2)`."""
        x = fixation_to_pixel(fixation[:, 0], self._width)
        y = fixation_to_pixel(fixation[:, 1], self._height)
        patches = np.split(glimpse, self.sensor.scales, axis=1)
        for scale in reversed(range(self.sensor.scales)):
            extent = self.sensor.extent(scale)
            offset = self._margin - extent // 2
            place = (self._lanes, y + offset, x + offset)
            patch = patches[scale].repeat(1 << scale, axis=2).repeat(1 << scale, axis=3)
            values, finest = _windows(self._values, extent), _windows(self._finest, extent)
            if scale:
                before = finest[place]
                patch = np.where(before >= scale, patch, values[place])
                finest[place] = np.minimum(before, scale)
            else:
                finest[place] = 0
            values[place] = patch

    def picture(self) -> NDArray[np.float32]:
        """What was seen, float32 `(n, C + 1, H, W)` in [0, 1], a fresh array.

        0 where nothing was seen; the last plane is 1 where it was seen at full resolution.
        """
        rows = slice(self._margin, self._margin + self._height)
        columns = slice(self._margin, self._margin + self._width)
        values, finest = self._values[:, :, rows, columns], self._finest[:, :, rows, columns]
        return np.concatenate([values, finest == 0], axis=1, dtype=np.float32)


def _windows(planes: NDArray, extent: int) -> NDArray:
    """All square windows of planes `(n, C, H, W)`: a view `(n, h, w, C, extent, extent)`."""
    lanes, channels, height, width = planes.shape
    lane, channel, row, column = planes.strides
    shape = (lanes, height - extent + 1, width - extent + 1, channels, extent, extent)
    return as_strided(planes, shape, (lane, row, column, channel, row, column))
