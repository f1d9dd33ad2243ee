"""A folder of pictures by class: photographs of one's own, read once and kept as one file.

    FOLDER/cat/1.jpg                 a folder a class; parted into splits here
    FOLDER/train/cat/1.jpg           or parted already, into train, validation (val) and test

The images are kept under the user's cache folder and read from there as they are needed, so that a
set may be larger than memory; a picture added, changed or removed makes them anew, in place of the
old ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..checks import choose
from ..files import sync_folder, write_text
from .base import SPLITS, Dataset, ImageSet
from .errors import DatasetError
from .fetch import cache_folder
from .parting import SPLIT_NAMES, parted
from .pictures import UNREADABLE, Fitting, is_gray, open_picture

ENDINGS = (".jpg", ".jpeg", ".png")
_ENDINGS = ", ".join(ENDINGS)
_NAMED = 5  # files that a message names
_VERSION = 2  # of what is kept; another one is made anew
_DAY = 86_400  # seconds


@dataclass(frozen=True)
class ImageFolder(Fitting):
    """How a folder of pictures is read; its fields are options of the environment.

    Gray where all pictures are, else in colour. Splits of a folder that has none are a fixed tenth
    of each class for validation and a fifth for test.

    Attributes:
        unreadable: files that are no picture, damaged or too large, and folders without a picture,
            are left out with one warning that names them (`"skip"`), or end the loading
            (`"refuse"`).
    """

    unreadable: Literal["skip", "refuse"] = "skip"

    def __post_init__(self) -> None:
        super().__post_init__()
        choose("unreadable", self.unreadable, ("skip", "refuse"))

    def load(self, folder: str | os.PathLike[str]) -> Dataset:
        """The pictures of a folder.

        Raises DatasetError where there is no folder, no class with a picture, a split with none, or
        no room to keep the images, and for unreadable files where they are refused.
        """
        root = Path(folder)
        found = _Found.of(root)
        kept = self._kept(root, found)
        if not _is_whole(kept):
            self._keep(root, found, kept)
        index = json.loads((kept / "index.json").read_text(encoding="utf-8"))
        self._complain(root, index["skipped"])
        if index["few"]:
            warnings.warn(
                f"{root}: fewer than 3 pictures of {_listed(index['few'])}: not in every split",
                stacklevel=2,
            )
        images = np.load(kept / "images.npy", mmap_mode="r")
        labels = np.array(index["labels"], np.int64)
        parts, first = {}, 0
        for split, count in index["counts"].items():
            here = slice(first, first + count)
            parts[split] = ImageSet(images[here], labels[here])
            first += count
        return Dataset(root.name or str(root.resolve().name), found.classes, parts)

    def _kept(self, root: Path, found: _Found) -> Path:
        """Where the images of a folder as it is now are kept; begins as do its earlier ones."""
        how = [_VERSION, self.fit, *self.sides, str(root.resolve())]
        return cache_folder() / "folders" / f"{_digest(how)}-{_digest(found.state)}"

    def _complain(self, root: Path, skipped: list[list[str]]) -> None:
        if not skipped:
            return
        named = _listed([f"{name}: {why}" for name, why in skipped], "; ")
        said = " ".join(f"{root}: {len(skipped)} unreadable: {named}".split())
        if self.unreadable == "refuse":
            raise DatasetError(f"{said}: mend or remove them, or take unreadable='skip'")
        warnings.warn(f"{said}: left out", stacklevel=3)

    def _keep(self, root: Path, found: _Found, kept: Path) -> None:
        """Decode everything into a folder beside `kept`, then put it there: whole or not at all."""
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            for left in kept.parent.glob(".making-*"):  # by a process that was killed
                if time.time() - left.stat().st_mtime > _DAY:
                    shutil.rmtree(left, ignore_errors=True)
            made = Path(tempfile.mkdtemp(dir=kept.parent, prefix=".making-"))
            try:
                self._decode(root, found, made)
                if kept.exists() and not _is_whole(kept):
                    shutil.rmtree(kept, ignore_errors=True)  # half removed, as a newer one was made
                try:
                    os.replace(made, kept)
                    sync_folder(kept.parent)
                except OSError:
                    if not _is_whole(kept):  # else another process was faster
                        raise
            finally:
                shutil.rmtree(made, ignore_errors=True)
        except OSError as error:
            raise DatasetError(
                f"{root}: its images cannot be kept in {kept.parent} ({error.strerror or error}): "
                "make room there, take a smaller image_size, or let XDG_CACHE_HOME name another "
                "folder"
            ) from None
        for old in kept.parent.glob(f"{kept.name.split('-')[0]}-*"):
            if old != kept:
                shutil.rmtree(old, ignore_errors=True)  # whoever reads from it still can

    def _decode(self, root: Path, found: _Found, made: Path) -> None:
        """Write `images.npy`, split after split, and `index.json`, which tells what is in it."""
        from tqdm import tqdm

        readable, skipped, gray = [], list(found.skipped), True
        for name, label, split in found.files:
            try:
                with open_picture(root / name) as picture:
                    gray = gray and is_gray(picture)
                readable.append((name, label, split))
            except UNREADABLE as error:
                skipped.append([name, _reason(error)])
        shape = (*self.sides, 1 if gray else 3)
        images = _room_for(made / "all.npy", (max(1, len(readable)), *shape))
        good: list[tuple[str, int, str | None]] = []
        for name, label, split in tqdm(
            readable, f"reading {root.name}", unit=" pictures", delay=5, disable=None
        ):
            try:
                with open_picture(root / name) as picture:
                    images[len(good)] = self(picture, shape[2])
                good.append((name, label, split))
            except UNREADABLE as error:
                skipped.append([name, _reason(error)])  # begun well, and damaged further on
        if self.unreadable == "refuse":
            self._complain(root, skipped)
        order, few = _order(root, found, good)
        rows = np.concatenate(list(order.values()))
        mixed = _room_for(made / "images.npy", (len(rows), *shape))
        for start in range(0, len(rows), 256):
            mixed[start : start + 256] = images[rows[start : start + 256]]
        mixed.flush()
        del images, mixed
        (made / "all.npy").unlink()
        index = {
            "counts": {split: len(places) for split, places in order.items()},
            "labels": [good[row][1] for row in rows],
            "skipped": skipped,
            "few": few,
        }
        write_text(made / "index.json", json.dumps(index))


def _is_whole(kept: Path) -> bool:
    """Whether a folder holds all that is kept of one of pictures."""
    return all((kept / name).is_file() for name in ("index.json", "images.npy"))


def _room_for(file: Path, shape: tuple[int, ...]) -> np.memmap:
    """A new file of bytes; OSError where the disk has no room: writing would end the process."""
    images = np.lib.format.open_memmap(file, "w+", np.uint8, shape)
    if hasattr(os, "posix_fallocate"):
        with open(file, "rb+") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
    return images


def _order(
    root: Path, found: _Found, good: list[tuple[str, int, str | None]]
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Rows of each split, and classes too few for all splits that are made here.

    Where the folder has no validation, a tenth of train is taken for it.
    """
    labels = np.array([label for _, label, _ in good], np.int64)
    if not len(labels):
        raise DatasetError(f"{root}: none of {len(found.files)} files is a readable JPEG or PNG")
    shares: dict[str, float] = {}
    if not found.splits:
        shares = {"validation": 0.1, "test": 0.2}
        whole = np.arange(len(labels))
    else:
        whole = np.array([row for row, (_, _, split) in enumerate(good) if split == "train"], int)
        if "validation" not in found.splits:
            shares = {"validation": 0.1}
    counts = np.bincount(labels, minlength=len(found.classes))
    few = [found.classes[k] for k in np.flatnonzero(counts < 3)] if shares else []
    order = {split: whole[rows] for split, rows in parted(labels[whole], shares, str(root)).items()}
    for split in found.splits - {"train"}:
        order[split] = np.array([row for row, one in enumerate(good) if one[2] == split], int)
    for split, rows in order.items():
        if not len(rows):
            raise DatasetError(f"{root}: no readable picture for {split}")
    # Mixed, so that the first few of a split are not all of one class.
    mixed = np.random.PCG64(0).random_raw(len(good))
    order = {
        split: order[split][mixed[order[split]].argsort()] for split in SPLITS if split in order
    }
    return order, few


