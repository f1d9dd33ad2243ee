"""Action modes: how an agent's action says where to look next and what the answer is.

One small object each; the environment's core knows only fixations, answers and stops. A new mode
is one class and one line in `ACTIONS`.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from .arrays import on_host
from .draws import uniform

_BOUND = np.float32(1 + 1e-6)  # rounding in a policy's tanh or clip is no error
_TIES = 7  # the stream of draws that breaks ties between scores


class ActionError(ValueError):
    """An action outside its space: the message names the value, the place and the range."""


class ActionMode(abc.ABC):
    """Reads batches of actions; holds no state.

    Attributes:
        single_space: the action space of one lane.
        has_scores: whether an action carries a score for each answer.
        has_numbers: whether an action can carry the task's further numbers.
        answers_apart: whether an answer takes the place of a look, so that the eye stays.

    Args:
        answers: number of answers to choose from, K; 0 where only looks count.
        grid: `(rows, columns)` of cells, for the modes that look at cells.
        stop: whether the agent may answer before an answer is due.
        measures: further numbers in [-1, 1] that the task asks for, m.
    """

    name: str
    has_scores = False
    has_numbers = False
    answers_apart = False
    single_space: spaces.Space

    def __init__(
        self,
        answers: int,
        grid: tuple[int, int] = (7, 7),
        stop: bool = False,
        measures: int = 0,
    ) -> None:
        self.answers = answers
        self.stop = stop
        self.measures = measures
        self.grid = grid
        rows, columns = grid
        y, x = np.divmod(np.arange(rows * columns), columns)
        # Cell i of n is centred at -1 + (2 i + 1) / n; cells are numbered row by row.
        self._cells = np.stack(
            [-1 + (2 * x + 1) / columns, -1 + (2 * y + 1) / rows], axis=1
        ).astype(np.float32)

    @abc.abstractmethod
    def read(self, actions: Any, lanes: int, live: NDArray[np.bool_] | None = None) -> Any:
        """Check a batch and bring it into the mode's own form.

        Args:
            actions: a batch of the action space.
            lanes: number of lanes, n.
            live: lanes whose action counts, bool `(n,)`; None for all. What the others say is
                not looked at.

        Raises:
            ActionError: wrong shape or type, out of range by more than 1e-6, or NaN.
        """

    @abc.abstractmethod
    def fixation(self, batch: Any) -> NDArray[np.float32]:
        """Where to look next, float32 `(n, 2)`."""

    @abc.abstractmethod
    def answer(
        self, batch: Any, lanes: NDArray[np.int64], key: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        """The answers of `lanes`, int64 `(m,)`; ties are broken by `key`, uint64 `(m,)`."""

    def scores(self, batch: Any) -> NDArray[np.float32]:
        """A score for each class, float32 `(n, K)`, where the mode has them."""
        raise ActionError(f"action={self.name!r} carries no scores")

    def numbers(self, batch: Any) -> NDArray[np.float32]:
        """The task's further numbers, float32 `(n, m)`, where the mode has them."""
        raise ActionError(f"action={self.name!r} carries no numbers")

    def answered(self, batch: Any, due: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which lanes answer now, bool `(n,)`.

        Args:
            due: lanes whose answer is due.
        """
        return due | self._stops(batch) if self.stop else due

    def masks(self, last: NDArray[np.bool_], early: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
        """Which actions are allowed, bool `(n, actions)`; None where all always are.

        Args:
            last: lanes with no glimpse left, bool `(n,)`.
            early: lanes that have not seen enough to answer, bool `(n,)`.
        """
        return None

    def _stops(self, batch: Any) -> NDArray[np.bool_]:
        raise ActionError(f"action={self.name!r} has no stop")


class BoxAction(ActionMode):
    """`Box(-1, 1, (2 + K,))`: the fixation and a score for each answer.

    Then come the task's further numbers, where it asks for any, and a stop above 0 if asked.
    """

    name = "box"
    has_scores = True
    has_numbers = True

    def __init__(
        self,
        answers: int,
        grid: tuple[int, int] = (7, 7),
        stop: bool = False,
        measures: int = 0,
    ) -> None:
        super().__init__(answers, grid, stop, measures)
        self._width = 2 + answers + measures + stop
        self.single_space = spaces.Box(-1, 1, (self._width,), np.float32)

    def read(self, actions: Any, lanes: int, live: NDArray[np.bool_] | None = None) -> Any:
        return _read_box(actions, (lanes, self._width), live, "action")

    def fixation(self, batch: Any) -> NDArray[np.float32]:
        return batch[:, :2]

    def scores(self, batch: Any) -> NDArray[np.float32]:
        return batch[:, 2 : 2 + self.answers]

    def numbers(self, batch: Any) -> NDArray[np.float32]:
        return batch[:, 2 + self.answers : 2 + self.answers + self.measures]

    def answer(
        self, batch: Any, lanes: NDArray[np.int64], key: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        return best_score(self.scores(batch)[lanes], key)

    def _stops(self, batch: Any) -> NDArray[np.bool_]:
        return batch[:, -1] > 0


class DictAction(ActionMode):
    """`Dict(fixation=Box(-1, 1, (2,)), answer=Discrete(K))`, and `stop=Discrete(2)` if asked.

    `answer` is there where there are answers; `measures=Box(-1, 1, (m,))` where the task asks.
    """

    name = "dict"
    has_numbers = True

    def __init__(
        self,
        answers: int,
        grid: tuple[int, int] = (7, 7),
        stop: bool = False,
        measures: int = 0,
    ) -> None:
        super().__init__(answers, grid, stop, measures)
        parts: dict[str, spaces.Space] = {
            "fixation": spaces.Box(-1, 1, (2,), np.float32),
        }
        if answers:
            parts["answer"] = spaces.Discrete(answers)
        if measures:
            parts["measures"] = spaces.Box(-1, 1, (measures,), np.float32)
        if stop:
            parts["stop"] = spaces.Discrete(2)
        self.single_space = spaces.Dict(parts)
        self._names = tuple(parts)

    def read(self, actions: Any, lanes: int, live: NDArray[np.bool_] | None = None) -> Any:
        wanted = self._names
        if not isinstance(actions, Mapping) or any(name not in actions for name in wanted):
            raise ActionError(
                f"action of type {type(actions).__name__}: action='dict' takes a dictionary with "
                f"the keys {', '.join(map(repr, wanted))}"
            )
        batch: dict[str, NDArray] = {
            "fixation": _read_box(actions["fixation"], (lanes, 2), live, "action['fixation']"),
        }
        if self.answers:
            batch["answer"] = _read_integers(
                actions["answer"], (lanes,), np.uint64(self.answers), live, "action['answer']"
            )
        if self.measures:
            batch["measures"] = _read_box(
                actions["measures"], (lanes, self.measures), live, "action['measures']"
            )
        if self.stop:
            batch["stop"] = _read_integers(
                actions["stop"], (lanes,), np.uint64(2), live, "action['stop']"
            )
        return batch

    def fixation(self, batch: Any) -> NDArray[np.float32]:
        return batch["fixation"]

    def answer(
        self, batch: Any, lanes: NDArray[np.int64], key: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        return batch["answer"][lanes]

    def numbers(self, batch: Any) -> NDArray[np.float32]:
        return batch["measures"]

    def _stops(self, batch: Any) -> NDArray[np.bool_]:
        return batch["stop"] == 1


class GridAction(ActionMode):
    """`MultiDiscrete([rows, columns, K])`: a cell to look at and an answer; `stop` adds a 2.

    Without answers, `[rows, columns]`.
    """

    name = "grid"

    def __init__(
        self,
        answers: int,
        grid: tuple[int, int] = (7, 7),
        stop: bool = False,
        measures: int = 0,
    ) -> None:
        super().__init__(answers, grid, stop, measures)
        sizes = np.array([*grid] + [answers] * (answers > 0) + [2] * stop)
        self.single_space = spaces.MultiDiscrete(sizes)
        self._sizes = sizes.astype(np.uint64)

    def read(self, actions: Any, lanes: int, live: NDArray[np.bool_] | None = None) -> Any:
        return _read_integers(actions, (lanes, len(self._sizes)), self._sizes, live, "action")

    def fixation(self, batch: Any) -> NDArray[np.float32]:
        return self._cells[batch[:, 0] * self.grid[1] + batch[:, 1]]

    def answer(
        self, batch: Any, lanes: NDArray[np.int64], key: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        return batch[lanes, 2]

    def _stops(self, batch: Any) -> NDArray[np.bool_]:
        return batch[:, -1] == 1


class DiscreteAction(ActionMode):
    """`Discrete(rows * columns + K)`: look at a cell, or answer and end the episode.

    A look with no glimpse left ends the episode without an answer. Without answers it is
    `Discrete(rows * columns)`, the last look counts, and `stop` adds one action that says: here.
    """

    name = "discrete"
    answers_apart = True

    def __init__(
        self,
        answers: int,
        grid: tuple[int, int] = (7, 7),
        stop: bool = False,
        measures: int = 0,
    ) -> None:
        super().__init__(answers, grid, stop, measures)
        self._said = answers or int(stop)  # actions that are no looks
        self.single_space = spaces.Discrete(len(self._cells) + self._said)
        self._size = np.uint64(len(self._cells) + self._said)

    def read(self, actions: Any, lanes: int, live: NDArray[np.bool_] | None = None) -> Any:
        return _read_integers(actions, (lanes,), self._size, live, "action")

    def fixation(self, batch: Any) -> NDArray[np.float32]:
        return self._cells[np.minimum(batch, len(self._cells) - 1)]

    def answer(
        self, batch: Any, lanes: NDArray[np.int64], key: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        return batch[lanes] - len(self._cells)

    def answered(self, batch: Any, due: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return batch >= len(self._cells)

    def masks(self, last: NDArray[np.bool_], early: NDArray[np.bool_]) -> NDArray[np.bool_]:
        masks = np.ones((len(last), len(self._cells) + self._said), np.bool_)
        if self.answers:
            masks[last, : len(self._cells)] = False
        masks[early, len(self._cells) :] = False
        return masks


class FixationAction(ActionMode):
    """`Box(-1, 1, (2,))`: the eye alone; the environment's `answerer` gives the scores, if any.

    Then come the task's further numbers, where it asks for any, and with `stop` a last slot that
    answers above 0. The core adds the scores to the batch.
    """

    name = "fixation"
    has_scores = True
    has_numbers = True

    def __init__(
        self,
        answers: int,
        grid: tuple[int, int] = (7, 7),
        stop: bool = False,
        measures: int = 0,
    ) -> None:
        super().__init__(answers, grid, stop, measures)
        self._width = 2 + measures + stop
        self.single_space = spaces.Box(-1, 1, (self._width,), np.float32)

    def read(self, actions: Any, lanes: int, live: NDArray[np.bool_] | None = None) -> Any:
        return {"eye": _read_box(actions, (lanes, self._width), live, "action")}

    def fixation(self, batch: Any) -> NDArray[np.float32]:
        return batch["eye"][:, :2]

    def scores(self, batch: Any) -> NDArray[np.float32]:
        return batch["scores"]

    def answer(
        self, batch: Any, lanes: NDArray[np.int64], key: NDArray[np.uint64]
    ) -> NDArray[np.int64]:
        return best_score(batch["scores"][lanes], key)

    def numbers(self, batch: Any) -> NDArray[np.float32]:
        return batch["eye"][:, 2 : 2 + self.measures]

    def _stops(self, batch: Any) -> NDArray[np.bool_]:
        return batch["eye"][:, -1] > 0


ACTIONS: dict[str, type[ActionMode]] = {
    mode.name: mode for mode in (BoxAction, DictAction, GridAction, DiscreteAction, FixationAction)
}


def as_array(values: Any, name: str) -> NDArray:
    """`values` as an array of the host.

    Raises:
        ActionError: they are none.
    """
    try:
        return np.asarray(on_host(values))
    except (TypeError, ValueError) as error:
        kind = type(values).__name__
        raise ActionError(f"{name} of type {kind}: not an array of numbers") from error


def best_score(scores: NDArray[np.floating], key: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The largest score's place in each row; ties, which clipped Gaussians often make, by lot.

    Args:
        scores: `(m, K)`.
        key: uint64 `(m,)`, where each row's lot comes from.
    """
    best = scores == scores.max(axis=1, keepdims=True)
    ties = best.sum(axis=1)
    if (ties == 1).all():
        return best.argmax(axis=1)
    chosen = (uniform(key, _TIES, 1)[:, 0] * ties).astype(np.int64)
    return (best.cumsum(axis=1) == chosen[:, None] + 1).argmax(axis=1)


def _read_box(
    values: Any, shape: tuple[int, ...], live: NDArray[np.bool_] | None, name: str
) -> NDArray[np.float32]:
    batch = as_array(values, name)
    if batch.dtype.kind not in "fiub":
        raise ActionError(f"{name} of type {batch.dtype}: not an array of numbers")
    _check_shape(batch, shape, name)
    if batch.dtype != np.float32:
        with np.errstate(over="ignore"):  # infinity is refused below
            batch = batch.astype(np.float32)
    # NaN fails the comparison too.
    right = np.abs(batch) <= _BOUND
    if np.count_nonzero(right) < batch.size:
        wrong = ~right
        if live is not None:
            batch = np.where(live[:, None], batch, np.float32(0))
            wrong &= live[:, None]
        if wrong.any():
            _complain(batch, wrong, "[-1, 1]", name)
    return batch


def _read_integers(
    values: Any,
    shape: tuple[int, ...],
    high: np.uint64 | NDArray[np.uint64],
    live: NDArray[np.bool_] | None,
    name: str,
) -> NDArray[np.int64]:
    batch = as_array(values, name)
    if batch.dtype.kind not in "iub":
        raise ActionError(f"{name} of type {batch.dtype}: whole numbers are needed")
    _check_shape(batch, shape, name)
    # As unsigned numbers the negative ones are too large: one comparison finds both.
    batch = batch.astype(np.int64, copy=False)
    wrong = batch.view(np.uint64) >= high
    if np.count_nonzero(wrong):
        if live is not None:
            dead = ~live.reshape(live.shape + (1,) * (batch.ndim - 1))
            batch = np.where(dead, 0, batch)
            wrong &= ~dead
        if wrong.any():
            _complain(batch, wrong, f"[0, {high.tolist()})", name)
    return batch


def _check_shape(batch: NDArray, shape: tuple[int, ...], name: str) -> None:
    if batch.shape != shape:
        raise ActionError(
            f"{name} of shape {batch.shape[1:] if shape[0] == 1 else batch.shape}: "
            f"{shape[1:] if shape[0] == 1 else shape} is needed"
        )


def _complain(batch: NDArray, wrong: NDArray[np.bool_], bounds: str, name: str) -> None:
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    raise ActionError(
        f"{name} {batch[place]} in lane {place[0]}"
        + (f", element {place[1]}" if len(place) > 1 else "")
        + f" is outside {bounds}"
    )
