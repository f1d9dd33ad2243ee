"""Add two targets up (Ba, Mnih and Kavukcuoglu 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .classify import Classify


@dataclass(frozen=True)
class Addition(Classify):
    """Asks for the sum of the two targets' labels, 0 to 2 (classes - 1), in one answer.

    The box is the smallest that holds both. Options as in `Classify`.
    """

    targets: ClassVar[int] = 2

    @property
    def goal(self) -> str:
        return "the right sum"

    def answers(self, classes: int) -> int:
        return super().answers(2 * classes - 1)

    def answer_names(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(str, range(self.answers(len(classes)))))

    def truth(self, labels: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.int64]:
        return labels[:, 0] + labels[:, 1]

    def target(self, boxes: NDArray[np.float32], asked: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.concatenate([boxes[:, :, :2].min(axis=1), boxes[:, :, 2:].max(axis=1)], axis=1)
