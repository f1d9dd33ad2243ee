"""A digit that drifts and bounces among drifting clutter: images given a time of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checks import at_least, number
from ..draws import integers, uniform
from .base import MOST_PIECES, MovingScene, SceneError, add_patches, blank, boxes_at, crop_patches

_CROP, _START, _SPEED = 0, 1, 2
_MOST_SPEED = 1e6  # pixels a frame


@dataclass(frozen=True)
class DriftingScene(MovingScene):
    """Moves the image and square crops of others in straight lines that bounce off the edges.

    Places are drawn uniformly, directions too, and each thing's speed between half of `speed` and
    `speed`. Everything stays wholly on the canvas. Crops as in `ClutteredScene`, under the image.
    A place is a closed form of the time, so that no error adds up. The world: `time` in frames,
    `start` and `velocity` `(n, 1 + pieces, 2)` of image and crops, x then y, `image`, and of each
    crop the `cut`, `(n, pieces, 3)`: which image's, and its row and column there.

    Attributes:
        canvas: 60 x 60 pixels unless told otherwise.
        pieces: number of crops.
        piece_size: side of a crop in pixels.
        speed: of the fastest, in pixels a frame.
        frames: frames that pass in a step.
    """

    on_device: ClassVar[bool] = True

    canvas: int | tuple[int, int] | None = 60
    pieces: int = 4
    piece_size: int = 8
    speed: float = 2.0
    frames: int = 1

    def __post_init__(self) -> None:
        at_least("pieces", self.pieces, 0, MOST_PIECES)
        at_least("piece_size", self.piece_size, 1)
        at_least("frames", self.frames, 1)
        number("speed", self.speed, most=_MOST_SPEED)

    def frame_shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        if self.piece_size > min(image_shape[:2]):
            raise SceneError(
                f"piece_size={self.piece_size}: crops are cut from images of "
                f"{image_shape[0]}x{image_shape[1]} pixels, take a smaller size"
            )
        return super().frame_shape(image_shape)

    def start(
        self,
        images: NDArray[np.uint8],
        index: NDArray[np.int64],
        key: NDArray[np.uint64],
        steps: int,
    ) -> dict[str, NDArray]:
        count, height, width, _ = images.shape
        things, side = 1 + self.pieces, self.piece_size
        room = self._room(images.shape[1:])
        start = uniform(key, _START, 2 * things).reshape(-1, things, 2) * room
        turn, speed = uniform(key, _SPEED, 2 * things).reshape(-1, 2, things).swapaxes(0, 1)
        speed = self.speed * (1 + speed) / 2
        velocity = np.stack(
            [speed * np.cos(2 * np.pi * turn), speed * np.sin(2 * np.pi * turn)], axis=2
        )
        world = {
            "time": np.zeros(len(index), np.int64),
            "start": start,
            "velocity": velocity,
            "image": index.copy(),
        }
        if self.pieces:
            rooms = (count, height - side + 1, width - side + 1)
            draws = integers(key, _CROP, rooms * self.pieces, 3 * self.pieces)
            world["cut"] = draws.reshape(-1, self.pieces, 3)
        return world

    def move(self, world: dict[str, NDArray], act: NDArray[np.int64]) -> None:
        world["time"] += self.frames

    def frame(
        self, images: NDArray[np.uint8], world: dict[str, NDArray]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        _, height, width, _ = images.shape
        tall, wide, _ = self.frame_shape(images.shape[1:])
        frames = blank(images, len(world["time"]), tall, wide)
        place = self._places(world, images.shape[1:])
        for piece in range(self.pieces):
            left, top = place[:, 1 + piece].T
            crops = crop_patches(images, *world["cut"][:, piece].T, *[self.piece_size] * 2)
            add_patches(frames, crops, top, left)
        left, top = place[:, 0].T
        add_patches(frames, images[world["image"]], top, left)
        return frames, boxes_at(top, left, height, width)

    def _places(
        self, world: dict[str, NDArray], image_shape: tuple[int, int, int]
    ) -> NDArray[np.int64]:
        """Where everything's first pixel is now, x then y, int64 `(n, 1 + pieces, 2)`."""
        room = self._room(image_shape)
        gone = world["start"] + world["velocity"] * world["time"][:, None, None]
        # Bouncing is walking on through mirror images of the room: a triangle wave.
        folded = np.mod(gone, 2 * np.maximum(room, 1e-9))
        return np.rint(np.minimum(folded, 2 * room - folded).clip(0)).astype(np.int64)

    def _room(self, image_shape: tuple[int, int, int]) -> NDArray[np.float64]:
        """How far the first pixel of image and crops may go, x then y, `(1 + pieces, 2)`."""
        return _room(
            self.frame_shape(image_shape)[:2], image_shape[:2], self.pieces, self.piece_size
        )


@lru_cache(maxsize=16)
def _room(
    frame: tuple[int, int], image: tuple[int, int], pieces: int, side: int
) -> NDArray[np.float64]:
    heights, widths = [image[0]] + [side] * pieces, [image[1]] + [side] * pieces
    return np.stack([frame[1] - np.array(widths), frame[0] - np.array(heights)], axis=1) * 1.0
