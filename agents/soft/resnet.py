"""Residual networks, small and of the CIFAR kind, plain or with one kind of attention put in."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional

from .masks import MaskBranch, SpatialGate, weigh
from .se import SqueezeExcitation
from .stages import StagedNetwork, choose_stem_stride, make_stem

Attention = Literal["none", "channel", "spatial", "mixed"]
_POOLINGS = (2, 1, 1)
"""How often the mask of each stage is halved inside: it sees far, and stays cheap."""


class ResNet(StagedNetwork):
    """A residual network (He et al. 2016): 3x3 stem, three stages, mean over positions, scores.

    Each stage has (depth - 2) / 6 blocks of two 3x3 convolutions; the second and third stage
    halve the maps and double the channels, with a 1x1 convolution and normalisation on the
    shortcut there. Depth 8 is the small default (78 thousand weights), depth 20 to 110 at stem
    stride 1 the CIFAR networks (0.27 to 1.7 million).

    Every kind of attention is put into that same network, nothing else changed:

    - "channel": squeeze-and-excitation on each block's residual branch (Hu et al. 2017). It
      weighs no places: `attention` is empty, `gates` tells.
    - "spatial": the spatial half of CBAM on each block's residual branch (Woo et al. 2018).
    - "mixed": after each stage, u becomes (1 + M) u with the mask M of a small hourglass on u
      (Wang et al. 2017, f1; bottleneck units).

    Args:
        image_shape: (C, H, W).
        classes: K.
        depth: 6 n + 2.
        width: channels of the first stage.
        stem_stride: 1, 2 or 4 (with max pooling); None: 1 for images of up to 32 pixels a side,
            else 2.
        attention: "none", "channel", "spatial" or "mixed".
        reduction: of "channel".

    Raises:
        ValueError: an argument out of range, or an image too small for the strides.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        depth: int = 8,
        width: int = 16,
        stem_stride: int | None = None,
        attention: Attention = "none",
        reduction: int = 4,
    ) -> None:
        stem_stride = choose_stem_stride(image_shape, classes, stem_stride)
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth={depth!r}: take 6 n + 2, such as 8, 20 or 110")
        if width < 1:
            raise ValueError(f"width={width!r}: take at least 1 channel")
        if attention not in get_args(Attention):
            allowed = ", ".join(map(repr, get_args(Attention)))
            raise ValueError(f"attention={attention!r}: take one of {allowed}")
        stem = make_stem(image_shape[0], width, stem_stride)
        stages: list[nn.Module] = []
        inward = width
        for number in range(3):
            outward = width * 2**number
            blocks: list[nn.Module] = []
            for place in range((depth - 2) // 6):
                stride = 2 if number and not place else 1
                blocks.append(Block(inward, outward, stride, _gate(attention, outward, reduction)))
                inward = outward
            if attention == "mixed":
                blocks.append(Masked(outward, _POOLINGS[number]))
            stages.append(nn.Sequential(*blocks))
        super().__init__(nn.Sequential(stem, *stages), stages, nn.Linear(inward, classes))


class Block(nn.Module):
    """rect(shortcut(x) + residual(x)), the residual branch times its gate where there is one."""

    def __init__(self, inward: int, outward: int, stride: int, gate: nn.Module | None) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(inward, outward, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outward),
            nn.ReLU(inplace=True),
            nn.Conv2d(outward, outward, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outward),
        )
        self.gate = gate
        self.shortcut: nn.Sequential | None = None
        if stride > 1 or inward != outward:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inward, outward, 1, stride, bias=False), nn.BatchNorm2d(outward)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, inward, H, W) to (B, outward, ceil(H / stride), ceil(W / stride))."""
        residual = self.residual(x)
        if self.gate is not None:
            residual = self.gate(residual)
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return functional.relu(shortcut + residual)


class Spatial(nn.Module):
    """Maps times their spatial gate."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = SpatialGate()

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W), each place times its gate."""
        return x * self.mask(x)


class Masked(nn.Module):
    """(1 + M) u, the mask M an hourglass of bottleneck units on u."""

    def __init__(self, channels: int, poolings: int) -> None:
        super().__init__()
        self.mask = MaskBranch(channels, poolings, "mixed", bottleneck=True)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W), each value times 1 to 2."""
        return weigh(x, self.mask(x), "residual")


def _gate(attention: Attention, channels: int, reduction: int) -> nn.Module | None:
    """What stands on a block's residual branch."""
    if attention == "channel":
        return SqueezeExcitation(channels, reduction)
    return Spatial() if attention == "spatial" else None
