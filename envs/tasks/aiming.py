"""Where an aim lands on the frame, and how well it meets a box."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def place(aim: NDArray[np.float32], frame: tuple[int, int]) -> NDArray[np.float64]:
    """The point in pixels, x then y, float64 `(n, 2)`; a pixel's centre is half a pixel in.

    Args:
        aim: `(n, 2)` in [-1, 1].
        frame: height and width in pixels.
    """
    tall, wide = frame
    return (aim.astype(np.float64) + 1) / 2 * (wide - 1, tall - 1) + 0.5


def within(point: NDArray[np.float64], box: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each point `(n, 2)` lies in its box `(n, 4)`, half-open."""
    return np.all((point >= box[:, :2]) & (point < box[:, 2:]), axis=1)


def distance(point: NDArray[np.float64], box: NDArray[np.float32]) -> NDArray[np.float64]:
    """Pixels from each point to the centre of its box, `(n,)`."""
    away = point - (box[:, :2] + box[:, 2:]) / 2
    return np.hypot(away[:, 0], away[:, 1])


def overlap(said: NDArray[np.float64], box: NDArray[np.float32]) -> NDArray[np.float64]:
    """Intersection over union of boxes `(n, 4)`, `(n,)` in [0, 1]."""
    low = np.maximum(said[:, :2], box[:, :2])
    high = np.minimum(said[:, 2:], box[:, 2:])
    shared = np.prod((high - low).clip(0), axis=1)
    areas = np.prod(said[:, 2:] - said[:, :2], axis=1) + np.prod(box[:, 2:] - box[:, :2], axis=1)
    return shared / (areas - shared)
