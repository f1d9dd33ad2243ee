"""`colour-digits`: handwritten digits in coloured ink on coloured paper, to try colours with."""

from __future__ import annotations

import numpy as np

from ..draws import make_key, uniform
from .base import SPLITS, Dataset
from .digits import load_digits

_INK, _PAPER = 0, 1


def load_colour_digits() -> Dataset:
    """The images of `digits` in colour, 28x28: bright ink, dark paper, the same every time."""
    digits = load_digits()
    parts = {}
    for split, part in digits.splits.items():
        key = make_key(SPLITS.index(split), np.arange(len(part)))
        ink = 1 - 0.5 * uniform(key, _INK, 3)  # (N, 3)
        paper = 0.35 * uniform(key, _PAPER, 3)
        share = part.images / 255  # (N, H, W, 1)
        mixed = share * ink[:, None, None] + (1 - share) * paper[:, None, None]
        parts[split] = np.rint(255 * mixed).astype(np.uint8), part.labels
    return Dataset.from_splits(parts, name="colour-digits", classes=digits.classes)
