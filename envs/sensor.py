"""The glimpse sensor: a retina of several resolutions (Mnih et al. 2014, section 3), batched.

It computes; it does not remember where the eye is (`eye.py` does).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import ArrayLike, NDArray

from .checks import at_least

MAX_SCALES = 5  # the 16-pixel box sum of bytes is the largest that fits 16 bits
_BLOCK = 16  # images summed at a time
# What turns a box sum of bytes into a mean in [0, 1], by scale.
_UNITS = tuple(np.float32(1 / (255 * 4**scale)) for scale in range(MAX_SCALES))


def fixation_to_pixel(fixation: NDArray[np.floating], length: int) -> NDArray[np.int64]:
    """Turn coordinates in [-1, 1] along an axis of `length` pixels into pixel numbers.

    -1 is the centre of the first pixel and 1 that of the last; halves round up. Computed in
    float32 so that every path of the suite lands on the same pixel.
    """
    return _to_pixel(np.asarray(fixation, np.float32), np.float32((length - 1) / 2))


def _to_pixel(
    fixation: NDArray[np.float32], half: np.float32 | NDArray[np.float32]
) -> NDArray[np.int64]:
    position = (fixation + np.float32(1)) * half + np.float32(0.5)
    return np.floor(position, out=position).astype(np.int64)


def pixel_to_fixation(pixel: ArrayLike, length: int) -> NDArray[np.float32]:
    """The coordinate in [-1, 1] of pixel positions along an axis of `length` pixels."""
    return (2 * np.asarray(pixel, np.float64) / max(length - 1, 1) - 1).astype(np.float32)


@dataclass(frozen=True)
class GlimpseSensor:
    """Concentric square patches around a fixation, each averaged down to `size` x `size`.

    Patch s covers `size * 2**s` pixels a side, starts at pixel `c - size * 2**s // 2` where c is
    the fixated pixel, and is box-averaged, so fine detail does not alias. Pixels outside the image
    read 0. Any image size, aspect and number of channels.

    Attributes:
        size: side of a patch as the agent sees it, in values; at least 1.
        scales: number of patches, finest first; 1 to 5.

    Raises:
        ValueError: `size` or `scales` is out of range.
    """

    size: int = 8
    scales: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", at_least("size", self.size, 1))
        object.__setattr__(self, "scales", at_least("scales", self.scales, 1))
        if self.scales > MAX_SCALES:
            raise ValueError(f"scales={self.scales}: the retina has 1 to {MAX_SCALES} scales")

    def shape(self, channels: int) -> tuple[int, int, int]:
        """The shape of one glimpse, `(scales * channels, size, size)`."""
        return self.scales * channels, self.size, self.size

    def extent(self, scale: int) -> int:
        """Side of patch `scale` on the image, in pixels."""
        return self.size << scale

    def prepare(self, images: NDArray[np.uint8]) -> PreparedImages:
        """Sum `images`, uint8 `(n, H, W, C)`, over every box once, so that looking is a copy."""
        prepared = self.allocate(*images.shape)
        prepared.update(slice(None), images)
        return prepared

    def allocate(self, lanes: int, height: int, width: int, channels: int) -> PreparedImages:
        """Room for `lanes` prepared images, black until `update` fills it."""
        return PreparedImages(self, lanes, height, width, channels)

    def __call__(
        self, images: NDArray[np.uint8], fixations: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Look once at each image.

        Args:
            images: uint8 `(n, H, W, C)`.
            fixations: `(n, 2)`, x then y; [-1, 1] is the image, and a fixation beyond it reads
                what its patches still cover.

        Returns:
            float32 `(n, scales * C, size, size)` in [0, 1], finest scale first.
        """
        _, height, width, _ = images.shape
        x = fixation_to_pixel(np.asarray(fixations)[:, 0], width)
        y = fixation_to_pixel(np.asarray(fixations)[:, 1], height)
        beyond = (x < 0) | (x >= width) | (y < 0) | (y >= height)
        if not beyond.any():
            return self.prepare(images).look_at(x, y)
        # Widen the image until every centre lies on it; further out there is nothing to see.
        margin = self.extent(self.scales - 1)
        images = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
        x = np.clip(x, -margin, width - 1 + margin) + margin
        y = np.clip(y, -margin, height - 1 + margin) + margin
        return self.prepare(images).look_at(x, y)


