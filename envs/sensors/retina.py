"""The retina of several resolutions (Mnih et al. 2014, section 3), batched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import at_least
from .base import Layer, Outline, Prepared, Sensor, as_bytes, to_pixel, widened

MOST_SIZE = 4096  # values along a side of a glimpse
MAX_SCALES = 5  # the 16-pixel box sum of bytes is the largest that fits 16 bits
_BLOCK = 1 << 18  # bytes of patches that are summed together: what they need stays in the cache
# What turns a box sum of bytes into a mean in [0, 1], by scale.
UNITS = tuple(np.float32(1 / (255 * 4**scale)) for scale in range(MAX_SCALES))


@dataclass(frozen=True)
class GlimpseSensor(Sensor):
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
        object.__setattr__(self, "size", at_least("size", self.size, 1, MOST_SIZE))
        object.__setattr__(self, "scales", at_least("scales", self.scales, 1))
        if self.scales > MAX_SCALES:
            raise ValueError(f"scales={self.scales}: the retina has 1 to {MAX_SCALES} scales")

    def shape(self, channels: int) -> tuple[int, int, int]:
        """The shape of one glimpse, `(scales * channels, size, size)`."""
        return self.scales * channels, self.size, self.size

    def extent(self, scale: int) -> int:
        """Side of patch `scale` on the image, in pixels."""
        return self.size << scale

    def allocate(self, lanes: int, height: int, width: int, channels: int) -> Prepared:
        return PreparedImages(self, lanes, height, width, channels)

    def allocate_on(
        self, device: Any, lanes: int, height: int, width: int, channels: int
    ) -> Prepared:
        from ..device.eye import DevicePatches

        return DevicePatches(self, lanes, height, width, channels, device)

    def layers(self, height: int, width: int) -> tuple[Layer, ...]:
        return tuple(self._layer(scale) for scale in range(self.scales))

    @property
    def outlines(self) -> tuple[Outline, ...]:
        extents = map(self.extent, range(self.scales))
        return tuple(Outline(-(extent // 2), extent) for extent in extents)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(f"{self.extent(scale)} px" for scale in range(self.scales))

    def __call__(
        self, images: NDArray[Any], fixations: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        images, x, y = widened(as_bytes(images), fixations, self.extent(self.scales - 1))
        prepared = PreparedImages(self, *images.shape)
        prepared.update(slice(None), images)
        return prepared.look_at(x, y)

    def _layer(self, scale: int) -> Layer:
        extent = self.extent(scale)
        place = np.arange(extent) >> scale
        value = (scale * self.size + place)[:, None] * self.size + place
        return Layer(-(extent // 2), value, np.full((extent, extent), scale, np.uint8))


class PreparedImages(Prepared):
    """Images with the margin that patches need, ready to be looked at.

    Boxes are summed at each look: sums of whole images, taken once, pay only from some twenty looks
    at each. In one image alone they are summed by matrix products, which are fewer calls; whole
    numbers as small as these sums are float32's own, so that the glimpse is the same.

    State: the bytes of all images, a margin of zeros before each row and each image: what follows
    one is the margin of the next.
    """

    def __init__(
        self, sensor: GlimpseSensor, lanes: int, height: int, width: int, channels: int
    ) -> None:
        self.sensor = sensor
        self.shape = (lanes, height, width, channels)
        self._lanes = np.arange(lanes)
        self._half = np.array([(width - 1) / 2, (height - 1) / 2], np.float32)
        self._boxes = _boxes(sensor.size, sensor.scales) if lanes == 1 else None
        # The patch of pixel 0 starts extent // 2 before it, that of the last pixel ends no further
        # behind it.
        self._margin = sensor.extent(sensor.scales - 1) // 2
        tall, wide = height + self._margin, width + self._margin
        last = self._margin * wide + self._margin  # behind the last image
        self._bytes = np.zeros(lanes * channels * tall * wide + last, np.uint8)
        self._set_views()

    def __getstate__(self) -> dict[str, Any]:
        # A copied or pickled view would be an array of its own, which no update reaches.
        views = ("_planes", "_patches")
        return {name: value for name, value in vars(self).items() if name not in views}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._set_views()

    def _set_views(self) -> None:
        """The images alone, `(n, C, H, W)`, and the patches of every scale by lane and pixel.

        Patches are `(n, H, W, C, extent)`: a row of pixels is one element, to be copied whole.
        """
        lanes, height, width, channels = self.shape
        row = width + self._margin
        plane = (height + self._margin) * row
        lane, first = channels * plane, self._margin * (row + 1)
        self._planes: NDArray[np.uint8] = np.ndarray(
            (lanes, channels, height, width), np.uint8, self._bytes, first, (lane, plane, row, 1)
        )
        self._patches: list[NDArray[np.void]] = []
        for scale in range(self.sensor.scales):
            extent = self.sensor.extent(scale)
            patches: NDArray[np.void] = np.ndarray(
                (lanes, height, width, channels, extent),
                f"V{extent}",
                self._bytes,
                first - (extent // 2) * (row + 1),
                (lane, row, 1, plane, row),
            )
            patches.flags.writeable = False
            self._patches.append(patches)

    def update(self, lanes: slice | NDArray[np.int64], images: NDArray[Any]) -> None:
        self._planes[lanes] = np.moveaxis(images, 3, 1)

    def look(self, fixations: NDArray[np.floating]) -> NDArray[np.float32]:
        pixel = to_pixel(fixations, self._half)
        return self.look_at(pixel[:, 0], pixel[:, 1])

    def look_at(self, x: NDArray[np.int64], y: NDArray[np.int64]) -> NDArray[np.float32]:
        """One glimpse of every image from pixel numbers `(n,)`, which must lie on the image."""
        size, scales = self.sensor.size, self.sensor.scales
        lanes, _, _, channels = self.shape
        if self._boxes is not None:
            return self._look_at_one(int(x[0]), int(y[0]), self._boxes)
        glimpse = np.empty((lanes, scales, channels, size, size), np.float32)
        for scale, patches in enumerate(self._patches):
            count = max(1, _BLOCK // (channels * self.sensor.extent(scale) ** 2))
            for first in range(0, lanes, count):
                block = slice(first, first + count)
                seen = patches[self._lanes[block], y[block], x[block]]
                sums = _box_sums(seen, size, scale).reshape(-1, channels, size, size)
                np.multiply(sums, UNITS[scale], out=glimpse[block, scale])
        return glimpse.reshape(lanes, scales * channels, size, size)

    def _look_at_one(self, x: int, y: int, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same of the only image: all patches lie in the coarsest."""
        size, scales, channels = self.sensor.size, self.sensor.scales, self.shape[3]
        extent = self.sensor.extent(scales - 1)
        _, row, _, plane, _ = self._patches[-1].strides
        window: NDArray[np.uint8] = np.ndarray(
            (channels, extent, extent), np.uint8, self._bytes, y * row + x, (plane, row, 1)
        )
        if scales == 1:
            return np.multiply(window, UNITS[0])[None]
        across = (window.astype(np.float32) @ boxes).reshape(channels, extent, scales, size)
        sums = boxes.reshape(extent, scales, size).transpose(1, 2, 0)[:, None] @ across.transpose(
            2, 0, 1, 3
        )  # (scales, C, size, size)
        sums *= np.array(UNITS[:scales])[:, None, None, None]
        return sums.reshape(1, scales * channels, size, size)

    def bytes_at(
        self, x: NDArray[np.int64], y: NDArray[np.int64], lanes: slice
    ) -> NDArray[np.uint8]:
        """What the finest patch covers of the images of `lanes`, `(m, C, size, size)`."""
        size, channels = self.sensor.size, self.shape[3]
        seen = self._patches[0][self._lanes[lanes], y[lanes], x[lanes]]
        return seen.view(np.uint8).reshape(-1, channels, size, size)


