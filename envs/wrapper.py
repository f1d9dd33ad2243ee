"""An eye for any pixel environment: its agent sees glimpses, and says where to look beside it acts.

The single wrapper and the vector one are two shells around `Sight`, which knows batches alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from .checks import choose, flag, pair
from .eye import Eye, Moves
from .parts import build, kind_of
from .render import draw
from .sensors import SENSORS, GlimpseSensor, Sensor

FixationSpace = Literal["grid", "continuous"]


class GlimpseObservation(gym.Wrapper, RecordConstructorArgs):
    """Lets the agent of a pixel environment see only glimpses, and adds the fixation to its action.

    At each step the eye moves and the environment steps; the glimpse is of the new frame from the
    new fixation. Rewards, ends, infos and rendering stay the environment's own.

    Observation: `Dict` of `glimpse`, float32 `sensor.shape(C)` in [0, 1]; `fixation`, float32
    `(2,)` in [-1, 1]; with `context_size`, `context`, float32 `(C, n, n)`: the whole frame
    in a few pixels; and the keys of `keep`, as they are.

    Action: the environment's own, then the fixation, in one space that stable-baselines3 takes.
    `Discrete(n)` becomes `MultiDiscrete([n, rows, columns])`, `MultiDiscrete` grows by rows and
    columns, a flat `Box` by two numbers in [-1, 1].

    Args:
        env: an environment whose observation is a frame, uint8 or floats between finite bounds,
            `(H, W, C)` or `(H, W)`; or a dictionary that holds one under `key`.
        sensor: what a glimpse is, a sensor or the name of one; a `GlimpseSensor(12, 3)` where none
            is given.
        key: where a dictionary's frame is.
        keep: other keys of a dictionary that the agent still sees.
        fixation: `"grid"`: a cell of `grid`; `"continuous"`: two numbers; None: what goes with the
            environment's own action.
        grid: rows and columns of cells.
        moves, reach: `"absolute"`, or `"relative"` with the longest move along an axis.
        first_fixation: an episode's first look goes to the `"center"`, or anywhere at `"random"`.
        context_size: side of the whole frame in few pixels; None: it is not shown.
        show_eye: whether a `"rgb_array"` picture shows where the eye is and what it sees, instead
            of the environment's own picture.

    Raises:
        ValueError: spaces that do not fit, named in one line.
    """

    def __init__(
        self,
        env: gym.Env,
        sensor: str | Sensor | None = None,
        *,
        key: str | None = None,
        keep: Sequence[str] = (),
        fixation: FixationSpace | None = None,
        grid: Sequence[int] = (7, 7),
        moves: Moves = "absolute",
        reach: float = 0.5,
        first_fixation: Literal["center", "random"] = "center",
        context_size: int | None = None,
        show_eye: bool = True,
    ) -> None:
        keywords: dict[str, Any] = {
            "key": key,
            "keep": keep,
            "fixation": fixation,
            "grid": grid,
            "moves": moves,
            "reach": reach,
            "first_fixation": first_fixation,
            "context_size": context_size,
        }
        # So that the environment's spec can make it again.
        RecordConstructorArgs.__init__(self, sensor=sensor, show_eye=show_eye, **keywords)
        gym.Wrapper.__init__(self, env)
        spaces_of = env.observation_space, env.action_space
        self.sight = Sight(1, *spaces_of, sensor, **keywords)
        self.observation_space = self.sight.observation_space
        self.action_space = self.sight.action_space
        self._show_eye = flag("show_eye", show_eye)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode of the environment; the eye goes to its first fixation."""
        observation, info = self.env.reset(seed=seed, options=options)
        self.sight.seed(seed)
        self.sight.begin(_one(observation), np.ones(1, np.bool_))
        return self._seen(observation), info

    def step(self, action: Any) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        """Move the eye, and step the environment with the rest of the action."""
        motor, aim = self.sight.split(np.asarray(action)[None])
        observation, reward, terminated, truncated, info = self.env.step(self.sight.single(motor))
        self.sight.look(_one(observation), aim)
        return self._seen(observation), reward, terminated, truncated, info

    def render(self) -> Any:
        """The frame with the eye on it and what it sees, or the environment's own picture."""
        if not self._show_eye or self.render_mode != "rgb_array" or not self.sight.begun:
            return self.env.render()
        return self.sight.picture(0)

    def _seen(self, observation: Any) -> dict[str, Any]:
        return {name: values[0] for name, values in self.sight.observe(_one(observation)).items()}


