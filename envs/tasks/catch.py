"""Catch the ball (Mnih et al. 2014, section 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from .base import Task, Turn


@dataclass(frozen=True)
class Catch(Task):
    """Asks for a move of the paddle at every step: 0 left, 1 stay, 2 right.

    1 when the ball meets the paddle at the last step, else 0; nothing on the way. For
    `scene="catch"`, with one step a row: `glimpses` is the canvas's height - 1.
    """

    judged: ClassVar[Literal["answer", "act", "aim"]] = "act"
    world: ClassVar[tuple[str, ...]] = ("ball", "paddle")

    @property
    def goal(self) -> str:
        return "the ball caught"

    def answers(self, classes: int) -> int:
        return 3

    def answer_names(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        return "left", "stay", "right"

    def judge(
        self, turn: Turn, memory: dict[str, NDArray]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        away = turn.world["ball"] - turn.world["paddle"]
        caught = turn.ends & (away >= 0) & (away < turn.world["width"])
        return caught, caught.astype(np.float64)

    def told(self, success: bool, report: Mapping[str, Any], steps: int) -> str:
        return "caught" if success else "missed"
