"""The residual attention network (Wang et al. 2017), small for digits or as for CIFAR.

The attention module, its mask branch and the attention functions are in `masks.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import nn

from .masks import AttentionFunction, AttentionModule, Learning, PreActivationUnit, units
from .stages import StagedNetwork, choose_stem_stride, make_stem

Preset = Literal["small", "attention56", "attention92"]


@dataclass(frozen=True)
class Layout:
    """What a preset says.

    Attributes:
        width: channels of the first stage's maps; each later stage doubles them.
        modules: attention modules in each stage (the paper's m).
        p: units before and after a module's two branches.
        t: units of the trunk branch.
        r: units between the mask branch's poolings.
        poolings: of the mask branch, by stage.
        closing: units after the last stage.
        stem_stride: for images of up to 32 pixels a side; larger ones take twice that.
        bottleneck: units of 1x1, 3x3, 1x1 convolutions, else of two 3x3.
        mask_bottleneck: the same for the units of the mask branch.
    """

    width: int
    modules: int
    p: int
    t: int
    r: int
    poolings: tuple[int, int, int]
    closing: int
    stem_stride: int
    bottleneck: bool
    mask_bottleneck: bool


_CIFAR = Layout(
    width=64,
    modules=1,
    p=1,
    t=2,
    r=1,
    poolings=(2, 1, 0),
    closing=3,
    stem_stride=1,
    bottleneck=True,
    mask_bottleneck=True,
)
LAYOUTS: dict[str, Layout] = {
    "small": Layout(
        width=16,
        modules=1,
        p=0,
        t=1,
        r=1,
        poolings=(2, 1, 1),
        closing=0,
        stem_stride=2,
        bottleneck=False,
        mask_bottleneck=True,
    ),
    "attention56": _CIFAR,
    "attention92": replace(_CIFAR, modules=2),
}


class RAN(StagedNetwork):
    """A residual attention network: stem, three stages, closing units, mean, scores.

    A stage is a pre-activation unit that sets its size (the second and third halve the maps and
    double the channels) and `modules` attention modules.

    - "small" (0.2 million weights): for scenes with digits, on a stem of stride 2 (4 above 32
      pixels a side); p = 0, t = 1, r = 1, so a module is one unit and its mask.
    - "attention56", "attention92" (1.1 and 1.8 million): for 32x32. Known of the paper's CIFAR
      networks are p = 1, t = 2, r = 1, three stages with the same number m of modules, a trunk
      of 36 m + 20 weighted layers (hence the names, and units of three convolutions), and the
      number of weights: 1.9 million for Attention-92, 5.1 for 236 (m = 6), 8.6 for 452 (m = 12).
      Widths and mask branches were not published. Ours: the widths of the CIFAR ResNet-164
      (16 in the stem, then 64, 128, 256 with a quarter inside), which meet these numbers within
      8 percent, and masks built like the authors' ImageNet models, down to 8x8 in every stage
      (2, 1, 0 poolings).

    `attention` gives the masks: in a residual module M, of (1 + M). Stage 1 comes first: among
    clutter its peak lies on the digit most often, that of stage 3 seldom, whose masks rather
    spare the digit (measured on "small"). With "se" no place is weighed, and `gates` tells.

    Args:
        image_shape: (C, H, W).
        classes: K.
        preset: "small", "attention56" or "attention92"; what follows and is None, it decides.
        learning: "residual", H = (1 + M) T, or "naive", H = M T.
        attention_function: "mixed" f1, "channel" f2, "spatial" f3, or "se" (`MaskBranch`).
        width: channels of the first stage's maps, a multiple of 4.
        modules: attention modules in each stage, m.
        p: units before and after a module's two branches.
        t: units of the trunk branch.
        r: units between the poolings of the mask branch.
        stem_stride: 1, 2 or 4 (with max pooling).

    Raises:
        ValueError: an argument out of range, or an image too small for the strides.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        preset: Preset = "small",
        learning: Learning = "residual",
        attention_function: AttentionFunction = "mixed",
        width: int | None = None,
        modules: int | None = None,
        p: int | None = None,
        t: int | None = None,
        r: int | None = None,
        stem_stride: int | None = None,
    ) -> None:
        if preset not in LAYOUTS:
            raise ValueError(f"preset={preset!r}: take one of {', '.join(map(repr, LAYOUTS))}")
        keywords = {"width": width, "modules": modules, "p": p, "t": t, "r": r}
        given: dict[str, Any] = {}
        for name, value in keywords.items():
            lowest = {"width": 4, "p": 0}.get(name, 1)
            if value is not None and value < lowest:
                raise ValueError(f"{name}={value!r}: take at least {lowest}")
            if value is not None:
                given[name] = value
        layout = replace(LAYOUTS[preset], **given)
        if layout.width % 4:
            raise ValueError(f"width={width!r}: take a multiple of 4")
        stem_stride = choose_stem_stride(image_shape, classes, stem_stride, layout.stem_stride)
        inward = layout.width // 4 if layout.bottleneck else layout.width
        stem = make_stem(image_shape[0], inward, stem_stride)
        stages: list[nn.Module] = []
        for number, poolings in enumerate(layout.poolings):
            outward = layout.width * 2**number
            parts: list[nn.Module] = [
                PreActivationUnit(inward, outward, 2 if number else 1, layout.bottleneck)
            ]
            for _ in range(layout.modules):
                parts.append(
                    AttentionModule(
                        outward,
                        poolings,
                        attention_function,
                        learning=learning,
                        p=layout.p,
                        t=layout.t,
                        r=layout.r,
                        bottleneck=layout.bottleneck,
                        mask_bottleneck=layout.mask_bottleneck,
                    )
                )
            stages.append(nn.Sequential(*parts))
            inward = outward
        closing = units(inward, layout.closing, layout.bottleneck)
        end = (closing, nn.BatchNorm2d(inward), nn.ReLU(inplace=True))
        super().__init__(nn.Sequential(stem, *stages, *end), stages, nn.Linear(inward, classes))
