"""The retina read between the pixels: an environment's sensor on PyTorch's `differentiable.py`.

PyTorch is imported when something is looked at, so that naming a sensor stays light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_planes
from .base import Prepared, as_bytes
from .retina import GlimpseSensor


@dataclass(frozen=True)
class BilinearSensor(GlimpseSensor):
    """The retina's patches from between the pixels: the mean of the four glimpses around.

    At whole pixels it is the retina; between them a glimpse changes steadily with the fixation.
    `sensors.differentiable.retina` is the same on tensors, with gradients to images and fixations.

    Attributes:
        size: side of a patch as the agent sees it, in values; at least 1.
        scales: number of patches, finest first; 1 to 5.

    Raises:
        ValueError: `size` or `scales` is out of range.
    """

    def allocate(self, lanes: int, height: int, width: int, channels: int) -> Prepared:
        return _Between(self, lanes, height, width, channels)

    def allocate_on(
        self, device: Any, lanes: int, height: int, width: int, channels: int
    ) -> Prepared:
        from ..device.eye import DeviceBetween

        return DeviceBetween(self, lanes, height, width, channels, device)

    def __call__(
        self, images: NDArray[Any], fixations: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        return self.prepare(images).look(fixations)


class _Between(Prepared):
    """State: the box means of all images, at every scale."""

    def __init__(
        self, sensor: GlimpseSensor, lanes: int, height: int, width: int, channels: int
    ) -> None:
        import torch

        from .differentiable import Retina

        black = torch.zeros(lanes, channels, height, width)
        self._retina = Retina(black, sensor.size, sensor.scales)

    def update(self, lanes: slice | NDArray[np.int64], images: NDArray[Any]) -> None:
        import torch

        planes = as_planes(as_bytes(images))
        where = lanes if isinstance(lanes, slice) else torch.from_numpy(lanes)
        self._retina.update(where, torch.from_numpy(planes))

    def look(self, fixations: NDArray[np.floating]) -> NDArray[np.float32]:
        import torch

        places = torch.from_numpy(np.array(fixations, np.float32))
        glimpse: NDArray[np.float32] = self._retina(places).numpy()
        return glimpse
