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

import json
import os
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
        name = re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "run"
        stem = f"{name}-{seed}-{time.strftime('%Y%m%d-%H%M%S')}"
        number = 1
        while True:
            path = Path(root) / (stem if number == 1 else f"{stem}-{number}")
            try:
                path.mkdir(parents=True)
                break
            except FileExistsError:
                if not path.exists() or not Path(root).is_dir():
                    raise UserError(f"{root}: not a folder, so that no run fits in it") from None
                number += 1
            except OSError as error:
                raise UserError(f"{path}: {error.strerror}") from None
        run = cls(path)
        for folder in (run.checkpoints, run.pictures):
            folder.mkdir()
        write_atomic(run.config, config)
        return run

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
        for name in ("time", "metrics", "evaluations"):
            if not isinstance(found.get(name, {}), dict):
                raise UserError(f"{file}: '{name}' should hold keys and values")
        return found

    def update_metrics(self, changes: Mapping[str, Any]) -> None:
        """Set these keys of metrics.json and leave the others; the file is replaced whole."""
        content = {**self.metrics(), **changes}
        text = json.dumps(content, indent=2, allow_nan=False, default=_plain)
        write_atomic(self.path / "metrics.json", text + "\n")


def write_atomic(path: Path, text: str) -> None:
    """Write text so that a reader sees the old file or the new one, never a part."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    # mkstemp makes files for their owner alone; a run folder should be as readable as any other.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _plain(value: Any) -> Any:
    """NumPy and torch scalars and arrays for JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} does not fit into metrics.json")
