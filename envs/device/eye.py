"""Looking and remembering on a device: twins of sensors, canvas and context.

Fixations come from the host, which turns them into pixels, so that both look from the same ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..arrays import as_planes
from ..canvas import UNSEEN, margins, window_at
from ..context import Context
from ..sensors import GlimpseSensor, Prepared, Sensor, fixation_to_pixel
from ..sensors.differentiable import Retina
from ..sensors.retina import UNITS
from . import places_of, upload

_BLOCK = 1 << 24  # pixels that are turned into floats together

Lanes = NDArray[np.int64] | slice
Fixations = NDArray[np.floating] | Tensor
"""Of the host as a rule; tensors where nothing may wait for the host (see `episode.py`)."""


class DevicePatches(Prepared):
    """The retina's. State: the bytes of all images, `(n, C, H, W)`, with a black margin."""

    def __init__(
        self,
        sensor: GlimpseSensor,
        lanes: int,
        height: int,
        width: int,
        channels: int,
        device: torch.device,
    ) -> None:
        self._sensor = sensor
        self._height, self._width = height, width
        self._device = device
        largest = sensor.extent(sensor.scales - 1)
        self._margin = largest // 2
        padded = (height + largest - 1, width + largest - 1)
        self._planes = torch.zeros(lanes, channels, *padded, dtype=torch.uint8, device=device)

    def update(self, lanes: Lanes, images: Any) -> None:
        rows = slice(self._margin, self._margin + self._height)
        columns = slice(self._margin, self._margin + self._width)
        places = places_of(lanes, len(self._planes), self._device)
        self._planes[places, :, rows, columns] = images.permute(0, 3, 1, 2)

    def look(self, fixations: Fixations) -> Any:
        size, last = self._sensor.size, self._sensor.scales - 1
        widest = self.bytes_at(fixations, slice(None), last)  # which all others lie within
        glimpse = []
        for scale in range(last + 1):
            extent, box = self._sensor.extent(scale), 1 << scale
            first = widest.shape[-1] // 2 - extent // 2
            patch = widest[:, :, first : first + extent, first : first + extent]
            boxes = patch.unflatten(3, (size, box)).unflatten(2, (size, box))
            sums = boxes.sum((3, 5), dtype=torch.int32)
            glimpse.append(sums.float() * float(UNITS[scale]))
        return torch.cat(glimpse, 1)  # (n, scales * C, size, size)

    def bytes_at(self, fixations: Fixations, lanes: slice, scale: int = 0) -> Tensor:
        """What a patch covers of the images of `lanes`, `(m, C, extent, extent)`."""
        extent = self._sensor.extent(scale)
        x = _pixels(fixations[lanes, 0], self._width)
        y = _pixels(fixations[lanes, 1], self._height)
        first = self._margin - extent // 2
        return _windows(self._planes[lanes], y + first, x + first, extent, extent)[0]


