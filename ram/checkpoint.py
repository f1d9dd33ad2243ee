"""Checkpoint files: written whole or not at all, read without running any code from them."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..envs.files import write_bytes


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: one line that names the file and what is wrong."""


def write(path: str | os.PathLike[str], content: Mapping[str, Any]) -> Path:
    """Write `content` (plain values, arrays, tensors) to `path`, atomically; make its folder."""
    # In memory first: PyTorch hides what a full disk says behind an error of its own.
    whole = io.BytesIO()
    torch.save(to_plain(content), whole)
    return write_bytes(path, whole.getbuffer())


def read(path: str | os.PathLike[str], kind: str, version: int, keys: Set[str]) -> dict[str, Any]:
    """The content of a checkpoint of this `kind` and `version` that has all of `keys`.

    Raises CheckpointError where the file is missing, damaged or something else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no such checkpoint") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: not a checkpoint of plain values and tensors") from error
    except (RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: damaged, or not a checkpoint at all") from error
    found = content.get("kind") if isinstance(content, dict) else None
    if found != kind:
        of = f"a checkpoint of kind {found!r}" if isinstance(found, str) else "no checkpoint"
        raise CheckpointError(f"{path}: {of}, where one of kind {kind!r} is needed")
    if content.get("version") != version:
        raise CheckpointError(
            f"{path}: written in version {content.get('version')}, this is version {version}"
        )
    if missing := keys - content.keys():
        raise CheckpointError(f"{path}: lacks {', '.join(sorted(missing))}")
    return content


def to_plain(value: Any) -> Any:
    """Plain values and tensors alone: arrays become tensors, marked as having been arrays."""
    if isinstance(value, np.ndarray):
        return {"__array__": torch.from_numpy(value.copy())}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(to_plain(item) for item in value)
    return value


def from_plain(value: Any) -> Any:
    """What `to_plain` was given, numpy scalars excepted: they come back as Python's."""
    if isinstance(value, dict):
        if value.keys() == {"__array__"}:
            return value["__array__"].numpy()
        return {key: from_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(from_plain(item) for item in value)
    return value
