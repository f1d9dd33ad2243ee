"""What an environment shows and takes, as plain values that a checkpoint can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces


@dataclass(frozen=True)
class Interface:
    """The spaces of one lane of a glimpse environment, and what masks depend on.

    observation: a Dict of Box spaces, each with one lower and one upper bound; action: Box,
    Discrete or MultiDiscrete. glimpses, min_glimpses, answers, grid, action_mode and score_scale
    (of its task, where that has one) are the environment's.
    """

    observation: spaces.Dict
    action: spaces.Space
    action_mode: str
    glimpses: int
    min_glimpses: int
    answers: int
    grid: tuple[int, int]
    score_scale: float

    @classmethod
    def of(cls, core: Any) -> Interface:
        """The interface of a native vector environment."""
        return cls(
            observation=core.single_observation_space,
            action=core.single_action_space,
            action_mode=core.action_mode,
            glimpses=core.glimpses,
            min_glimpses=core.min_glimpses,
            answers=core.answers,
            grid=core.grid,
            score_scale=float(getattr(core.task, "score_scale", 5.0)),
        )

    def to_plain(self) -> dict[str, Any]:
        """Plain values alone."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "observation": {name: _plain(space) for name, space in self.observation.items()},
            "action": _plain(self.action),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Interface:
        """What `to_plain` was called on; KeyError or TypeError where something is missing."""
        observation = {name: _space(values) for name, values in plain["observation"].items()}
        return cls(
            observation=spaces.Dict(observation),
            action=_space(plain["action"]),
            **{name: plain[name] for name in _PLAIN},
        )

    def differs(self, other: Interface) -> str:
        """'glimpses 6, not 4': the first thing that another interface has otherwise, or ''."""
        for name in ("action_mode", "observation", "action", *_PLAIN):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                return f"{name} {mine}, not {theirs}"
        return ""


_PLAIN = ("action_mode", "glimpses", "min_glimpses", "answers", "grid", "score_scale")


def _plain(space: spaces.Space) -> dict[str, Any]:
    if isinstance(space, spaces.Box):
        low, high = float(space.low.flat[0]), float(space.high.flat[0])
        return {"kind": "box", "low": low, "high": high, "shape": tuple(space.shape)}
    if isinstance(space, spaces.MultiDiscrete):
        return {"kind": "multi-discrete", "sizes": [int(n) for n in space.nvec]}
    if isinstance(space, spaces.Discrete):
        return {"kind": "discrete", "size": int(space.n)}
    raise TypeError(f"no glimpse environment has a {type(space).__name__} space")


def _space(plain: Mapping[str, Any]) -> spaces.Space:
    kind = plain["kind"]
    if kind == "box":
        return spaces.Box(plain["low"], plain["high"], tuple(plain["shape"]), np.float32)
    if kind == "multi-discrete":
        return spaces.MultiDiscrete(plain["sizes"])
    if kind == "discrete":
        return spaces.Discrete(plain["size"])
    raise ValueError(f"no space is of kind {kind!r}")
