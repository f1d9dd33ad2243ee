"""The whole image in a few pixels: what the corner of an eye tells before it looks anywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 32  # images averaged at a time: small enough to stay in the cache
_EXACT = 1 << 24  # whole numbers up to here are float32's own, whatever order they are added in


class Context:
    """One small picture a lane, of all that the image shows.

    The image is cut into `size` x `size` equal boxes, whatever its shape, and each is averaged;
    a pixel on the border of two boxes counts for both by its share.

    State: the pictures, float32 `(n, C, size, size)`; and what a picture is: `rows` and `columns`,
    shares of each pixel in each box, and `whole`, what the sum of a box of bytes is divided by.

    Args:
        lanes: number of lanes, n.
        frame_shape: `(H, W, C)` of the images.
        size: side of a picture.
    """

    def __init__(self, lanes: int, frame_shape: tuple[int, int, int], size: int) -> None:
        height, width, channels = frame_shape
        whole = 255 * height * width
        self._dtype: type = np.float32 if whole <= _EXACT else np.float64
        self.rows: NDArray = _shares(height, size).astype(self._dtype)  # (size, H)
        self.columns: NDArray = _shares(width, size).T.astype(self._dtype)  # (W, size)
        self.whole = np.float32(whole)
        self._pictures = np.zeros((lanes, channels, size, size), np.float32)
        self._lanes = np.arange(lanes)

    def update(self, lanes: NDArray[np.int64] | slice, frames: NDArray[np.uint8]) -> None:
        """Average frames, uint8 `(m, H, W, C)`, into the pictures of `lanes`."""
        lanes = self._lanes[lanes]
        for first in range(0, len(lanes), _BLOCK):
            block = slice(first, first + _BLOCK)
            planes: NDArray = np.moveaxis(frames[block], 3, 1).astype(self._dtype)  # (b, C, H, W)
            sums = self.rows @ planes @ self.columns  # (b, C, size, size)
            self._pictures[lanes[block]] = sums.astype(np.float32) / self.whole

    def picture(self) -> NDArray[np.float32]:
        """The pictures of all lanes, in [0, 1], a fresh array."""
        return self._pictures.copy()


def _shares(length: int, boxes: int) -> NDArray[np.int64]:
    """How much of each pixel lies in each box, `(boxes, length)`; a whole pixel is `boxes`."""
    pixel, box = np.arange(length) * boxes, np.arange(boxes)[:, None] * length
    return np.maximum(np.minimum(pixel + boxes, box + length) - np.maximum(pixel, box), 0)