@dataclass(frozen=True)
class _Found:
    """Files of a folder: names within it, labels, and splits where it has some of its own."""

    classes: tuple[str, ...]
    files: list[tuple[str, int, str | None]]
    state: list[tuple[str, int, int]]  # name, size and time of each file
    splits: frozenset[str]
    skipped: list[list[str]]  # folders that give nothing, and why

    @classmethod
    def of(cls, root: Path) -> _Found:
        if not root.is_dir():
            raise DatasetError(f"{root}: no such folder")
        skipped: list[list[str]] = []
        tops = _folders(root, "", skipped)
        called = {split: name for name in tops if (split := SPLIT_NAMES.get(name))}
        # `train` may also be a class, of pictures of trains.
        own = "train" in called and bool(_folders(root, "train", skipped))
        places = [(name, split) for split, name in called.items()] if own else [("", None)]
        if own:
            left = [name for name in tops if name not in called.values()]
            skipped += [
                [name, f"lies beside the splits {', '.join(called.values())}"] for name in left
            ]
        found: list[tuple[str, str, str | None]] = []
        for place, split in places:
            for kind in _folders(root, place, skipped):
                before, folder = len(skipped), f"{place}/{kind}" if place else kind
                names = list(_pictures(root, folder, skipped))
                found += [(name, kind, split) for name in names]
                if not names and len(skipped) == before:
                    skipped.append([folder, f"no picture ({_ENDINGS}) in it"])
        classes = tuple(sorted({kind for _, kind, _ in found}))
        if not found:
            raise DatasetError(
                f"{root}: no pictures ({_ENDINGS}) in folders of their classes, such as "
                f"{root.name}/cat/1.jpg"
            )
        places_of = {kind: place for place, kind in enumerate(classes)}
        files = sorted((name, places_of[kind], split) for name, kind, split in found)
        state = []
        for name, _, _ in files:
            told = os.stat(root / name)
            state.append((name, told.st_size, told.st_mtime_ns))
        return cls(classes, files, state, frozenset(called) if own else frozenset(), skipped)


