"""Find it: put the last fixation, or a box, on the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..checks import choose, flag, number
from .aiming import distance, overlap, place
from .base import Task, Turn


@dataclass(frozen=True)
class Locate(Task):
    """Judges where the last action sends the eye; there is nothing to name.

    Success is an aim within `tolerance` of the target's width from the centre of its box. `info`
    tells `distance`, in pixels from that centre, and `overlap`, the intersection over union of the
    target's box with the one said; with `say_box` also `said_box`, `(x0, y0, x1, y1)` in pixels.

    Attributes:
        reward: of the last step. `"success"`: 1 or 0. `"distance"`: exp(-distance / width).
            `"overlap"`: the overlap.
        tolerance: in widths of the target's box.
        say_box: whether the agent says a box: the action carries two more numbers in [-1, 1], its
            width and height, -1 for one pixel and 1 for the frame's; it stands around the aim.
            Otherwise the box said has the target's size.
        glimpse_cost: taken off the reward of every step that brings a new glimpse.
    """

    judged: ClassVar[Literal["answer", "act", "aim"]] = "aim"

    reward: Literal["success", "distance", "overlap"] = "success"
    tolerance: float = 0.25
    say_box: bool = False
    glimpse_cost: float = 0.0

    def __post_init__(self) -> None:
        choose("reward", self.reward, ("success", "distance", "overlap"))
        number("tolerance", self.tolerance, above=0)
        number("glimpse_cost", self.glimpse_cost)
        flag("say_box", self.say_box)

    @property
    def goal(self) -> str:
        return f"a last aim within {self.tolerance:g} of the target's width from its centre"

    @property
    def measures(self) -> int:
        return 2 if self.say_box else 0

    def answers(self, classes: int) -> int:
        return 0

    def memory(self, lanes: int) -> dict[str, NDArray]:
        told = {"distance": np.zeros(lanes), "overlap": np.zeros(lanes)}
        return told | {"said_box": np.zeros((lanes, 4))} if self.say_box else told

    def judge(
        self, turn: Turn, memory: dict[str, NDArray]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        ends = turn.ends.nonzero()[0]
        success = np.zeros(len(turn.ends), np.bool_)
        reward = np.where(turn.looks, -self.glimpse_cost, 0.0)
        if not ends.size:
            return success, reward
        box = turn.box[ends]
        point = place(turn.aim[ends], turn.frame)
        size = (box[:, 2:] - box[:, :2]).astype(np.float64)
        if turn.measures is not None:
            sides = np.array(turn.frame[::-1])
            size = 1 + (turn.measures[ends].astype(np.float64) + 1) / 2 * (sides - 1)
        said = np.concatenate([point - size / 2, point + size / 2], axis=1)
        away, shared = distance(point, box), overlap(said, box)
        width = box[:, 2] - box[:, 0]
        success[ends] = away <= self.tolerance * width
        if self.reward == "success":
            reward[ends] += success[ends]
        else:
            reward[ends] += np.exp(-away / width) if self.reward == "distance" else shared
        memory["distance"][ends], memory["overlap"][ends] = away, shared
        if self.say_box:
            memory["said_box"][ends] = said
        return success, reward

    def report(self, turn: Turn, memory: Mapping[str, NDArray]) -> dict[str, NDArray]:
        return {name: values.copy() for name, values in memory.items()}

    def told(self, success: bool, report: Mapping[str, Any], steps: int) -> str:
        away = f"distance {report['distance']:.1f} px"
        return f"{away}   overlap {report['overlap']:.2f}" if self.say_box else away
