"""Stay on it: keep the eye on a target that moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..checks import number
from .aiming import place, within
from .base import Task, Turn


@dataclass(frozen=True)
class Track(Task):
    """Judges every aim: it has to land in the target's box as the next frame shows it.

    The scene goes on before the aim is judged, so that the agent has to foresee where the target
    will be. Each step on it is worth 1 / T. `info` tells `share`, the share of steps on it.

    Attributes:
        share: least share of steps on the target that is a success, above 0 and at most 1.
    """

    judged: ClassVar[Literal["answer", "act", "aim"]] = "aim"
    every_step: ClassVar[bool] = True

    share: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < number("share", self.share) <= 1:
            raise ValueError(f"share={self.share!r}: a share above 0 and at most 1 is needed")

    @property
    def goal(self) -> str:
        return f"on the target in at least {self.share:.0%} of steps"

    def answers(self, classes: int) -> int:
        return 0

    def memory(self, lanes: int) -> dict[str, NDArray]:
        return {"share": np.zeros(lanes)}

    def judge(
        self, turn: Turn, memory: dict[str, NDArray]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        reward = within(place(turn.aim, turn.frame), turn.box) / turn.glimpses
        memory["share"] += reward
        # Sums of 1 / T miss 0.8 by a rounding.
        return turn.ends & (memory["share"] >= self.share - 1e-9), reward

    def report(self, turn: Turn, memory: Mapping[str, NDArray]) -> dict[str, NDArray]:
        return {"share": memory["share"].copy()}

    def told(self, success: bool, report: Mapping[str, Any], steps: int) -> str:
        return f"on target {round(report['share'] * steps)}/{steps}"
