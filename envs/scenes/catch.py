"""The game of Catch: a ball falls, a paddle moves (Mnih et al. 2014, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checks import at_least
from ..draws import integers
from .base import MovingScene, SceneError, blank

_BALL = 0
_WHITE = 255
STAY = 1  # the acts are 0 left, 1 stay, 2 right


@dataclass(frozen=True)
class CatchScene(MovingScene):
    """A ball of one pixel falls a row a step; a paddle in the bottom row moves a pixel a step.

    The ball begins in the top row at a column drawn uniformly, drifts by -1, 0 or 1 columns a step
    (drawn too) and bounces off the walls; the paddle begins in the middle. The images of the data
    set are not looked at: each is one game. The world: `ball` and `row`, its column and row;
    `drift`; `paddle`, its first column, and `width`. The box is the ball's.

    Attributes:
        canvas: 24 x 24 pixels, the paper's; after `height - 1` steps the ball is at the paddle.
        paddle: its width in pixels.
    """

    tells: ClassVar[tuple[str, ...]] = ("ball", "paddle", "width")
    on_device: ClassVar[bool] = True

    canvas: int | tuple[int, int] | None = 24
    paddle: int = 2

    def __post_init__(self) -> None:
        at_least("paddle", self.paddle, 1)

    def frame_shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        shape = super().frame_shape(image_shape)
        if shape[0] < 2 or shape[1] < max(2, self.paddle):
            raise SceneError(
                f"canvas={self.canvas}: a paddle of {self.paddle} pixels and a ball need a height "
                f"of at least 2 and a width of at least {max(2, self.paddle)}"
            )
        return shape

    def episode_steps(self, frame_shape: tuple[int, int, int]) -> int | None:
        return frame_shape[0] - 1

    def start(
        self,
        images: NDArray[np.uint8],
        index: NDArray[np.int64],
        key: NDArray[np.uint64],
        steps: int,
    ) -> dict[str, NDArray]:
        _, wide, _ = self.frame_shape(images.shape[1:])
        ball, drift = integers(key, _BALL, (wide, 3), 2).T
        return {
            "ball": ball.copy(),
            "row": np.zeros(len(index), np.int64),
            "drift": drift - 1,
            "paddle": np.full(len(index), (wide - self.paddle + 1) // 2),
            "width": np.full(len(index), self.paddle),
            "wide": np.full(len(index), wide),
        }

    def move(self, world: dict[str, NDArray], act: NDArray[np.int64]) -> None:
        last = world["wide"] - 1
        paddle, ball = world["paddle"], world["ball"]
        paddle += np.where(act < 0, STAY, act) - 1
        np.clip(paddle, 0, last + 1 - self.paddle, out=paddle)
        world["row"] += 1
        ball += world["drift"]
        out = (ball < 0) | (ball > last)
        ball[out] -= 2 * world["drift"][out]
        world["drift"][out] *= -1

    def frame(
        self, images: NDArray[np.uint8], world: dict[str, NDArray]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        tall, wide, _ = self.frame_shape(images.shape[1:])
        ball, row = world["ball"], np.minimum(world["row"], tall - 1)
        lanes = np.arange(len(ball))
        frames = blank(images, len(ball), tall, wide)
        for part in range(self.paddle):
            frames[lanes, -1, world["paddle"] + part] = _WHITE
        frames[lanes, row, ball] = _WHITE
        return frames, np.stack([ball, row, ball + 1, row + 1], axis=1).astype(np.float32)