def _folders(root: Path, place: str, skipped: list[list[str]]) -> list[str]:
    """Names of the folders in a folder within `root`, those that begin with a dot left out."""
    try:
        with os.scandir(root / place) as entries:
            return sorted(e.name for e in entries if e.name[0] != "." and _is_folder(root, e))
    except OSError as error:
        skipped.append([place or ".", _reason(error)])
        return []


def _is_folder(root: Path, entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir() and not _leads_back(root, entry.path)
    except OSError:  # a link that leads in a circle
        return False


def _leads_back(root: Path, place: str) -> bool:
    """Whether a link leads to a folder around it: what lies there is of all classes."""
    if not os.path.islink(place):
        return False
    end = os.path.realpath(place)
    around = (os.path.realpath(root), os.path.realpath(os.path.dirname(place)))
    return any(os.path.join(one, "").startswith(os.path.join(end, "")) for one in around)


def _pictures(root: Path, folder: str, skipped: list[list[str]]) -> Iterator[str]:
    """Names within `root` of the pictures in a folder and in its own, each real place once."""

    def closed(error: OSError) -> None:
        skipped.append([os.path.relpath(error.filename, root), _reason(error)])

    seen = set()
    for place, inner, names in os.walk(root / folder, onerror=closed, followlinks=True):
        real = os.path.realpath(place)
        if real in seen or _leads_back(root, place):
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
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = text.splitlines()[0] if text else type(error).__name__
    return text if len(text) < 100 else text[:97] + "..."


def _listed(names: list[str], between: str = ", ") -> str:
    """The first few of many, and how many more there are."""
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return between.join([*names[:_NAMED], *more])


def _digest(told: Any) -> str:
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
