"""What every task has in common: an answer is asked for, a step is worth something."""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)  # made at every step: frozen ones take several times as long
class Turn:
    """What a step brought in each lane, before the eye moves; all arrays are `(n, ...)`.

    Attributes:
        answered: lanes that gave their answer.
        answer: the answers, int64; meaningless in other lanes.
        ends: lanes whose episode ends.
        looks: lanes that get a new glimpse.
        label: the truth, int64.
        box: the target's box, float32 `(n, 4)`, in pixels.
        fixation: where the eye is, float32 `(n, 2)`.
        scores: a score for each answer, float32 `(n, K)`, where the task needs them.
    """

    answered: NDArray[np.bool_]
    answer: NDArray[np.int64]
    ends: NDArray[np.bool_]
    looks: NDArray[np.bool_]
    label: NDArray[np.int64]
    box: NDArray[np.float32]
    fixation: NDArray[np.float32]
    scores: NDArray[np.float32] | None


@dataclass(frozen=True)
class Task(abc.ABC):
    """Asks and scores; a frozen dataclass whose fields are its options.

    What a task must remember between steps is in arrays over the lanes, which the environment
    keeps for it.
    """

    @property
    def needs_scores(self) -> bool:
        """Whether it asks for a score for each answer, which not every action mode carries."""
        return False

    @abc.abstractmethod
    def answers(self, classes: int) -> int:
        """How many answers there are to choose from, in a data set of so many classes."""

    def memory(self, lanes: int) -> dict[str, NDArray]:
        """What is remembered in each lane when an episode begins, `(n, ...)` each."""
        return {}

    @abc.abstractmethod
    def judge(
        self, turn: Turn, memory: dict[str, NDArray]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Success, bool `(n,)`, and reward, float64 `(n,)`, of a step.

        Args:
            turn: what the step brought.
            memory: of the step before; to be changed in place.
        """
