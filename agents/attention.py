"""Where attention lands, in numbers: maps and fixation paths against the targets' boxes.

Takes arrays and runs no network. Maps are (N, H, W), not negative; boxes (N, 4) in pixels,
half-open. A map that is 0 everywhere counts as an even one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .scanpath import pixels_of

MEASURES = ("energy", "iou", "pointing")
PRIORS = ("centre", "uniform")
_BLOCK = 512  # maps measured at a time

Landing = dict[str, float]
"""The measures by name, means over scenes; NaN where there was nothing to measure."""


def nothing() -> Landing:
    """What an agent without a map has."""
    return dict.fromkeys(MEASURES, math.nan)


def energy(maps: NDArray[np.floating], boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """The share of each map's mass that lies inside its box, (N,)."""
    maps, inside = _checked(maps, boxes)
    return (maps * inside).sum((1, 2)) / maps.sum((1, 2))


def iou(maps: NDArray[np.floating], boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union of the box and the pixels at or above half the maximum, (N,)."""
    maps, inside = _checked(maps, boxes)
    region = maps >= maps.max((1, 2), keepdims=True) / 2
    return (region & inside).sum((1, 2)) / (region | inside).sum((1, 2))


def pointing(maps: NDArray[np.floating], boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """1 where the largest value lies in the box, else 0; of tied ones, the share in it, (N,)."""
    maps, inside = _checked(maps, boxes)
    largest = maps == maps.max((1, 2), keepdims=True)
    return (largest & inside).sum((1, 2)) / largest.sum((1, 2))


class Tally:
    """Means of the measures over scenes that come in batches.

    Scenes whose box is the whole image are passed over: everything lands in it. State: the sums of
    the measures, and how many scenes they are of.
    """

    def __init__(self) -> None:
        self._sums = np.zeros(len(MEASURES))
        self._count = 0

    def add(self, maps: NDArray[np.floating], boxes: NDArray[np.floating]) -> None:
        """Count a batch in."""
        there = measurable(boxes, *maps.shape[1:])
        maps, boxes = maps[there], boxes[there]
        self._sums += [kind(maps, boxes).sum() for kind in (energy, iou, pointing)]
        self._count += len(maps)

    def means(self) -> Landing:
        """The measures so far."""
        if not self._count:
            return nothing()
        return dict(zip(MEASURES, (self._sums / self._count).tolist(), strict=True))


def measurable(boxes: NDArray[np.floating], height: int, width: int) -> NDArray[np.bool_]:
    """Which boxes leave some of the image outside, (N,)."""
    low, high = (boxes[:, :2] <= 0).all(1), (boxes[:, 2:] >= (width, height)).all(1)
    return np.asarray(~(low & high))


def of_paths(
    fixations: NDArray[np.float32],
    boxes: NDArray[np.floating],
    *,
    height: int,
    width: int,
    size: int,
) -> Landing:
    """Where the finest patches of paths (N, T, 2) land.

    boxes: (N, 4), or (N, T, 4) where targets move. Maps are then as seen from the target: it stays
    where it was first, and each patch lies to it as it did when it was looked at.
    """
    if boxes.ndim == 2:
        boxes = boxes[:, None]
    first = boxes[:, 0]
    there = measurable(first, height, width)
    fixations, boxes, first = fixations[there], boxes[there], first[there]
    gone = np.rint(np.nan_to_num(boxes[..., :2] - first[:, None, :2]))  # (N, T, 2), in pixels
    # Moved along with the target, what was seen inside the image may lie outside of it.
    around = int(np.abs(gone).max(initial=0))
    block = max(1, _BLOCK * height * width // ((height + 2 * around) * (width + 2 * around)))
    tally = Tally()
    for start in range(0, len(fixations), block):
        part = slice(start, start + block)
        maps = path_maps(fixations[part], height, width, size, gone[part], around)
        tally.add(maps, first[part] + around)
    return tally.means()


def path_maps(
    fixations: NDArray[np.float32],
    height: int,
    width: int,
    size: int,
    gone: NDArray[np.floating] | int = 0,
    around: int = 0,
) -> NDArray[np.float32]:
    """How often each pixel lay in the finest patch: float32 (N, H, W).

    fixations: (N, T, 2) in [-1, 1], NaN after an early end. gone: whole pixels (N, T, 2) that each
    patch is moved back by, onto a map that has `around` more pixels on every side.
    """
    low = pixels_of(fixations, height, width) - size // 2  # (N, T, 2), x and y
    sides = np.array([width, height], np.float32)
    first = np.clip(low, 0, sides) - gone + around
    end = np.clip(low + size, 0, sides) - gone + around
    columns, rows = (
        _covered(first[..., axis], end[..., axis], length + 2 * around)
        for axis, length in ((0, width), (1, height))
    )  # (N, T, W), (N, T, H)
    return rows.swapaxes(1, 2) @ columns


def priors(boxes: NDArray[np.floating], height: int, width: int) -> dict[str, Landing]:
    """What is reached without looking at the image; empty where all boxes are whole images.

    "centre": a box of the target's size in the image's middle, pointing at the middle pixel.
    "uniform": the same weight everywhere. Of boxes (N, T, 4), which move, every moment counts.
    """
    boxes = moments(boxes)
    boxes = boxes[measurable(boxes, height, width)]
    if not len(boxes):
        return {}
    middle, even = Tally(), Tally()
    points = np.zeros(len(boxes))
    for start in range(0, len(boxes), _BLOCK):
        part = boxes[start : start + _BLOCK]
        even.add(np.ones((len(part), height, width), np.float32), part)
        extent = np.ceil(part[:, 2:]) - np.ceil(part[:, :2])  # (n, 2)
        first = np.array([width // 2, height // 2]) - extent // 2
        centred = _inside(np.concatenate((first, first + extent), 1), height, width)
        middle.add(centred.astype(np.float32), part)
        inside = _inside(part, height, width)
        points[start : start + _BLOCK] = inside[:, height // 2, width // 2]
    centre = middle.means() | {"pointing": float(points.mean())}
    return {"centre": centre, "uniform": even.means()}


def moments(boxes: NDArray[np.floating]) -> NDArray[np.floating]:
    """Boxes (N, T, 4) with NaN after an early end as (n, 4): one a scene where none moves."""
    if boxes.ndim == 2:
        return boxes
    there = np.isfinite(boxes).all(axis=2)  # (N, T)
    if (boxes == boxes[:, :1])[there].all():
        return boxes[:, 0]
    return boxes[there]


def mean(landings: list[Mapping[str, float]]) -> Landing:
    """The mean of several, of those that have a number."""
    found = {}
    for name in MEASURES:
        values = [one[name] for one in landings if not math.isnan(one[name])]
        found[name] = sum(values) / len(values) if values else math.nan
    return found


def _checked(
    maps: NDArray[np.floating], boxes: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Maps in float64, empty ones even, and which pixels are inside the boxes, (N, H, W) each."""
    exact, boxes = np.array(maps, np.float64), np.asarray(boxes)
    if exact.ndim != 3 or boxes.shape != (len(exact), 4):
        raise ValueError(f"maps {exact.shape}, boxes {boxes.shape}: give (N, H, W) and (N, 4)")
    if not (np.isfinite(exact).all() and (exact >= 0).all()):
        raise ValueError("maps: negative or not finite values: give magnitudes, or clip them at 0")
    exact[~exact.any((1, 2))] = 1
    return exact, _inside(boxes, *exact.shape[1:])


def _inside(boxes: NDArray[np.floating], height: int, width: int) -> NDArray[np.bool_]:
    """Which pixels lie in the boxes, (N, H, W)."""
    x, y = np.arange(width), np.arange(height)
    columns = (x >= boxes[:, :1]) & (x < boxes[:, 2:3])  # (N, W)
    rows = (y >= boxes[:, 1:2]) & (y < boxes[:, 3:])  # (N, H)
    return rows[:, :, None] & columns[:, None]


def _covered(
    first: NDArray[np.floating], end: NDArray[np.floating], length: int
) -> NDArray[np.float32]:
    """1 for those of `length` pixels from `first` to before `end`, (N, T) each; NaN: none."""
    pixel = np.arange(length)
    return ((pixel >= first[..., None]) & (pixel < end[..., None])).astype(np.float32)
