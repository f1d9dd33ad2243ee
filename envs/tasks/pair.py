"""Name two targets, the left one first (Ba, Mnih and Kavukcuoglu 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checks import number
from .base import Task, Turn


@dataclass(frozen=True)
class Pair(Task):
    """Asks for the classes of both targets, one answer each: the left one by half of the glimpses.

    Each right answer is worth a half. Success is both. `info` tells both `answers`, int64 `(2,)`,
    -1 where none was given.

    Attributes:
        glimpse_cost: taken off the reward of every step that brings a new glimpse.
    """

    targets: ClassVar[int] = 2
    questions: ClassVar[int] = 2

    glimpse_cost: float = 0.0

    def __post_init__(self) -> None:
        number("glimpse_cost", self.glimpse_cost)

    @property
    def goal(self) -> str:
        return "both answers right"

    def answers(self, classes: int) -> int:
        return classes

    def truth(self, labels: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.int64]:
        return labels[np.arange(len(labels)), asked]

    def target(self, boxes: NDArray[np.float32], asked: NDArray[np.int64]) -> NDArray[np.float32]:
        return boxes[np.arange(len(boxes)), asked]

    def memory(self, lanes: int) -> dict[str, NDArray]:
        return {"answers": np.full((lanes, 2), -1), "right": np.zeros(lanes, np.int64)}

    def judge(
        self, turn: Turn, memory: dict[str, NDArray]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        right = turn.answered & (turn.answer == turn.label)
        lanes = turn.answered.nonzero()[0]
        memory["answers"][lanes, turn.asked[lanes]] = turn.answer[lanes]
        memory["right"] += right
        reward = right / self.questions - self.glimpse_cost * turn.looks
        return turn.ends & (memory["right"] == self.questions), reward

    def report(self, turn: Turn, memory: Mapping[str, NDArray]) -> dict[str, NDArray]:
        return {"answers": memory["answers"].copy()}
