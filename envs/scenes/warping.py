"""Warping many images at once: where each pixel of a frame reads its image, and the reading.

Coordinates are those of boxes, in pixels: (0, 0) is the outer corner of the top-left pixel, x to
the right and y down, the centres of pixels at halves. This file draws nothing at random.

What is done for every pixel is elementwise or exact, so that a frame depends neither on the batch
that it is drawn in nor on the processor.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

KNOTS = 4  # control points of the spline along a side

_BLOCK = 1 << 16  # pixels that are warped together: what they need stays in the cache

# A square's corners from its middle, in half sides, in the order of all corners here: top left,
# top right, bottom right, bottom left.
_CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float64) / 2


def warping_on(images: Any) -> Any:
    """What warps such images: this module, or its twin on the device that they are on."""
    if isinstance(images, np.ndarray):
        return sys.modules[__name__]
    from ..device.scenes import Warping

    return Warping(images.device)


def blocks(count: int, tall: int, wide: int, pixels: int = _BLOCK) -> Iterator[slice]:
    """So many frames in parts that are best warped together, of about so many pixels."""
    together = max(1, pixels // (tall * wide))
    for first in range(0, count, together):
        yield slice(first, first + together)


def fixed_point(values: NDArray[np.float64], bits: int = 16) -> NDArray[np.float64]:
    """Round to multiples of `2**-bits`: what is left differs between no two processors."""
    return np.rint(values * (1 << bits)) / (1 << bits)


def turned_corners(
    angle: NDArray[np.float64],
    scale: NDArray[np.float64],
    middle: NDArray[np.float64],
    height: int,
    width: int,
) -> NDArray[np.float64]:
    """The corners of images that are turned and scaled about their middle.

    Args:
        angle: counter-clockwise as one sees it, in radians, `(n,)`.
        scale: `(n,)`.
        middle: where the middle of each image comes to lie, (x, y), `(n, 2)`.
        height, width: sides of the images.

    Returns:
        Top left, top right, bottom right, bottom left corner of the image, float64 `(n, 4, 2)`.
    """
    cos = (fixed_point(np.cos(angle), 20) * scale)[:, None]
    sin = (fixed_point(np.sin(angle), 20) * scale)[:, None]
    x, y = _CORNERS[:, 0] * width, _CORNERS[:, 1] * height  # (4,)
    turned = np.stack([cos * x + sin * y, cos * y - sin * x], axis=2)  # (n, 4, 2)
    return turned + middle[:, None]


def is_convex(corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether four corners `(n, 4, 2)` go round a convex area the way a square's do, `(n,)`."""
    side = np.roll(corners, -1, axis=1) - corners
    after = np.roll(side, -1, axis=1)
    turns = side[..., 0] * after[..., 1] - side[..., 1] * after[..., 0]
    return turns.min(axis=1) > 0


