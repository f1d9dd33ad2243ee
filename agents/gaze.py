"""Where to look without learning it: gazes, and policies whose eye follows one.

A gaze says where to look next and nothing else. `Follow` moves a policy's eye along a gaze: the
policy still sees the glimpses, keeps its state, answers and acts; only the fixation part of its
action is replaced. Where the last aim is the answer, that one stays the policy's. `gazed.py` moves
the eye of a whole environment, for training.
"""

from __future__ import annotations

import abc
import importlib
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..envs.draws import make_key, uniform
from ..envs.sensors import pixel_to_fixation

# A new gaze is a class and a line here; strings, so that naming one imports nothing.
GAZES: dict[str, str] = {
    "random": "gaze:Random",
    "center": "gaze:Center",
    "raster": "gaze:Raster",
    "oracle": "gaze:Oracle",
    "saliency": "saliency:Saliency",
}

Sight = Mapping[str, NDArray[Any]]


def gaze_class(name: str) -> type[Gaze]:
    """The class behind a name of GAZES.

    Raises:
        ValueError: no gaze has this name.
    """
    if name not in GAZES:
        raise ValueError(f"gaze={name!r}: choose from {', '.join(GAZES)}")
    module, kind = GAZES[name].split(":")
    found: type[Gaze] = getattr(importlib.import_module(f".{module}", __package__), kind)
    return found


class Gaze(abc.ABC):
    """Decides where every lane looks next.

    A gaze holds only what it is made of: what it remembers of an episode travels in `state`, as
    with stable-baselines3's `predict`. The same sight and state give the same places.

    Attributes:
        reveal: observation keys that it needs and a policy is not shown.

    Args:
        env: a native environment, single or vector, for its image, sensor and glimpses.
        seed: of gazes that draw.
    """

    reveal: ClassVar[tuple[str, ...]] = ()

    def __init__(self, env: Any, seed: int = 0) -> None:
        core = env.unwrapped
        self.height, self.width = (int(side) for side in core.image_shape[:2])
        self.size = int(core.sensor.size)
        self.glimpses = int(core.glimpses)
        self.seed = seed

    def first(self, index: NDArray[np.int64] | None = None) -> NDArray[np.float32] | None:
        """Where glimpse 1 goes, float32 (2,) or (n, 2); None leaves it to the environment.

        `index` names the scenes that are about to be shown, (n,), where the caller knows them.
        """
        return None

    @abc.abstractmethod
    def look(
        self, sight: Sight, state: Any = None, episode_start: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], Any]:
        """Where to look after one more glimpse, and the state that goes with the next one.

        Args:
            sight: of n lanes, see `see`.
            state: what the call before returned; None at the start.
            episode_start: lanes whose episode begins here, bool (n,); None: none but the first.

        Returns:
            Fixations in [-1, 1], float32 (n, 2), and the new state.
        """

    def seen(self, sight: Sight) -> NDArray[np.int64]:
        """Glimpses seen so far, 1 to T, (n,)."""
        return np.rint(np.asarray(sight["progress"])[..., 0] * self.glimpses).astype(np.int64)


def see(env: Any, observation: Mapping[str, Any]) -> Sight:
    """What a gaze sees: the observation, and of every lane the scene's number and a key.

    `index` (n,) is the scene's place in its split. `key`, uint64 (n,), is another one in every
    episode and lane: draws made from it do not depend on the batch or the order of lanes. The
    observation of a single environment becomes that of one lane.
    """
    core = env.unwrapped
    if np.ndim(observation["fixation"]) == 1:
        observation = {name: np.asarray(values)[None] for name, values in observation.items()}
    return {**observation, "index": core.truth["index"], "key": core.key}


class Random(Gaze):
    """Uniform places, drawn anew for every lane, episode and glimpse."""

    _DRAW = 0

    def look(
        self, sight: Sight, state: Any = None, episode_start: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], Any]:
        key = make_key(self.seed, np.asarray(sight["key"]).view(np.int64))
        draws = uniform(key, self._DRAW, 2 * self.glimpses).reshape(-1, self.glimpses, 2)
        drawn = draws[np.arange(len(key)), self.seen(sight) - 1]
        return (2 * drawn - 1).astype(np.float32), None


