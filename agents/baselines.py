"""Stable-baselines3's algorithms as learners of a run, with the face that RAM has.

`Baseline` knows no algorithm by name; each is a class of a few lines at the end. Checkpoints hold
plain values and tensors, never SB3's own zip files, which run code when they are loaded.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import os
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv, VecMonitor

from ..envs.actions import ACTIONS
from ..ram import checkpoint
from ..ram.callbacks import Callback, Callbacks, Metrics
from ..ram.checkpoint import CheckpointError
from .between import BetweenUpdates, Measured
from .interface import Interface
from .limits import check_options, check_room
from .rollout import rollout
from .sb3 import GlimpseExtractor, NativeVecEnv

_KIND, _VERSION = "saccade.agents.Baseline", 1
_KEYS = {"algorithm", "hyperparameters", "interface", "parameters", "variables", "beside"}
_KEYS |= {"num_timesteps", "total_timesteps", "walk", "callbacks"}

# What a run decides itself of an algorithm's keywords.
_OWN = {"policy", "env", "tensorboard_log", "verbose", "seed", "device", "_init_setup_model"}


class Baseline:
    """An algorithm of stable-baselines3 that learns in a glimpse environment.

    Its features are RAM's what-where network's (`GlimpseExtractor`); everything else is SB3's, with
    SB3's names and defaults. The same seed gives the same training; one that was interrupted goes
    on with its weights and optimisers where it stood, in new episodes, and an off-policy one with
    a replay buffer that its policy fills anew.

    Args:
        env: a native vector environment that resets in the same step; or an `Interface`, for a
            learner that only predicts.
        num_envs: lanes; an environment that is given decides by itself.
        schedule: of the learning rate over `total_timesteps`.
        log_interval: timesteps between two measurements.
        seed: of weights, draws, and the environment's walk.
        device: where the networks live.
        options: the algorithm's own keywords. `policy_kwargs` may name `activation_fn` as text, a
            class of `torch.nn`.

    Attributes: `num_timesteps` of all lanes so far, `metrics` (the newest value of everything
    measured), `model` (SB3's), `network` (its policy), `env`, `hyperparameters`.

    Raises ValueError for an action mode that the algorithm cannot use.
    """

    algorithm: ClassVar[str]
    """Where SB3's class is, "module:class"."""
    actions: ClassVar[tuple[str, ...]]
    """The action modes that it can use; the first is the one it learns best with."""
    policy: ClassVar[str] = "MultiInputPolicy"
    unasked: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Options that SB3 asks its environment for, where there is none to ask: to predict only."""
    acting: ClassVar[str] = ""
    """The attribute of SB3's policy that acts, where others only serve to learn."""
    heads: ClassVar[tuple[str, ...]] = ("pi", "vf")
    """What a `net_arch` may hold layers of."""
    extra: ClassVar[str] = ""
    """What to install where the algorithm is not part of stable-baselines3."""

    def __init__(
        self,
        env: Any,
        *,
        num_envs: int = 64,
        schedule: Literal["constant", "linear"] = "constant",
        log_interval: int = 10_000,
        seed: int = 0,
        device: str = "cpu",
        **options: Any,
    ) -> None:
        self.env: VecEnv | None = None
        self._core: Any = None
        if isinstance(env, Interface):
            self.interface = env
        else:
            self._core = env.unwrapped
            self.interface = Interface.of(self._core)
            num_envs = env.num_envs
        self._check_action(self.interface.action_mode)
        if self._core is not None:
            self._native = NativeVecEnv(env)
            self.env = VecMonitor(self._lanes(self._native))
        given = {"num_envs": num_envs, "schedule": schedule, "log_interval": log_interval}
        self.hyperparameters = {**given, "seed": seed, **options}
        check_options(self.hyperparameters, self.heads)
        self.device = torch.device(device)
        self.num_timesteps = 0
        self.total_timesteps = 0
        self.between_updates = True
        self.metrics: Metrics = {}
        self._walk: Mapping[str, Any] | None = None  # where a loaded learner's walk goes on
        self._callbacks = Callbacks()
        self._callback_states: dict[str, Any] = {}
        self.model = self._build(dict(options), schedule, seed, num_envs)

    @classmethod
    def load_algorithm(cls) -> Any:
        """SB3's class; ModuleNotFoundError with a remedy where its package is missing."""
        module, name = cls.algorithm.split(":")
        try:
            return getattr(importlib.import_module(module), name)
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                f'{name} needs sb3-contrib: pip install "saccade[{cls.extra}]"'
            ) from None

    @classmethod
    def parameters(cls) -> dict[str, inspect.Parameter]:
        """Every keyword, the algorithm's own among them."""
        algorithm = inspect.signature(cls.load_algorithm().__init__, eval_str=True).parameters
        found = {name: p for name, p in algorithm.items() if name not in _OWN}
        for kind in reversed(cls.__mro__):
            if kind is object:
                continue
            own = inspect.signature(kind, eval_str=True).parameters
            found |= {name: p for name, p in own.items() if p.kind is p.KEYWORD_ONLY}
        return found

    def _check_action(self, mode: str) -> None:
        if mode not in self.actions:
            wanted = " or ".join(repr(name) for name in self.actions)
            raise ValueError(
                f"{type(self).__name__} acts by {wanted}, not {mode!r}: set env.action"
            )

    def _lanes(self, env: NativeVecEnv) -> VecEnv:
        """The environment as the algorithm meets it."""
        return env

    def _spaces(self) -> tuple[spaces.Space, spaces.Space]:
        """What the algorithm observes and does there."""
        return self.interface.observation, self.interface.action

    def _beside(self) -> list[BaseCallback]:
        """What else SB3 is to call while it learns."""
        return []

    def _build(self, options: dict[str, Any], schedule: str, seed: int, lanes: int) -> Any:
        algorithm = self.load_algorithm()
        policy_kwargs = copy.deepcopy(options.pop("policy_kwargs", None) or {})
        if isinstance(self._spaces()[0], spaces.Dict):
            policy_kwargs.setdefault("features_extractor_class", GlimpseExtractor)
        if isinstance(activation := policy_kwargs.get("activation_fn"), str):
            found = getattr(torch.nn, activation, None)
            if not (isinstance(found, type) and issubclass(found, torch.nn.Module)):
                raise ValueError(f"activation_fn={activation!r}: torch.nn has no such class")
            policy_kwargs["activation_fn"] = found
        if schedule == "linear":
            defaults = inspect.signature(algorithm.__init__).parameters
            peak = options.get("learning_rate", defaults["learning_rate"].default)
            # The last rollout may reach past the end, where what remains is below 0.
            options["learning_rate"] = lambda remaining: peak * max(remaining, 0.0)
        if self.env is None:
            options.update(self.unasked)
        signature = inspect.signature(algorithm.__init__).parameters
        kept = {
            name: signature[name].default
            for name in ("n_steps", "buffer_size")
            if name in signature
        }
        check_room({**options, "num_envs": lanes}, kept, self._spaces()[0])
        model = algorithm(
            self.policy,
            self.env,
            seed=seed,
            device=self.device,
            policy_kwargs=policy_kwargs,
            _init_setup_model=False,
            **options,
        )
        if self.env is None:
            model.observation_space, model.action_space = self._spaces()
            model.n_envs = lanes
        model._setup_model()
        return model

    @property
    def network(self) -> torch.nn.Module:
        """The part of SB3's policy that acts, without critics and targets of their own."""
        return getattr(self.model.policy, self.acting) if self.acting else self.model.policy

    @property
    def finished(self) -> bool:
        """Whether the timesteps of the last `learn` are used up."""
        return self.num_timesteps >= self.total_timesteps

    # ------------------------------------------------------------------ learning

    def learn(
        self, total_timesteps: int, callback: Callback | Iterable[Callback] | None = None
    ) -> Baseline:
        """Train until `num_timesteps` reaches `total_timesteps`; schedules run over all of them.

        A learner that was interrupted or loaded goes on. Raises RuntimeError where there is no
        environment, FloatingPointError where the training diverged.
        """
        if self.env is None:
            raise RuntimeError("to learn, load with an environment: load(path, env=env)")
        self.total_timesteps = total_timesteps
        self._callbacks = Callbacks(callback)
        self._callbacks.restore(self._callback_states)
        measured = Measured()
        self.model.set_logger(Logger(folder=None, output_formats=[measured]))
        going = self._callbacks.on_start(self, {})
        try:
            if not going or self.finished:
                return self
            if self.num_timesteps:
                self._take_up()
            self.between_updates = False
            between = BetweenUpdates(self, measured)
            self.model.learn(
                total_timesteps - self.num_timesteps,
                callback=CallbackList([between, *self._beside()]),
                log_interval=1,
                reset_num_timesteps=self.num_timesteps == 0,
            )
            if between.going:  # else the last step was only one to stop at
                self.advance(measured)
        except ValueError as error:
            if "nan" not in str(error):
                raise
            raise FloatingPointError(self._diverged()) from None
        finally:
            last: Metrics = {}
            self._callbacks.on_end(self, last)
            self.metrics.update(last)
            self._callback_states = self._callbacks.state()
        return self

    def _diverged(self) -> str:
        return f"training diverged after {self.num_timesteps} timesteps: lower learning_rate"

    def advance(self, measured: Measured) -> bool:
        """Take note of the updates made, and let the callbacks act; False: they want no more."""
        self.num_timesteps = self.model.num_timesteps
        self.between_updates = True
        if any("loss" in name and not np.isfinite(v) for name, v in measured.values.items()):
            self.between_updates = False  # nothing of this is to be kept
            raise FloatingPointError(self._diverged())
        interval = self.hyperparameters["log_interval"]
        metrics = measured.take(self.num_timesteps, interval, self.finished)
        going = self._callbacks.on_step(self, metrics)
        self.metrics.update(metrics)
        return going

    def _take_up(self) -> None:
        """Go on where a loaded learner stood: new episodes, and draws of their own."""
        assert isinstance(self.env, VecMonitor)
        if self.model.num_timesteps != self.num_timesteps:  # stopped within a rollout
            self.model.num_timesteps = self.num_timesteps
            self.model._last_obs = None
        if self._walk is None:
            return
        seed = (self.hyperparameters["seed"] + self.num_timesteps) % (1 << 32)
        set_random_seed(seed)
        self.model.action_space.seed(seed)
        self._native._reset_seeds()
        self._core.restore_walk(self._walk)
        self._walk = None
        buffer = getattr(self.model, "replay_buffer", None)
        if buffer is None:
            return
        # The replay buffer is not kept: the policy plays until there is something to learn from,
        # which the budget does not count.
        _, quiet = self.model._setup_learn(0, None, reset_num_timesteps=False)
        quiet.on_training_start({}, {})
        lanes = self.env.num_envs
        steps = max(1, self.model.learning_starts // lanes)
        self.model.collect_rollouts(
            self.env,
            callback=quiet,
            train_freq=type(self.model.train_freq)(steps, self.model.train_freq.unit),
            replay_buffer=buffer,
            learning_starts=0,
        )
        self.model.num_timesteps = self.num_timesteps

    # ------------------------------------------------------------------ acting

    def predict(
        self,
        observation: Mapping[str, NDArray[np.float32]],
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """SB3's `predict`: the actions of one or n observations, and the state to be handed back.

        A masked policy is given the masks that follow from the observation.
        """
        masks = self._masks(observation)
        return self.model.predict(observation, state, episode_start, deterministic, **masks)

    def _masks(self, observation: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
        return {}

    def validate(self, env: Any) -> Metrics:
        """One deterministic path for each scene of `env`, which has autoreset disabled."""
        seen = rollout(self, env)
        return {
            "eval/error": float(1 - seen.success.mean()),
            "eval/mean_reward": float(seen.reward.mean()),
            "eval/mean_ep_length": float(seen.length.mean()),
        }

    # ------------------------------------------------------------------ keeping

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights, optimisers and the place in the walk; whole or not at all."""
        _, variables = self.model._get_torch_save_params()
        content = {
            "kind": _KIND,
            "version": _VERSION,
            "algorithm": self.algorithm,
            "hyperparameters": self.hyperparameters,
            "interface": self.interface.to_plain(),
            "parameters": self.model.get_parameters(),
            "variables": {name: getattr(self.model, name).detach() for name in variables},
            "beside": self._keep(),
            "num_timesteps": self.num_timesteps,
            "total_timesteps": self.total_timesteps,
            "walk": self._core.walk_state() if self._core is not None else self._walk,
            "callbacks": self._callbacks.state() or self._callback_states,
        }
        checkpoint.write(path, content)

    def _keep(self) -> dict[str, Any]:
        """What a checkpoint must hold beside SB3's own: plain values, arrays and tensors."""
        return {}

    def _take(self, kept: Mapping[str, Any]) -> None:
        """Take up what `_keep` returned."""

    @classmethod
    def load(cls, path: str | os.PathLike[str], env: Any = None, device: str = "cpu") -> Baseline:
        """The learner that was saved; with an environment it can go on learning.

        Raises CheckpointError where the file is missing, damaged, of another algorithm, or was
        trained in an environment with other observations, actions or lanes.
        """
        content = checkpoint.from_plain(checkpoint.read(path, _KIND, _VERSION, _KEYS))
        if content["algorithm"] != cls.algorithm:
            raise CheckpointError(f"{path}: a checkpoint of {content['algorithm']}")
        try:
            trained = Interface.from_plain(content["interface"])
            if env is not None and (other := trained.differs(Interface.of(env.unwrapped))):
                raise CheckpointError(f"{path}: trained with {other}")
            keywords = dict(content["hyperparameters"])
            if env is not None and env.num_envs != keywords["num_envs"]:
                raise CheckpointError(
                    f"{path}: trained with num_envs={keywords['num_envs']}, not {env.num_envs}"
                )
            if env is None:
                keywords["num_envs"] = 1  # a learner that only predicts needs no buffers
            learner = cls(trained if env is None else env, device=device, **keywords)
            learner.model.set_parameters(content["parameters"], device=device)
            for name, value in content["variables"].items():
                getattr(learner.model, name).data.copy_(value)
            learner._take(content["beside"])
        except Exception as error:
            raise checkpoint.unfit(path, error) from error
        learner.num_timesteps = learner.model.num_timesteps = content["num_timesteps"]
        learner.total_timesteps = content["total_timesteps"]
        learner._walk = content["walk"]
        learner._callback_states = content["callbacks"]
        return learner


class PPO(Baseline):
    algorithm = "stable_baselines3:PPO"
    actions = ("grid", "box", "discrete")


class A2C(Baseline):
    algorithm = "stable_baselines3:A2C"
    actions = ("grid", "box", "discrete")


class DQN(Baseline):
    algorithm = "stable_baselines3:DQN"
    actions = ("discrete",)
    acting = "q_net"
    heads = ()


class SAC(Baseline):
    algorithm = "stable_baselines3:SAC"
    actions = ("box",)
    acting = "actor"
    heads = ("pi", "qf")
    unasked = MappingProxyType({"target_entropy": 0.0})


class RecurrentPPO(Baseline):
    algorithm = "sb3_contrib:RecurrentPPO"
    actions = ("grid", "box", "discrete")
    policy = "MultiInputLstmPolicy"
    extra = "contrib"


class MaskablePPO(Baseline):
    """Never given an answer to choose before `min_glimpses`, nor a look after the last."""

    algorithm = "sb3_contrib:MaskablePPO"
    actions = ("discrete",)
    extra = "contrib"

    def _masks(self, observation: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
        seen = np.rint(np.asarray(observation["progress"])[..., 0] * self.interface.glimpses)
        mode = ACTIONS["discrete"](self.interface.answers, self.interface.grid)
        last, early = seen >= self.interface.glimpses, seen < self.interface.min_glimpses
        masks = mode.masks(np.atleast_1d(last), np.atleast_1d(early))
        assert masks is not None
        return {"action_masks": masks if seen.ndim else masks[0]}