def homography(corners: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """The projective maps that carry four corners back to those of an image, in closed form.

    From the unit square to the corners as in Heckbert (1989), "Fundamentals of texture mapping and
    image warping", section 2.2.3, then inverted by its adjugate.

    Args:
        corners: of convex quadrilaterals, as `turned_corners` orders them, `(n, 4, 2)`.

    Returns:
        Matrices for (x, y, 1), float64 `(n, 3, 3)`; the third coordinate is 1 on average over the
        corners and positive between them.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners.transpose(1, 2, 0)
    right_x, right_y, low_x, low_y = x1 - x2, y1 - y2, x3 - x2, y3 - y2
    skew_x, skew_y = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    area = right_x * low_y - low_x * right_y
    g = (skew_x * low_y - low_x * skew_y) / area
    h = (right_x * skew_y - skew_x * right_y) / area
    a, b, c = x1 - x0 + g * x1, x3 - x0 + h * x3, x0
    d, e, f = y1 - y0 + g * y1, y3 - y0 + h * y3, y0
    back = np.array(
        [
            [width * (e - f * h), width * (c * h - b), width * (b * f - c * e)],
            [height * (f * g - d), height * (a - c * g), height * (c * d - a * f)],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ]
    ).transpose(2, 0, 1)
    x, y = (x0 + x1 + x2 + x3) / 4, (y0 + y1 + y2 + y3) / 4
    depth = back[:, 2, 0] * x + back[:, 2, 1] * y + back[:, 2, 2]
    return back / depth[:, None, None]


def projected(
    matrices: NDArray[np.float64], tall: int, wide: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where each pixel of a frame reads its image: x and y, float32 `(n, tall, wide)`."""
    across = matrices[:, :, :1] * (np.arange(wide) + 0.5)  # (n, 3, wide)
    down = matrices[:, :, 1:2] * (np.arange(tall) + 0.5) + matrices[:, :, 2:]  # (n, 3, tall)
    across, down = across.astype(np.float32), down.astype(np.float32)
    x, y, depth = (down[:, i, :, None] + across[:, i, None, :] for i in range(3))
    np.maximum(depth, np.float32(1e-6), out=depth)  # behind the horizon: far outside
    x /= depth
    y /= depth
    return x, y


def bent(
    moves: NDArray[np.float64],
    scale: NDArray[np.float64],
    shape: tuple[int, int],
    frame: tuple[int, int],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The same for images that a thin-plate spline bends, in the middle of the frame.

    A control point of the frame shows what is `moves` away from it in the scaled image.

    Args:
        moves: (x, y) of each control point, row by row, in `fixed_point`, `(n, KNOTS**2, 2)`.
        scale: of the image about its middle, `(n,)`.
        shape: height and width of the images.
        frame: height and width of the frames.
    """
    (height, width), (tall, wide) = shape, frame
    middle_x, middle_y = middle(shape, frame)
    x, y = shifts(moves, shape, frame)
    x += (np.arange(wide) + (0.5 - middle_x)).astype(np.float32)
    y += (np.arange(tall) + (0.5 - middle_y)).astype(np.float32)[:, None]
    shrink = (1 / scale).astype(np.float32)[:, None, None]
    x *= shrink
    y *= shrink
    x += np.float32(width / 2)
    y += np.float32(height / 2)
    return x, y


def shifts(
    moves: NDArray[np.float64], shape: tuple[int, int], frame: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How far right and down each pixel's reading moves when bent: `(n, tall, wide)` each."""
    n, (tall, wide) = len(moves), frame
    weights = spline(shape, frame)
    shift = moves.transpose(2, 0, 1).reshape(2 * n, -1) @ weights  # exact, see `spline`
    right, down = shift.reshape(2, n, tall, wide).astype(np.float32)
    return right, down


def middle(shape: tuple[int, int], frame: tuple[int, int]) -> tuple[float, float]:
    """The middle (x, y) of an image that lies where `PlainScene` puts it."""
    (height, width), (tall, wide) = shape, frame
    return (wide - width) // 2 + width / 2, (tall - height) // 2 + height / 2


@lru_cache(maxsize=16)
def spline(shape: tuple[int, int], frame: tuple[int, int]) -> NDArray[np.float64]:
    """How much each control point's move counts at each pixel, `(KNOTS**2, tall * wide)`.

    A thin-plate spline (Bookstein 1989) is linear in the values that it interpolates, so that one
    matrix serves all frames. Its entries are multiples of 2**-20 and moves of 2**-16: sums of 16
    such products fit in a float64, and come out the same in whatever order they are added.
    """
    (height, width), (tall, wide) = shape, frame
    left, top = (np.array(middle(shape, frame)) - (width / 2, height / 2)).tolist()
    steps = np.linspace(0, 1, KNOTS)
    knots = np.array([(left + width * x, top + height * y) for y in steps for x in steps])
    pixels = np.array([(x + 0.5, y + 0.5) for y in range(tall) for x in range(wide)])
    system = np.zeros((KNOTS**2 + 3,) * 2)
    system[:, : KNOTS**2] = _basis(knots, knots)
    system[: KNOTS**2, KNOTS**2 :] = system[KNOTS**2 :, : KNOTS**2].T
    solved = np.linalg.solve(system, _basis(knots, pixels))  # the system is symmetric
    weights = fixed_point(solved[: KNOTS**2].astype(np.float64), 20)
    weights.flags.writeable = False
    return weights


def _basis(knots: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """`r**2 log r**2` from each knot, then 1, x and y, at each point: `(knots + 3, points)`."""
    squared = ((knots[:, None] - points) ** 2).sum(axis=2)
    bending = squared * np.log(np.where(squared > 0, squared, 1))
    return np.concatenate([bending, np.ones((1, len(points))), points.T])


def read(
    images: NDArray[np.uint8], x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Read images `(n, h, w, C)` at x and y `(n, tall, wide)`, bilinearly, 0 outside.

    x and y are used up: their content is not defined afterwards.

    Returns:
        uint8 `(n, tall, wide, C)`.
    """
    n, height, width, channels = images.shape
    padded = np.zeros((n, height + 2, width + 2, channels), np.float32)
    padded[:, 1:-1, 1:-1] = images
    flat = padded.reshape(-1) if channels == 1 else padded.reshape(-1, channels)
    column = _split(x, width)
    index = _split(y, height)
    index *= width + 2
    index += column
    index += (np.arange(n) * ((height + 2) * (width + 2)))[:, None, None]

    # x and y are now how far a pixel is on its way to the next column and row.
    if channels > 1:
        x, y = x[..., None], y[..., None]
    above, below = (_between(flat[start:], index, x) for start in (0, width + 2))
    below -= above
    below *= y
    above += below
    above += np.float32(0.5)
    return above.astype(np.uint8).reshape(*index.shape, channels)


def box_of_readers(
    x: NDArray[np.float32], y: NDArray[np.float32], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """The boxes of the pixels that read inside an image; of all pixels where none does."""
    height, width = (np.float32(side) for side in shape)
    inside: NDArray[np.bool_] = (x > 0) & (x < width) & (y > 0) & (y < height)
    ends = []
    for axis in (1, 2):  # columns (n, wide), then rows (n, tall)
        hit = np.logical_or.reduce(inside, axis=axis)
        ends.append((hit.argmax(axis=1), hit.shape[1] - hit[:, ::-1].argmax(axis=1)))
    (left, right), (top, bottom) = ends
    return np.stack([left, top, right, bottom], axis=1).astype(np.float32)


def _split(position: NDArray[np.float32], length: int) -> NDArray[np.intp]:
    """Part positions in place into a first pixel, of an image padded by one, and a fraction."""
    position += np.float32(0.5)
    np.maximum(position, np.float32(0), out=position)
    np.minimum(position, np.nextafter(np.float32(length + 1), np.float32(0)), out=position)
    first = np.floor(position)
    position -= first
    return first.astype(np.intp)


def _between(
    flat: NDArray[np.float32], index: NDArray[np.intp], fraction: NDArray[np.float32]
) -> NDArray[np.float32]:
    here = flat.take(index, axis=0)
    there = flat[1:].take(index, axis=0)
    there -= here
    there *= fraction
    here += there
    return here
