"""NumPy arrays on the host and tensors on a device, told apart without importing PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def on_host(values: Any) -> Any:
    """A tensor as a NumPy array; anything else as it is."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values


def as_planes(frames: Any) -> Any:
    """Frames, uint8 `(n, H, W, C)`, as floats in [0, 1], float32 `(n, C, H, W)`, fresh."""
    if isinstance(frames, np.ndarray):
        return np.moveaxis(frames, 3, 1).astype(np.float32) / np.float32(255)
    return frames.permute(0, 3, 1, 2).float() / 255


def find_device(device: Any) -> Any:
    """The PyTorch device of this name; None stays None.

    Raises:
        ValueError: it is not there.
    """
    if device is None:
        return None
    from .device import find

    return find(device)


def uploader(device: Any) -> Callable[[NDArray], Any]:
    """What puts an array of the host beside images: a copy, on the device where there is one."""
    if device is None:
        return np.ndarray.copy
    from .device import upload

    return lambda values: upload(values, device)
