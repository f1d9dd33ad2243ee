"""Keeps what a picture of an episode needs, and draws it when asked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .render import Window, draw
from .sensor import GlimpseSensor


class Viewer:
    """Draws the lanes of an environment.

    State: the fixations since each lane's reset, `(n, T, 2)`, how many they are, and what became
    of the episode; the window, once it is open. Made only where a render mode was asked for.

    Args:
        sensor: the eye's sensor.
        lanes: number of lanes, n.
        glimpses: T, the longest path.
        answers: names of the answers; none where the task has none.
        fps: frames a second in the window.
    """

    def __init__(
        self,
        sensor: GlimpseSensor,
        lanes: int,
        glimpses: int,
        answers: tuple[str, ...],
        fps: float,
    ) -> None:
        self._sensor = sensor
        self._answers = answers
        self._fps = fps
        self._path = np.zeros((lanes, glimpses, 2), np.float32)
        self._length = np.zeros(lanes, np.int64)
        self._answer = np.full(lanes, -1)
        self._label = np.zeros(lanes, np.int64)
        self._over = np.zeros(lanes, np.bool_)
        self._success = np.zeros(lanes, np.bool_)
        self._window: Window | None = None

    def begin(self, lanes: NDArray[np.int64], fixation: NDArray[np.float32]) -> None:
        """An episode begins in `lanes`; `fixation` is that of every lane, `(n, 2)`."""
        self._length[lanes] = 1
        self._path[lanes, 0] = fixation[lanes]
        self._over[lanes] = False

    def follow(
        self,
        seen: NDArray[np.int64],
        fixation: NDArray[np.float32],
        ends: NDArray[np.bool_],
        answer: NDArray[np.int64],
        success: NDArray[np.bool_],
        label: NDArray[np.int64],
    ) -> None:
        """A step was made: glimpses seen, fixations, and how it ended where it did."""
        lanes = np.arange(len(seen))
        self._path[lanes, seen - 1] = fixation
        self._length[:] = seen
        self._over |= ends
        self._answer[ends] = answer[ends]
        self._success[ends] = success[ends]
        self._label[ends] = label[ends]

    def frame(
        self,
        lane: int,
        image: NDArray[np.uint8],
        glimpse: NDArray[np.float32],
        box: NDArray[np.float32],
    ) -> NDArray[np.uint8]:
        """The picture of one lane now, uint8 `(h, w, 3)`."""
        length, answer = self._length[lane], self._answer[lane]
        caption, good = f"glimpse {length}/{self._path.shape[1]}", None
        if self._over[lane]:
            good = bool(self._success[lane])
            if self._answers:
                label = _named(self._answers, int(self._label[lane]))
                caption += f"   label {label}   answer {_named(self._answers, int(answer))}"
            else:
                caption += "   success" if good else "   missed"
        return draw(
            image,
            self._path[lane, :length],
            self._sensor.size,
            self._sensor.scales,
            glimpse,
            caption=caption,
            box=box,
            good=good,
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


def _named(names: tuple[str, ...], place: int) -> str:
    """The name of an answer or a label; a label that is no answer goes by its number."""
    if place < 0:
        return "none"
    return names[place] if place < len(names) else str(place)
