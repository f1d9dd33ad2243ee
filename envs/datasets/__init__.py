"""Sets of labelled images and clips by name, and from a user's own arrays and video files.

A new set is a file with a loader and a line in `DATASETS`. Nothing is read before it is asked for.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable
from typing import Any

from .base import SPLITS, Dataset, ImageSet
from .digits import load_digits
from .errors import DatasetError
from .filmed import load_digit_clips
from .games import load_games
from .mnist import load_fashion_mnist, load_mnist
from .video import read_video

__all__ = [
    "DATASETS",
    "SPLITS",
    "Dataset",
    "DatasetError",
    "ImageSet",
    "load_dataset",
    "read_video",
]

DATASETS: dict[str, Callable[[], Dataset]] = {
    "digits": load_digits,
    "mnist": load_mnist,
    "fashion-mnist": load_fashion_mnist,
    "games": load_games,
    "digit-clips": load_digit_clips,
}


def load_dataset(source: str | Dataset | tuple[Any, Any]) -> Dataset:
    """The dataset that `source` means.

    source: a name in DATASETS (loaded once for each process), a Dataset (returned as it is), or
        (images, labels), parted as `Dataset.from_arrays` does; images (N, L, H, W, C) are clips.
    Raises DatasetError for an unknown name, with the nearest known, and for data that is unfit.
    """
    if isinstance(source, Dataset):
        return source
    if isinstance(source, str):
        return _load_named(source)
    if isinstance(source, tuple | list) and len(source) == 2:
        return Dataset.from_arrays(*source)
    raise DatasetError(
        f"no dataset in {type(source).__name__}: give a name ({', '.join(DATASETS)}), a Dataset, "
        "or (images, labels)"
    )


@functools.cache
def _load_named(name: str) -> Dataset:
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(DATASETS)}"
        raise DatasetError(f"unknown dataset {name!r}: {hint}")
    return DATASETS[name]()
