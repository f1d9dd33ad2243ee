"""What every task has in common: what is asked, what is judged, and what a step is worth."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)  # made at every step: frozen ones take several times as long
class Turn:
    """What a step brought in each lane, before the eye moves; all arrays are `(n, ...)`.

    Attributes:
        answered: lanes that gave an answer, or acted.
        answer: the answers, int64; meaningless in other lanes.
        asked: which question each lane is at, int64, from 0; an answer answers this one.
        ends: lanes whose episode ends.
        looks: lanes that get a new glimpse.
        label: the truth asked for, int64.
        box: the target's box, float32 `(n, 4)`, in pixels; in moving scenes, after the move.
        fixation: where the eye is, float32 `(n, 2)`.
        aim: where the action sends it, float32 `(n, 2)`.
        scores: a score for each answer, float32 `(n, K)`, where the task needs them.
        measures: the task's numbers, float32 `(n, m)` in [-1, 1], where it asks for any.
        live: lanes that take part; None for all.
        world: what a moving scene remembers, after the move; not to be changed.
        frame: height and width of the frame in pixels.
        glimpses: T, steps of a whole episode.
    """

    answered: NDArray[np.bool_]
    answer: NDArray[np.int64]
    asked: NDArray[np.int64]
    ends: NDArray[np.bool_]
    looks: NDArray[np.bool_]
    label: NDArray[np.int64]
    box: NDArray[np.float32]
    fixation: NDArray[np.float32]
    aim: NDArray[np.float32]
    scores: NDArray[np.float32] | None
    measures: NDArray[np.float32] | None
    live: NDArray[np.bool_] | None
    world: Mapping[str, NDArray]
    frame: tuple[int, int]
    glimpses: int


@dataclass(frozen=True)
class Task(abc.ABC):
    """Asks and scores; a frozen dataclass whose fields are its options.

    What a task must remember between steps is in arrays over the lanes, which the environment
    keeps for it.

    Attributes (of the class):
        judged: what counts. `"answer"`: one of the answers, given when it is due or when the agent
            stops. `"act"`: a motor command at every step, which the scene carries out. `"aim"`:
            where the actions send the eye, nothing else; there are no answers.
        every_step: for `"aim"`: every aim is judged, so that nobody can stop early; else the last.
        targets: targets that it asks about, at least so many the scene must show.
        questions: answers an episode, Q; question q is due at glimpse ceil((q + 1) T / Q).
        world: what it reads of a moving scene's world, which the scene must tell of.
    """

    judged: ClassVar[Literal["answer", "act", "aim"]] = "answer"
    every_step: ClassVar[bool] = False
    targets: ClassVar[int] = 1
    questions: ClassVar[int] = 1
    world: ClassVar[tuple[str, ...]] = ()

    @property
    def goal(self) -> str:
        """What success is, in words."""
        return "the right answer"

    @property
    def needs_scores(self) -> bool:
        """Whether it asks for a score for each answer, which not every action mode carries."""
        return False

    @property
    def answer_alone(self) -> bool:
        """Whether nothing counts but one answer: 1 where it is right, else 0. A subclass that
        judges by itself says it anew.
        """
        return False

    @property
    def measures(self) -> int:
        """How many numbers in [-1, 1] it asks for beside the fixation, m."""
        return 0

    @abc.abstractmethod
    def answers(self, classes: int) -> int:
        """How many answers there are to choose from, in a data set of so many classes."""

    def answer_names(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        """A name for each answer: those of the classes where they are the answers."""
        count = self.answers(len(classes))
        return classes if count == len(classes) else tuple(map(str, range(count)))

    def due(self, glimpses: int) -> list[int]:
        """After how many glimpses of so many an episode each question's answer is due."""
        return [-(-(q + 1) * glimpses // self.questions) for q in range(self.questions)]

    def truth(self, labels: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.int64]:
        """The right answer to question `asked`, `(n,)`, about targets of `labels` `(n, k)`."""
        return labels[:, 0]

    def target(self, boxes: NDArray[np.float32], asked: NDArray[np.int64]) -> NDArray[np.float32]:
        """The box `(n, 4)` that matters for question `asked`, of `boxes` `(n, k, 4)`."""
        return boxes[:, 0]

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
            memory: of the step before; to be changed in place, in lanes that take part.
        """

    def report(self, turn: Turn, memory: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """What `info` tells beside `is_success` and `answer` of lanes that end, `(n, ...)` each."""
        return {}

    def told(self, success: bool, report: Mapping[str, Any], steps: int) -> str:
        """How an episode without answers ended, in a few words for pictures.

        Args:
            report: what `report` told of it.
            steps: how many it had.
        """
        return "success" if success else "missed"
