"""Published files of data sets: where they are looked for, and how they are fetched."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files import replace_file
from .errors import DatasetError

PATIENCE = 20  # seconds for the first byte, for each further piece, and to gather speed
SLOWEST = 1000  # bytes a second
MOST_BYTES = 1 << 30  # of a file


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
        except _Given as error:
            problems.append(f"{mirror}: {error}")
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
        downloader=_stream,
    )


class _Given(Exception):
    """A download that was given up."""


def _stream(url: str, file: str, _: Any) -> None:
    """Write what is behind an address to `file`, for pooch, which checks it and then moves it.

    It is given up where nothing comes, where it trickles, and where it does not end.
    """
    import requests
    import urllib3
    from tqdm import tqdm

    began, size = time.monotonic(), 0
    plain = {"Accept-Encoding": "identity"}
    with (
        requests.get(url, stream=True, timeout=PATIENCE, headers=plain) as answer,
        open(file, "rb+") as written,  # pooch has made it, empty
        tqdm(unit="B", unit_scale=True, desc=url.rpartition("/")[2], disable=None) as bar,
    ):
        answer.raise_for_status()
        bar.total = int(answer.headers.get("content-length", 0)) or None
        try:
            # As it comes: `iter_content` waits for a whole piece, however long it trickles.
            while piece := answer.raw.read1(1 << 16):
                size += len(piece)
                if size > MOST_BYTES:
                    raise _Given(f"more than {MOST_BYTES:,} bytes")
                spent = time.monotonic() - began
                if spent > PATIENCE and size < SLOWEST * spent:
                    raise _Given(f"only {size:,} bytes in {spent:.0f} seconds")
                written.write(piece)
                bar.update(len(piece))
        except urllib3.exceptions.HTTPError as error:
            raise _Given(f"{type(error).__name__} after {size:,} bytes") from None


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
