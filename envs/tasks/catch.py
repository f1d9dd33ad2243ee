"""Catch the ball (Mnih et al. 2014, section 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..checks import choose
from .base import Task, Turn


@dataclass(frozen=True)
class Catch(Task):
    """Asks for a move of the paddle at every step: 0 left, 1 stay, 2 right.

    Success is a ball that meets the paddle at the last step. For `scene="catch"`, with one step a
    row: `glimpses` is the canvas's height - 1.

    Attributes:
        reward: `"success"`: 1 at the last step for a ball caught, else 0, nothing on the way (Mnih
            et al. 2014). `"dense"`: beside that, each step is worth the columns by which it brings
            the paddle's middle nearer to the ball's column, of all the canvas's.
    """

    judged: ClassVar[Literal["answer", "act", "aim"]] = "act"
    world: ClassVar[tuple[str, ...]] = ("ball", "paddle", "width")

    reward: Literal["success", "dense"] = "success"

    def __post_init__(self) -> None:
        choose("reward", self.reward, ("success", "dense"))

    @property
    def goal(self) -> str:
        return "the ball caught"

    def answers(self, classes: int) -> int:
        return 3

    def answer_names(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        return "left", "stay", "right"

    def memory(self, lanes: int) -> dict[str, NDArray]:
        # How far the ball was away a step ago; NaN before the first, which gains nothing.
        return {"away": np.full(lanes, np.nan)} if self.reward == "dense" else {}

    def judge(
        self, turn: Turn, memory: dict[str, NDArray]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        world = turn.world
        away = world["ball"] - world["paddle"]
        caught = turn.ends & (away >= 0) & (away < world["width"])
        reward = caught.astype(np.float64)
        if self.reward == "dense":
            now = np.abs(away - (world["width"] - 1) / 2)
            gained = (memory["away"] - now) / turn.frame[1]
            reward += np.where(np.isnan(gained), 0.0, gained)
            memory["away"][:] = now
        return caught, reward

    def told(self, success: bool, report: Mapping[str, Any], steps: int) -> str:
        return "caught" if success else "missed"
