"""The image as it is, in the middle of the canvas where that is larger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .augment import AugmentedScene
from .base import blank


@dataclass(frozen=True)
class PlainScene(AugmentedScene):
    """Shows each image in the middle of the canvas; draws nothing but augmentation."""

    on_device: ClassVar[bool] = True

    def draw(
        self, images: NDArray[np.uint8], index: NDArray[np.int64], key: NDArray[np.uint64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        _, height, width, channels = images.shape
        tall, wide, _ = self.frame_shape((height, width, channels))
        y, x = (tall - height) // 2, (wide - width) // 2
        boxes = np.empty((len(index), 4), np.float32)
        boxes[:] = (x, y, x + width, y + height)
        if (tall, wide) == (height, width):
            return self.targets_shown(images, index, key), boxes
        frames = blank(images, len(index), tall, wide)
        frames[:, y : y + height, x : x + width] = self.targets_shown(images, index, key)
        return frames, boxes
