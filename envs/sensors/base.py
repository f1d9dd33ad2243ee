"""What every sensor has in common: places on an image, and what a glimpse shows of it."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

OUTSIDE = 255  # the rank of pixels that a glimpse does not show


def fixation_to_pixel(fixation: NDArray[np.floating], length: int) -> NDArray[np.int64]:
    """Turn coordinates in [-1, 1] along an axis of `length` pixels into pixel numbers.

    -1 is the centre of the first pixel and 1 that of the last; halves round up. Computed in
    float32 so that every path of the suite lands on the same pixel.
    """
    return to_pixel(np.asarray(fixation, np.float32), np.float32((length - 1) / 2))


def to_pixel(
    fixation: NDArray[np.float32], half: np.float32 | NDArray[np.float32]
) -> NDArray[np.int64]:
    """The same where half the length, less half a pixel, is known."""
    position = (fixation + np.float32(1)) * half + np.float32(0.5)
    return np.floor(position, out=position).astype(np.int64)


def pixel_to_fixation(pixel: ArrayLike, length: int) -> NDArray[np.float32]:
    """The coordinate in [-1, 1] of pixel positions along an axis of `length` pixels."""
    return (2 * np.asarray(pixel, np.float64) / max(length - 1, 1) - 1).astype(np.float32)


@dataclass(frozen=True)
class Outline:
    """The edge of a part of a glimpse, for pictures: a square, or the circle in it.

    Attributes:
        first: where it begins, left and above, in pixels from the fixated pixel's first corner.
        side: in pixels.
        round: whether it is the circle.
    """

    first: float
    side: float
    round: bool = False


@dataclass(frozen=True, eq=False)
class Layer:
    """A window of pixels on the image, and the values of a glimpse that show them.

    Attributes:
        first: where the window begins, left and above, in pixels from the fixated one; None: it
            is the whole image, wherever the eye is.
        value: which value of a glimpse shows each pixel, counted in one channel through all
            planes, int64 `(tall, wide)`.
        rank: how coarsely, uint8 `(tall, wide)`: 0 at full resolution, larger where coarser,
            `OUTSIDE` where not at all.
    """

    first: int | None
    value: NDArray[np.int64]
    rank: NDArray[np.uint8]


class Prepared(abc.ABC):
    """The images of some lanes, ready to be looked at: what `Sensor.allocate` makes."""

    @abc.abstractmethod
    def update(self, lanes: slice | NDArray[np.int64], images: NDArray[Any]) -> None:
        """Put `images`, uint8 `(m, H, W, C)`, in the places of `lanes`."""

    @abc.abstractmethod
    def look(self, fixations: NDArray[np.floating]) -> NDArray[np.float32]:
        """One glimpse of every image from fixations `(n, 2)` within [-1, 1], a fresh array."""


@dataclass(frozen=True)
class Sensor(abc.ABC):
    """What a glimpse is; a frozen dataclass whose fields are its options.

    It computes; it does not remember where the eye is. A glimpse is one array of k views of the
    image, finest first, each of C channels. A user's own sensor says what is abstract here.
    """

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """Side of its finest part on the image, in pixels."""

    @abc.abstractmethod
    def shape(self, channels: int) -> tuple[int, int, int]:
        """The shape of one glimpse, `(k * channels, rows, columns)`."""

    @abc.abstractmethod
    def allocate(self, lanes: int, height: int, width: int, channels: int) -> Prepared:
        """Room for `lanes` prepared images, black until `update` fills it."""

    def allocate_on(
        self, device: Any, lanes: int, height: int, width: int, channels: int
    ) -> Prepared:
        """The same on a PyTorch device: images and glimpses are tensors, fixations are not.

        Raises:
            ValueError: the sensor looks on the host alone.
        """
        raise ValueError(
            f"device={str(device)!r}: {type(self).__name__} looks on the host alone, leave device "
            "out"
        )

    @abc.abstractmethod
    def layers(self, height: int, width: int) -> tuple[Layer, ...]:
        """Where its values lie on images `(height, width)`; pixels may be in several."""

    @property
    @abc.abstractmethod
    def outlines(self) -> tuple[Outline, ...]:
        """The edges that pictures draw round a fixation, the finest part's first."""

    @property
    @abc.abstractmethod
    def labels(self) -> tuple[str, ...]:
        """A few letters for each of `views`."""

    def views(self, glimpse: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """What pictures show of one glimpse: images `(h, w, C)`, here its k views as they are."""
        count = self.shape(1)[0]
        planes = glimpse.reshape(count, -1, *glimpse.shape[1:])  # (k, C, rows, columns)
        return list(planes.transpose(0, 2, 3, 1))

    def prepare(self, images: NDArray[Any]) -> Prepared:
        """Make `images`, uint8 `(n, H, W, C)` or floats in [0, 1], ready to be looked at."""
        prepared = self.allocate(*images.shape)
        prepared.update(slice(None), as_bytes(images))
        return prepared

    def __call__(
        self, images: NDArray[Any], fixations: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """Look once at each image.

        Args:
            images: `(n, H, W, C)`, uint8, or floats in [0, 1], which are rounded to bytes.
            fixations: `(n, 2)`, x then y; [-1, 1] is the image, and a fixation beyond it reads
                what a glimpse still covers.

        Returns:
            float32 `(n, *shape(C))` in [0, 1].
        """
        return self.prepare(images).look(fixations)


def as_bytes(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Images as uint8: floats in [0, 1] are rounded to bytes.

    Raises:
        ValueError: they are neither.
    """
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise ValueError(f"images are {images.dtype}: give uint8, or floats in [0, 1]")
    if images.size and not (images.min() >= 0 and images.max() <= 1):  # NaN fails too
        raise ValueError(
            f"images are floats from {images.min():g} to {images.max():g}: give floats in [0, 1]"
        )
    return np.rint(images * 255).astype(np.uint8)


def widened(
    images: NDArray[np.uint8], fixations: NDArray[np.floating], margin: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Images on which every fixation lies, and its pixels x and y there, `(n,)`.

    Where one lies beyond the image, all images get a black margin of `margin` pixels; further out
    there is nothing to see, and fixations are held there.
    """
    _, height, width, _ = images.shape
    x = fixation_to_pixel(np.asarray(fixations)[:, 0], width)
    y = fixation_to_pixel(np.asarray(fixations)[:, 1], height)
    if ((x >= 0) & (x < width) & (y >= 0) & (y < height)).all():
        return images, x, y
    images = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    x = np.clip(x, -margin, width - 1 + margin) + margin
    y = np.clip(y, -margin, height - 1 + margin) + margin
    return images, x, y
