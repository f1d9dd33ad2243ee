"""An environment whose eye follows a gaze, whatever the agent says: its glimpses, classified.

Which gazes there are is in `gaze.py`. An agent that is trained here learns to answer and nothing
about where to look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from .gaze import FixationWriter, Gaze, gaze_class, see


class GazedVectorEnv(VectorWrapper):
    """A native vector environment whose eye is a gaze's: an action's fixation is not used.

    Glimpse 1 follows the gaze too where that does not depend on the scene, unless `reset` is told
    a fixation. What only the gaze needs to see is not in the agent's observations.

    State: what the gaze saw last and remembers, and which lanes have just begun.

    Args:
        env: a native vector environment with autoreset disabled, made with `reveal=` for what the
            gaze needs.
        gaze: a name in GAZES, or a gaze made for this environment.
        keep: revealed keys that the agent observes as well.

    Raises:
        ValueError: another autoreset mode, an unknown gaze, a key that is not revealed,
            observations on a device, or a task that judges where the eye goes, so that nothing
            would be left to the agent.
    """

    def __init__(self, env: VectorEnv, gaze: str | Gaze, keep: Iterable[str] = ()) -> None:
        super().__init__(env)
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.DISABLED:
            raise ValueError(
                f"a gaze must know when episodes begin, which autoreset mode {mode} does not "
                "tell: make the environment with autoreset_mode='Disabled'"
            )
        core: Any = env.unwrapped
        if core.device is not None:
            raise ValueError(
                f"device={str(core.device)!r}: gazes look at NumPy arrays, leave device out"
            )
        task = core.task
        if task.judged == "aim":
            raise ValueError(
                f"a gaze moves the eye, and {type(task).__name__} judges where the eye goes, so "
                "that nothing is left to the agent: leave the gaze out"
            )
        self.name = gaze if isinstance(gaze, str) else type(gaze).__name__.lower()
        self.gaze = gaze_class(gaze)(env) if isinstance(gaze, str) else gaze
        inner = env.single_observation_space
        assert isinstance(inner, spaces.Dict)
        for key in self.gaze.reveal:
            if key not in inner.spaces:
                raise ValueError(
                    f"the gaze '{self.name}' looks at '{key}': make the environment with "
                    f"reveal={self.gaze.reveal!r}"
                )
        self._hidden = set(self.gaze.reveal) - set(keep)
        shown = {name: part for name, part in inner.spaces.items() if name not in self._hidden}
        self.single_observation_space = spaces.Dict(shown)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self._write = FixationWriter(env)
        self._seen: dict[str, Any] = {}
        self._start = np.ones(env.num_envs, np.bool_)
        self._state: Any = None

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Begin new episodes; options as the inner environment's."""
        options = dict(options or {})
        if options.get("fixation") is None:
            first = self.gaze.first(options.get("index"))
            if first is not None:
                options["fixation"] = first
        observation, infos = self.env.reset(seed=seed, options=options)
        self._start = self._start | options.get("reset_mask", True)
        return self._show(observation), infos

    def step(
        self, actions: Any
    ) -> tuple[dict[str, NDArray], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict]:
        """Answer as the action says, look where the gaze does."""
        if self._seen:  # else it is not reset, which the environment says
            sight = see(self.env, self._seen)
            fixation, self._state = self.gaze.look(sight, self._state, self._start)
            actions = self._write(actions, self._seen, fixation)
            self._start = np.zeros(self.num_envs, np.bool_)
        observation, reward, terminated, truncated, infos = self.env.step(actions)
        return self._show(observation), reward, terminated, truncated, infos

    def _show(self, observation: Any) -> dict[str, NDArray]:
        """Keep what the gaze sees, and return what the agent does."""
        self._seen = observation
        return {name: part for name, part in observation.items() if name not in self._hidden}
