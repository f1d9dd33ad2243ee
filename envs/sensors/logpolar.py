"""A log-polar retina: rings and wedges around the fixation, coarser the further out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import at_least, number
from .base import OUTSIDE, Layer, Outline, Prepared, Sensor, as_bytes, to_pixel, widened
from .retina import GlimpseSensor, PreparedImages

_POINTS = 8  # points that a pixel is parted into, along a side
_DRAWN = 4  # the same in pictures
_MOST_WEDGES, _MOST_RADIUS = 4096, 256
_MOST_SHARES = 1 << 27  # numbers of pixels in cells: 1 GiB
_EXACT = 1 << 24  # whole numbers up to here are float32's own, whatever order they are added in
_BLOCK = 1 << 20  # pixels that are averaged together: what they need stays in the cache


@dataclass(frozen=True)
class LogPolarSensor(Sensor):
    """Cells on rings around the fixated pixel, wider ring by ring by one factor.

    The first ring is the disc within `inner` pixels of the pixel's centre; the others end at radii
    that grow by equal factors, the last at `radius`. Each is cut into `wedges` alike, the first of
    which begins to the right, the next below it. A value is the mean of its cell: of the points in
    it where every pixel is parted into 8 x 8, so that fine detail does not alias. Pixels outside
    the image read 0. A glimpse is one view: rings down, inside first, wedges across.

    Attributes:
        rings: number of rings, at least 2.
        wedges: number of wedges, at least 1.
        inner: radius of the first ring in pixels. Where its cells are no larger than a pixel, they
            count as full resolution.
        radius: of the last ring in pixels.

    Raises:
        ValueError: an option is out of range, or a cell is too small to hold a point.
    """

    rings: int = 8
    wedges: int = 24
    inner: float = 2.5
    radius: float = 24.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "rings", at_least("rings", self.rings, 2, OUTSIDE - 2))
        object.__setattr__(self, "wedges", at_least("wedges", self.wedges, 1, _MOST_WEDGES))
        object.__setattr__(self, "inner", number("inner", self.inner, above=0))
        object.__setattr__(self, "radius", number("radius", self.radius, self.inner, _MOST_RADIUS))
        side = 2 * _reach(self.radius) + 1
        if self.rings * self.wedges * side**2 > _MOST_SHARES:
            raise ValueError(
                f"radius={self.radius:g}: {self.rings} rings of {self.wedges} wedges over so many "
                "pixels are too many, take fewer or a smaller radius"
            )
        if not _shares(self).any(axis=1).all():
            raise ValueError(
                f"wedges={self.wedges}, rings={self.rings}: some cells are smaller than an eighth "
                f"of a pixel, take fewer, or a larger inner than {self.inner:g}"
            )

    @property
    def size(self) -> int:
        return 2 * _reach(self.inner) + 1

    def shape(self, channels: int) -> tuple[int, int, int]:
        """The shape of one glimpse, `(channels, rings, wedges)`."""
        return channels, self.rings, self.wedges

    def allocate(self, lanes: int, height: int, width: int, channels: int) -> Prepared:
        return _Averaged(self, lanes, height, width, channels)

    def allocate_on(
        self, device: Any, lanes: int, height: int, width: int, channels: int
    ) -> Prepared:
        from ..device import upload
        from ..device.eye import DeviceCells, DevicePatches

        patches = DevicePatches(_patch(self), lanes, height, width, channels, device)
        shares, whole = (upload(values, device) for values in _exact(self))
        return DeviceCells(patches, shares, whole, self.shape(channels))

    def layers(self, height: int, width: int) -> tuple[Layer, ...]:
        # Each pixel shows the cell that holds most of it, where cells hold more than half.
        shares = _shares(self)
        value = shares.argmax(axis=0)
        sharp = math.pi * self.inner**2 <= self.wedges
        rank = value // self.wedges + (0 if sharp else 1)
        rank[2 * shares.sum(axis=0) <= _POINTS**2] = OUTSIDE
        side = 2 * _reach(self.radius) + 1
        window = value.reshape(side, side), rank.astype(np.uint8).reshape(side, side)
        return (Layer(-_reach(self.radius), *window),)

    @property
    def outlines(self) -> tuple[Outline, ...]:
        return tuple(Outline(0.5 - r, 2 * r, round=True) for r in (self.inner, self.radius))

    @property
    def labels(self) -> tuple[str, ...]:
        return "rings by wedges", f"{2 * self.radius:g} px"

    def views(self, glimpse: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """The values as they come, and the cells where they lie, black around them."""
        flat = glimpse.reshape(len(glimpse), -1).T  # (rings * wedges, C)
        cells = cells_of(self, _DRAWN)
        placed = np.where(cells[..., None] >= 0, flat[cells], np.float32(0))
        return [glimpse.transpose(1, 2, 0), placed]

    def __call__(
        self, images: NDArray[Any], fixations: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        images, x, y = widened(as_bytes(images), fixations, _reach(self.radius) + 1)
        prepared = _Averaged(self, *images.shape)
        prepared.update(slice(None), images)
        return prepared.look_at(x, y)


class _Averaged(Prepared):
    """State: the images, ready for patches that hold all rings."""

    def __init__(
        self, sensor: LogPolarSensor, lanes: int, height: int, width: int, channels: int
    ) -> None:
        self._sensor = sensor
        self._half = np.array([(width - 1) / 2, (height - 1) / 2], np.float32)
        self._images = PreparedImages(_patch(sensor), lanes, height, width, channels)
        self._shares, self._whole = _exact(sensor)

    def update(self, lanes: slice | NDArray[np.int64], images: NDArray[Any]) -> None:
        self._images.update(lanes, images)

    def look(self, fixations: NDArray[np.floating]) -> NDArray[np.float32]:
        pixel = to_pixel(fixations, self._half)
        return self.look_at(pixel[:, 0], pixel[:, 1])

    def look_at(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.float32]:
        """One glimpse of every image from pixel numbers `(n,)`, which must lie on the image."""
        lanes, channels = self._images.shape[0], self._images.shape[3]
        pixels, cells = self._shares.shape
        glimpse = np.empty((lanes, channels, cells), np.float32)
        count = max(1, _BLOCK // (channels * pixels))
        for first in range(0, lanes, count):
            block = slice(first, first + count)
            seen = self._images.bytes_at(x, y, block).reshape(-1, pixels)
            sums = (seen.astype(self._shares.dtype) @ self._shares).astype(np.float32)
            np.divide(sums.reshape(-1, channels, cells), self._whole, out=glimpse[block])
        return glimpse.reshape(lanes, *self._sensor.shape(channels))


def cells_of(sensor: LogPolarSensor, points: int) -> NDArray[np.int64]:
    """Which cell each of `points` x `points` points of every pixel lies in; -1: in none.

    Cells are counted ring by ring; the pixels are the square that holds all rings.
    """
    side = 2 * _reach(sensor.radius) + 1
    at = (np.arange(side * points) + 0.5) / points - side / 2  # pixels from the centre
    x, y = at, at[:, None]
    growth = (sensor.radius / sensor.inner) ** (1 / (sensor.rings - 1))
    ends = np.append(sensor.inner * growth ** np.arange(sensor.rings - 1), sensor.radius)
    ring = np.searchsorted(ends**2, x * x + y * y, side="right")
    turn = np.arctan2(y, x) / (2 * math.pi) % 1
    # A point between two wedges is the second's, whatever the last bit of its angle.
    wedge = (turn * sensor.wedges + 1e-9).astype(np.int64) % sensor.wedges
    return np.where(ring < sensor.rings, ring * sensor.wedges + wedge, -1)


def _reach(radius: float) -> int:
    """How many pixels beyond the fixated one a circle around its centre touches."""
    return max(0, math.ceil(radius - 0.5))


def _patch(sensor: LogPolarSensor) -> GlimpseSensor:
    """What cuts the square that holds all rings."""
    return GlimpseSensor(2 * _reach(sensor.radius) + 1)


def _exact(sensor: LogPolarSensor) -> tuple[NDArray, NDArray[np.float32]]:
    """Shares of pixels in cells, `(pixels, cells)`, and what a cell's sum is divided by.

    Sums of bytes times shares are whole numbers, which the shares' dtype holds exactly, so that a
    glimpse does not depend on the batch.
    """
    shares = _shares(sensor)
    whole = 255 * shares.sum(axis=1)
    dtype = np.float32 if whole.max() <= _EXACT else np.float64
    return shares.T.astype(dtype), whole.astype(np.float32)


@lru_cache(maxsize=16)
def _shares(sensor: LogPolarSensor) -> NDArray[np.int64]:
    """How many of each pixel's points lie in each cell, `(rings * wedges, pixels)`."""
    cells = cells_of(sensor, _POINTS)
    side = len(cells) // _POINTS
    pixel = np.arange(side * _POINTS) // _POINTS
    pixels = np.broadcast_to(pixel[:, None] * side + pixel, cells.shape)
    count, inside = sensor.rings * sensor.wedges, cells >= 0
    joint = cells[inside] * side**2 + pixels[inside]
    shares = np.bincount(joint, minlength=count * side**2).reshape(count, side**2)
    shares.flags.writeable = False
    return shares
