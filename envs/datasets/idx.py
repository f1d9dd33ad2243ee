"""A strict reader of IDX, the file format of MNIST and its relatives, plain or gzipped.

An IDX file is two zero bytes, a byte for the type, a byte for the number of dimensions, the
dimensions as big-endian 32-bit numbers, and the values (https://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from .base import DatasetError

_UNSIGNED_BYTE = 0x08
_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20
_MOST = 1 << 30  # values, where nobody knows how many there should be


def read_images(path: str | os.PathLike[str], most: int = _MOST) -> np.ndarray:
    """Images uint8 (N, H, W) of an IDX file of three dimensions; DatasetError names the file."""
    images = read_idx(path, most)
    if images.ndim != 3:
        kind = "labels" if images.ndim == 1 else f"{images.ndim} dimensions"
        raise DatasetError(
            f"{path} holds {kind} ({images.shape}) where images (N, H, W) should be: is it "
            "mislabelled?"
        )
    return images


def read_labels(path: str | os.PathLike[str], most: int = _MOST) -> np.ndarray:
    """Labels int64 (N,) of an IDX file of one dimension; DatasetError names the file."""
    labels = read_idx(path, most)
    if labels.ndim != 1:
        kind = "images" if labels.ndim == 3 else f"{labels.ndim} dimensions"
        raise DatasetError(
            f"{path} holds {kind} ({labels.shape}) where labels (N,) should be: is it mislabelled?"
        )
    return labels.astype(np.int64)


def read_idx(path: str | os.PathLike[str], most: int = _MOST) -> np.ndarray:
    """The uint8 array of an IDX file, of the shape that its header announces.

    most: values that it may have; what announces more is refused before it is read.

    Gzip is told by the content: browsers unpack files and leave their name. Raises DatasetError
    for a file that is missing, truncated, too long, empty, damaged or no IDX file of bytes.
    """
    path = Path(path)
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            if not packed:
                return _parse(raw, path, most)
            with gzip.GzipFile(fileobj=raw) as unpacked:
                return _parse(unpacked, path, most)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DatasetError(f"{path} is truncated or damaged (gzip: {error}): get it anew") from None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from None


def _parse(file: IO[bytes] | gzip.GzipFile, path: Path, most: int) -> np.ndarray:
    magic = _read(file, 4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DatasetError(
            f"{path} is no IDX file (wrong magic number): it starts with {bytes(magic)!r}"
        )
    kind, dimensions = magic[2], magic[3]
    if kind != _UNSIGNED_BYTE:
        raise DatasetError(
            f"{path} has the wrong magic number: type 0x{kind:02x} where unsigned bytes (0x08) "
            "should be"
        )
    if dimensions > 3:
        raise DatasetError(f"{path} announces {dimensions} dimensions: images have 3, labels 1")
    sizes = _read(file, 4 * dimensions)
    if len(sizes) < 4 * dimensions or dimensions == 0:
        raise DatasetError(f"{path} is truncated: it ends within its header")
    shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
    expected = math.prod(shape)
    if expected == 0:
        raise DatasetError(f"{path} is empty: its header announces {shape}")
    if expected > most:
        raise DatasetError(f"{path} announces {shape}: {most:,} values are the most")
    values = _read(file, expected + 1)  # one more, to see that the file ends there
    if len(values) < expected:
        raise DatasetError(
            f"{path} is truncated: it holds {len(values):,} values, its header announces "
            f"{expected:,} {shape}"
        )
    if len(values) > expected:
        raise DatasetError(
            f"{path} goes on after the {expected:,} values that its header announces {shape}"
        )
    return np.frombuffer(values, np.uint8).reshape(shape)


def _read(file: IO[bytes] | gzip.GzipFile, count: int) -> bytearray:
    """Up to `count` bytes, in pieces: a lying header must not make memory be reserved for it."""
    data = bytearray()
    while len(data) < count:
        piece = file.read(min(_CHUNK, count - len(data)))
        if not piece:
            break
        data += piece
    return data
