"""Checkpoint files: written whole or not at all, read without running any code from them."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import re
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
        _check_archive(Path(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: there is no such checkpoint") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: not a checkpoint of plain values and tensors") from error
    except Exception as error:  # of a damaged file, whatever its parts meet first
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


_NAMES = re.compile(
    r"collections OrderedDict|torch Size|torch._utils _rebuild_tensor_v[23]"
    r"|torch \w+Storage|torch.storage UntypedStorage|torch uint\d+"
)
"""What a checkpoint's pickle may name; PyTorch allows more, which make room for as much as a few
bytes claim."""


def _check_archive(path: Path) -> None:
    """ValueError or UnpicklingError where a file could take more memory than its own size."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
        if packed or sum(member.file_size for member in members) > path.stat().st_size:
            raise ValueError("packed, where PyTorch stores")
        (plan,) = (member for member in members if member.filename.endswith("/data.pkl"))
        for operation, named, _ in pickletools.genops(archive.read(plan)):
            if operation.name == "GLOBAL" and not _NAMES.fullmatch(str(named)):
                raise pickle.UnpicklingError(f"names {named}")


def unfit(path: str | os.PathLike[str], error: Exception) -> CheckpointError:
    """What to raise where the content of a checkpoint cannot be taken up, because of `error`."""
    if isinstance(error, CheckpointError):
        return error
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return CheckpointError(f"{path}: does not fit ({reason[0][:200]})")


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
