"""Run folders: where a training run keeps its config, checkpoints, curves, pictures and numbers.

runs/<name>-<seed>-<YYYYmmdd-HHMMSS>/
    config.yaml             the resolved config: training again from it is the same run
    metrics.json            versions, time, the newest and best figures, evaluations
    checkpoints/            last.pt (what --resume continues from) and best.pt (by validation)
    events.out.tfevents...  TensorBoard, which names the curves after the folder
    pictures/               where it looks: paths and their animations, or attention
    evaluation-<split>.md   tables
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..envs.files import remove_leftovers, write_text
from .errors import UserError

CHECKPOINTS = ("last", "best")


class RunFolder:
    """One run's folder: paths, and reading and writing of its small files.

    Holds nothing but its path. `create` makes a new one and never uses a folder twice; `open`
    checks that an existing one is a run.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, root: str | Path, name: str, seed: int, config: str) -> RunFolder:
        """A fresh folder under `root` with `config` (YAML text) in it."""

        def fill(path: Path) -> None:
            made = cls(path)
            for folder in (made.checkpoints, made.pictures):
                folder.mkdir(parents=True, exist_ok=True)
            write_text(made.config, config)

        return cls(new_folder(root, name, seed, fill))

    @classmethod
    def find(cls, root: str | Path, name: str, seed: int) -> RunFolder | None:
        """The newest run of this name and seed under `root`, if there is one."""
        found = sorted(Path(root).glob(f"{glob.escape(_stem(name, seed))}-*"))
        return cls(found[-1]) if found else None

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run; UserError where the folder or its config is missing."""
        run = cls(Path(path))
        if not run.path.is_dir():
            raise UserError(f"{path}: no such run folder")
        if not run.config.is_file():
            raise UserError(f"{path}: not a run folder (it has no config.yaml)")
        return run

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def pictures(self) -> Path:
        return self.path / "pictures"

    def checkpoint(self, which: str | None = None) -> Path:
        """The checkpoint `which` ("best" or "last"); without it the best, else the last."""
        if which is not None and which not in CHECKPOINTS:
            raise UserError(f"no checkpoint is called '{which}' (known: {', '.join(CHECKPOINTS)})")
        wanted = [which] if which else ["best", "last"]
        for name in wanted:
            file = self.checkpoints / f"{name}.pt"
            if file.is_file():
                return file
        missing = " nor ".join(f"checkpoints/{name}.pt" for name in wanted)
        raise UserError(f"{self.path}: has no {missing}; did its training stop before saving one?")

    def has_checkpoint(self, which: str) -> bool:
        """Whether there is a checkpoint of this name."""
        return (self.checkpoints / f"{which}.pt").is_file()

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Nobody else trains in this folder meanwhile; UserError where somebody does.

        The claim ends with the process, however that ends. Where the system knows no such claims,
        there is none.
        """
        try:
            import fcntl
        except ModuleNotFoundError:
            yield
            return
        handle = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"{self.path}: is being trained by another process") from None
            except OSError:  # a file system without them
                pass
            yield
        finally:
            os.close(handle)

    @property
    def kept(self) -> bool:
        """Whether it is a kept model (`keep.py`), which is read and not written into."""
        return bool(self.metrics().get("kept"))

    def tidy(self) -> None:
        """Remove half-written files that a killed process left."""
        for folder in (self.path, self.checkpoints, self.pictures):
            remove_leftovers(folder)

    def metrics(self) -> dict[str, Any]:
        """What metrics.json holds; empty where there is none, UserError where it is cut short."""
        file = self.path / "metrics.json"
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError, OSError) as error:  # brackets, or digits, without end
            raise UserError(f"{file}: not readable as JSON ({error})") from None
        if not isinstance(found, dict):
            raise UserError(f"{file}: should hold one JSON object")
        for name in ("time", "metrics", "evaluations", "init"):
            if not isinstance(found.get(name, {}), dict):
                raise UserError(f"{file}: '{name}' should hold keys and values")
        return found

    def update_metrics(self, changes: Mapping[str, Any]) -> None:
        """Set these keys of metrics.json and leave the others; the file is replaced whole."""
        content = {**self.metrics(), **changes}
        text = json.dumps(content, indent=2, allow_nan=False, default=_plain)
        write_text(self.path / "metrics.json", text + "\n")


def new_folder(root: str | Path, name: str, seed: int, fill: Callable[[Path], None]) -> Path:
    """Make the folder <name>-<seed>-<time> under `root`; it has that name when `fill` is done.

    Raises UserError where it cannot be made.
    """
    stem = f"{_stem(name, seed)}-{time.strftime('%Y%m%d-%H%M%S')}"
    made = Path(root) / f".{stem}.{os.getpid()}.tmp"
    try:
        fill(made)
        return _rename(made, Path(root) / stem)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        if Path(root).exists() and not Path(root).is_dir():
            raise UserError(f"{root}: not a folder, so that no run fits in it") from None
        raise UserError(f"{root}: no run can be put there ({error.strerror})") from None


def _stem(name: str, seed: int) -> str:
    name = re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "run"
    return f"{name}-{seed}"


def _rename(made: Path, wanted: Path) -> Path:
    """Give a folder this name, or where it is taken the next one that is free."""
    path, number = wanted, 1
    while True:
        if not path.exists():
            try:
                return made.rename(path)
            except OSError:
                if not path.exists():  # else another process was faster
                    raise
        number += 1
        path = wanted.with_name(f"{wanted.name}-{number}")


def _plain(value: Any) -> Any:
    """NumPy and torch scalars and arrays for JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} does not fit into metrics.json")
