"""`svhn`: 32x32 colour photographs of house numbers' digits (Netzer et al. 2011).

`train_32x32.mat` and `test_32x32.mat` are found in `$SACCADE_DATA/svhn/` or in the user's cache
folder, else downloaded into the latter. A tenth of the training file, drawn class by class and
always the same, is `validation`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .base import Dataset
from .errors import DatasetError
from .fetch import find_or_download
from .mat import read_mat

_FILES = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}
_MIRRORS = ("http://ufldl.stanford.edu/housenumbers/",)
_MOST = 100_000  # images of a file; the larger one has 73,257


def load_svhn() -> Dataset:
    """House numbers, one digit in the middle: about 65,900 to train on, 7,300 and 26,032."""
    train, test = (_read(path) for path in find_or_download("svhn", _FILES, _MIRRORS))
    classes = tuple(str(k) for k in range(10))
    return Dataset.from_splits(
        {"train": train, "test": test}, name="svhn", classes=classes, validation=0.1
    )


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 32, 32, 3) and labels int64 (N,) of one file; its label 10 is the digit 0.

    Raises DatasetError for a file that is none of the set's; headers are checked before anything
    is read.
    """
    content = read_mat(path, most=_MOST * 32 * 32 * 3)
    images = content.get("X", np.empty(0))
    shape, kind = images.shape, images.dtype
    if len(shape) != 4 or shape[:3] != (32, 32, 3) or kind != np.uint8:
        told = f"{kind} {shape}" if "X" in content else "not there"
        raise DatasetError(f"{path}: X is {told}, not uint8 32x32x3xN")
    if content.get("y", np.empty(0)).shape not in ((shape[3], 1), (1, shape[3])):
        raise DatasetError(f"{path}: y does not go with the {shape[3]} images of X")
    if shape[3] == 0:
        raise DatasetError(f"{path}: X holds no images")
    labels = content["y"].ravel()
    if not ((labels >= 1) & (labels <= 10)).all():
        raise DatasetError(f"{path}: labels go from {labels.min()} to {labels.max()}, not 1 to 10")
    return np.ascontiguousarray(np.moveaxis(images, 3, 0)), labels.astype(np.int64) % 10
