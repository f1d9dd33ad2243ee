"""Two images side by side on one canvas (Ba, Mnih and Kavukcuoglu 2015, section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..draws import integers, uniform
from .augment import AugmentedScene
from .base import SceneError, add_patches, blank, boxes_at

_PLACE, _OTHER, _ORDER = 0, 2, 3


@dataclass(frozen=True)
class PairScene(AugmentedScene):
    """Shows the image and one more of its split, wholly, one to the left of the other.

    Which other one (it may be the same), which of the two stands left, where they stand across and
    how high each stands are drawn uniformly over all that fit; neither begins before the other has
    ended. The first target is the left one.

    Attributes:
        canvas: 100 x 100 pixels unless told otherwise, the paper's; at least two images wide.
    """

    targets: ClassVar[int] = 2
    on_device: ClassVar[bool] = True

    canvas: int | tuple[int, int] | None = 100

    def frame_shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        shape = super().frame_shape(image_shape)
        if shape[1] < 2 * image_shape[1]:
            raise SceneError(
                f"canvas={self.canvas}: two images of {image_shape[1]} pixels stand side by side, "
                f"take a width of at least {2 * image_shape[1]}"
            )
        return shape

    def targets_of(
        self, index: NDArray[np.int64], key: NDArray[np.uint64], count: int
    ) -> NDArray[np.int64]:
        other = integers(key, _OTHER, count, 1)[:, 0]
        second = uniform(key, _ORDER, 1)[:, 0] < 0.5
        return np.stack([np.where(second, other, index), np.where(second, index, other)], axis=1)

    def draw(
        self, images: NDArray[np.uint8], index: NDArray[np.int64], key: NDArray[np.uint64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        count, height, width, _ = images.shape
        tall, wide, _ = self.frame_shape(images.shape[1:])
        frames = blank(images, len(index), tall, wide)
        across, down = wide - 2 * width + 1, tall - height + 1
        draws = integers(key, _PLACE, (across + 1, across, down, down), 4)
        # Two different numbers up to `across`, each pair of them as likely: the second image
        # begins behind the first.
        draws[:, 1] += draws[:, 1] >= draws[:, 0]
        left = np.sort(draws[:, :2], axis=1) + np.array([0, width - 1])
        shown = self.targets_of(index, key, count)
        boxes = []
        for k in range(2):
            targets = self.targets_shown(images, shown[:, k], key, k)
            add_patches(frames, targets, draws[:, 2 + k], left[:, k])
            boxes.append(boxes_at(draws[:, 2 + k], left[:, k], height, width))
        return frames, np.stack(boxes, axis=1)
