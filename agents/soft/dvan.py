"""Recurrent soft attention with diversified canvases, after the DVAN of Zhao et al. (2017).

A sibling of RAM without a retina: every step weighs all places of a canvas instead of one place.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...envs.checks import at_least, choose, number
from ...ram.networks import LSTMCore
from .base import Criterion, SoftNetwork

Box = tuple[int, int, int, int]
"""A canvas on the image: top, left, height, width, in pixels."""


class DVAN(SoftNetwork):
    """Looks at canvases from coarse to fine, weighs their places, and integrates by an LSTM.

    B. Zhao, X. Wu, J. Feng, Q. Peng, S. Yan: Diversified visual attention networks for fine-grained
    object classification, IEEE Transactions on Multimedia 19 (2017). The paper's, here written
    after its abstract and others' accounts of it, are: canvases, which are the image and crops of
    it, coarse to fine, each through the same convolutional network to a map of features X_t; a
    state that begins at a function of the features' mean; and with places i, at every step t

        l_t = softmax_i(w_i . h_(t-1)),   x_t = sum_i l_(t, i) X_(t, i),   h_t = LSTM(x_t, h_(t-1)),

    a prediction from every h_t, their mean as the answer, and a penalty on the overlap of
    successive maps, sum_i l_(t-1, i) l_(t, i), averaged over t.

    Ours are: a small convolutional network instead of VGG-16; canvases cropped on a fixed grid, in
    order of rows; several looks at a canvas, where asked for; a penalty that compares what two maps
    weigh on the image itself, where their canvases overlap, and is divided by the maps' norms,
    since the paper's products alone are small for any wide maps (`diversity_penalty`); and
    `attend_by="content"`, which scores a place by the product of its features with a vector linear
    in the state, X_(t, i) . (U h_(t-1) + u) / sqrt(D). The paper's "state" points without having
    seen the canvas.

    Attributes: `features` (the convolutional stage; its rows are canvases, image-major).

    Args:
        image_shape: (C, H, W).
        classes: number of answers, at least 2.
        grid: crops a side; with the whole image there are 1 + grid * grid canvases. 0: no crops.
        crop: side of a crop, as a share of the image's; every canvas is seen at this size.
        glimpses: looks at each canvas, one after the other.
        attend_by: what scores the places: the "content" with the state, or the "state" alone.
        width: channels of the first convolution; the last has four times as many.
        hidden: size of the LSTM.
        diversity: weight of the penalty.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        grid: int = 2,
        crop: float = 0.6,
        glimpses: int = 1,
        attend_by: Literal["content", "state"] = "content",
        width: int = 16,
        hidden: int = 128,
        diversity: float = 0.1,
    ) -> None:
        super().__init__()
        channels, height, w = image_shape
        self.grid, self.glimpses = at_least("grid", grid, 0), at_least("glimpses", glimpses, 1)
        self.crop, self.diversity = number("crop", crop, above=0), number("diversity", diversity)
        if self.crop > 1 or self.diversity < 0:
            raise ValueError(
                f"crop={crop!r}, diversity={diversity!r}: crop is at most 1, diversity at least 0"
            )
        self.canvas = side(height, self.crop), side(w, self.crop)
        self.attend_by = choose("attend_by", attend_by, ("content", "state"))
        width, hidden = at_least("width", width, 1), at_least("hidden", hidden, 1)
        depth = 4 * width
        self.features = nn.Sequential(
            *_convolution(channels, width, 5, 2),
            *_convolution(width, 2 * width, 3, 2),
            *_convolution(2 * width, 2 * width, 3, 1),
            *_convolution(2 * width, depth, 3, 1),
        )
        self.places = -(-self.canvas[0] // 4), -(-self.canvas[1] // 4)  # two strides of 2
        self.begin = nn.Linear(depth, 2 * hidden)
        self.core = LSTMCore(depth, hidden)
        if attend_by == "state":
            self.point = nn.Linear(hidden, self.places[0] * self.places[1])
        else:
            self.point = nn.Linear(hidden, depth)
        self.answer = nn.Linear(hidden, at_least("classes", classes, 2))

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to the logarithm (B, K) of the steps' mean probabilities."""
        return mean_answer(self._look(images)[0])

    def loss(self, images: Tensor, labels: Tensor, criterion: Criterion) -> tuple[Tensor, Tensor]:
        """The steps' mean criterion and the weighted penalty; the scores of their mean answer."""
        scores, maps = self._look(images)  # (B, T, K), (B, T, h, w)
        steps = scores.shape[1]
        loss = criterion(scores.flatten(0, 1), labels.repeat_interleave(steps))
        if self.diversity:
            loss = loss + self.diversity * diversity_penalty(maps, self._boxes(images))
        return loss, mean_answer(scores)

    def attention(self, images: Tensor) -> dict[str, Tensor]:
        """What each step weighs, on the image; every map sums to one."""
        there = on_image(self._look(images)[1], self._boxes(images), images.shape[2:])
        steps = {f"step {t + 1}": step for t, step in enumerate(there.unbind(1))}
        return {"mean": there.mean(1), **steps}

    def _boxes(self, images: Tensor) -> list[Box]:
        """The canvas of every step."""
        boxes = canvases(images.shape[2], images.shape[3], self.grid, self.crop)
        return [box for box in boxes for _ in range(self.glimpses)]

    def _look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The scores (B, T, K) and maps (B, T, h, w) of all steps."""
        boxes = canvases(images.shape[2], images.shape[3], self.grid, self.crop)
        seen = torch.stack([cut(images, box, self.canvas) for box in boxes], 1)  # (B, N, C, ., .)
        features = self.features(_channels_last(seen.flatten(0, 1)))  # (B * N, D, h, w)
        features = features.flatten(2).transpose(1, 2).unflatten(0, (len(images), len(boxes)))
        begin = torch.tanh(self.begin(features.mean((1, 2))))  # (B, 2 hidden)
        state: tuple[Tensor, ...] = begin.chunk(2, 1)
        scores, maps = [], []
        for canvas in range(len(boxes)):
            for _ in range(self.glimpses):
                towards = self.point(state[0])  # (B, P), or (B, D) to compare with each place
                if self.attend_by == "content":
                    towards = (features[:, canvas] @ towards[..., None])[..., 0]  # (B, P)
                    towards = towards / math.sqrt(features.shape[-1])
                weights = _whole(towards).softmax(-1)
                state = self.core((weights[:, None] @ features[:, canvas])[:, 0], state)
                scores.append(self.answer(state[0]))
                maps.append(weights)
        return torch.stack(scores, 1), torch.stack(maps, 1).unflatten(2, self.places)


def mean_answer(scores: Tensor) -> Tensor:
    """The logarithm of the steps' mean probabilities: (B, T, K) to (B, K)."""
    probabilities = _whole(scores).log_softmax(-1)
    return probabilities.logsumexp(1) - math.log(scores.shape[1])


def canvases(height: int, width: int, grid: int, crop: float) -> list[Box]:
    """The image, then grid * grid crops spread evenly over it, row by row."""
    tall, wide = side(height, crop), side(width, crop)
    tops, lefts = _spread(height - tall, grid), _spread(width - wide, grid)
    return [(0, 0, height, width)] + [(top, left, tall, wide) for top in tops for left in lefts]


def side(length: int, crop: float) -> int:
    """Pixels of a crop along an axis of `length`."""
    return max(round(length * crop), 1)


def cut(images: Tensor, box: Box, size: tuple[int, int]) -> Tensor:
    """A canvas of images (B, C, H, W), averaged over areas to (B, C, *size)."""
    top, left, tall, wide = box
    part = images[:, :, top : top + tall, left : left + wide]
    return part if (tall, wide) == size else functional.adaptive_avg_pool2d(part, size)


def diversity_penalty(maps: Tensor, boxes: list[Box]) -> Tensor:
    """How much successive maps weigh the same places of the image, from 0 to 1, averaged.

    A map spreads the weight of each of its places evenly over the place's area on the image, which
    makes a density d_t on the plane. The penalty is the mean over t of the cosine

        <d_(t-1), d_t> / (|d_(t-1)| |d_t|),

    0 where two densities share no place, 1 where they are equal. On one canvas it is the cosine of
    the maps themselves.

    Args:
        maps: weights (B, T, h, w), at least 0 and not all 0 in a map.
        boxes: the canvas of each of the T maps.
    """
    if maps.shape[1] < 2:
        return maps.new_zeros(())
    with torch.autocast(maps.device.type, enabled=False):  # matrix products stay exact
        maps = functional.normalize(maps.flatten(2), dim=2).view_as(maps)
        rows, columns = _cells(boxes, maps)  # (T, h, 2), (T, w, 2)
        shared = _in_common(rows).mT @ maps[:, :-1] @ _in_common(columns)  # (B, T - 1, h, w)
        return (shared * maps[:, 1:]).sum((2, 3)).mean()


def on_image(maps: Tensor, boxes: list[Box], size: tuple[int, ...]) -> Tensor:
    """Maps (B, T, h, w) on their canvases to maps (B, T, H, W) on the image; sums stay."""
    rows, columns = _cells(boxes, maps)
    with torch.autocast(maps.device.type, enabled=False):  # or they would not sum to one
        return _shares(rows, size[0]).mT @ maps @ _shares(columns, size[1])


def _cells(boxes: list[Box], maps: Tensor) -> tuple[Tensor, Tensor]:
    """First and last edge of a map's rows (T, h, 2) and columns (T, w, 2), in pixels."""
    found = torch.tensor(boxes, dtype=maps.dtype, device=maps.device)  # (T, 4)
    edges = []
    for axis in (0, 1):
        count = maps.shape[2 + axis]
        cell = torch.arange(count + 1, device=maps.device) / count
        edge = found[:, axis, None] + found[:, axis + 2, None] * cell  # (T, count + 1)
        edges.append(torch.stack((edge[:, :-1], edge[:, 1:]), -1))
    return edges[0], edges[1]


def _in_common(cells: Tensor) -> Tensor:
    """Overlap of step t-1's cells with step t's, (T - 1, n, n), by their lengths' geometric mean.

    So weighed, the products of unit maps on two canvases are the cosine of their densities.
    """
    before, after = cells[:-1, :, None], cells[1:, None]
    length = (cells[:, 0, 1] - cells[:, 0, 0])[:, None, None]  # (T, 1, 1)
    return _overlap(before, after) / (length[:-1] * length[1:]).sqrt()


def _shares(cells: Tensor, length: int) -> Tensor:
    """What share of each cell (T, n, 2) lies in each of `length` pixels, (T, n, length)."""
    start = torch.arange(length, dtype=cells.dtype, device=cells.device)
    pixels = torch.stack((start, start + 1), -1)  # (length, 2)
    return _overlap(cells[:, :, None], pixels) / (cells[..., 1] - cells[..., 0])[..., None]


def _overlap(one: Tensor, other: Tensor) -> Tensor:
    """Length that intervals (..., 2) share."""
    ends = torch.minimum(one[..., 1], other[..., 1])
    return (ends - torch.maximum(one[..., 0], other[..., 0])).clamp(min=0)


def _spread(room: int, count: int) -> list[int]:
    """Evenly from 0 to `room`; a single one in the middle."""
    if count == 1:
        return [room // 2]
    return [round(room * place / (count - 1)) for place in range(count)]


def _convolution(channels: int, out: int, kernel: int, stride: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False)
    return convolution, nn.BatchNorm2d(out), nn.ReLU(inplace=True)


def _whole(values: Tensor) -> Tensor:
    """In float32 at least: half precision is too coarse for what sums to one."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
