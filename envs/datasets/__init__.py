"""Sets of labelled images and clips by name, and of a user's own: pictures, arrays, video files.

A new set is a file with a loader and a line in `DATASETS`. Nothing is read before it is asked for.
"""

from __future__ import annotations

import difflib
import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from .base import SPLITS, Dataset, ImageSet
from .cifar import load_cifar10
from .coloured import load_colour_digits
from .digits import load_digits
from .errors import DatasetError
from .filmed import load_digit_clips
from .folder import ImageFolder
from .games import load_games
from .items import from_huggingface, from_torch
from .mnist import load_fashion_mnist, load_mnist
from .npz import load_npz
from .pictures import Fit
from .svhn import load_svhn
from .video import read_video

__all__ = [
    "DATASETS",
    "SPLITS",
    "Dataset",
    "DatasetError",
    "ImageFolder",
    "ImageSet",
    "Source",
    "from_huggingface",
    "from_torch",
    "load_dataset",
    "read_video",
]

DATASETS: dict[str, Callable[[], Dataset]] = {
    "digits": load_digits,
    "mnist": load_mnist,
    "fashion-mnist": load_fashion_mnist,
    "cifar10": load_cifar10,
    "svhn": load_svhn,
    "colour-digits": load_colour_digits,
    "games": load_games,
    "digit-clips": load_digit_clips,
}


Source = str | os.PathLike[str] | Dataset | tuple[Any, Any]


def load_dataset(source: Source, folder: ImageFolder | None = None) -> Dataset:
    """The dataset that `source` means.

    source: a name in DATASETS; a folder of pictures by class; an `.npz` file (each loaded once for
        each process); a Dataset (returned as it is); or (images, labels), parted as
        `Dataset.from_arrays` does; images (N, L, H, W, C) are clips.
    folder: how a folder of pictures is read; None: as `ImageFolder` does by itself.
    Raises DatasetError for an unknown name, with the nearest known, for data that is unfit, and
    for a `folder` where there is none to read.
    """
    if is_folder(source):
        return _load_folder(os.path.abspath(source), folder or ImageFolder())  # type: ignore[arg-type]
    if folder is not None:
        raise DatasetError(
            f"source={source!r} is no folder of pictures: image_size, fit and unreadable are for "
            "those alone, leave them out"
        )
    if isinstance(source, Dataset):
        return source
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        if name in DATASETS:
            return _load_named(name)
        if Path(name).is_file():
            return _load_file(os.path.abspath(name))
        near = difflib.get_close_matches(name, DATASETS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(DATASETS)}"
        raise DatasetError(f"unknown dataset {name!r}: {hint}; no folder or file has that name")
    if isinstance(source, tuple | list) and len(source) == 2:
        return Dataset.from_arrays(*source)
    raise DatasetError(
        f"no dataset in {type(source).__name__}: give a name ({', '.join(DATASETS)}), a folder of "
        "pictures, an .npz file, a Dataset, or (images, labels)"
    )


def folder_options(
    source: Any,
    image_size: int | Sequence[int] | None,
    fit: Fit,
    unreadable: Literal["skip", "refuse"],
) -> ImageFolder | None:
    """How a folder is read by these keywords; None where there is none, and none of them is set."""
    if not is_folder(source) and (image_size, fit, unreadable) == (None, "crop", "skip"):
        return None
    size: Any = 64 if image_size is None else image_size
    return ImageFolder(tuple(size) if isinstance(size, list) else size, fit, unreadable)


def is_folder(source: Any) -> bool:
    """Whether a source is a folder of pictures: a path, and no data set's name."""
    named = isinstance(source, (str, os.PathLike)) and os.fspath(source) not in DATASETS
    return named and os.path.isdir(source)


@functools.cache
def _load_named(name: str) -> Dataset:
    return DATASETS[name]()


@functools.cache
def _load_folder(path: str, how: ImageFolder) -> Dataset:
    return how.load(path)


@functools.cache
def _load_file(path: str) -> Dataset:
    if not path.endswith(".npz"):
        raise DatasetError(f"{path}: of files only .npz is read; pictures go in a folder by class")
    return load_npz(Path(path))