def _boxes(size: int, scales: int) -> NDArray[np.float32]:
    """Which pixels of the coarsest patch's side each box of each scale holds, `(extent, k)`.

    1 where it does, 0 where not; k is `scales * size`, finest first.
    """
    extent = size << (scales - 1)
    found = np.zeros((extent, scales, size), np.float32)
    for scale in range(scales):
        own = size << scale
        pixels = np.arange(own)
        found[extent // 2 - own // 2 + pixels, scale, pixels >> scale] = 1
    return found.reshape(extent, scales * size)


def _box_sums(
    patches: NDArray[np.void], size: int, scale: int
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Sum boxes of `2**scale` pixels a side of patches `(n, C, extent)`, which are used up.

    Returns:
        `n * C * size**2` sums.
    """
    if scale == 0:
        return patches.view(np.uint8)
    # Two neighbours as one number: its upper and its lower half, in whichever order.
    pairs = patches.view(np.uint16)
    sums = pairs >> np.uint16(8)
    pairs &= np.uint16(255)
    sums += pairs
    # Add the next row to every row, then the next but one, ...: half of it for nothing, but whole
    # blocks at a time.
    row, sums = size << (scale - 1), sums.reshape(-1)
    for power in range(scale):
        down = row << power
        sums = sums[:-down] + sums[down:]
    # Of each box's rows the first.
    total = np.ndarray((patches.size >> scale, row), np.uint16, sums, 0, ((row << scale) * 2, 2))
    for _ in range(scale - 1):
        total = total[:, ::2] + total[:, 1::2]
    return total
