"""A user's own arrays in a NumPy archive, `.npz`; nothing in it is ever run."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from .base import Dataset
from .errors import DatasetError
from .parting import SPLIT_NAMES

_BOMB = 100  # times its size: what unpacks to more than that, and is large, is refused
_LARGE = 1 << 28  # bytes


def load_npz(path: Path) -> Dataset:
    """The images of an archive that `numpy.savez` wrote.

    It holds `images` and `labels`, which are parted as `Dataset.from_arrays` does; or, for splits
    of its own, `train_images`, `train_labels`, `validation_images` (or `val_images`), and so on, as
    MedMNIST has it; where there is no validation, a tenth of each class of train is taken for it.
    `classes`, an array of text, may name the labels. Raises DatasetError for an archive that is
    damaged, lies about its sizes, or holds objects.
    """
    arrays = _read(path)
    classes = [str(name) for name in arrays.pop("classes")] if "classes" in arrays else None
    name = path.stem
    if {"images", "labels"} <= arrays.keys():
        return Dataset.from_arrays(
            arrays["images"], _flat(arrays["labels"]), name=name, classes=classes
        )
    parts = {}
    for said, split in SPLIT_NAMES.items():
        if {f"{said}_images", f"{said}_labels"} <= arrays.keys():
            parts[split] = arrays[f"{said}_images"], _flat(arrays[f"{said}_labels"])
    if "train" not in parts:
        raise DatasetError(
            f"{path} holds {', '.join(arrays) or 'nothing'}: give images and labels, or "
            "train_images, train_labels, test_images, ..."
        )
    return Dataset.from_splits(parts, name=name, classes=classes, validation=0.1)


def _flat(labels: np.ndarray) -> np.ndarray:
    """Labels (N,) of a column (N, 1), as MedMNIST keeps them."""
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            found = {}
            whole = sum(member.file_size for member in archive.infolist())
            if whole > max(_LARGE, _BOMB * path.stat().st_size):
                raise DatasetError(
                    f"{path} unpacks to {whole:,} bytes, more than {_BOMB} times its size: if that "
                    "is meant, write it with numpy.savez, unpacked"
                )
            for member in archive.infolist():
                if member.filename.endswith(".npy"):
                    with archive.open(member) as file:
                        name = member.filename.removesuffix(".npy")
                        found[name] = _array(file, member.file_size, f"{path}, {name}")
            return found
    except DatasetError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise DatasetError(f"{path} cannot be read as .npz ({_reason(error)})") from None


def _array(file: IO[bytes], size: int, where: str) -> np.ndarray:
    """One array; what its header says is held against the bytes that are there."""
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
    except Exception as error:  # NumPy has Python's own parser read it, which raises many kinds
        raise DatasetError(f"{where}: no NumPy array ({_reason(error)})") from None
    if dtype.hasobject:
        raise DatasetError(f"{where} holds Python objects, which could run code: give plain arrays")
    count = 1
    for side in shape:
        count *= int(side)
    if count < 0 or count * dtype.itemsize != size - file.tell():
        raise DatasetError(
            f"{where}: its header says {shape} of {dtype}, the archive has {size:,} bytes of it"
        )
    content = file.read()
    if len(content) != count * dtype.itemsize:
        raise DatasetError(f"{where} is cut short")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
