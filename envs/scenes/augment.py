"""Augmentation: images of training scenes turned, resized, moved and bent, each in its own way.

Evaluation splits show their images as they are.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import number, shown, suggest
from ..draws import normal, uniform
from .base import Scene, blank, images_at
from .warping import (
    KNOTS,
    fixed_point,
    homography,
    middle,
    turned_corners,
    warping_on,
)

# Streams far from those of scenes: with augmentation or without, the same key places alike.
_SHAPE, _BEND, _APART = 1 << 16, (1 << 16) + 1, 2
_MOST = {"rotate": 180.0, "zoom": 0.9, "shift": 1000.0, "elastic": 100.0}


@dataclass(frozen=True)
class Augmentation:
    """Draws an angle, a size, a shift and a bend for each image; pixels are read bilinearly.

    All are uniform but the bend, which is Gaussian. What leaves the image's square is lost, what
    comes in from outside is black.

    Attributes:
        rotate: degrees to either side, at most.
        zoom: share by which an image is enlarged or reduced, at most; up to 0.9.
        shift: pixels along each axis, at most.
        elastic: pixels that each of 4 x 4 points of a smooth bend moves along each axis, a standard
            deviation (a thin-plate spline, as in `DistortedScene`).
    """

    rotate: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            value = number(f"augment's {name}", getattr(self, name), most=most)
            if value < 0:
                raise ValueError(f"augment's {name}={value:g}: a number from 0 up is needed")

    @classmethod
    def of(cls, asked: Mapping[str, float]) -> Augmentation:
        """From names and amounts.

        Raises:
            ValueError: an unknown name, or an amount that does not fit.
        """
        if not isinstance(asked, Mapping):
            raise ValueError(f"augment={shown(asked)}: give amounts by name, such as rotate: 15")
        for name in asked:
            if name not in _MOST:
                raise ValueError(f"augment={shown(asked)}: {suggest(str(name), _MOST)}")
        return cls(**asked)

    def __call__(self, images: Any, key: NDArray[np.uint64], number: int = 0) -> Any:
        """Images uint8 `(n, h, w, C)` as they are shown this time; `number` tells draws apart."""
        shape = images.shape[1:3]
        warp, changed = warping_on(images), blank(images, len(images), *shape)
        for block in warp.blocks(len(images), *shape):
            x, y = self._warp(warp, key[block], shape, _APART * number)
            changed[block] = warp.read(images[block], x, y)
        return changed

    def _warp(
        self, warp: Any, key: NDArray[np.uint64], shape: tuple[int, int], stream: int
    ) -> tuple[Any, Any]:
        """Where each pixel reads its image, x and y `(n, h, w)`."""
        draws = 2 * uniform(key, _SHAPE + stream, 4) - 1
        # As often halved as doubled: even in the logarithm.
        scale = fixed_point(np.exp(draws[:, 1] * math.log1p(self.zoom)), 20)
        centre = np.array(middle(shape, shape)) + self.shift * draws[:, 2:]
        corners = turned_corners(np.deg2rad(self.rotate * draws[:, 0]), scale, centre, *shape)
        x, y = warp.projected(homography(corners, *shape), *shape)
        if self.elastic:
            moves = fixed_point(self.elastic * normal(key, _BEND + stream, 2 * KNOTS**2))
            right, down = warp.shifts(moves.reshape(-1, KNOTS**2, 2), shape, shape)
            x += right
            y += down
        return x, y


@dataclass(frozen=True)
class AugmentedScene(Scene):
    """A scene whose targets, and clutter, can be augmented while training.

    Attributes:
        augment: how the images of the split `train` are changed, each time anew, amounts by name:
            `rotate` (degrees), `zoom` (a share), `shift` and `elastic` (pixels), see
            `Augmentation`.
    """

    augment: Mapping[str, float] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.augment is not None:
            Augmentation.of(self.augment)

    def unaugmented(self) -> Scene:
        return dataclasses.replace(self, augment=None)

    def targets_shown(
        self, images: Any, index: NDArray[np.int64], key: NDArray[np.uint64], number: int = 0
    ) -> Any:
        """The images of these numbers, `(n, h, w, C)`, augmented if they are to be.

        `number` is which of a frame's images they are, targets first.
        """
        found = images_at(images, index)
        if not self.augment:
            return found
        return Augmentation.of(self.augment)(found, key, number)
