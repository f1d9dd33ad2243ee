"""How observations and infos are laid out."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .sensors import Sensor


def observation_space(
    sensor: Sensor,
    image_shape: tuple[int, int, int],
    reveal: Container[str],
    memory: str | None = None,
    context_size: int | None = None,
) -> spaces.Dict:
    """The observation space of one lane that sees images of shape `(H, W, C)`."""
    height, width, channels = image_shape
    parts: dict[str, spaces.Space] = {
        "glimpse": spaces.Box(0, 1, sensor.shape(channels), np.float32),
        "fixation": spaces.Box(-1, 1, (2,), np.float32),
        "progress": spaces.Box(0, 1, (1,), np.float32),
    }
    if memory is not None:
        parts["canvas"] = spaces.Box(0, 1, (channels + 1, height, width), np.float32)
    if context_size is not None:
        side = context_size
        parts["context"] = spaces.Box(0, 1, (channels, side, side), np.float32)
    if "image" in reveal:
        parts["image"] = spaces.Box(0, 1, (channels, height, width), np.float32)
    if "box" in reveal:
        parts["box"] = spaces.Box(0, max(height, width), (4,), np.float32)
    return spaces.Dict(parts)


def lane_bytes(
    sensor: Sensor,
    image_shape: tuple[int, int, int],
    reveal: Container[str],
    memory: str | None = None,
    context_size: int | None = None,
) -> int:
    """About how much memory such a lane takes: its frame, with the sensor's margin, and what it
    observes, with the bounds of both spaces."""
    height, width, channels = image_shape
    values = math.prod(sensor.shape(channels))
    if memory is not None:
        values += 2 * (channels + 1) * height * width
    if context_size is not None:
        values += channels * context_size**2
    if "image" in reveal:
        values += channels * height * width
    margin = max(int(outline.side) for outline in sensor.outlines) // 2
    padded = channels * (height + margin) * (width + margin)
    return 12 * values + channels * height * width + padded


def final_infos(
    observation: Mapping[str, NDArray], infos: dict[str, Any], ends: NDArray[np.bool_]
) -> dict[str, Any]:
    """`final_obs` and `final_info` of the lanes that end, as Gymnasium 1.4 lays them out.

    Args:
        observation: the last one of every lane.
        infos: the last ones, with their masks.
        ends: lanes that end, bool `(n,)`.
    """
    final_obs = np.full(len(ends), None, dtype=object)
    rows = (values[ends] for values in observation.values())  # a copy of all: their rows are free
    for lane, row in zip(ends.nonzero()[0], zip(*rows, strict=True), strict=True):
        final_obs[lane] = dict(zip(observation, row, strict=True))
    return {
        "final_obs": final_obs,
        "_final_obs": ends.copy(),
        "final_info": infos,
        "_final_info": ends.copy(),
    }


def with_masks(values: Mapping[str, NDArray], lanes: NDArray[np.bool_]) -> dict[str, Any]:
    """Infos as Gymnasium's vector environments give them.

    Each array, `(n, ...)`, is 0 where `lanes`, bool `(n,)`, is not set, and has its mask `_name`.
    """
    infos: dict[str, Any] = {}
    for name, array in values.items():
        infos[name] = np.where(
            lanes.reshape(-1, *[1] * (array.ndim - 1)), array, array.dtype.type(0)
        )
        infos[f"_{name}"] = lanes.copy()
    return infos
