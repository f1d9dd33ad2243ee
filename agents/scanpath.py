"""What a set of fixation paths looks like in numbers: on the target or not, how far, how varied.

Fixations are (N, T, 2) in [-1, 1], NaN after an early end; boxes (N, 4) in pixels, half-open, or
(N, T, 4) where the target moves: each fixation is held against the box of its own moment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..envs.canvas import margins, window_at, windows
from ..envs.sensors import OUTSIDE, Sensor


def pixels_of(fixations: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """The pixel (x, y) that each fixation names, as floats so that NaN stays NaN."""
    extent = np.array([width - 1, height - 1], np.float32)
    return np.floor((fixations + 1) / 2 * extent + np.float32(0.5))


def on_target(pixels: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which fixations lie in the target's box: pixels (N, T, 2) -> (N, T)."""
    if boxes.ndim == 2:
        boxes = boxes[:, None]
    low, high = boxes[..., :2], boxes[..., 2:]
    inside = (pixels >= low) & (pixels < high)  # (N, T, 2)
    return np.asarray(inside.all(axis=2))


def measures(
    fixations: NDArray[np.float32],
    boxes: NDArray[np.float32],
    *,
    height: int,
    width: int,
    sensor: Sensor,
    cells: int = 8,
) -> dict[str, float]:
    """Scanpath measures by name, of paths looked along through `sensor`.

    on_target          share of fixations in the target's box
    ever_on_target     share of scenes in which one was
    first_on_target    mean number of the first glimpse on it, where there was one (NaN: nowhere)
    amplitude          mean distance between successive fixations, pixels
    revisits           share of fixations, the first left out, less than half a glimpse (of its
                       finest part) from an earlier one of the same path
    entropy            bits of where the n-th glimpse goes across scenes, on cells x cells, mean
                       over n > 1: 0 where every image is looked at alike, 2 log2(cells) at most
    distinct_pixels    mean number of the image's pixels that some glimpse of the path showed
    """
    pixels = pixels_of(fixations, height, width)
    present = np.isfinite(pixels).all(axis=2)  # (N, T)
    hits = on_target(pixels, boxes)
    ever = hits.any(axis=1)
    steps = np.linalg.norm(np.diff(pixels, axis=1), axis=2)  # (N, T - 1)
    return {
        "on_target": float(hits.sum() / present.sum()),
        "ever_on_target": float(ever.mean()),
        "first_on_target": _mean(hits[ever].argmax(axis=1) + 1.0),
        "amplitude": _mean(steps[np.isfinite(steps)]),
        "revisits": _revisits(pixels, sensor.size / 2),
        "entropy": _entropy(fixations, cells),
        "distinct_pixels": float(distinct_pixels(pixels, height, width, sensor).mean()),
    }


def distinct_pixels(
    pixels: NDArray[np.float32], height: int, width: int, sensor: Sensor
) -> NDArray[np.int64]:
    """How many pixels of the image the glimpses of each path (N, T, 2) show together, (N,)."""
    layers = sensor.layers(height, width)
    before, behind = margins(layers)
    sides = height + before + behind, width + before + behind
    count = np.zeros(len(pixels), np.int64)
    for start in range(0, len(pixels), 1024):  # a thousand images at a time fit the cache
        part = pixels[start : start + 1024]
        seen = np.zeros((len(part), 1, *sides), np.bool_)
        for t in range(part.shape[1]):
            there = np.flatnonzero(np.isfinite(part[:, t]).all(axis=1))
            x, y = part[there, t].astype(np.int64).T
            for layer in layers:
                place = (there, *window_at(layer, x, y, before))
                windows(seen, *layer.rank.shape)[place] |= layer.rank < OUTSIDE
        inside = seen[:, 0, before : before + height, before : before + width]
        count[start : start + len(part)] = inside.sum(axis=(1, 2))
    return count


def _revisits(pixels: NDArray[np.float32], radius: float) -> float:
    looked = again = 0
    for t in range(1, pixels.shape[1]):
        here, before = pixels[:, t, None], pixels[:, :t]
        near = (np.linalg.norm(here - before, axis=2) < radius).any(axis=1)
        again += int(near.sum())
        looked += int(np.isfinite(pixels[:, t]).all(axis=1).sum())
    return again / looked if looked else float("nan")


def _entropy(fixations: NDArray[np.float32], cells: int) -> float:
    bits = []
    for t in range(1, fixations.shape[1]):
        places = fixations[:, t][np.isfinite(fixations[:, t]).all(axis=1)]
        if not len(places):
            continue
        column, row = np.clip((places + 1) / 2 * cells, 0, cells - 1).astype(np.int64).T
        share = np.bincount(row * cells + column) / len(places)
        share = share[share > 0]
        bits.append(max(0.0, float(-(share * np.log2(share)).sum())))
    return _mean(np.array(bits))


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if len(values) else float("nan")
