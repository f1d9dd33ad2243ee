"""`svhn`: 32x32 colour photographs of house numbers' digits (Netzer et al. 2011).

`train_32x32.mat` and `test_32x32.mat` are found in `$SACCADE_DATA/svhn/` or in the user's cache
folder, else downloaded into the latter. A tenth of the training file, drawn class by class and
always the same, is `validation`.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from .base import Dataset
from .errors import DatasetError
from .fetch import find_or_download

_FILES = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}
_MIRRORS = ("http://ufldl.stanford.edu/housenumbers/",)
_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    NotImplementedError,
    zlib.error,
)
_MOST = 1_000_000  # images of a file; the set's own largest has 531,131


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
    import scipy.io
    from scipy.io.matlab import MatReadError

    try:
        told = {name: (shape, kind) for name, shape, kind in scipy.io.whosmat(path)}
        shape, kind = told.get("X", ((), ""))
        if len(shape) != 4 or shape[:3] != (32, 32, 3) or kind != "uint8" or shape[3] > _MOST:
            raise DatasetError(f"{path}: X is {kind or 'not there'} {shape}, not uint8 32x32x3xN")
        if told.get("y", ((),))[0] not in ((shape[3], 1), (1, shape[3])):
            raise DatasetError(f"{path}: y does not go with the {shape[3]} images of X")
        content: dict[str, Any] = scipy.io.loadmat(path, variable_names=["X", "y"])
    except DatasetError:
        raise
    except (*_UNREADABLE, MatReadError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DatasetError(f"{path} cannot be read as a .mat file ({reason})") from None
    labels = content["y"].ravel().astype(np.int64)
    if not ((labels >= 1) & (labels <= 10)).all():
        raise DatasetError(f"{path}: labels go from {labels.min()} to {labels.max()}, not 1 to 10")
    images = np.ascontiguousarray(np.moveaxis(content["X"], 3, 0))
    return images, labels % 10
