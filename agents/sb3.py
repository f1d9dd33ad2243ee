"""Stable-baselines3 on the native vector environments, at their speed.

`make_vec_env` gives SB3's algorithms and wrappers a `VecEnv` that is one native environment, not
a list of single ones; `GlimpseExtractor` is RAM's glimpse network as a features extractor.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn
from torch import nn

from ..ram.networks import GlimpseNetwork


def make_vec_env(
    env_id: str, num_envs: int = 1, *, seed: int | None = None, **keywords: Any
) -> NativeVecEnv:
    """An SB3 `VecEnv` of `num_envs` lanes of a registered id.

    Args:
        env_id: such as `"saccade/Digits-v0"`.
        num_envs: lanes.
        seed: of the first reset; all lanes draw from (seed, lane).
        keywords: the environment's own (`action="grid"`, `split="validation"`, ...).

    Raises:
        ValueError: a keyword that does not fit, or an action mode that SB3 has no policy for.
    """
    env = gymnasium.make_vec(
        env_id, num_envs=num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **keywords
    )
    found = NativeVecEnv(env)
    if seed is not None:
        found.seed(seed)
    return found


class NativeVecEnv(VecEnv):
    """A native vector environment with the face of SB3's `VecEnv`.

    What it returns equals SB3's `DummyVecEnv` over the single environments of the shards, step for
    step. Lanes share one seed. On `validation` and `test` a reset begins the walk again, and lanes
    are numbered so that SB3's `evaluate_policy` over as many episodes as the split has scenes
    counts each scene once.

    State: the native environment, the actions of the step under way, and what SB3 keeps for the
    next reset.

    Args:
        env: a native vector environment with autoreset in the same step.

    Raises:
        ValueError: another autoreset mode, Dict actions, or observations on a device.
    """

    def __init__(self, env: Any) -> None:
        core = env.unwrapped
        if core.metadata["autoreset_mode"] != AutoresetMode.SAME_STEP:
            raise ValueError(
                "stable-baselines3 resets in the same step: make the environment with "
                "autoreset_mode='SameStep'"
            )
        if isinstance(env.single_action_space, spaces.Dict):
            raise ValueError(
                "action='dict' has a Dict action space, which stable-baselines3 has no policy "
                "for: use action='grid', 'box', 'discrete' or 'fixation'"
            )
        if core.device is not None:
            raise ValueError(
                f"device={str(core.device)!r}: stable-baselines3 takes NumPy arrays, leave device out"
            )
        self.env = env
        self._evaluates = core.split != "train"
        # evaluate_policy gives the episodes that do not part evenly to the last lanes; the walk
        # gives them to the first: evaluated lanes are counted from the back.
        self._order = slice(None, None, -1) if self._evaluates else slice(None)
        self._actions: Any = None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> dict[str, np.ndarray]:
        """Begin new episodes, with the seed and options that were set for this reset."""
        options = self._merged_options()
        if self._evaluates:
            options["restart"] = True
        observation, infos = self.env.reset(seed=self._seeds[0], options=options)
        self.reset_infos = self._lanes(infos)
        self._reset_seeds()
        self._reset_options()
        return self._turned(observation)

    def step_async(self, actions: np.ndarray) -> None:
        """Take the actions of the coming `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all lanes; ended ones have begun anew in what is returned."""
        observation, reward, done, _, infos = self.env.step(self._actions[self._order])
        lanes = self._lanes(infos)
        if done.any():
            final_infos = self._lanes(infos["final_info"])
            final_obs = infos["final_obs"][self._order]
            for lane in done[self._order].nonzero()[0]:
                self.reset_infos[lane] = lanes[lane]
                lanes[lane] = final_infos[lane]
                lanes[lane]["terminal_observation"] = final_obs[lane]
        for info in lanes:
            info["TimeLimit.truncated"] = False  # the budget is part of the task
        rewards = reward[self._order].astype(np.float32)
        return self._turned(observation), rewards, done[self._order].copy(), lanes

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Set the seed of the next reset: one for all lanes, which draw from (seed, lane)."""
        if seed is None:
            seed = int(np.random.default_rng().integers(1 << 31))
        self._seeds = [seed] * self.num_envs
        return self._seeds

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture of each lane, for `render_mode="rgb_array"`."""
        return list(self.env.render())[self._order]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of the environment, which all lanes share, once a lane."""
        value = getattr(self.env.unwrapped, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the environment, which all lanes share.

        Raises:
            ValueError: for some of the lanes alone.
        """
        if set(self._get_indices(indices)) != set(range(self.num_envs)):
            raise ValueError(f"{attr_name!r} cannot be set in some lanes: they share one object")
        setattr(self.env.unwrapped, attr_name, value)

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: VecEnvIndices = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Call a method once; a result with a row a lane is parted among the lanes."""
        result = getattr(self.env.unwrapped, method_name)(*method_args, **method_kwargs)
        by_lane = isinstance(result, (np.ndarray, tuple, list)) and len(result) == self.num_envs
        rows = list(result)[self._order] if by_lane else [result] * self.num_envs
        return [rows[lane] for lane in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: VecEnvIndices = None) -> list[bool]:
        """No lane is wrapped: they are one environment."""
        return [False for _ in self._get_indices(indices)]

    def _turned(self, observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        # PyTorch takes no arrays that run backwards.
        return {
            name: np.ascontiguousarray(values[self._order]) for name, values in observation.items()
        }

    def _lanes(self, infos: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Infos of a batch as one dictionary a lane, in SB3's order of lanes."""
        names = [
            name
            for name, values in infos.items()
            if not name.startswith(("_", "final_")) and isinstance(values, np.ndarray)
        ]
        columns = []
        for name in names:
            values = infos[name][self._order]
            columns.append(values.tolist() if values.ndim == 1 else list(values))
        lanes = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        for name in names:  # what only some lanes have
            missing = ~infos[f"_{name}"][self._order]
            for lane in missing.nonzero()[0]:
                del lanes[lane][name]
        return lanes

    def _merged_options(self) -> dict[str, Any]:
        """SB3's options, one dictionary a lane, as the native environment's one."""
        first = self._options[0]
        if all(set(options) == set(first) for options in self._options):
            merged: dict[str, Any] = {}
            for name in first:
                values = [options[name] for options in self._options][self._order]
                by_lane = name in ("index", "fixation")
                merged[name] = np.array(values) if by_lane else values[0]
            return merged
        raise ValueError("set_options: give every lane the same options, with values of their own")


class GlimpseExtractor(BaseFeaturesExtractor):
    """What RAM sees, as SB3's features: its what-where network beside the share of glimpses used.

    `policy_kwargs={"features_extractor_class": GlimpseExtractor}`. Without a memory of its own: an
    agent that must remember takes a recurrent policy, or an environment with `memory="canvas"`,
    whose canvas goes through a rectified layer to further features.

    Args:
        observation_space: of a glimpse environment.
        what, where, features: layer sizes (Mnih et al. 2014: 128, 128, 256).
        canvas_features: features of the canvas, where there is one.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        what: int = 128,
        where: int = 128,
        features: int = 256,
        canvas_features: int = 256,
    ) -> None:
        canvas = observation_space.spaces.get("canvas")
        super().__init__(observation_space, features + 1 + (canvas_features if canvas else 0))
        pixels = math.prod(observation_space["glimpse"].shape or ())
        self.glimpse = GlimpseNetwork(pixels, what, where, features)
        self.canvas: nn.Linear | None = None
        if canvas:
            self.canvas = nn.Linear(math.prod(canvas.shape or ()), canvas_features)
            nn.init.kaiming_uniform_(self.canvas.weight, nonlinearity="relu")
            nn.init.zeros_(self.canvas.bias)

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """Observations, `(n, ...)` each, to `(n, features + 1)`, canvas features behind them."""
        seen = self.glimpse(observations["glimpse"].flatten(1), observations["fixation"])
        parts = [seen, observations["progress"]]
        if self.canvas is not None:
            parts.append(torch.relu(self.canvas(observations["canvas"].flatten(1))))
        return torch.cat(parts, 1)
