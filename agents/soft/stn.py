"""Spatial transformer networks (Jaderberg et al. 2015): find, cut out, classify."""

from __future__ import annotations

from math import prod
from typing import Literal, get_args

from torch import Tensor, nn

from .base import SoftNetwork
from .plain import CNN, FullyConnected, ImageShape, convolutions, perceptron
from .transformer import Kind, SpatialTransformer

Body = Literal["cnn", "fcn"]


class STN(SoftNetwork):
    """One spatial transformer, and a plain classifier of what it cuts out.

    The body is `plain.CNN` or `plain.FullyConnected` on the output's shape: without the
    transformer, the network is just that. The paper's ST-CNN is `kind="affine"`, located by
    `locate_filters=(20, 20), locate_pools=(2, 1), locate_padded=False, locate_norm=False,
    locate_hidden=(20,)`, with the paper's keywords of `CNN`; its ST-FCN is located by
    `locate_filters=(), locate_norm=False, locate_hidden=(32, 32, 32)`. Without batch normalisation
    there, Adam's first steps can leave a cut that hardly moves from image to image.

    Args:
        kind: which transformer, see `transformer.SpatialTransformer`.
        body: what classifies the cut: "cnn", or "fcn" for fully connected.
        output: side or (height, width) of the cut; None: the image's.
        initial_zoom: share of the image's width that the cut covers at the start.
        oversample: points a side that are averaged for each pixel of the cut (the paper: 2).
        locate_shrink: the localisation network sees the image averaged down by this.
        locate_filters, locate_kernels, locate_pools, locate_padded: its convolutional stages; no
            filters at all make it fully connected.
        locate_norm: batch normalisation in it.
        locate_hidden: units of its hidden layers.
        filters, kernels, strides, pools, padded: the body's stages, see `CNN`; "fcn" has none.
        norm, hidden, dropout: the body's, see `CNN` and `FullyConnected`.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        classes: int,
        *,
        kind: Kind = "zoom",
        body: Body = "cnn",
        output: int | tuple[int, int] | None = 28,
        initial_zoom: float = 0.5,
        oversample: int = 2,
        locate_shrink: int = 2,
        locate_filters: tuple[int, ...] = (16, 32),
        locate_kernels: int | tuple[int, ...] = 5,
        locate_pools: int | tuple[int, ...] = 2,
        locate_padded: bool = True,
        locate_norm: bool = True,
        locate_hidden: tuple[int, ...] = (32,),
        filters: tuple[int, ...] = (16, 32, 64),
        kernels: int | tuple[int, ...] = 3,
        strides: int | tuple[int, ...] = 1,
        pools: int | tuple[int, ...] = 2,
        padded: bool = True,
        norm: bool = True,
        hidden: tuple[int, ...] = (128,),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if body not in get_args(Body):
            raise ValueError(f"body={body!r}: use one of {', '.join(get_args(Body))}")
        channels, height, width = image_shape
        if not 1 <= locate_shrink <= min(height, width):
            raise ValueError(
                f"locate_shrink={locate_shrink}: give 1 to {min(height, width)} for images of "
                f"{height}x{width}"
            )
        stages, shape = convolutions(
            (channels, height // locate_shrink, width // locate_shrink),
            locate_filters,
            locate_kernels,
            1,
            locate_pools if locate_filters else 1,
            padded=locate_padded,
            norm=locate_norm,
            name="locate_",
        )
        localisation = nn.Sequential(
            nn.AvgPool2d(locate_shrink),
            stages,
            nn.Flatten(),
            perceptron(prod(shape), locate_hidden, norm=locate_norm),
        )
        self.transformer = SpatialTransformer(
            localisation,
            locate_hidden[-1] if locate_hidden else prod(shape),
            kind=kind,
            output=output,
            zoom=initial_zoom,
            oversample=oversample,
        )
        cut = (channels, *(self.transformer.output or (height, width)))
        self.body: CNN | FullyConnected
        if body == "cnn":
            self.body = CNN(
                cut,
                classes,
                filters=filters,
                kernels=kernels,
                strides=strides,
                pools=pools,
                padded=padded,
                norm=norm,
                hidden=hidden,
                dropout=dropout,
            )
        else:
            self.body = FullyConnected(cut, classes, hidden=hidden, norm=norm, dropout=dropout)

    @property
    def features(self) -> nn.Module:
        """The body's last convolutional stage; its maps lie on the cut, not on the image."""
        if not isinstance(self.body, CNN):
            raise AttributeError('body="fcn" has no convolutional stage')
        return self.body.features

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to scores (B, K)."""
        return self.body(self.transformer(images))

    def attention(self, images: Tensor) -> dict[str, Tensor]:
        """ "box": how densely each pixel was sampled; a map sums to the points inside the image."""
        return {"box": self.transformer.density(images)}

    def cut(self, images: Tensor) -> Tensor:
        """What the body gets to see of the images: (B, C, h, w)."""
        return self.transformer(images)

    def corners(self, images: Tensor) -> Tensor:
        """The corners of the cut in the images, (B, 4, 2): clockwise from its top left."""
        return self.transformer.corners(images)
