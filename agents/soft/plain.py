"""Classifiers without attention: fully connected, and convolutional.

They are the baselines, and the bodies that a spatial transformer (`stn.py`) cuts out images for.
"""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from .base import SoftNetwork

ImageShape = tuple[int, int, int]
"""Channels, height, width."""


class FullyConnected(SoftNetwork):
    """Rectified layers on all pixels side by side.

    Args:
        hidden: units of each hidden layer; none at all is a linear classifier.
        norm: batch normalisation before each rectifier.
        dropout: share of the hidden units that training drops.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        classes: int,
        *,
        hidden: tuple[int, ...] = (256,),
        norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.layers = perceptron(prod(image_shape), hidden, norm=norm, dropout=dropout)
        self.scores = scores(hidden[-1] if hidden else prod(image_shape), classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to scores (B, K)."""
        return self.scores(self.layers(images.flatten(1)))


class CNN(SoftNetwork):
    """Stages of convolution, normalisation, max pooling and rectifier, then hidden layers.

    What is given for each stage is one value for all or as many as there are filters.
    The RAM paper's baseline is `filters=(8,), kernels=10, strides=5, pools=1, padded=False,
    norm=False, hidden=(256,)`; the STN paper's is `filters=(32, 32), kernels=(9, 7),
    padded=False, norm=False, hidden=()`.

    Args:
        filters: how many in each stage.
        kernels: sides of the filters.
        strides: steps of the filters.
        pools: sides of the max pooling; 1 does not pool.
        padded: zeros round the maps so that a filter of odd side keeps their size.
        norm: batch normalisation before each rectifier.
        hidden: units of the hidden layers after the stages.
        dropout: share of the last maps' values and of the hidden units that training drops.
    """

    def __init__(
        self,
        image_shape: ImageShape,
        classes: int,
        *,
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
        if not filters:
            raise ValueError("filters=(): give the filters of one stage at least, like (16, 32)")
        self.stages, shape = convolutions(
            image_shape, filters, kernels, strides, pools, padded=padded, norm=norm
        )
        layers = perceptron(prod(shape), hidden, norm=norm, dropout=dropout)
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), layers)
        self.scores = scores(hidden[-1] if hidden else prod(shape), classes)

    @property
    def features(self) -> nn.Module:
        """The last convolutional stage."""
        return self.stages[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to scores (B, K)."""
        return self.scores(self.layers(self.stages(images)))


def convolutions(
    image_shape: ImageShape,
    filters: tuple[int, ...],
    kernels: int | tuple[int, ...] = 3,
    strides: int | tuple[int, ...] = 1,
    pools: int | tuple[int, ...] = 2,
    *,
    padded: bool = True,
    norm: bool = True,
    name: str = "",
) -> tuple[nn.Sequential, ImageShape]:
    """Stages as in `CNN`, and the shape of the maps that they end in; ValueError if too small.

    `name` is what the keywords' names begin with, for the messages.
    """
    channels, height, width = image_shape
    count = len(filters)
    if any(one < 1 for one in filters):
        raise ValueError(f"{name}filters={filters}: each stage needs at least 1")
    stages = nn.Sequential()
    for stage, (filters_here, kernel, stride, pool) in enumerate(
        zip(
            filters,
            _each(kernels, count, f"{name}kernels"),
            _each(strides, count, f"{name}strides"),
            _each(pools, count, f"{name}pools"),
            strict=True,
        )
    ):
        padding = (kernel - 1) // 2 if padded else 0
        sides = [(side + 2 * padding - kernel) // stride + 1 for side in (height, width)]
        if min(height, width) + 2 * padding < kernel or min(sides) < pool:
            raise ValueError(
                f"{name}kernels={kernels}, {name}strides={strides}, {name}pools={pools}: stage "
                f"{stage + 1} has only {height}x{width} pixels; use fewer or smaller ones"
            )
        convolution = nn.Conv2d(
            channels, filters_here, kernel, stride, padding=padding, bias=not norm
        )
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
        parts: list[nn.Module] = [convolution]
        if norm:
            parts.append(nn.BatchNorm2d(filters_here))
        if pool > 1:
            parts.append(nn.MaxPool2d(pool))  # rectifying what is left is the same, and cheaper
        stages.append(nn.Sequential(*parts, nn.ReLU()))
        channels, height, width = filters_here, sides[0] // pool, sides[1] // pool
    return stages, (channels, height, width)


def perceptron(
    inputs: int, hidden: tuple[int, ...], *, norm: bool = False, dropout: float = 0.0
) -> nn.Sequential:
    """Rectified layers from (B, inputs) to (B, hidden[-1]); ValueError for sizes below 1."""
    if any(units < 1 for units in hidden):
        raise ValueError(f"hidden={hidden}: each layer needs at least 1 unit")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout={dropout}: give a share from 0 up to, not including, 1")
    layers = nn.Sequential()
    for units in hidden:
        linear = nn.Linear(inputs, units, bias=not norm)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        parts: list[nn.Module] = [linear]
        if norm:
            parts.append(nn.BatchNorm1d(units))
        else:
            nn.init.zeros_(linear.bias)
        layers.append(nn.Sequential(*parts, nn.ReLU(), nn.Dropout(dropout)))
        inputs = units
    return layers


def scores(inputs: int, classes: int) -> nn.Linear:
    """A linear score for each class, whose softmax is its probability."""
    linear = nn.Linear(inputs, classes)
    nn.init.xavier_uniform_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def _each(value: int | tuple[int, ...], count: int, name: str) -> tuple[int, ...]:
    """One value for each stage."""
    values = (value,) * count if isinstance(value, int) else tuple(value)
    if len(values) != count or any(one < 1 for one in values):
        raise ValueError(f"{name}={value}: give one, or {count} (one a stage), each at least 1")
    return values