class DeviceContext:
    """`Context`: State: the pictures, float32 `(n, C, size, size)`."""

    def __init__(
        self, lanes: int, frame_shape: tuple[int, int, int], size: int, device: torch.device
    ) -> None:
        height, width, channels = frame_shape
        told = Context(0, frame_shape, size)
        self._rows, self._columns = upload(told.rows, device), upload(told.columns, device)
        self._whole = float(told.whole)
        self._together = max(1, _BLOCK // (height * width * channels))
        self._pictures = torch.zeros(lanes, channels, size, size, device=device)
        self._lanes = np.arange(lanes)

    def update(self, lanes: Lanes, frames: Tensor) -> None:
        """Average frames, uint8 `(m, H, W, C)`, into the pictures of `lanes`."""
        chosen = self._lanes[lanes]
        for first in range(0, len(chosen), self._together):
            block = slice(first, first + self._together)
            planes = frames[block].permute(0, 3, 1, 2).to(self._rows.dtype)  # (b, C, H, W)
            sums = self._rows @ planes @ self._columns  # (b, C, size, size)
            self._pictures[chosen[block]] = sums.float() / self._whole

    def picture(self) -> Tensor:
        """The pictures of all lanes, in [0, 1], a fresh tensor."""
        return self._pictures.clone()


class DeviceFovea(Prepared):
    """State: the prepared images, and their peripheries."""

    def __init__(self, patch: DevicePatches, periphery: DeviceContext) -> None:
        self._patch = patch
        self._periphery = periphery

    def update(self, lanes: Lanes, images: Any) -> None:
        self._patch.update(lanes, images)
        self._periphery.update(lanes, images)

    def look(self, fixations: Fixations) -> Any:
        return torch.cat([self._patch.look(fixations), self._periphery.picture()], 1)


class DeviceCells(Prepared):
    """Averages patches over cells: State: the images, ready for patches that hold all cells.

    Args:
        patches: images ready for the patches, of one scale.
        shares: how much of each pixel of a patch lies in each cell, `(pixels, cells)`.
        whole: what each cell's sum of bytes is divided by, float32 `(cells,)`.
        shape: of one glimpse, `(C, rows, columns)`.
    """

    def __init__(
        self,
        patches: DevicePatches,
        shares: Tensor,
        whole: Tensor,
        shape: tuple[int, int, int],
    ) -> None:
        self._patches = patches
        self._shares, self._whole = shares, whole
        self._shape = shape

    def update(self, lanes: Lanes, images: Any) -> None:
        self._patches.update(lanes, images)

    def look(self, fixations: Fixations) -> Any:
        pixels, channels = len(self._shares), self._shape[0]
        together = max(1, _BLOCK // (channels * pixels))
        glimpse = []
        for first in range(0, len(fixations), together):
            seen = self._patches.bytes_at(fixations, slice(first, first + together))
            sums = seen.reshape(-1, pixels).to(self._shares.dtype) @ self._shares
            glimpse.append((sums.float() / self._whole).reshape(-1, *self._shape))
        return torch.cat(glimpse)


class DeviceBetween(Prepared):
    """The bilinear sensor's. State: the box means of all images, at every scale."""

    def __init__(
        self,
        sensor: GlimpseSensor,
        lanes: int,
        height: int,
        width: int,
        channels: int,
        device: torch.device,
    ) -> None:
        self._device = device
        black = torch.zeros(lanes, channels, height, width, device=device)
        self._retina = Retina(black, sensor.size, sensor.scales)

    def update(self, lanes: Lanes, images: Any) -> None:
        places = places_of(lanes, self._retina.shape[0], self._device)
        self._retina.update(places, as_planes(images))

    def look(self, fixations: Fixations) -> Any:
        if isinstance(fixations, np.ndarray):
            fixations = upload(fixations, self._device)
        return self._retina(fixations)


class DeviceCanvas:
    """`Canvas`: State: the painted values and the finest rank that each pixel was seen at."""

    def __init__(
        self,
        sensor: Sensor,
        lanes: int,
        frame_shape: tuple[int, int, int],
        device: torch.device,
    ) -> None:
        self._height, self._width, channels = frame_shape
        layers = sensor.layers(self._height, self._width)
        self._layers = [
            (layer, upload(layer.value, device), upload(layer.rank, device)) for layer in layers
        ]
        self._before, behind = margins(layers)
        extra = self._before + behind
        padded = (self._height + extra, self._width + extra)
        self._values = torch.zeros(lanes, channels, *padded, device=device)
        self._finest = torch.full((lanes, 1, *padded), UNSEEN, dtype=torch.uint8, device=device)

    def clear(self, lanes: Lanes) -> None:
        """Forget what was seen in `lanes`."""
        self._values[lanes] = 0
        self._finest[lanes] = UNSEEN

    def paint(self, glimpse: Tensor, fixation: NDArray[np.float32]) -> None:
        """Add one glimpse of every lane, `(n, k * C, rows, columns)`, seen from `(n, 2)`."""
        x = fixation_to_pixel(fixation[:, 0], self._width)
        y = fixation_to_pixel(fixation[:, 1], self._height)
        lanes, channels = self._values.shape[:2]
        seen = glimpse.reshape(lanes, -1, channels, *glimpse.shape[2:]).transpose(1, 2)
        seen = seen.reshape(lanes, channels, -1)  # a row of values a channel, through all views
        for layer, value, rank in reversed(self._layers):
            corner = window_at(layer, x, y, self._before)
            before, ranked = _windows(self._finest, *corner, *rank.shape)
            values, place = _windows(self._values, *corner, *rank.shape)
            self._values[place] = torch.where(before >= rank, seen[:, :, value], values)
            self._finest[ranked] = torch.minimum(before, rank)

    def picture(self) -> Tensor:
        """What was seen, float32 `(n, C + 1, H, W)` in [0, 1], a fresh tensor."""
        rows = slice(self._before, self._before + self._height)
        columns = slice(self._before, self._before + self._width)
        values, finest = self._values[:, :, rows, columns], self._finest[:, :, rows, columns]
        return torch.cat([values, (finest == 0).float()], 1)


def _pixels(fixation: Fixations, length: int) -> Tensor | NDArray[np.int64]:
    """`fixation_to_pixel`, where the fixations are; tensors are kept on the image, NaN too."""
    if isinstance(fixation, np.ndarray):
        return fixation_to_pixel(fixation, length)
    position = (fixation + 1) * ((length - 1) / 2) + 0.5
    return position.nan_to_num().floor().long().clamp(0, length - 1)


def _windows(
    planes: Tensor,
    top: Tensor | NDArray[np.int64],
    left: Tensor | NDArray[np.int64],
    tall: int,
    wide: int,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One window `(n, C, tall, wide)` of each of planes `(n, C, H, W)`, and its place there."""
    device = planes.device
    lane, channel = (torch.arange(n, device=device) for n in planes.shape[:2])
    top, left = (
        corner if isinstance(corner, Tensor) else upload(corner, device) for corner in (top, left)
    )
    rows = top[:, None] + torch.arange(tall, device=device)
    columns = left[:, None] + torch.arange(wide, device=device)
    place = (
        lane[:, None, None, None],
        channel[:, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    )
    return planes[place], place
