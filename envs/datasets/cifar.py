"""`cifar10`: 32x32 colour images of ten kinds of things (Krizhevsky 2009), the binary distribution.

Found as the published archive, or unpacked, in `$SACCADE_DATA/cifar10/` or in the user's cache
folder, else downloaded into the latter. The last 5,000 of the training files are `validation`.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np

from .base import Dataset
from .errors import DatasetError
from .fetch import data_folder, find_or_download

VALIDATION = 5_000
CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
ARCHIVE = "cifar-10-binary.tar.gz"
INSIDE = "cifar-10-batches-bin"  # the archive's one folder
FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")

_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
_MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
_IMAGES = 10_000  # of a file
_RECORD = 1 + 3 * 32 * 32  # the label, then red, green and blue, row by row


def load_cifar10() -> Dataset:
    """Photographs of animals and vehicles: train 45,000, validation 5,000, test 10,000."""
    parts = [_read(content, where) for where, content in _contents()]
    images, labels = (np.concatenate(values) for values in zip(*parts[:-1], strict=True))
    for where, found in (("the training files", labels), (FILES[-1], parts[-1][1])):
        counts, each = np.bincount(found, minlength=10).tolist(), len(found) // 10
        if counts != [each] * 10:
            raise DatasetError(f"cifar10: {where} hold {counts} of the classes, not {each} of each")
    return Dataset.from_splits(
        {
            "train": (images[:-VALIDATION], labels[:-VALIDATION]),
            "validation": (images[-VALIDATION:], labels[-VALIDATION:]),
            "test": parts[-1],
        },
        name="cifar10",
        classes=CLASSES,
    )


def _contents() -> list[tuple[str, bytes]]:
    """The six files in their order, with where each was found."""
    folder = data_folder("cifar10")
    for place in [folder, folder / INSIDE] if folder is not None else []:
        found = [place / name for name in FILES]
        missing = [file.name for file in found if not file.is_file()]
        if not missing:
            return [(str(file), _whole(file)) for file in found]
        if len(missing) < len(found):
            raise DatasetError(f"{place} lacks {', '.join(missing)}: put it beside the others")
    (archive,) = find_or_download("cifar10", {ARCHIVE: _MD5}, _MIRRORS)
    return _unpacked(archive)


def _whole(file: Path) -> bytes:
    size = file.stat().st_size
    if size != _IMAGES * _RECORD:  # said before it is read
        raise DatasetError(f"{file} has {size:,} bytes, not {_IMAGES * _RECORD:,}: fetch it again")
    return file.read_bytes()


def _unpacked(archive: Path) -> list[tuple[str, bytes]]:
    """The six members of the archive; nothing is written to the disk."""
    found: dict[str, bytes] = {}
    try:
        with gzip.open(archive) as unpacked, _tar(unpacked) as tar:
            for member in tar:
                name = Path(member.name).name
                right = member.isfile() and member.size == _IMAGES * _RECORD
                if name in FILES and right and (file := tar.extractfile(member)):
                    found[name] = file.read()
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as error:
        raise DatasetError(f"{archive} is damaged ({error}): delete it, to have it anew") from None
    missing = [name for name in FILES if name not in found]
    if missing:
        raise DatasetError(f"{archive} lacks {', '.join(missing)}: delete it, to have it anew")
    return [(f"{archive}, {name}", found[name]) for name in FILES]


def _tar(unpacked: gzip.GzipFile) -> tarfile.TarFile:
    # Of plain members alone ("r:"): packed a second time, by xz say, nothing would bound it.
    bounded = cast(IO[bytes], _Bounded(unpacked, 7 * _IMAGES * _RECORD))
    return tarfile.open(fileobj=bounded, mode="r:")


class _Bounded:
    """A stream that ends with an error where more is asked for than the archive holds.

    tarfile reads names and notes of a member at once, however long they claim to be.
    """

    def __init__(self, stream: gzip.GzipFile, most: int) -> None:
        self.stream, self.most = stream, most
        self.tell = stream.tell

    def read(self, count: int) -> bytes:
        self._check(self.tell() + count)
        return self.stream.read(count)

    def seek(self, place: int) -> int:
        self._check(place)
        return self.stream.seek(place)

    def _check(self, place: int) -> None:
        if place > self.most:
            raise ValueError(f"it claims more than {self.most:,} bytes")


def _read(content: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 32, 32, 3) and labels int64 (N,) of one file."""
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= len(CLASSES):
        raise DatasetError(f"{where}: label {labels.max()} is out of range, there are 10 classes")
    planes = records[:, 1:].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels
