"""The retina in PyTorch, read between the pixels, so that gradients reach the fixation.

`retina.py` looks from whole pixels; `bilinear.py` is this one as an environment's sensor. It needs
PyTorch, so that the package does not import it by itself.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..checks import at_least
from .retina import MAX_SCALES, MOST_SIZE


def retina(images: Tensor, fixations: Tensor, size: int, scales: int) -> Tensor:
    """Look once at each image, differentiably in images and fixations.

    Patch s covers size * 2**s pixels a side and starts at c - size * 2**s // 2, where c is the
    fixated place; each of its values is the mean of a box of 2**s x 2**s pixels, and what lies
    outside the image reads 0. At whole pixels c this is `GlimpseSensor`; between them it is
    bilinear between the glimpses from the four pixels around. The gradient in the fixation jumps
    at whole pixels, where it is one side's.

    Args:
        images: float (B, C, H, W).
        fixations: (B, 2), x then y; -1 and 1 are the centres of the first and the last pixel.
        size: side of a patch in values, at least 1.
        scales: number of patches, 1 to 5.

    Returns:
        (B, scales * C, size, size) in the images' dtype, finest scale first.

    Raises:
        ValueError: `size`, `scales` or a shape is not as above.
    """
    return Retina(images, size, scales)(fixations)


class Retina:
    """Images averaged over the boxes of every scale once, to be looked at many times.

    State: for each scale s the means (B, C, H + 2**s + 1, W + 2**s + 1) of all boxes that meet the
    image, and of one row and column of boxes around it that do not: there it reads 0.
    """

    def __init__(self, images: Tensor, size: int, scales: int) -> None:
        self.size = at_least("size", size, 1, MOST_SIZE)
        self.scales = at_least("scales", scales, 1, MAX_SCALES)
        if images.ndim != 4 or not images.is_floating_point():
            raise ValueError(
                f"images: {images.dtype} {tuple(images.shape)}, give floats (B, C, H, W)"
            )
        self.shape = images.shape
        self.means = self._means_of(images)

    def update(self, lanes: slice | Tensor, images: Tensor) -> None:
        """Put other images (M, C, H, W) in the places of `lanes`, in place: without gradients."""
        with torch.no_grad():
            for means, new in zip(self.means, self._means_of(images), strict=True):
                means[lanes] = new

    def _means_of(self, images: Tensor) -> list[Tensor]:
        means = []
        for scale in range(self.scales):
            box = 1 << scale
            padded = functional.pad(images, (box, box, box, box))
            means.append(functional.avg_pool2d(padded, box, 1) if scale else padded)
        return means

    def __call__(self, fixations: Tensor) -> Tensor:
        """One glimpse (B, scales * C, size, size) of every image from fixations (B, 2)."""
        batch, _, height, width = self.shape
        if fixations.shape != (batch, 2):
            raise ValueError(f"fixations: shape {tuple(fixations.shape)}, give ({batch}, 2)")
        fixations = fixations.to(self.means[0].dtype)
        last = fixations.new_tensor((width - 1, height - 1))
        place = (fixations + 1) / 2 * last  # (B, 2): pixels
        glimpse = []
        for scale, means in enumerate(self.means):
            box = 1 << scale
            first = torch.arange(self.size, device=place.device) * box - self.size * box // 2
            # Means start `box` before the image and end just behind it, last + box + 1 later.
            at = place[:, None] + (first + box)[:, None]  # (B, size, 2)
            at = 2 * at / (last + box + 1) - 1  # [-1, 1] from the first mean to the last
            x = at[:, None, :, 0].expand(-1, self.size, -1)
            y = at[:, :, None, 1].expand(-1, -1, self.size)
            grid = torch.stack((x, y), -1)  # (B, size, size, 2)
            glimpse.append(functional.grid_sample(means, grid, align_corners=True))
        return torch.cat(glimpse, 1)  # (B, scales * C, size, size)
