"""Published files of data sets: where they are looked for, and how they are fetched."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

from ..files import replace_file
from .errors import DatasetError


def data_folder(name: str) -> Path | None:
    """`$SACCADE_DATA/<name>`, whether it is there or not; None where the variable is not set."""
    data = os.environ.get("SACCADE_DATA")
    return Path(data).expanduser() / name if data else None


def cache_folder() -> Path:
    """The user's cache folder for data, by the custom of the operating system."""
    import pooch

    return Path(pooch.os_cache("saccade"))


def download(
    name: str, file: str, md5: str, mirrors: Sequence[str], folder: Path, names: Sequence[str]
) -> Path:
    """Fetch one file from the first mirror that has it, whole and with the right checksum.

    name: the data set's. file: what is fetched from behind each mirror. folder: where it is kept.
    names: all files of the set, for the message.
    Raises DatasetError, naming what to put where, when no mirror has it, and at once where
    `SACCADE_OFFLINE` is set.
    """
    problems = ["SACCADE_OFFLINE is set"] if os.environ.get("SACCADE_OFFLINE") else []
    mirrors = () if problems else mirrors
    for mirror in mirrors:
        try:
            return replace_file(folder / file, functools.partial(_fetch, f"{mirror}{file}", md5))
        except (OSError, ValueError) as error:  # requests' errors are OSErrors
            wrong = "wrong checksum" if "hash" in str(error) else type(error).__name__
            problems.append(f"{mirror}: {wrong}")
    raise DatasetError(
        f"{name} is not on this machine and {file} could not be downloaded "
        f"({'; '.join(problems)}): put {', '.join(names)} into {folder}, or into {name}/ in a "
        "folder that the environment variable SACCADE_DATA names"
    )


def _fetch(url: str, md5: str, target: Path) -> None:
    """Download into this file; ValueError where it has not the checksum."""
    import pooch

    pooch.retrieve(
        url=url,
        known_hash=f"md5:{md5}",
        fname=target.name,
        path=target.parent,
        downloader=pooch.HTTPDownloader(progressbar=True, timeout=20),
    )


def find_or_download(
    name: str, files: dict[str, str], mirrors: Sequence[str], places: Sequence[str] = ("",)
) -> list[Path]:
    """Paths of a set's files, in their order.

    Either all lie in one of `places` in `$SACCADE_DATA/<name>/`, or each is had from the cache,
    into which it is downloaded.

    files: name -> MD5. places: folders in it where they may lie.
    """
    own = data_folder(name)
    for folder in [own / place for place in places] if own is not None else []:
        found = [folder / file for file in files]
        missing = [path.name for path in found if not path.is_file()]
        if not missing:
            return found
        if len(missing) < len(found):
            # Never mixed with files from elsewhere: whoever began this folder should know.
            raise DatasetError(f"{folder} lacks {', '.join(missing)}: put it beside the others")
    folder = cache_folder() / name
    paths = []
    for file, md5 in files.items():
        path = folder / file
        paths.append(
            path if path.is_file() else download(name, file, md5, mirrors, folder, list(files))
        )
    return paths
