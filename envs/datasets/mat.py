"""A strict reader of MATLAB's files of level 5, as SVHN comes in: whole numbers and floats alone.

SciPy's reader ends the process at some damaged files and makes room for whatever a header claims.
The format is MathWorks' "MAT-File Format": a header of 128 bytes, then elements of a type, a
length and so many bytes, of which a matrix holds more of them: flags, sides, name and numbers.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from .errors import DatasetError

_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8"}
_NUMBERS |= {13: "u8"}
# What a matrix of a class is kept in, at most: MATLAB takes smaller numbers where they do.
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8"}
_CLASSES |= {15: "u8"}
_COMPLEX = 0x0800
_HEAD = 1 << 10  # bytes at a matrix's beginning that hold all but its numbers


def read_mat(path: str | os.PathLike[str], most: int) -> dict[str, np.ndarray]:
    """The numeric matrices of a file by name, each of at most `most` bytes, by column.

    What else is in it (text, structures, complex numbers) is left out. Raises DatasetError, naming
    the file, where it is missing, damaged or none of level 5, or a matrix is larger.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            header = file.read(128)
            order = {b"IM": "<", b"MI": ">"}.get(header[126:128])
            if order is None or header[124:126] not in (b"\0\1", b"\1\0"):
                raise ValueError("no file of level 5")
            found: dict[str, np.ndarray] = {}
            while file.tell() < size:
                kind, length = struct.unpack(f"{order}II", _exactly(file, 8))
                if length > size - file.tell():
                    raise ValueError("cut short")
                begin = file.tell()
                if kind in (_MATRIX, _COMPRESSED):
                    source = _Source(file, length, kind == _COMPRESSED)
                    named = _matrix(source, order, most)
                    if named is not None:
                        found[named[0]] = named[1]
                file.seek(begin + length)
            return found
    except (OSError, ValueError, zlib.error) as error:
        raise DatasetError(f"{path} cannot be read as a .mat file ({error})") from None


class _Source:
    """The bytes of one element, unpacked piece by piece where they are packed."""

    def __init__(self, file: IO[bytes], length: int, packed: bool) -> None:
        self.file, self.left = file, length
        self.unpack = zlib.decompressobj() if packed else None

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes; ValueError where there are fewer."""
        data = bytearray()
        while len(data) < count:
            piece = self._piece(count - len(data))
            if not piece:
                raise ValueError("cut short")
            data += piece
        return bytes(data)

    def _piece(self, count: int) -> bytes:
        if self.unpack is None:
            piece = self.file.read(min(count, self.left, 1 << 20))
            self.left -= len(piece)
            return piece
        while not self.unpack.eof:
            packed = self.unpack.unconsumed_tail
            if not packed:
                packed = self.file.read(min(self.left, 1 << 16))
                self.left -= len(packed)
            piece = self.unpack.decompress(packed, min(count, 1 << 20))
            if piece or not (packed or self.left):
                return piece
        return b""


def _matrix(source: _Source, order: str, most: int) -> tuple[str, np.ndarray] | None:
    """Name and numbers of a matrix; None for one of another kind."""
    if source.unpack is not None and _tag(source, order)[0] != _MATRIX:
        return None
    flags = np.frombuffer(_element(source, order, _HEAD)[1], f"{order}u4")
    if len(flags) != 2:
        raise ValueError("a matrix without its flags")
    dtype = _CLASSES.get(int(flags[0]) & 0xFF)
    if dtype is None or int(flags[0]) & _COMPLEX:
        return None
    kind, sides = _element(source, order, _HEAD)
    if kind != 5 or len(sides) % 4:
        raise ValueError("a matrix without its sides")
    shape = tuple(np.frombuffer(sides, f"{order}i4").tolist())
    name = _element(source, order, _HEAD)[1].decode("ascii", "replace")
    count, width = math.prod(shape), np.dtype(dtype).itemsize
    if not shape or min(shape) < 0 or count * width > most:
        raise ValueError(f"{name[:40]!r} has sides {shape[:8]}, for more than {most:,} bytes")
    kind, content = _element(source, order, count * width)
    stored = np.dtype(f"{order}{_NUMBERS[kind]}") if kind in _NUMBERS else None
    if stored is None or len(content) != count * stored.itemsize:
        raise ValueError(f"{name[:40]!r} has {len(content)} bytes where {shape} are announced")
    numbers = np.frombuffer(content, stored).reshape(shape, order="F")
    return name, numbers if stored == np.dtype(dtype) else numbers.astype(dtype)


def _tag(source: _Source, order: str) -> tuple[int, int, bytes | None]:
    """Type and length of an element, and its content where that stands in the tag itself."""
    tag = source.read(8)
    kind, length = struct.unpack(f"{order}II", tag)
    if kind >> 16:
        kind, length = kind & 0xFFFF, kind >> 16
        if length > 4:
            raise ValueError("an element longer than its place")
        return kind, length, tag[4 : 4 + length]
    return kind, length, None


def _element(source: _Source, order: str, most: int) -> tuple[int, bytes]:
    """Type and content of the next element, of at most so many bytes."""
    kind, length, content = _tag(source, order)
    if content is not None:
        return kind, content
    if length > most:
        raise ValueError(f"an element of {length:,} bytes where {most:,} are the most")
    content = source.read(length)
    if length % 8:
        source.read(8 - length % 8)
    return kind, content


def _exactly(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise ValueError("cut short")
    return data
