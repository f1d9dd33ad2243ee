"""Infos of a batch, laid out as Gymnasium's vector environments do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def with_masks(values: Mapping[str, NDArray], lanes: NDArray[np.bool_]) -> dict[str, Any]:
    """Each array with its mask `_name`, zero where `lanes` is not set."""
    infos: dict[str, Any] = {}
    for name, array in values.items():
        infos[name] = np.where(
            lanes.reshape(-1, *[1] * (array.ndim - 1)), array, array.dtype.type(0)
        )
        infos[f"_{name}"] = lanes.copy()
    return infos