class PreparedImages:
    """Images summed over boxes at every scale, ready to be looked at.

    State: one padded array of box sums a scale, and a strided view of all its patches.
    """

    def __init__(
        self, sensor: GlimpseSensor, lanes: int, height: int, width: int, channels: int
    ) -> None:
        self.sensor = sensor
        self.shape = (lanes, height, width, channels)
        self._lanes = np.arange(lanes)
        self._half = np.array([(width - 1) / 2, (height - 1) / 2], np.float32)
        self._sums: list[NDArray] = []
        for scale in range(sensor.scales):
            extent, box = sensor.extent(scale), 1 << scale
            # The patch of pixel 0 starts extent // 2 before it; that of the last pixel ends
            # extent - extent // 2 behind it. A sum stands at its box's first pixel.
            padded = (height + extent - 1, width + extent - 1)
            sums = np.zeros(
                (lanes, channels, padded[0] - box + 1, padded[1] - box + 1),
                np.uint8 if scale == 0 else np.uint16,
            )
            self._sums.append(sums)
        self._patches = self._views()

    def __getstate__(self) -> dict[str, Any]:
        # A copied or pickled view would be an array of its own, which no update reaches.
        return {name: value for name, value in vars(self).items() if name != "_patches"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._patches = self._views()

    def _views(self) -> list[NDArray]:
        """The patches of every scale by lane and first pixel, `(n, H, W, C, size, size)`."""
        size = self.sensor.size
        views = []
        for scale, sums in enumerate(self._sums):
            lane, channel, row, column = sums.strides
            strides = (lane, row, column, channel, row << scale, column << scale)
            shape = (*self.shape, size, size)
            views.append(as_strided(sums, shape, strides, writeable=False))
        return views

    def update(self, lanes: slice | NDArray[np.int64], images: NDArray[np.uint8]) -> None:
        """Put `images`, uint8 `(m, H, W, C)`, in the places of `lanes`."""
        if isinstance(lanes, slice):
            lanes = self._lanes[lanes]
        for first in range(0, len(lanes), _BLOCK):  # small enough to stay in the cache
            block = slice(first, first + _BLOCK)
            self._update_block(lanes[block], np.moveaxis(images[block], 3, 1))

    def _update_block(self, lanes: NDArray[np.int64], planes: NDArray[np.uint8]) -> None:
        _, height, width, _ = self.shape
        for scale, sums in enumerate(self._sums):
            left = self.sensor.extent(scale) // 2
            if scale == 0:  # the padding is zero already
                sums[lanes, :, left : left + height, left : left + width] = planes
                continue
            reach = (1 << scale) - 1  # boxes that start this far before the image still meet it
            total = np.zeros((*planes.shape[:2], height + 2 * reach, width + 2 * reach), np.uint16)
            total[:, :, reach : reach + height, reach : reach + width] = planes
            for step in (1 << power for power in range(scale)):  # 1, 2, 4: boxes by doubling
                total = total[:, :, :-step] + total[:, :, step:]
                total = total[:, :, :, :-step] + total[:, :, :, step:]
            # A retina of size 1 has less margin than its boxes reach: drop what nobody can see.
            first = max(left - reach, 0)
            rows = slice(first, min(left + height, sums.shape[2]))
            columns = slice(first, min(left + width, sums.shape[3]))
            skip = first - (left - reach)
            sums[lanes, :, rows, columns] = total[
                :, :, skip : skip + rows.stop - first, skip : skip + columns.stop - first
            ]

    def look(self, fixations: NDArray[np.floating]) -> NDArray[np.float32]:
        """One glimpse of every image from fixations `(n, 2)` within [-1, 1].

        Returns:
            float32 `(n, scales * C, size, size)`, a fresh array.
        """
        pixel = _to_pixel(fixations, self._half)
        return self.look_at(pixel[:, 0], pixel[:, 1])

    def look_at(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.float32]:
        """The same from pixel numbers `(n,)`, which must lie on the image."""
        size, scales = self.sensor.size, self.sensor.scales
        lanes, _, _, channels = self.shape
        glimpse = np.empty((lanes, scales, channels, size, size), np.float32)
        for scale, patches in enumerate(self._patches):
            np.multiply(patches[self._lanes, y, x], _UNITS[scale], out=glimpse[:, scale])
        return glimpse.reshape(lanes, scales * channels, size, size)
