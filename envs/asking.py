"""Which question every lane is at, the truth that answers it, and where its target is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .actions import ActionMode
from .stage import Stage
from .tasks import Task


class Asking:
    """Goes through a task's questions in each lane.

    State: `asked`, the question each lane is at, int64 `(n,)`; its `label` `(n,)` and the `box`
    of its target, float32 `(n, 4)`.

    Args:
        task: what asks.
        stage: what its targets stand on.
        glimpses: T, glimpses and steps an episode.
    """

    def __init__(self, task: Task, stage: Stage, glimpses: int) -> None:
        self._task = task
        self._stage = stage
        self._glimpses = glimpses
        lanes = len(stage.frames)
        self._due = np.array(task.due(glimpses))
        self._every = np.ones(lanes, np.bool_)
        self.asked = np.zeros(lanes, np.int64)
        self.label = np.zeros(lanes, np.int64)
        self.box = np.zeros((lanes, 4), np.float32)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The truth of every question, asked yet or not, int64 `(n, Q)`."""
        asked = np.zeros_like(self.asked)
        truths = [
            self._task.truth(self._stage.labels, asked + q) for q in range(self._task.questions)
        ]
        return np.stack(truths, axis=1)

    def begin(self, lanes: NDArray[np.int64]) -> None:
        """A new scene stands in `lanes`: the first question is asked."""
        self.asked[lanes] = 0
        self._ask(lanes)

    def go_on(self, answered: NDArray[np.bool_]) -> None:
        """The next question in the lanes that answered and do not end, bool `(n,)`."""
        if self._task.questions > 1 and np.count_nonzero(answered):
            self.asked = self.asked + answered
            self._ask(answered.nonzero()[0])

    def follow(self) -> None:
        """The scene has moved: the targets are elsewhere."""
        self.box[:] = self._task.target(self._stage.boxes, self.asked)

    def answers(
        self, action: ActionMode, batch: Any, seen: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which lanes answer now (or act), and which episodes end with that, both bool `(n,)`.

        Args:
            action, batch: what the agent does, as the mode has read it.
            seen: glimpses seen, `(n,)`.
        """
        over = seen >= self._glimpses
        if self._task.judged == "act":
            return self._every, over
        if self._task.questions == 1:
            answered = action.answered(batch, over)
            return answered, over | answered
        answered = action.answered(batch, seen >= self._due[self.asked])
        return answered, over | (answered & (self.asked == self._task.questions - 1))

    def _ask(self, lanes: NDArray[np.int64]) -> None:
        asked = self.asked[lanes]
        self.label[lanes] = self._task.truth(self._stage.labels[lanes], asked)
        self.box[lanes] = self._task.target(self._stage.boxes[lanes], asked)
