"""The eye: a sensor, where it looks in each lane, how it may move, and what it remembers."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .arrays import uploader
from .canvas import Canvas
from .checks import choose, number
from .context import Context
from .sensors import Sensor

Moves = Literal["absolute", "relative"]
Memory = Literal["canvas"]

_LOWEST, _HIGHEST = np.float32(-1), np.float32(1)


class Eye:
    """Looks at one image in each lane.

    State: the prepared images, and `fixation`, float32 `(n, 2)` in [-1, 1], x then y.

    Args:
        sensor: what a glimpse is.
        lanes: number of lanes.
        frame_shape: `(H, W, C)` of the images.
        moves: `"absolute"`: a command is the next fixation; `"relative"`: it is added to the
            present one, times `reach`. Either way the fixation stays on the image.
        reach: the longest relative move along an axis; 1 is half the image.
        memory: `"canvas"`: what was seen in the episode is kept in place; None: nothing is.
        context_size: side of the small picture of the whole image; None: there is none.
        device: a PyTorch device that images and what is seen live on; None: NumPy does it.
    """

    def __init__(
        self,
        sensor: Sensor,
        lanes: int,
        frame_shape: tuple[int, int, int],
        moves: Moves = "absolute",
        reach: float = 0.5,
        memory: Memory | None = None,
        context_size: int | None = None,
        device: Any = None,
    ) -> None:
        self.sensor = sensor
        self.moves = choose("moves", moves, ("absolute", "relative"))
        self.reach = number("reach", reach, above=0)
        self.fixation = np.zeros((lanes, 2), np.float32)
        self._upload = uploader(device)
        kept = choose("memory", memory, (None, "canvas"))
        self._canvas: Any = None
        self._context: Any = None
        if device is None:
            self._images = sensor.allocate(lanes, *frame_shape)
            if kept:
                self._canvas = Canvas(sensor, lanes, frame_shape)
            if context_size is not None:
                self._context = Context(lanes, frame_shape, context_size)
            return
        from .device.eye import DeviceCanvas, DeviceContext

        self._images = sensor.allocate_on(device, lanes, *frame_shape)
        if kept:
            self._canvas = DeviceCanvas(sensor, lanes, frame_shape, device)
        if context_size is not None:
            self._context = DeviceContext(lanes, frame_shape, context_size, device)

    def show(self, lanes: NDArray[np.int64] | slice, frames: Any) -> None:
        """Put new frames, uint8 `(m, H, W, C)`, before the eye in `lanes`."""
        self.refresh(lanes, frames)
        if self._canvas is not None:
            self._canvas.clear(lanes)

    def refresh(self, lanes: NDArray[np.int64] | slice, frames: Any) -> None:
        """The next frames of the same scenes: what was seen of the ones before stays seen."""
        self._images.update(lanes, frames)
        if self._context is not None:
            self._context.update(lanes, frames)

    def place(self, lanes: NDArray[np.int64], fixation: NDArray[np.float32]) -> None:
        """Set the fixation of `lanes` to `(m, 2)` or one `(2,)`, whatever it was."""
        self.fixation = self.fixation.copy()
        self.fixation[lanes] = fixation

    def aim(self, command: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where a command, float32 `(n, 2)` in [-1, 1], would send the eye, a fresh `(n, 2)`."""
        if self.moves == "relative":
            command = self.fixation + np.float32(self.reach) * command
        return np.minimum(np.maximum(command, _LOWEST), _HIGHEST)

    def move(self, aim: NDArray[np.float32], lanes: NDArray[np.bool_] | None = None) -> None:
        """Look at fixations `(n, 2)` in [-1, 1] next, everywhere or only in `lanes`."""
        self.fixation = aim if lanes is None else np.where(lanes[:, None], aim, self.fixation)

    def look(self) -> Any:
        """The glimpse of every lane, float32 `(n, *sensor.shape(C))`, fresh."""
        return self._images.look(self.fixation)

    def look_from(self, fixation: Any) -> Any:
        """The same from fixations `(n, 2)`, on a device a tensor there; the eye stays."""
        return self._images.look(fixation)

    def observe(self) -> dict[str, Any]:
        """`glimpse`, `fixation` and, where there are any, `canvas` and `context`, fresh."""
        seen = {"glimpse": self.look(), "fixation": self._upload(self.fixation)}
        if self._canvas is not None:
            self._canvas.paint(seen["glimpse"], self.fixation)
            seen["canvas"] = self._canvas.picture()
        if self._context is not None:
            seen["context"] = self._context.picture()
        return seen
