"""What residual classifiers in stages share: the way from image to scores, and what to look at.

The stages themselves are in `resnet.py` and `ran.py`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from .base import SoftNetwork
from .masks import MaskBranch, SpatialGate
from .se import SqueezeExcitation

Seen = tuple[Any, Tensor, Tensor]
"""A module, its input, its output."""


class StagedNetwork(SoftNetwork):
    """Features (a stem, stages, an end), their mean over positions, one linear layer.

    `features` ends in the last convolutional maps (B, C, h, w), what Grad-CAM looks at;
    `stages` are those of its parts that count as stage 1, 2, ...
    """

    def __init__(self, features: nn.Sequential, stages: list[nn.Module], head: nn.Linear) -> None:
        super().__init__()
        self.features = features
        self.head = head
        self._stages = tuple(stages)  # a tuple registers nothing: `features` holds them already
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W), float32 in [0, 1], to scores (B, K)."""
        maps = self.features(images)  # (B, C, h, w)
        return self.head(maps.mean((2, 3)))

    def attention(self, images: Tensor) -> dict[str, Tensor]:
        """The masks by stage, float32 (B, H, W), brought to the image's size bilinearly.

        A stage's map is the mean of its masks over their channels (of magnitudes, where masks can
        be negative), then over its modules. Empty where no mask weighs places. Stage 1, the first,
        is the principal one: its masks are the finest, and measured on cluttered digits their peak
        lies on the target most often.
        """
        found: dict[str, Tensor] = {}
        for number, seen in enumerate(self._see(images, (MaskBranch, SpatialGate)), 1):
            masks = [
                output.float().abs().mean(1, keepdim=True)  # (B, 1, h, w)
                for module, _, output in seen
                if module.weighs_places
            ]
            if masks:
                mask = torch.stack(masks).mean(0)
                full = functional.interpolate(mask, images.shape[-2:], mode="bilinear")
                found[f"stage {number}"] = full[:, 0]
        return found

    def gates(self, images: Tensor) -> dict[str, Tensor]:
        """The gates of squeeze-and-excitation, float32 (B, C) in (0, 1), by stage and place.

        Named "stage 1" where a stage has one, else "stage 1.1", "stage 1.2", ... Empty without
        channel attention.
        """
        found: dict[str, Tensor] = {}
        for number, seen in enumerate(self._see(images, (SqueezeExcitation,)), 1):
            for place, (module, maps, _) in enumerate(seen, 1):
                name = f"stage {number}" if len(seen) == 1 else f"stage {number}.{place}"
                found[name] = module.gates(maps).float()
        return found

    def _see(self, images: Tensor, kinds: tuple[type[nn.Module], ...]) -> list[list[Seen]]:
        """One forward pass: what went in and out of the modules of these kinds, by stage."""
        seen: list[list[Seen]] = [[] for _ in self._stages]
        hooks = []
        for stage, into in zip(self._stages, seen, strict=True):
            for module in stage.modules():
                if isinstance(module, kinds):

                    def note(
                        module: nn.Module, inputs: Any, output: Tensor, into: list[Seen] = into
                    ) -> None:
                        into.append((module, inputs[0], output))

                    hooks.append(module.register_forward_hook(note))
        try:
            self.features(images)
        finally:
            for hook in hooks:
                hook.remove()
        return seen


def make_stem(channels: int, width: int, stride: int) -> nn.Sequential:
    """A 3x3 convolution of stride 1 or 2; at stride 4 max pooling follows."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, width, 3, min(stride, 2), 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    ]
    return nn.Sequential(*layers, *([nn.MaxPool2d(3, 2, 1)] if stride == 4 else []))


def choose_stem_stride(
    image_shape: tuple[int, int, int], classes: int, stem_stride: int | None, small: int = 1
) -> int:
    """The stem's stride; where it is None, `small` for up to 32 pixels a side, else twice that.

    Raises:
        ValueError: a shape, number of classes or stride that is none, or an image so small that
            the maps of the third stage would be less than two pixels wide.
    """
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise ValueError(f"image_shape={image_shape!r}: give channels, height and width")
    if classes < 2:
        raise ValueError(f"classes={classes!r}: take at least 2")
    if stem_stride is None:
        stem_stride = small if max(image_shape[1:]) <= 32 else 2 * small
    if stem_stride not in (1, 2, 4):
        raise ValueError(f"stem_stride={stem_stride!r}: take 1, 2 or 4, or null to go by the size")
    shrinks = 4 * stem_stride  # two stages halve
    if min(image_shape[1:]) <= shrinks:
        smaller = ", or a smaller stem_stride" if stem_stride > 1 else ""
        raise ValueError(
            f"image_shape={tuple(image_shape)}: too small for maps shrunk {shrinks} times; take "
            f"sides of at least {shrinks + 1}{smaller}"
        )
    return stem_stride
