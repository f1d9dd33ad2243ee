"""Keeps what a picture of an episode needs, and draws it when asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .render import TAIL, Window, draw
from .sensors import Sensor
from .tasks import Task
from .words import APART, verdict


class Viewer:
    """Draws the lanes of an environment.

    State: of each lane's episode the fixations, `(n, T, 2)`, what was said at each step, how many
    they are, the truth, and what became of it; the window, once it is open. Made only where a
    render mode was asked for.

    Args:
        task: what is asked.
        names: of the answers.
        sensor: the eye's sensor.
        lanes: number of lanes, n.
        glimpses: T, the longest path.
        moving: whether scenes move, so that older fixations were of other frames.
        fps: frames a second in the window.
    """

    def __init__(
        self,
        task: Task,
        names: Sequence[str],
        sensor: Sensor,
        lanes: int,
        glimpses: int,
        moving: bool,
        fps: float,
    ) -> None:
        self._task = task
        self._names = names
        self._sensor = sensor
        self._moving = moving
        self._fps = fps
        self._path = np.zeros((lanes, glimpses, 2), np.float32)
        self._length = np.zeros(lanes, np.int64)
        self._answers = np.full((lanes, glimpses + 1), -1)
        self._steps = np.zeros(lanes, np.int64)
        self._labels = np.zeros((lanes, task.questions), np.int64)
        self._over = np.zeros(lanes, np.bool_)
        self._aim = np.zeros((lanes, 2), np.float32)
        self._ends: list[dict[str, Any]] = [{}] * lanes
        self._window: Window | None = None

    def begin(
        self,
        lanes: NDArray[np.int64],
        fixation: NDArray[np.float32],
        labels: NDArray[np.int64],
    ) -> None:
        """An episode begins in `lanes`; `fixation` and `labels` are those of every lane."""
        self._length[lanes] = 1
        self._path[lanes, 0] = fixation[lanes]
        self._labels[lanes] = labels[lanes]
        self._answers[lanes] = -1
        self._steps[lanes] = 0
        self._over[lanes] = False

    def follow(
        self,
        seen: NDArray[np.int64],
        fixation: NDArray[np.float32],
        ends: NDArray[np.bool_],
        said: Mapping[str, NDArray],
        last: Mapping[str, NDArray],
    ) -> None:
        """A step was made.

        Args:
            seen: glimpses seen, `(n,)`.
            fixation: where the eye is, `(n, 2)`.
            ends: lanes whose episode ends.
            said: what the actions meant: `answer` and `aim`.
            last: what `info` tells of lanes that end.
        """
        lanes = np.arange(len(seen))
        self._path[lanes, seen - 1] = fixation
        self._length[:] = seen
        # A lane that waits for its reset says nothing.
        self._answers[lanes, np.minimum(self._steps, len(self._path[0]))] = said["answer"]
        self._steps += 1
        self._over |= ends
        for lane in ends.nonzero()[0]:
            self._aim[lane] = said["aim"][lane]
            self._ends[lane] = {name: values[lane] for name, values in last.items()}

    def frame(
        self,
        lane: int,
        image: NDArray[np.uint8],
        glimpse: NDArray[np.float32],
        box: NDArray[np.float32],
    ) -> NDArray[np.uint8]:
        """The picture of one lane now, uint8 `(h, w, 3)`."""
        length = int(self._length[lane])
        parts = [f"glimpse {length}/{self._path.shape[1]}"]
        good, aim, said = None, None, None
        if self._over[lane]:
            end = self._ends[lane]
            good = bool(end["is_success"])
            parts.append(self._verdict(lane, end))
            if self._task.judged == "aim":
                aim, said = self._aim[lane], end.get("said_box")
        elif self._task.judged == "act" and self._steps[lane]:
            act = self._answers[lane, self._steps[lane] - 1]
            parts.append(f"moved {self._names[act]}")
        first = max(0, length - TAIL) if self._moving else 0
        return draw(
            image,
            self._path[lane, first:length],
            self._sensor,
            glimpse,
            caption=APART.join(parts),
            box=box,
            good=good,
            first=first + 1,
            aim=aim,
            said=said,
        )

    def show(self, frame: NDArray[np.uint8]) -> None:
        """Show a frame in the window, which opens at the first."""
        if self._window is None:
            self._window = Window(fps=self._fps)
        self._window.show(frame)

    def close(self) -> None:
        """Close the window, where there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def _verdict(self, lane: int, end: Mapping[str, Any]) -> str:
        answers = self._answers[lane]
        if self._task.judged == "answer":
            given = answers[answers >= 0]
            answers = np.full(self._task.questions, -1)
            answers[: len(given)] = given
        return verdict(
            self._task,
            self._names,
            success=bool(end["is_success"]),
            labels=self._labels[lane],
            answers=answers,
            report=end,
            steps=int(self._steps[lane]),
        )
