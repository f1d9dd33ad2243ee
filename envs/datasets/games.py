"""`games`: nothing to see, 1,000 times a split; each is one game of a scene that draws itself."""

from __future__ import annotations

import numpy as np

from .base import SPLITS, Dataset

_GAMES = 1000


def load_games() -> Dataset:
    """One class of 1x1 black images, 1,000 in each split."""
    blank = np.zeros((_GAMES, 1, 1), np.uint8), np.zeros(_GAMES, np.int64)
    return Dataset.from_splits({split: blank for split in SPLITS}, name="games", classes=["game"])
