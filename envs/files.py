"""Files written whole or not at all: a reader finds the old one or the new one, never a part.

All that the project keeps goes through here, so that neither a kill nor a full disk damages it.
TensorBoard writes its own event files, which only grow.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

_ENDING = ".tmp"


def replace_file(path: str | os.PathLike[str], write: Callable[[Path], object]) -> Path:
    """Let `write` fill a new file beside `path`, then put it in its place; make its folder.

    Raises OSError, with `path` as its file, where that does not work; what lay there is untouched.
    """
    final = Path(path)
    target = final.with_name(f".{final.name}.{threading.get_native_id()}{_ENDING}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(target)
            with target.open("rb+") as file:
                os.fsync(file.fileno())  # on the disk before its name is
            os.replace(target, final)
        finally:
            with contextlib.suppress(OSError):  # what went wrong before says more
                target.unlink(missing_ok=True)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(final)) from error
    sync_folder(final.parent)
    return final


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Replace a file by one of this text, UTF-8."""
    return replace_file(path, lambda target: target.write_text(text, encoding="utf-8"))


def write_bytes(path: str | os.PathLike[str], content: bytes | memoryview) -> Path:
    """Replace a file by one of these bytes."""
    return replace_file(path, lambda target: target.write_bytes(content))


def sync_folder(folder: Path) -> None:
    """Have a folder's names on the disk, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left in a folder that nobody writes into now."""
    for left in folder.glob(f".*{_ENDING}"):
        left.unlink(missing_ok=True)
