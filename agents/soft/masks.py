"""Masks that weigh the values of feature maps, and the modules that put them to use.

The residual attention network's attention functions, mask branch and attention module (Wang et
al. 2017), and CBAM's spatial gate. The networks made of them are in `ran.py` and `resnet.py`.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from .se import SqueezeExcitation

AttentionFunction = Literal["mixed", "channel", "spatial", "se"]
Learning = Literal["residual", "naive"]


def mixed(x: Tensor) -> Tensor:
    """f1: sigmoid(x), each value for itself (Wang et al. 2017, eq. 4)."""
    return torch.sigmoid(x)


def channel(x: Tensor) -> Tensor:
    """f2: x / ||x_i||, L2 over the channels at position i (eq. 5); in [-1, 1], not [0, 1]."""
    return functional.normalize(x, dim=1, eps=1e-6)


def spatial(x: Tensor) -> Tensor:
    """f3: sigmoid((x - mean_c) / std_c), over the positions of channel c's map (eq. 6)."""
    variance, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)  # (B, C, 1, 1)
    return torch.sigmoid((x - mean) * (variance + 1e-5).rsqrt())


class ChannelGates(SqueezeExcitation):
    """The gates of squeeze-and-excitation as a mask (B, C, 1, 1): the same at every place."""

    def forward(self, x: Tensor) -> Tensor:
        return self.gates(x)[:, :, None, None]


_FUNCTIONS = {"mixed": mixed, "channel": channel, "spatial": spatial}


