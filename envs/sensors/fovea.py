"""A fovea: a sharp patch where the eye is, and the whole image coarsely, wherever it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import at_least
from ..context import Context
from .base import Layer, Outline, Prepared, Sensor, as_bytes
from .retina import MOST_SIZE, GlimpseSensor


@dataclass(frozen=True)
class FoveaSensor(Sensor):
    """One patch at full resolution, and beside it a periphery that shows the whole image.

    The patch is the retina's finest: it starts at pixel `c - size // 2` and reads 0 outside the
    image. The periphery is the image cut into `size` x `size` equal boxes, each averaged, whatever
    the image's shape and wherever the eye is; so a glimpse is two views of one size.

    Attributes:
        size: side of the patch in pixels, and of the periphery in values; at least 1.

    Raises:
        ValueError: `size` is out of range.
    """

    size: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", at_least("size", self.size, 1, MOST_SIZE))

    def shape(self, channels: int) -> tuple[int, int, int]:
        """The shape of one glimpse, `(2 * channels, size, size)`."""
        return 2 * channels, self.size, self.size

    def allocate(self, lanes: int, height: int, width: int, channels: int) -> Prepared:
        patch = GlimpseSensor(self.size).allocate(lanes, height, width, channels)
        return _PatchAndPeriphery(patch, Context(lanes, (height, width, channels), self.size))

    def allocate_on(
        self, device: Any, lanes: int, height: int, width: int, channels: int
    ) -> Prepared:
        from ..device.eye import DeviceContext, DeviceFovea, DevicePatches

        patch = DevicePatches(GlimpseSensor(self.size), lanes, height, width, channels, device)
        return DeviceFovea(
            patch, DeviceContext(lanes, (height, width, channels), self.size, device)
        )

    def layers(self, height: int, width: int) -> tuple[Layer, ...]:
        # Each pixel shows the box that holds its middle.
        row, column = ((2 * np.arange(n) + 1) * self.size // (2 * n) for n in (height, width))
        value = (self.size + row)[:, None] * self.size + column
        coarse = np.full((height, width), 1, np.uint8)
        return *GlimpseSensor(self.size).layers(height, width), Layer(None, value, coarse)

    @property
    def outlines(self) -> tuple[Outline, ...]:
        return GlimpseSensor(self.size).outlines

    @property
    def labels(self) -> tuple[str, ...]:
        return f"{self.size} px", "whole image"

    def __call__(
        self, images: NDArray[Any], fixations: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        images = as_bytes(images)
        lanes, *frame = images.shape
        periphery = Context(lanes, (frame[0], frame[1], frame[2]), self.size)
        periphery.update(slice(None), images)
        patch = GlimpseSensor(self.size)(images, fixations)
        return np.concatenate([patch, periphery.picture()], axis=1)


class _PatchAndPeriphery(Prepared):
    """State: the prepared images, and their peripheries."""

    def __init__(self, patch: Prepared, periphery: Context) -> None:
        self._patch = patch
        self._periphery = periphery

    def update(self, lanes: slice | NDArray[np.int64], images: NDArray[Any]) -> None:
        self._patch.update(lanes, images)
        self._periphery.update(lanes, images)

    def look(self, fixations: NDArray[np.floating]) -> NDArray[np.float32]:
        return np.concatenate([self._patch.look(fixations), self._periphery.picture()], axis=1)