class GlimpseVectorObservation(VectorWrapper):
    """`GlimpseObservation` over a vector environment, in any of Gymnasium's autoreset modes.

    Lane i sees what the single wrapper would over the i-th environment. Arguments as there.
    """

    def __init__(self, env: VectorEnv, sensor: str | Sensor | None = None, **keywords: Any) -> None:
        super().__init__(env)
        keywords.pop("show_eye", None)  # a vector environment renders itself
        self.sight = Sight(
            env.num_envs,
            env.single_observation_space,
            env.single_action_space,
            sensor,
            **keywords,
        )
        self.single_observation_space = self.sight.observation_space
        self.single_action_space = self.sight.action_space
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self.action_space = batch_space(self.single_action_space, env.num_envs)
        self._mode = AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP))
        self._ended = np.zeros(env.num_envs, np.bool_)

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin episodes in all lanes, or in those of `options["reset_mask"]`."""
        mask = (options or {}).get("reset_mask")
        begin = np.ones(self.num_envs, np.bool_) if mask is None else np.array(mask, np.bool_)
        observation, info = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        self.sight.seed(seed)
        self.sight.begin(observation, begin)
        self._ended = self._ended & ~begin
        return self.sight.observe(observation), info

    def step(self, actions: Any) -> tuple[dict[str, Any], Any, Any, Any, dict[str, Any]]:
        """Move every eye, and step the environments with the rest of the actions."""
        motor, aim = self.sight.split(np.asarray(actions))
        observation, reward, terminated, truncated, info = self.env.step(motor)
        ended = terminated | truncated
        if self._mode == AutoresetMode.SAME_STEP:
            if ended.any():
                info = {**info, "final_obs": self._final(info["final_obs"], ended, aim)}
            begin = ended
        else:
            begin = self._ended if self._mode == AutoresetMode.NEXT_STEP else np.zeros_like(ended)
        self.sight.look(observation, aim, ~begin)
        if begin.any():
            self.sight.begin(observation, begin)
        self._ended = ended
        return self.sight.observe(observation), reward, terminated, truncated, info

    def _final(
        self, last: NDArray[np.object_], ended: NDArray[np.bool_], aim: NDArray[np.float32]
    ) -> NDArray[np.object_]:
        """Glimpses of the last frames, in the place of the frames."""
        found = np.full(len(ended), None, dtype=object)
        for lane in ended.nonzero()[0]:
            found[lane] = self.sight.glimpse_of(last[lane], aim[lane])
        return found


class Sight:
    """Where each of n lanes looks on its frame, and what is to be made of actions.

    State: the eye with its frames and fixations, and a random generator a lane, of first fixations.
    """

    def __init__(
        self,
        lanes: int,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        sensor: str | Sensor | None,
        *,
        key: str | None = None,
        keep: Sequence[str] = (),
        fixation: FixationSpace | None = None,
        grid: Sequence[int] = (7, 7),
        moves: Moves = "absolute",
        reach: float = 0.5,
        first_fixation: Literal["center", "random"] = "center",
        context_size: int | None = None,
    ) -> None:
        self._key, self._keep = key, (keep,) if isinstance(keep, str) else tuple(keep)
        frames, kept = _frame_space(observation_space, key, self._keep)
        self._low, self._high = frames.low.min(), frames.high.max()
        self._bytes = frames.dtype == np.uint8
        height, width, channels = (*frames.shape, 1)[:3]
        self.frame_shape = height, width, channels
        eye = GlimpseSensor(12, 3) if sensor is None else sensor
        self._sensor = build(eye, kind_of("sensor", eye, SENSORS), {})
        self._make_eye = lambda n: Eye(
            self._sensor, n, self.frame_shape, moves, reach, context_size=context_size
        )
        self._eye = self._make_eye(lanes)
        self._frames = np.zeros((lanes, height, width, channels), np.uint8)
        self._first = choose("first_fixation", first_fixation, ("center", "random"))
        self._random = [np.random.default_rng() for _ in range(lanes)]
        self.begun = False
        parts: dict[str, spaces.Space] = {
            "glimpse": spaces.Box(0, 1, self._sensor.shape(channels), np.float32),
            "fixation": spaces.Box(-1, 1, (2,), np.float32),
        }
        if context_size is not None:
            shape = (channels, context_size, context_size)
            parts["context"] = spaces.Box(0, 1, shape, np.float32)
        self.observation_space = spaces.Dict(parts | kept)
        rows, columns = self._grid = pair("grid", grid, "(rows, columns)", 1)
        self._motor = action_space
        self.action_space, self._continuous = _joined(action_space, fixation, rows, columns)

    # ------------------------------------------------------------------ actions

    def split(self, actions: NDArray) -> tuple[NDArray, NDArray[np.float32]]:
        """The environment's own actions, `(n, ...)`, and where the eyes go, float32 `(n, 2)`."""
        if self._continuous:
            command = actions[:, -2:].astype(np.float32)
            motor = actions[:, :-2].astype(self._motor.dtype)
        else:
            cells = (2 * actions[:, -2:] + 1) / np.array(self._grid) - 1
            command = cells[:, ::-1].astype(np.float32)  # row and column to x and y
            motor = actions[:, :-2]
            if isinstance(self._motor, spaces.Discrete):
                motor = motor[:, 0] + self._motor.start
            else:
                motor = motor + self._motor.start  # type: ignore[attr-defined]
        return motor, self._eye.aim(command)

    def single(self, motor: NDArray) -> Any:
        """One lane's own action as its environment takes it."""
        return int(motor[0]) if isinstance(self._motor, spaces.Discrete) else motor[0]

    # ------------------------------------------------------------------ looks

    def seed(self, seed: int | Sequence[int | None] | None) -> None:
        """First fixations follow from it; lane i's from `seed + i`, as Gymnasium seeds lanes."""
        if seed is None:
            return
        lanes = range(len(self._random))
        seeds = [seed + lane for lane in lanes] if isinstance(seed, (int, np.integer)) else seed
        self._random = [
            old if one is None else np.random.default_rng((int(one), 0x5ACCADE))
            for old, one in zip(self._random, seeds, strict=True)
        ]

    def begin(self, observation: Any, lanes: NDArray[np.bool_]) -> None:
        """Episodes begin in `lanes`, bool `(n,)`."""
        self.begun = True
        places = lanes.nonzero()[0]
        self._frames[places] = self._frames_of(observation)[places]
        self._eye.show(places, self._frames[places])
        first = np.zeros((len(places), 2), np.float32)
        if self._first == "random":
            drawn = [self._random[lane].uniform(-1, 1, 2) for lane in places]
            first = np.array(drawn, np.float32).reshape(-1, 2)
        self._eye.place(places, first)

    def look(
        self, observation: Any, aim: NDArray[np.float32], lanes: NDArray[np.bool_] | None = None
    ) -> None:
        """The next frames, from the fixations `aim`, everywhere or only in `lanes`."""
        self._frames[...] = self._frames_of(observation)
        self._eye.refresh(slice(None), self._frames)
        self._eye.move(aim, lanes)

    def observe(self, observation: Any) -> dict[str, Any]:
        """What is seen now, in fresh arrays, `(n, ...)` each."""
        return {**self._eye.observe(), **{name: observation[name] for name in self._keep}}

    def glimpse_of(self, observation: Any, fixation: NDArray[np.float32]) -> dict[str, Any]:
        """What one look at one lane's observation shows."""
        eye, single = self._make_eye(1), _one(observation)
        eye.show(slice(None), self._frames_of(single))
        eye.place(np.zeros(1, np.int64), fixation)
        seen = {**eye.observe(), **{name: single[name] for name in self._keep}}
        return {name: values[0] for name, values in seen.items()}

    def picture(self, lane: int) -> NDArray[np.uint8]:
        """The frame with the eye on it, and what it sees, uint8 `(h, w, 3)`."""
        path, glimpse = self._eye.fixation[lane : lane + 1], self._eye.look()[lane]
        return draw(self._frames[lane], path, self._sensor, glimpse)

    def _frames_of(self, observation: Any) -> NDArray[np.uint8]:
        """Frames as bytes, `(n, H, W, C)`."""
        frames = np.asarray(observation if self._key is None else observation[self._key])
        if not self._bytes:
            share = (frames - self._low) / (self._high - self._low)
            frames = np.rint(255 * share.clip(0, 1)).astype(np.uint8)
        return frames.reshape(-1, *self.frame_shape)


