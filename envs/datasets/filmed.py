"""`digit-clips`: handwritten digits filmed while they drift, so that clips are at hand to try."""

from __future__ import annotations

import numpy as np

from ..draws import make_key
from .base import SPLITS, Dataset
from .digits import load_digits

_COUNTS = {"train": 400, "validation": 80, "test": 80}
_LENGTH = 16


def load_digit_clips() -> Dataset:
    """Ten classes of 48x48 gray clips of 16 frames, with boxes: train 400, others 80 each."""
    # Imported here: scenes are built on data sets, not the other way round, but for this film.
    from ..scenes import DriftingScene

    digits = load_digits()
    scene = DriftingScene(canvas=48, pieces=2)
    parts = {}
    for split, count in _COUNTS.items():
        part = digits.split(split)
        index, stay = np.arange(count), np.zeros(count, np.int64)
        world = scene.start(part.images, index, make_key(SPLITS.index(split), index), _LENGTH - 1)
        shown = [scene.frame(part.images, world)]
        for _ in range(_LENGTH - 1):
            scene.move(world, stay)
            shown.append(scene.frame(part.images, world))
        clips, boxes = (np.stack(values, axis=1) for values in zip(*shown, strict=True))
        parts[split] = clips, part.labels[:count], boxes
    return Dataset.from_splits(parts, name="digit-clips", classes=digits.classes)