class Paths(Gaze):
    """Given paths: one for all scenes, (T, 2), or one for each scene of the split, (N, T, 2)."""

    def __init__(self, env: Any, paths: ArrayLike) -> None:
        super().__init__(env)
        self.paths = np.asarray(paths, np.float32)
        if self.paths.ndim not in (2, 3) or self.paths.shape[-1] != 2:
            raise ValueError(f"paths must be (T, 2) or (N, T, 2), got {self.paths.shape}")
        if self.paths.shape[-2] != self.glimpses:
            raise ValueError(
                f"paths have {self.paths.shape[-2]} fixations, the environment {self.glimpses}"
            )

    def first(self, index: NDArray[np.int64] | None = None) -> NDArray[np.float32] | None:
        if self.paths.ndim == 2:
            return self.paths[0]
        return None if index is None else self.paths[index, 0]

    def look(
        self, sight: Sight, state: Any = None, episode_start: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], Any]:
        # The last decision brings no glimpse: where its fixation is judged, it stays.
        step = np.minimum(self.seen(sight), self.glimpses - 1)
        if self.paths.ndim == 2:
            return self.paths[step], None
        return self.paths[sight["index"], step], None


class Center(Paths):
    """The centre of the image, always."""

    def __init__(self, env: Any, seed: int = 0) -> None:
        super().__init__(env, center_path(env.unwrapped.glimpses))


class Raster(Paths):
    """Rows of evenly spread places from the top left on, every other row backwards."""

    def __init__(self, env: Any, seed: int = 0) -> None:
        core = env.unwrapped
        super().__init__(env, raster_path(core.glimpses, *core.image_shape[:2]))


class Oracle(Gaze):
    """Looks at the target: at its centre, then into its quarters, then at its sides' middles.

    Looking at one place again shows nothing new; the places after the first tile a target that is
    about twice as wide as the finest patch. After the last, the centre again.
    """

    reveal = ("box",)

    # In half sides of the box, around its centre.
    _OFFSETS = np.array(
        [(0, 0), (-1, -1), (1, -1), (1, 1), (-1, 1), (0, -1), (1, 0), (0, 1), (-1, 0)], np.float32
    ) / np.float32(2)

    def look(
        self, sight: Sight, state: Any = None, episode_start: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], Any]:
        box = np.asarray(sight["box"])
        low, high = box[:, :2], box[:, 2:]
        offset = self._OFFSETS[(self.seen(sight) - 1) % len(self._OFFSETS)]  # (n, 2)
        # A patch of even size lies around the corner before its pixel, one of odd size around it.
        pixel = (low + high) / 2 + offset * (high - low) / 2 - self.size % 2 / 2
        x = pixel_to_fixation(pixel[:, 0], self.width)
        y = pixel_to_fixation(pixel[:, 1], self.height)
        return np.clip(np.stack([x, y], axis=1), -1, 1), None


# ---------------------------------------------------------------------- policies


