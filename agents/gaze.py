"""Where to look without learning it: overrides that move a policy's eye along other paths.

Each takes a policy with stable-baselines3's `predict` and is one itself: the policy still sees the
glimpses, keeps its state and answers; only the fixation part of its action is replaced. They are
the controls that a learned gaze stands beside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Policy(Protocol):
    """What a rollout drives: the signature of stable-baselines3's models."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]: ...


def random_paths(count: int, glimpses: int, seed: int = 0) -> NDArray[np.float32]:
    """Uniform paths, float32 (count, glimpses, 2) in [-1, 1]; path i does not depend on `count`."""
    draws = np.random.default_rng(seed).uniform(-1.0, 1.0, (count, glimpses, 2))
    return draws.astype(np.float32)


def center_path(glimpses: int) -> NDArray[np.float32]:
    """The path that never leaves the centre, float32 (glimpses, 2)."""
    return np.zeros((glimpses, 2), np.float32)


def mean_path(fixations: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean over episodes of their fixations (N, T, 2), float32 (T, 2).

    Places after an early end are NaN and do not count; where no episode came so far, the path
    stays where it was.
    """
    present = np.asarray(np.isfinite(fixations).all(axis=2))  # (N, T)
    total = np.where(present[..., None], fixations, 0.0).sum(axis=0, dtype=np.float64)  # (T, 2)
    count = present.sum(axis=0)
    path = (total / np.maximum(count, 1)[:, None]).astype(np.float32)
    for t in range(1, len(path)):
        if not count[t]:
            path[t] = path[t - 1]
    return path


class FixedPath:
    """A policy whose eye follows given paths: one for all scenes (T, 2), or one a scene (N, T, 2).

    `start(indices)` says which scenes the lanes are about to show and returns where their first
    glimpse goes; `rollout` calls it. Holds the wrapped policy, the paths, and the lanes' scenes.
    `env` tells the action mode; in `discrete` only looks are replaced.
    """

    def __init__(self, policy: Policy, env: Any, paths: ArrayLike) -> None:
        self.policy = policy
        self.paths = np.asarray(paths, np.float32)
        if self.paths.ndim not in (2, 3) or self.paths.shape[-1] != 2:
            raise ValueError(f"paths must be (T, 2) or (N, T, 2), got {self.paths.shape}")
        self._write = _Writer(env.unwrapped)
        self._glimpses = int(env.unwrapped.glimpses)
        self._scenes: NDArray[np.int64] | None = None
        if self.paths.shape[-2] != self._glimpses:
            raise ValueError(
                f"paths have {self.paths.shape[-2]} fixations, the environment {self._glimpses}"
            )

    def start(self, indices: NDArray[np.int64]) -> NDArray[np.float32]:
        """Remember the lanes' scenes, (n,), and return their first fixations, float32 (n, 2)."""
        self._scenes = np.asarray(indices, np.int64)
        return self._at(np.zeros(len(self._scenes), np.int64))

    def predict(
        self,
        observation: Mapping[str, NDArray[np.float32]],
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """The policy's action with the path's next fixation in place of its own."""
        action, state = self.policy.predict(observation, state, episode_start, deterministic)
        seen = np.rint(np.asarray(observation["progress"])[..., 0] * self._glimpses)  # (n,)
        # The last decision answers; its fixation is not used, so that any place will do.
        fixation = self._at(np.minimum(seen, self._glimpses - 1).astype(np.int64))
        return self._write(action, np.asarray(observation["fixation"]), fixation), state

    def _at(self, step: NDArray[np.int64]) -> NDArray[np.float32]:
        if self.paths.ndim == 2:
            return self.paths[step]
        if self._scenes is None:
            raise RuntimeError("one path a scene: call start(indices) before predict")
        return self.paths[self._scenes, step]


class _Writer:
    """Writes a fixation into an action of one environment's layout; never in place."""

    def __init__(self, env: Any) -> None:
        self.mode = str(env.action_mode)
        if self.mode not in ("dict", "box", "fixation", "grid", "discrete"):
            raise ValueError(f"action mode '{self.mode}' has no known fixation part")
        self.grid = np.asarray(env.grid) if self.mode in ("grid", "discrete") else None
        self.reach = float(env.reach) if env.moves == "relative" else None

    def __call__(
        self, action: Any, present: NDArray[np.float32], fixation: NDArray[np.float32]
    ) -> Any:
        if self.reach is not None:
            # As far towards the place as one move reaches.
            fixation = np.clip((fixation - present) / self.reach, -1.0, 1.0).astype(np.float32)
        if self.mode == "dict":
            return {**action, "fixation": fixation}
        action = np.array(action)
        if self.mode in ("box", "fixation"):
            action[..., :2] = fixation
            return action
        assert self.grid is not None
        cell = np.floor((fixation[..., ::-1] + 1) / 2 * self.grid).astype(action.dtype)
        cell = np.clip(cell, 0, self.grid - 1)  # (n, 2): row, column
        if self.mode == "grid":
            action[..., :2] = cell
            return action
        # A look goes elsewhere; an answer stays an answer.
        rows, columns = self.grid
        return np.where(action < rows * columns, cell[..., 0] * columns + cell[..., 1], action)
