"""The image at a uniformly drawn place on a larger canvas (Mnih et al. 2014, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..draws import integers
from .augment import AugmentedScene
from .base import add_patches, blank, boxes_at

_PLACE = 0


@dataclass(frozen=True)
class TranslatedScene(AugmentedScene):
    """Shows each image wholly on the canvas, at a place drawn uniformly.

    Attributes:
        canvas: 60 x 60 pixels unless told otherwise, the paper's.
    """

    on_device: ClassVar[bool] = True

    canvas: int | tuple[int, int] | None = 60

    def draw(
        self, images: NDArray[np.uint8], index: NDArray[np.int64], key: NDArray[np.uint64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        _, height, width, _ = images.shape
        tall, wide, _ = self.frame_shape(images.shape[1:])
        frames = blank(images, len(index), tall, wide)
        room = (tall - height + 1, wide - width + 1)
        top, left = integers(key, _PLACE, room, 2).T
        self._add_clutter(frames, images, key)
        add_patches(frames, self.targets_shown(images, index, key), top, left)
        return frames, boxes_at(top, left, height, width)

    def _add_clutter(
        self, frames: NDArray[np.uint8], images: NDArray[np.uint8], key: NDArray[np.uint64]
    ) -> None:
        """What lies on the canvas before the target does: here, nothing."""