class Policy(Protocol):
    """What a rollout drives: the signature of stable-baselines3's models."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]: ...


class Follow:
    """A policy whose eye follows a gaze, in any action mode; in `discrete` only looks change.

    Where the last aim is the answer, it stays the policy's own.

    `start(indices)` says which scenes the lanes are about to show and returns where their first
    glimpse goes; `rollout` calls it. Holds the policy, the gaze, and the environment that it is
    asked about, which shows the scenes' numbers.
    """

    def __init__(self, policy: Policy, env: Any, gaze: Gaze) -> None:
        self.policy = policy
        self.gaze = gaze
        self._env = env
        self._write = FixationWriter(env)

    def start(self, indices: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """The first fixations of the scenes `indices`, (n,); None leaves them as they are."""
        return self.gaze.first(np.asarray(indices, np.int64))

    def predict(
        self,
        observation: Mapping[str, NDArray[np.float32]],
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """The policy's action with the gaze's next fixation in place of its own."""
        own, looked = (None, None) if state is None else state
        action, own = self.policy.predict(observation, own, episode_start, deterministic)
        fixation, looked = self.gaze.look(see(self._env, observation), looked, episode_start)
        return self._write(action, observation, fixation), (own, looked)


class FixedPath(Follow):
    """A policy whose eye follows given paths: one for all scenes (T, 2), or one a scene (N, T, 2).

    Raises ValueError for paths of another shape or of another number of glimpses.
    """

    def __init__(self, policy: Policy, env: Any, paths: ArrayLike) -> None:
        path = Paths(env, paths)
        super().__init__(policy, env, path)
        self.paths = path.paths


class FixationWriter:
    """Writes fixations into actions of one environment's layout; never in place.

    Where a task judges the last aim alone, that aim is the answer and is left as it is.
    """

    def __init__(self, env: Any) -> None:
        core = env.unwrapped
        self.mode = str(core.action_mode)
        if self.mode not in ("dict", "box", "fixation", "grid", "discrete"):
            raise ValueError(f"action mode '{self.mode}' has no known fixation part")
        self.grid = np.asarray(core.grid) if self.mode in ("grid", "discrete") else None
        self.reach = float(core.reach) if core.moves == "relative" else None
        self.stop = bool(core.stop)
        self._last_is_answer = core.task.judged == "aim" and not core.task.every_step

    def __call__(
        self, action: Any, observation: Mapping[str, Any], fixation: NDArray[np.float32]
    ) -> Any:
        """The action of one or n lanes with `fixation`, (n, 2), to look at next.

        `observation` is the one that the action was chosen by.
        """
        present = np.asarray(observation["fixation"])
        fixation = fixation.reshape(present.shape)
        if self.reach is not None:
            # As far towards the place as one move reaches.
            fixation = np.clip((fixation - present) / self.reach, -1.0, 1.0).astype(np.float32)
        if self.mode == "dict":
            moved: Any = {**action, "fixation": fixation}
        else:
            action = np.array(action)
            moved = self._moved(action, fixation)
        if not self._last_is_answer:
            return moved
        last = np.asarray(observation["progress"])[..., 0] >= 1
        if self.stop:
            last = last | self._stops(action)
        if self.mode == "dict":
            kept = np.where(last[..., None], action["fixation"], fixation)
            return {**action, "fixation": kept}
        return np.where(last if self.mode == "discrete" else last[..., None], action, moved)

    def _stops(self, action: Any) -> NDArray[np.bool_]:
        """Which lanes end their episode of their own accord."""
        if self.mode == "dict":
            return np.asarray(action["stop"]) == 1
        if self.mode == "discrete":  # what is no look stays as it is
            return np.zeros(action.shape, np.bool_)
        return np.asarray(action[..., -1] > 0)

    def _moved(self, action: NDArray[Any], fixation: NDArray[np.float32]) -> NDArray[Any]:
        """An action that is an array, with another fixation."""
        if self.mode in ("box", "fixation"):
            action = action.copy()
            action[..., :2] = fixation
            return action
        assert self.grid is not None
        cell = np.floor((fixation[..., ::-1] + 1) / 2 * self.grid).astype(action.dtype)
        cell = np.clip(cell, 0, self.grid - 1)  # (n, 2): row, column
        if self.mode == "grid":
            action = action.copy()
            action[..., :2] = cell
            return action
        # A look goes elsewhere; an answer stays an answer.
        rows, columns = self.grid
        return np.where(action < rows * columns, cell[..., 0] * columns + cell[..., 1], action)


# ---------------------------------------------------------------------- paths


def random_paths(count: int, glimpses: int, seed: int = 0) -> NDArray[np.float32]:
    """Uniform paths, float32 (count, glimpses, 2) in [-1, 1]; path i does not depend on `count`."""
    draws = np.random.default_rng(seed).uniform(-1.0, 1.0, (count, glimpses, 2))
    return draws.astype(np.float32)


def center_path(glimpses: int) -> NDArray[np.float32]:
    """The path that never leaves the centre, float32 (glimpses, 2)."""
    return np.zeros((glimpses, 2), np.float32)


def raster_path(glimpses: int, height: int, width: int) -> NDArray[np.float32]:
    """A serpentine over an image of this shape, float32 (glimpses, 2).

    As many rows as make the places about as far apart down as across; rows that cannot all have
    equally many places differ by one, the upper ones having more.
    """
    rows = min(max(1, round((glimpses * height / width) ** 0.5)), glimpses)
    path = []
    for row in range(rows):
        columns = glimpses // rows + (row < glimpses % rows)
        x = (2 * np.arange(columns) + 1) / columns - 1
        y = np.full(columns, (2 * row + 1) / rows - 1)
        path.append(np.stack([x if row % 2 == 0 else x[::-1], y], axis=1))
    return np.concatenate(path).astype(np.float32)


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
