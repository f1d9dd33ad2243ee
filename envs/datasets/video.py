"""Video files as arrays of frames, by way of ffmpeg: `pip install "saccade[video]"`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled

from ..checks import at_least, pair
from .errors import DatasetError

MOST_BYTES = 1 << 30  # of one clip in memory


def read_video(
    path: str | os.PathLike[str],
    size: tuple[int, int] | None = None,
    frames: int | None = None,
) -> np.ndarray:
    """The frames of a video file, uint8 (L, H, W, 3), one clip of `Dataset.from_clips`.

    path: any file that ffmpeg reads, also an animated GIF.
    size: (height, width) in pixels that frames are scaled to; None leaves them as they are.
    frames: no more than the first so many; None reads all.
    Raises DatasetError for a file that is not there or no video, or whose frames would take more
    than 1 GiB, which is said before they are read; Gymnasium's DependencyNotInstalled without
    imageio-ffmpeg.
    """
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise DependencyNotInstalled(
            'video files need imageio-ffmpeg, run `pip install "saccade[video]"`'
        ) from error
    most = None if frames is None else at_least("frames", frames, 1)
    scaling: list[str] = []
    if size is not None:
        height, width = pair("size", size, "(height, width)", 1)
        _refuse_beyond(path, height * width * 3)
        scaling = ["-vf", f"scale={width}:{height}:flags=area"]
    file = Path(path).absolute()  # never an address, nor an option
    if not file.is_file():
        raise DatasetError(f"{path}: no such video file")
    reader = imageio_ffmpeg.read_frames(str(file), output_params=scaling)
    try:
        return _collect(path, reader, most)
    except (OSError, RuntimeError, IndexError) as error:
        raise DatasetError(f"{path}: ffmpeg cannot read this as a video") from error
    finally:
        reader.close()


def _collect(path: Any, reader: Any, most: int | None) -> np.ndarray:
    told = next(reader)
    width, height = told["size"]
    each = height * width * 3
    expected = told["fps"] * told["duration"]  # a guess: headers may say 0, or lie
    _refuse_beyond(path, each * max(1, expected if most is None else min(most, expected)))
    found: list[np.ndarray] = []
    for frame in reader:
        found.append(np.frombuffer(frame, np.uint8).reshape(height, width, 3))
        if len(found) == most:
            break
        _refuse_beyond(path, each * len(found))
    if not found:
        raise DatasetError(f"{path}: the video has no frames")
    return np.stack(found)


def _refuse_beyond(path: Any, size: float) -> None:
    if size > MOST_BYTES:
        raise DatasetError(
            f"{path}: its frames would take {size / (1 << 30):.1f} GiB, 1 GiB is the most: give a "
            "smaller size=(height, width), or frames=, how many of the first to read"
        )
