"""A rotated, placed, projected or bent image (Jaderberg et al. 2015, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..checks import choose
from ..draws import normal, uniform
from .base import Scene, blank
from .warping import (
    KNOTS,
    fixed_point,
    homography,
    is_convex,
    middle,
    turned_corners,
    warping_on,
)

Distortion = Literal["rotation", "rts", "projective", "elastic"]

_SHAPE, _MOVES = 0, 1  # streams; each further try at the moves takes the next one
_ROTATION = 90.0  # degrees either way
_RTS_ROTATION, _RTS_SCALE = 45.0, (0.7, 1.2)
_SHRINK = (0.75, 1.0)
_CORNER_SIGMA, _KNOT_SIGMA = 5.0, 1.5  # pixels


@dataclass(frozen=True)
class DistortedScene(Scene):
    """Distorts each image at random, as the paper on spatial transformers did with MNIST.

    - `"rotation"`, R: turned by an angle drawn uniformly within 90 degrees either way.
    - `"rts"`: turned within 45 degrees either way, scaled by 0.7 to 1.2 and placed at random; the
      square that it fills before it is turned lies wholly on the canvas, if that has the room.
    - `"projective"`, P: scaled by 0.75 to 1, then each corner of its square moved by Gaussian noise
      of 5 pixels. Corners that no longer make a convex shape are drawn again.
    - `"elastic"`, E: scaled by 0.75 to 1, then bent by a thin-plate spline: 4 x 4 control points
      over the square that it filled before, each moved by Gaussian noise of 1.5 pixels.

    Angles and scales are uniform. Pixels are read bilinearly, 0 outside the image. Ours, not the
    paper's: places between pixels, corners drawn until convex, a spline that says where a pixel
    reads, not where it goes, and its points from edge to edge. On the image's own canvas a quarter
    of the projected MNIST digits touch the border; `canvas=42` keeps them whole. A box encloses the
    distorted square of the image, clipped to the canvas: for `"elastic"`, all pixels whose centres
    read inside the image.

    Attributes:
        canvas: where None, the image's own; for `"rts"` half as much again, the paper's 42 x 42
            for images of 28 x 28.
        distortion: which of the four.
    """

    on_device: ClassVar[bool] = True

    distortion: Distortion = "rotation"

    def __post_init__(self) -> None:
        choose("distortion", self.distortion, get_args(Distortion))

    def frame_shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        if self.canvas is None and self.distortion == "rts":
            height, width, channels = image_shape
            return (3 * height + 1) // 2, (3 * width + 1) // 2, channels
        return super().frame_shape(image_shape)

    def draw(
        self, images: NDArray[np.uint8], index: NDArray[np.int64], key: NDArray[np.uint64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        height, width, channels = images.shape[1:]
        tall, wide, _ = self.frame_shape((height, width, channels))
        frames = blank(images, len(index), tall, wide)
        warp = warping_on(images)
        boxes = np.empty((len(index), 4), np.float32)
        for block in warp.blocks(len(index), tall, wide):
            x, y, boxes[block] = self._warp(warp, key[block], (height, width), (tall, wide))
            frames[block] = warp.read(images[index[block]], x, y)
        return frames, boxes

    def _warp(
        self, warp: Any, key: NDArray[np.uint64], shape: tuple[int, int], frame: tuple[int, int]
    ) -> tuple[Any, Any, NDArray[np.float32]]:
        """Where each pixel reads its image, x and y `(n, H, W)`, and the boxes `(n, 4)`."""
        if self.distortion == "elastic":
            moves, scale = draw_moves(key)
            x, y = warp.bent(moves, scale, shape, frame)
            return x, y, warp.box_of_readers(x, y, shape)
        corners = draw_corners(self.distortion, key, shape, frame)
        x, y = warp.projected(homography(corners, *shape), *frame)
        return x, y, _box_of_corners(corners, frame)


def draw_moves(key: NDArray[np.uint64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The control points' moves `(n, 16, 2)` and the scale `(n,)` of elastic distortions."""
    moves = fixed_point(_KNOT_SIGMA * normal(key, _MOVES, 2 * KNOTS**2))
    return moves.reshape(-1, KNOTS**2, 2), _between(uniform(key, _SHAPE, 1)[:, 0], _SHRINK)


def draw_corners(
    distortion: str, key: NDArray[np.uint64], shape: tuple[int, int], frame: tuple[int, int]
) -> NDArray[np.float64]:
    """Where the corners of images come to lie in frames, `(n, 4, 2)`, by the other distortions.

    Args:
        key: uint64 `(n,)`.
        shape, frame: height and width of the images and of the frames.
    """
    return _CORNERS[distortion](key, shape, frame)


def _rotation(
    key: NDArray[np.uint64], shape: tuple[int, int], frame: tuple[int, int]
) -> NDArray[np.float64]:
    """The corners `(n, 4, 2)` of an image that is turned."""
    angle = _angle(uniform(key, _SHAPE, 1)[:, 0], _ROTATION)
    still = np.tile(middle(shape, frame), (len(key), 1))
    return turned_corners(angle, np.ones(len(key)), still, *shape)


def _rts(
    key: NDArray[np.uint64], shape: tuple[int, int], frame: tuple[int, int]
) -> NDArray[np.float64]:
    """The corners `(n, 4, 2)` of an image that is turned, scaled and placed."""
    draws = uniform(key, _SHAPE, 4)
    scale = _between(draws[:, 1], _RTS_SCALE)
    room = np.array(frame[::-1]) - scale[:, None] * shape[::-1]  # (n, 2), of x and y
    place = (draws[:, 2:] - 0.5) * np.maximum(room, 0) + np.array(frame[::-1]) / 2
    return turned_corners(_angle(draws[:, 0], _RTS_ROTATION), scale, place, *shape)


def _projective(
    key: NDArray[np.uint64], shape: tuple[int, int], frame: tuple[int, int]
) -> NDArray[np.float64]:
    """The corners `(n, 4, 2)` of an image that is scaled and pulled at each."""
    scale = _between(uniform(key, _SHAPE, 1)[:, 0], _SHRINK)
    still = np.tile(middle(shape, frame), (len(key), 1))
    square = turned_corners(np.zeros(len(key)), scale, still, *shape)
    corners = np.empty_like(square)
    wanted, stream = np.arange(len(key)), _MOVES
    while len(wanted):
        moves = fixed_point(_CORNER_SIGMA * normal(key[wanted], stream, 8))
        corners[wanted] = square[wanted] + moves.reshape(-1, 4, 2)
        wanted = wanted[~is_convex(corners[wanted])]
        stream += 1
    return corners


_CORNERS = {"rotation": _rotation, "rts": _rts, "projective": _projective}


def _between(draws: NDArray[np.float64], bounds: tuple[float, float]) -> NDArray[np.float64]:
    return bounds[0] + (bounds[1] - bounds[0]) * draws


def _angle(draws: NDArray[np.float64], degrees: float) -> NDArray[np.float64]:
    return np.deg2rad(degrees * (2 * draws - 1))


def _box_of_corners(corners: NDArray[np.float64], frame: tuple[int, int]) -> NDArray[np.float32]:
    tall, wide = frame
    ends = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    return np.clip(ends, 0, (wide, tall, wide, tall)).astype(np.float32)
