"""Clips as they were filmed: a user's own video before the eye."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..checks import at_least
from .base import MovingScene
from .plain import PlainScene


@dataclass(frozen=True)
class VideoScene(MovingScene):
    """Shows a clip from its first frame on, in the middle of the canvas; draws nothing at random.

    Where the clip is over, its last frame stays. For data sets of clips (`Dataset.from_clips`); the
    box is the one given with the frame, or the whole frame where no boxes were given. The world:
    `clip`, its number in the split, and `time` in frames; the environment adds the clip's `boxes`.

    Attributes:
        canvas: None, the clip's own size, unless told otherwise.
        frames: frames that pass in a step.
    """

    shows: ClassVar[Literal["images", "clips"]] = "clips"
    on_device: ClassVar[bool] = True

    frames: int = 1

    def __post_init__(self) -> None:
        at_least("frames", self.frames, 1)

    def start(
        self,
        images: NDArray[np.uint8],
        index: NDArray[np.int64],
        key: NDArray[np.uint64],
        steps: int,
    ) -> dict[str, NDArray]:
        return {"clip": index.copy(), "time": np.zeros(len(index), np.int64)}

    def move(self, world: dict[str, NDArray], act: NDArray[np.int64]) -> None:
        world["time"] += self.frames

    def frame(
        self, images: NDArray[np.uint8], world: dict[str, NDArray]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        lanes = np.arange(len(world["clip"]))
        time = np.minimum(world["time"], images.shape[1] - 1)
        shown = images[world["clip"], time]
        frames, whole = PlainScene(self.canvas).draw(shown, lanes, np.zeros(len(lanes), np.uint64))
        if "boxes" not in world:
            return frames, whole
        return frames, world["boxes"][lanes, time] + np.tile(whole[:, :2], 2)
