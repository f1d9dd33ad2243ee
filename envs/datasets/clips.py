"""Clips of several lengths as one array, and where their targets are: checks of what a user gives.

A clip is a row of frames. It reads no files (`video.py` does) and shows nothing (`VideoScene`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import DatasetError

_KINDS = "(N, L, H, W), (N, L, H, W, 1) or (N, L, H, W, 3)"


def stack_clips(clips: Any) -> np.ndarray:
    """Clips (N, L, H, W, C) of an array, or of a list of clips that may differ in length.

    A shorter clip of a list holds its last frame. Their numbers are left as they are.
    """
    if isinstance(clips, np.ndarray) and clips.dtype != object:
        array = clips[..., None] if clips.ndim == 4 else clips
        if array.ndim != 5 or (clips.ndim == 4 and clips.shape[-1] in (1, 3)):
            raise DatasetError(
                f"clips have shape {clips.shape}, not {_KINDS}; one clip goes as [clip], gray "
                "frames a few pixels wide as (N, L, H, W, 1)"
            )
        return array
    parts = [_clip(clip, place) for place, clip in enumerate(_listed(clips, "clips"))]
    for place, part in enumerate(parts):
        if part.shape[1:] != parts[0].shape[1:]:
            sizes = ["x".join(map(str, one.shape[1:])) for one in (part, parts[0])]
            raise DatasetError(
                f"clip {place} has frames of {sizes[0]}, the first of {sizes[1]}: scale them to "
                "one size, as read_video(path, size=(height, width)) does"
            )
        if part.dtype != parts[0].dtype:
            raise DatasetError(
                f"clip {place} is {part.dtype}, the first {parts[0].dtype}: give all as uint8"
            )
    return _held(parts)


def stack_boxes(boxes: Any, clips: Any) -> np.ndarray:
    """Boxes (N, L, 4) of an array, or of a list that goes with the list of clips."""
    if isinstance(boxes, np.ndarray) and boxes.dtype != object:
        return boxes
    parts = [np.asarray(part) for part in _listed(boxes, "boxes")]
    for place, (part, clip) in enumerate(zip(parts, clips, strict=False)):
        if part.shape != (len(clip), 4):
            raise DatasetError(
                f"the boxes of clip {place} have shape {part.shape}, its {len(clip)} frames need "
                f"{(len(clip), 4)}"
            )
    if len(parts) != len(clips):
        raise DatasetError(f"clips and boxes disagree: {len(clips)} clips, {len(parts)} boxes")
    return _held(parts)


def as_boxes(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Boxes as float32 (N, L, 4) that fit clips of `shape` (N, L, H, W, C)."""
    if len(shape) != 5:
        raise DatasetError("boxes belong to clips; a scene places still images itself")
    if boxes.shape != (*shape[:2], 4) or boxes.dtype.kind not in "fiu":
        raise DatasetError(
            f"boxes are {boxes.dtype} of shape {boxes.shape}, not numbers of shape "
            f"{(*shape[:2], 4)}: (x0, y0, x1, y1) of every frame of every clip"
        )
    height, width = shape[2:4]
    boxes = boxes.astype(np.float32)
    low, high = boxes[..., :2], boxes[..., 2:]
    # NaN fails the comparisons too.
    right = ((low >= 0) & (high <= (width, height)) & (low < high)).all(axis=2)
    if not right.all():
        clip, frame = (int(place) for place in np.argwhere(~right)[0])
        raise DatasetError(
            f"the box {boxes[clip, frame].tolist()} of clip {clip}, frame {frame} is none: "
            f"0 <= x0 < x1 <= {width} and 0 <= y0 < y1 <= {height} are needed"
        )
    return np.ascontiguousarray(boxes)


def _listed(values: Any, what: str) -> list[Any]:
    if not isinstance(values, (list, tuple, np.ndarray)):
        raise DatasetError(f"{what} of type {type(values).__name__}: give an array or a list")
    if len(values) == 0:
        raise DatasetError(f"the set is empty: 0 {what}")
    return list(values)


def _clip(clip: Any, place: int) -> np.ndarray:
    try:
        array = np.asarray(clip)
    except ValueError:
        raise DatasetError(f"clip {place} is no array: its frames differ in size") from None
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[-1] not in (1, 3):
        raise DatasetError(
            f"clip {place} has shape {array.shape}, not (L, H, W), (L, H, W, 1) or (L, H, W, 3)"
        )
    if array.size == 0:
        raise DatasetError(f"clip {place} is empty: its shape is {array.shape}")
    return array


def _held(parts: list[np.ndarray]) -> np.ndarray:
    """Rows of several lengths as one array, the last of each repeated to the longest's length."""
    length = max(map(len, parts))
    whole = np.empty((len(parts), length, *parts[0].shape[1:]), np.result_type(*parts))
    for row, part in zip(whole, parts, strict=True):
        row[: len(part)] = part
        row[len(part) :] = part[-1]
    whole.flags.writeable = False  # nobody else has it: no need for a copy
    return whole
