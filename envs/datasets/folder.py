"""A folder of pictures by class: photographs of one's own, read once and kept as one file.

    FOLDER/cat/1.jpg                 a folder a class; parted into splits here
    FOLDER/train/cat/1.jpg           or parted already, into train, validation (val) and test

The images are kept under the user's cache folder and read from there as they are needed, so that a
set may be larger than memory; a picture added, changed or removed makes them anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..checks import choose
from .base import SPLITS, Dataset, ImageSet
from .errors import DatasetError
from .fetch import cache_folder
from .parting import parted
from .pictures import Fitting, is_gray, open_picture

ENDINGS = (".jpg", ".jpeg", ".png")
_CALLED = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
_NAMED = 5  # files that a message names
_VERSION = 1  # of what is kept; another one is made anew


@dataclass(frozen=True)
class ImageFolder(Fitting):
    """How a folder of pictures is read; its fields are options of the environment.

    Gray where all pictures are, else in colour. Splits of a folder that has none are a fixed tenth
    of each class for validation and a fifth for test.

    Attributes:
        unreadable: files that are no picture, damaged or too large are left out with one warning
            that names them (`"skip"`), or end the loading (`"refuse"`).
    """

    unreadable: Literal["skip", "refuse"] = "skip"

    def __post_init__(self) -> None:
        super().__post_init__()
        choose("unreadable", self.unreadable, ("skip", "refuse"))

    def load(self, folder: str | os.PathLike[str]) -> Dataset:
        """The pictures of a folder.

        Raises DatasetError where there is no folder, no class with a picture, or a split with
        none, and for unreadable files where they are refused.
        """
        root = Path(folder)
        found = _Found.of(root)
        kept = self._kept(root, found)
        if not (kept / "index.json").is_file():
            self._keep(root, found, kept)
        index = json.loads((kept / "index.json").read_text(encoding="utf-8"))
        if index["skipped"]:
            self._complain(root, index["skipped"])
        images = np.load(kept / "images.npy", mmap_mode="r")
        labels = np.array(index["labels"], np.int64)
        parts, first = {}, 0
        for split, count in index["counts"].items():
            here = slice(first, first + count)
            parts[split] = ImageSet(images[here], labels[here])
            first += count
        return Dataset(root.name or str(root.resolve().name), found.classes, parts)

    def _kept(self, root: Path, found: _Found) -> Path:
        """Where the images of a folder as it is now are kept."""
        told = json.dumps([_VERSION, asdict(self), str(root.resolve()), found.state])
        return cache_folder() / "folders" / hashlib.sha256(told.encode()).hexdigest()[:24]

    def _complain(self, root: Path, skipped: list[list[str]]) -> None:
        named = "; ".join(f"{name}: {why}" for name, why in skipped[:_NAMED])
        more = f"; and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
        said = f"{root}: {len(skipped)} unreadable: {named}{more}"
        if self.unreadable == "refuse":
            raise DatasetError(f"{said}: mend or remove them, or take unreadable='skip'")
        warnings.warn(f"{said}: left out", stacklevel=2)

    def _keep(self, root: Path, found: _Found, kept: Path) -> None:
        """Decode everything into a folder beside `kept`, then put it there: whole or not at all."""
        readable, skipped, gray = [], [], True
        for name, label, split in found.files:
            try:
                with open_picture(root / name) as picture:
                    gray = gray and is_gray(picture)
                readable.append((name, label, split))
            except (OSError, ValueError, SyntaxError) as error:
                skipped.append([name, _reason(error)])
        channels = 1 if gray else 3
        kept.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=kept.parent, prefix=".making-"))
        try:
            images = np.lib.format.open_memmap(
                made / "all.npy", "w+", np.uint8, (max(1, len(readable)), *self.sides, channels)
            )
            good: list[tuple[str, int, str | None]] = []
            for name, label, split in readable:
                try:
                    with open_picture(root / name) as picture:
                        images[len(good)] = self(picture, channels)
                    good.append((name, label, split))
                except (OSError, ValueError, SyntaxError, MemoryError) as error:
                    skipped.append([name, _reason(error)])  # begun well, and damaged further on
            if skipped and self.unreadable == "refuse":
                self._complain(root, skipped)
            order = _order(root, found, good)
            counts = {split: len(places) for split, places in order.items()}
            rows = np.concatenate(list(order.values()))
            shape = (len(rows), *self.sides, channels)
            sorted_images = np.lib.format.open_memmap(made / "images.npy", "w+", np.uint8, shape)
            for start in range(0, len(rows), 256):
                sorted_images[start : start + 256] = images[rows[start : start + 256]]
            sorted_images.flush()
            del images, sorted_images
            (made / "all.npy").unlink()
            labels = [good[row][1] for row in rows]
            index = {"counts": counts, "labels": labels, "skipped": skipped}
            (made / "index.json").write_text(json.dumps(index), encoding="utf-8")
            try:
                os.replace(made, kept)
            except OSError:
                if not (kept / "index.json").is_file():  # else another process was faster
                    raise
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _order(
    root: Path, found: _Found, good: list[tuple[str, int, str | None]]
) -> dict[str, np.ndarray]:
    """Rows of each split; where the folder has no validation, a tenth of train is taken for it."""
    labels = np.array([label for _, label, _ in good], np.int64)
    if not len(labels):
        raise DatasetError(f"{root}: none of {len(found.files)} files is a readable JPEG or PNG")
    few = [found.classes[k] for k in np.flatnonzero(np.bincount(labels, minlength=1) < 3)]
    few = [name for name in few if name]
    shares: dict[str, float] = {}
    if not found.splits:
        shares = {"validation": 0.1, "test": 0.2}
        whole = np.arange(len(labels))
    else:
        whole = np.array([row for row, (_, _, split) in enumerate(good) if split == "train"], int)
        if "validation" not in found.splits:
            shares = {"validation": 0.1}
    if few and shares:
        warnings.warn(
            f"{root}: fewer than 3 pictures of {', '.join(few[:_NAMED])}: not in every split",
            stacklevel=4,
        )
    order = {split: whole[rows] for split, rows in parted(labels[whole], shares, str(root)).items()}
    for split in found.splits - {"train"}:
        order[split] = np.array([row for row, one in enumerate(good) if one[2] == split], int)
    for split, rows in order.items():
        if not len(rows):
            raise DatasetError(f"{root}: no readable picture for {split}")
    # Mixed, so that the first few of a split are not all of one class.
    mixed = np.random.PCG64(0).random_raw(len(good))
    return {
        split: order[split][mixed[order[split]].argsort()] for split in SPLITS if split in order
    }


@dataclass(frozen=True)
class _Found:
    """Files of a folder: names within it, labels, and splits where it has some of its own."""

    classes: tuple[str, ...]
    files: list[tuple[str, int, str | None]]
    state: list[tuple[str, int, int]]  # name, size and time of each file
    splits: frozenset[str]

    @classmethod
    def of(cls, root: Path) -> _Found:
        if not root.is_dir():
            raise DatasetError(f"{root}: no such folder")
        tops = _folders(root)
        called = {_CALLED[name]: name for name in tops if name in _CALLED}
        own = "train" in called
        places = [(name, split) for split, name in called.items()] if own else [("", None)]
        found: list[tuple[str, str, str | None]] = []
        for place, split in places:
            for kind in _folders(root / place):
                found += [(name, kind, split) for name in _pictures(root, Path(place) / kind)]
        classes = tuple(sorted({kind for _, kind, _ in found}))
        if not found:
            raise DatasetError(
                f"{root}: no pictures ({', '.join(ENDINGS)}) in folders of their classes, such as "
                f"{root.name}/cat/1.jpg"
            )
        places_of = {kind: place for place, kind in enumerate(classes)}
        files = sorted((name, places_of[kind], split) for name, kind, split in found)
        state = []
        for name, _, _ in files:
            told = os.stat(root / name, follow_symlinks=True)
            state.append((name, told.st_size, told.st_mtime_ns))
        return cls(classes, files, state, frozenset(called) if own else frozenset())


def _folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, those that begin with a dot left out."""
    with os.scandir(folder) as entries:
        return sorted(e.name for e in entries if _is_folder(e) and not e.name.startswith("."))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def _pictures(root: Path, folder: Path) -> Iterator[str]:
    """Names within `root` of the pictures in a folder and in its own, each real place once."""
    seen = set()
    for place, inner, names in os.walk(root / folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads in a circle
            inner.clear()
            continue
        seen.add(real)
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        for name in sorted(names):
            whole = Path(place) / name
            hidden = name.startswith(".")
            if whole.suffix.lower() in ENDINGS and not hidden and whole.is_file():
                yield whole.relative_to(root).as_posix()


def _reason(error: BaseException) -> str:
    """Why a file is unreadable, in a line."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text if len(text) < 100 else text[:97] + "..."