def _one(observation: Any) -> Any:
    """A single environment's observation as that of one lane."""
    if isinstance(observation, Mapping):
        return {name: np.asarray(value)[None] for name, value in observation.items()}
    return np.asarray(observation)[None]


def _frame_space(
    space: spaces.Space, key: str | None, keep: Sequence[str]
) -> tuple[spaces.Box, dict[str, spaces.Space]]:
    """The space of frames, and those of what else is kept."""
    kept: dict[str, spaces.Space] = {}
    if isinstance(space, spaces.Dict):
        for name in ([] if key is None else [key], keep):
            for one in name:
                if one not in space.spaces:
                    known = ", ".join(map(repr, space.spaces))
                    raise ValueError(f"{one!r}: the observation has {known}")
        if key is None:
            known = ", ".join(f"key={name!r}" for name in space.spaces)
            raise ValueError(f"the observation is a dictionary: say where its frame is, {known}")
        kept = {name: space[name] for name in keep}
        space = space[key]
    elif key is not None or keep:
        raise ValueError(f"key={key!r}: the observation is no dictionary; leave it out")
    if not isinstance(space, spaces.Box) or len(space.shape) not in (2, 3):
        raise ValueError(f"observation {space}: frames (H, W, C) or (H, W) are needed")
    bounded = np.isfinite(space.low).all() and np.isfinite(space.high).all()
    if space.dtype != np.uint8 and not (np.issubdtype(space.dtype, np.floating) and bounded):
        raise ValueError(f"observation {space}: uint8, or floats between finite bounds, are needed")
    if len(space.shape) == 3 and space.shape[2] > 16 and space.shape[0] <= 16:
        raise ValueError(
            f"observation of shape {space.shape}: channels come last, (H, W, C); transpose it, as "
            "gymnasium.wrappers.TransformObservation does"
        )
    return space, kept


