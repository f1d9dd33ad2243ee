"""Everything of an environment that touches pixels, on a PyTorch device.

Twins of what NumPy does elsewhere, behind the same interfaces, each named after its original. What
a lane is at (clocks, fixations, answers, rewards) stays NumPy's on the host: a few numbers a lane
cross at each step, pixels never. The package does not import this by itself: it needs PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["find", "places_of", "upload"]


def find(device: Any) -> torch.device:
    """The device of this name, or the device itself.

    Raises:
        ValueError: PyTorch does not know it, or it is not there.
    """
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()  # one that keeps numbers, which "meta" does not
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        raise ValueError(f"device={device!r}: not here; 'cpu' always is") from error
    return found


def upload(values: Any, device: torch.device) -> Tensor:
    """A few numbers a lane as a tensor of its own on the device; a GPU is not waited for."""
    if device.type != "cuda":
        return torch.tensor(values, device=device)
    return torch.tensor(values).pin_memory().to(device, non_blocking=True)


def places_of(lanes: NDArray[np.int64] | slice, count: int, device: torch.device) -> slice | Tensor:
    """What indexes the places of `lanes` (ascending, of `count`) on a device."""
    if isinstance(lanes, slice):
        return lanes
    return slice(None) if len(lanes) == count else upload(lanes, device)
