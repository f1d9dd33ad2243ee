"""A translated image among crops of other images (Mnih et al. 2014, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checks import at_least
from ..draws import integers
from .base import MOST_PIECES, SceneError, add_patches, crop_patches
from .translated import TranslatedScene

_CLUTTER = 1


@dataclass(frozen=True)
class ClutteredScene(TranslatedScene):
    """Scatters square crops of the same split's images, then adds the target over them.

    Crops are drawn uniformly: which image, where it is cut and where it lands. They are added and
    clamped at white, then the target is, as the paper's laboratory does in its public generator;
    crops of the target's class, and empty ones, are not excluded. With `augment` crops are cut from
    images that are changed as targets are, each in its own way.

    Attributes:
        pieces: number of crops; 4 (60 x 60) or 8 (100 x 100) in the paper.
        piece_size: side of a crop in pixels.
    """

    on_device: ClassVar[bool] = True

    pieces: int = 4
    piece_size: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("pieces", self.pieces, 0, MOST_PIECES)
        at_least("piece_size", self.piece_size, 1)

    def frame_shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        if self.piece_size > min(image_shape[:2]):
            raise SceneError(
                f"piece_size={self.piece_size}: crops are cut from images of "
                f"{image_shape[0]}x{image_shape[1]} pixels, take a smaller size"
            )
        return super().frame_shape(image_shape)

    def _add_clutter(
        self, frames: NDArray[np.uint8], images: NDArray[np.uint8], key: NDArray[np.uint64]
    ) -> None:
        count, height, width, _ = images.shape
        _, tall, wide, _ = frames.shape
        side = self.piece_size
        # For each piece: which image, its cut's row and column, its place's row and column.
        rooms = (count, height - side + 1, width - side + 1, tall - side + 1, wide - side + 1)
        draws = integers(key, _CLUTTER, rooms * self.pieces, 5 * self.pieces)
        for piece in range(self.pieces):
            index, cut_y, cut_x, top, left = draws[:, 5 * piece : 5 * piece + 5].T
            source = images
            if self.augment:  # or else whatever is sharp would be clutter
                source = self.targets_shown(images, index, key, 1 + piece)
                index = np.arange(len(index))
            crops = crop_patches(source, index, cut_y, cut_x, side, side)
            add_patches(frames, crops, top, left)