def _joined(
    motor: spaces.Space, fixation: FixationSpace | None, rows: int, columns: int
) -> tuple[spaces.Space, bool]:
    """The action space of motor and eye together, and whether the fixation is continuous in it."""
    choose("fixation", fixation, (None, "grid", "continuous"))
    if isinstance(motor, spaces.Box):
        if len(motor.shape) != 1 or not np.issubdtype(motor.dtype, np.floating):
            raise ValueError(f"action {motor}: a flat Box of floats is needed")
        if fixation == "grid":
            raise ValueError("fixation='grid': numbers and cells make no one space; leave it out")
        low = np.append(motor.low, [-1, -1]).astype(motor.dtype)
        high = np.append(motor.high, [1, 1]).astype(motor.dtype)
        return spaces.Box(low, high, dtype=motor.dtype), True
    if isinstance(motor, spaces.Discrete):
        own = [int(motor.n)]
    elif isinstance(motor, spaces.MultiDiscrete) and len(motor.shape) == 1:
        own = motor.nvec.tolist()
    else:
        raise ValueError(f"action {motor}: Discrete, a flat MultiDiscrete or a flat Box is needed")
    if fixation == "continuous":
        raise ValueError(
            "fixation='continuous': acts and numbers make no one space; use fixation='grid'"
        )
    return spaces.MultiDiscrete([*own, rows, columns]), False