class PreActivationUnit(nn.Module):
    """A residual unit whose convolutions come after normalisation and rectifier (He et al. 2016).

    Two 3x3 convolutions, or a bottleneck of 1x1, 3x3, 1x1 with a quarter of the channels inside.
    Where the shape changes, the shortcut is a 1x1 convolution of the rectified input.
    """

    def __init__(self, inward: int, outward: int, stride: int = 1, bottleneck: bool = False):
        super().__init__()
        self.before = nn.Sequential(nn.BatchNorm2d(inward), nn.ReLU(inplace=True))
        inner = max(1, outward // 4) if bottleneck else outward
        layers: list[nn.Module]
        if bottleneck:
            layers = [
                _convolution(inward, inner, 1),
                *_rectified(_convolution(inner, inner, 3, stride), inner),
                *_rectified(_convolution(inner, outward, 1), inner),
            ]
        else:
            layers = [
                _convolution(inward, inner, 3, stride),
                *_rectified(_convolution(inner, outward, 3), inner),
            ]
        self.residual = nn.Sequential(*layers)
        self.shortcut: nn.Conv2d | None = None
        if stride > 1 or inward != outward:
            self.shortcut = _convolution(inward, outward, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, inward, H, W) to (B, outward, ceil(H / stride), ceil(W / stride))."""
        rectified = self.before(x)
        shortcut = x if self.shortcut is None else self.shortcut(rectified)
        return shortcut + self.residual(rectified)


class Hourglass(nn.Module):
    """Down by max pooling, up by bilinear interpolation, a unit across at each size between.

    As the authors' ImageNet models have it: r units after each pooling but the last, 2r at the
    bottom, r after each sum; nothing crosses at full size. Without poolings, the 2r units alone.
    """

    def __init__(self, channels: int, poolings: int, r: int, bottleneck: bool) -> None:
        super().__init__()
        self.poolings = poolings
        self.down = units(channels, 2 * r if poolings <= 1 else r, bottleneck)
        if poolings > 1:
            self.across = PreActivationUnit(channels, channels, bottleneck=bottleneck)
            self.inside = Hourglass(channels, poolings - 1, r, bottleneck)
            self.up = units(channels, r, bottleneck)

    def forward(self, x: Tensor) -> Tensor:
        """Maps to maps of the same shape."""
        if self.poolings == 0:
            return self.down(x)
        small = self.down(functional.max_pool2d(x, 3, 2, 1))  # (B, C, ceil(H / 2), ceil(W / 2))
        if self.poolings > 1:
            small = self.up(self.across(small) + self.inside(small))
        return functional.interpolate(small, x.shape[-2:], mode="bilinear")


class MaskBranch(nn.Module):
    """An hourglass, two 1x1 convolutions, and the attention function: maps to a mask M.

    Args:
        channels: C.
        poolings: how often the hourglass halves.
        function: "mixed" f1, "channel" f2, "spatial" f3, or "se", the gates of squeeze-and-
            excitation, which the paper does not have.
        r: units between poolings.
        bottleneck: the kind of unit.
        reduction: of "se".
    """

    def __init__(
        self,
        channels: int,
        poolings: int,
        function: AttentionFunction = "mixed",
        *,
        r: int = 1,
        bottleneck: bool = False,
        reduction: int = 4,
    ) -> None:
        super().__init__()
        if function not in get_args(AttentionFunction):
            allowed = ", ".join(map(repr, get_args(AttentionFunction)))
            raise ValueError(f"attention_function={function!r}: take one of {allowed}")
        self.weighs_places = function != "se"
        self.hourglass = Hourglass(channels, poolings, r, bottleneck)
        self.convolutions = nn.Sequential(
            *_rectified(_convolution(channels, channels, 1), channels),
            *_rectified(nn.Conv2d(channels, channels, 1), channels),
        )
        self.function = ChannelGates(channels, reduction) if function == "se" else None
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to the mask (B, C, H, W); (B, C, 1, 1) with "se"."""
        x = self.convolutions(self.hourglass(x))
        return _FUNCTIONS[self._function](x) if self.function is None else self.function(x)


class AttentionModule(nn.Module):
    """p units, then the trunk (t units) weighed by the mask of the same input, then p units.

    With T the trunk's output and M the mask, H = (1 + M) T ("residual", eq. 3: a mask of zeros
    leaves the trunk) or H = M T ("naive", eq. 1). The paper's p, t, r are 1, 2, 1.
    """

    def __init__(
        self,
        channels: int,
        poolings: int,
        function: AttentionFunction = "mixed",
        *,
        learning: Learning = "residual",
        p: int = 1,
        t: int = 2,
        r: int = 1,
        bottleneck: bool = False,
        mask_bottleneck: bool = False,
    ) -> None:
        super().__init__()
        if learning not in get_args(Learning):
            raise ValueError(f"learning={learning!r}: take one of 'residual', 'naive'")
        self.learning = learning
        self.before = units(channels, p, bottleneck)
        self.trunk = units(channels, t, bottleneck)
        self.mask = MaskBranch(channels, poolings, function, r=r, bottleneck=mask_bottleneck)
        self.after = units(channels, p, bottleneck)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to maps of the same shape."""
        x = self.before(x)
        return self.after(weigh(self.trunk(x), self.mask(x), self.learning))


class SpatialGate(nn.Module):
    """CBAM's spatial attention (Woo et al. 2018, eq. 3): sigmoid(f7x7([mean_c; max_c])).

    One value a place, from the mean and the maximum over channels there and around.
    """

    weighs_places = True

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to the mask (B, 1, H, W)."""
        pooled = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), 1)  # (B, 2, H, W)
        return torch.sigmoid(self.convolution(pooled))


def weigh(trunk: Tensor, mask: Tensor, learning: Learning) -> Tensor:
    """H of the trunk's output T and the mask M: (1 + M) T or, naive, M T."""
    return mask * trunk if learning == "naive" else trunk + mask * trunk


def units(channels: int, number: int, bottleneck: bool) -> nn.Sequential:
    """So many pre-activation units in a row."""
    return nn.Sequential(
        *(PreActivationUnit(channels, channels, bottleneck=bottleneck) for _ in range(number))
    )


def _convolution(inward: int, outward: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inward, outward, size, stride, size // 2, bias=False)


def _rectified(layer: nn.Conv2d, channels: int) -> tuple[nn.Module, ...]:
    """The layer with normalisation and rectifier before it."""
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True), layer
