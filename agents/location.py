"""Where to look as a problem of its own: SB3 chooses fixations, RAM's core keeps what was seen.

`CoreVecEnv` turns a glimpse environment into one whose observation is the state of RAM's core and
whose action is the fixation alone; the core and its answer learn beside, from the labels in `info`.
RAM's REINFORCE, PPO and SAC can so be compared on one core.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
from torch import Tensor, nn
from torch.nn import functional

from ..ram.networks import RAMNetwork, State
from ..ram.sizes import built
from ..ram.task import Task
from .baselines import SAC, Baseline
from .interface import Interface
from .limits import check_options
from .sb3 import NativeVecEnv

Episodes = tuple[Tensor, Tensor, Tensor]
"""Glimpses (T, n, pixels), fixations (T, n, 2) and labels (n,) of one episode in every lane."""


class Sight(nn.Module):
    """RAM's glimpse network, core and answer, and what they make of observations.

    Args:
        glimpse_shape: (scales * C, size, size).
        classes: number of answers.
        sizes: RAM's keywords (`core`, `what`, `where`, `glimpse_features`, `hidden`).
    """

    def __init__(self, glimpse_shape: Sequence[int], classes: int, **sizes: Any) -> None:
        super().__init__()
        whole = RAMNetwork(glimpse_shape, classes, **sizes)
        self.glimpse, self.core, self.answer = whole.glimpse, whole.core, whole.answer
        hidden = self.core.hidden
        self.space = spaces.Box(-np.inf, np.inf, (hidden + 3,), np.float32)

    def see(self, observation: Mapping[str, Any], state: State | None) -> State:
        """The core's state after one more glimpse of n lanes."""
        glimpse = torch.as_tensor(observation["glimpse"]).flatten(1)
        fixation = torch.as_tensor(observation["fixation"])
        before = self.core.start(len(glimpse)) if state is None else state
        return self.core(self.glimpse(glimpse, fixation), before)

    def known(self, observation: Mapping[str, Any], state: State) -> NDArray[np.float32]:
        """What a location policy observes, (n, hidden + 3): state, fixation, progress."""
        parts = (state[0].numpy(), observation["fixation"], observation["progress"])
        return np.concatenate(parts, axis=1)

    def loss(self, episodes: Episodes) -> Tensor:
        """Cross-entropy of the answers after every glimpse, in nats."""
        glimpses, fixations, labels = episodes
        state = self.core.start(len(labels))
        scores = []
        for glimpse, fixation in zip(glimpses, fixations, strict=True):
            state = self.core(self.glimpse(glimpse, fixation), state)
            scores.append(self.answer(state[0]))
        return functional.cross_entropy(torch.cat(scores), labels.repeat(len(glimpses)))


class CoreVecEnv(VecEnvWrapper):
    """A glimpse environment whose observation is what RAM's core knows, and whose action looks.

    Observation: float32 (hidden + 3,), the core's state after the newest glimpse, the fixation and
    the progress. Action: `Box(-1, 1, (2,))`, the next fixation; the core's answer goes with it.
    Rewards and infos are the inner environment's.

    State: the core's state in every lane, the episode under way, and `episodes`, those that ended
    since somebody took them.

    Args:
        env: with action "box", whose scores the core gives; lanes end together.
        sight: the network; used without gradients here.
    """

    def __init__(self, env: NativeVecEnv, sight: Sight, task: Task) -> None:
        look = spaces.Box(-1, 1, (2,), np.float32)
        super().__init__(env, observation_space=sight.space, action_space=look)
        self.sight = sight
        self.task = task
        self.episodes: list[Episodes] = []
        self._state: State = ()
        self._steps: list[tuple[Tensor, Tensor]] = []

    def reset(self) -> NDArray[np.float32]:
        """Begin new episodes."""
        self.episodes, self._steps = [], []
        return self._begin(self.venv.reset())  # type: ignore[arg-type]

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Look there, and say what the core would answer."""
        with torch.no_grad():
            scores = self.sight.answer(self._state[0])
        self.venv.step_async(self.task.batch_actions(torch.as_tensor(actions), scores))

    def step_wait(self) -> VecEnvStepReturn:
        """Step all lanes; ended ones have begun anew in what is returned."""
        seen, reward, done, infos = self.venv.step_wait()
        if not done.any():
            return self._look(seen, self._state), reward, done, infos  # type: ignore[arg-type]
        last = self._known  # the last observation repeats the last glimpse: nothing more is known
        for lane, info in enumerate(infos):
            info["terminal_observation"] = last[lane]
        labels = torch.tensor([info["label"] for info in infos])
        glimpses, fixations = zip(*self._steps, strict=True)
        self.episodes.append((torch.stack(glimpses), torch.stack(fixations), labels))
        return self._begin(seen), reward, done, infos  # type: ignore[arg-type]

    def _begin(self, seen: Mapping[str, Any]) -> NDArray[np.float32]:
        self._steps = []
        return self._look(seen, None)

    def _look(self, seen: Mapping[str, Any], state: State | None) -> NDArray[np.float32]:
        self._steps.append(
            (torch.as_tensor(seen["glimpse"]).flatten(1), torch.as_tensor(seen["fixation"]))
        )
        with torch.no_grad():
            self._state = self.sight.see(seen, state)
        self._known = self.sight.known(seen, self._state)
        return self._known


class _LearnToAnswer(BaseCallback):
    """A step down the gradient of the answers' cross-entropy for every episode of all lanes."""

    def __init__(self, env: CoreVecEnv, optimizer: torch.optim.Optimizer, falls: bool) -> None:
        super().__init__()
        self.env = env
        self.optimizer = optimizer
        self.falls = falls  # whether the learning rate falls linearly to 0

    def _on_step(self) -> bool:
        episodes, self.env.episodes = self.env.episodes, []
        for batch in episodes:
            if self.falls:
                remaining = max(0.0, 1 - self.num_timesteps / self.model._total_timesteps)
                for group in self.optimizer.param_groups:
                    group["lr"] = remaining * self.optimizer.defaults["lr"]
            loss = self.env.sight.loss(batch)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.env.sight.parameters(), 1.0)
            self.optimizer.step()
            self.logger.record("train/answer_loss", loss.item())
        return True


class Location(Baseline):
    """An algorithm of stable-baselines3 that learns the fixations alone, on RAM's core.

    Args:
        env: with action "box", `stop=False`; see `Baseline`.
        core, what, where, glimpse_features, hidden: RAM's.
        answer_learning_rate: of the core and its answer; falls like the algorithm's own where
            `schedule` says so.
        options: `Baseline`'s.

    Raises ValueError where lanes may end at different times.
    """

    actions = ("box",)
    policy = "MlpPolicy"

    def __init__(
        self,
        env: Any,
        *,
        core: Literal["rnn", "lstm"] = "rnn",
        what: int = 128,
        where: int = 128,
        glimpse_features: int = 256,
        hidden: int = 256,
        answer_learning_rate: float = 1e-3,
        seed: int = 0,
        **options: Any,
    ) -> None:
        interface = env if isinstance(env, Interface) else Interface.of(env.unwrapped)
        sizes = {"core": core, "what": what, "where": where, "hidden": hidden}
        sizes["glimpse_features"] = glimpse_features
        answers = interface.answers
        self._check_action(interface.action_mode)
        if interface.action.shape != (2 + answers,):
            raise ValueError("a location learner takes all its glimpses: set env.stop to false")
        shape = interface.observation["glimpse"].shape or ()
        check_options(sizes, ())
        self._task = Task(shape, answers, "box", interface.score_scale)
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            self.sight = built(lambda: Sight(shape, answers, **sizes))
        self._optimizer = torch.optim.AdamW(
            self.sight.parameters(), answer_learning_rate, weight_decay=0.0
        )
        super().__init__(env, seed=seed, **options)
        self.hyperparameters |= {**sizes, "answer_learning_rate": answer_learning_rate}
        self._whole = nn.ModuleDict({"sight": self.sight, "policy": super().network})

    @property
    def network(self) -> nn.Module:
        """Sight and SB3's policy: every weight that acts."""
        return self._whole

    def _lanes(self, env: NativeVecEnv) -> VecEnv:
        self._core_env = CoreVecEnv(env, self.sight, self._task)
        return self._core_env

    def _spaces(self) -> tuple[spaces.Space, spaces.Space]:
        return self.sight.space, spaces.Box(-1, 1, (2,), np.float32)

    def _beside(self) -> list[BaseCallback]:
        falls = self.hyperparameters["schedule"] == "linear"
        return [_LearnToAnswer(self._core_env, self._optimizer, falls)]

    def predict(
        self,
        observation: Mapping[str, NDArray[np.float32]],
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """Fixation by SB3's policy and scores by the core's answer, of one or n observations.

        `state` is the core's, float32 (n, hidden) each; lanes in `episode_start` forget it.
        """
        single = np.ndim(observation["fixation"]) == 1
        if single:
            observation = {name: np.asarray(value)[None] for name, value in observation.items()}
        before: State | None = None
        if state is not None:
            before = tuple(torch.as_tensor(part) for part in state)
            if episode_start is not None:
                kept = ~torch.as_tensor(np.atleast_1d(episode_start)).reshape(-1, 1)
                before = tuple(part * kept for part in before)
        with torch.no_grad():
            after = self.sight.see(observation, before)
            scores = self.sight.answer(after[0])
        known = self.sight.known(observation, after)
        fixation, _ = self.model.predict(known, deterministic=deterministic)
        action = self._task.batch_actions(torch.as_tensor(fixation), scores)
        kept_state = tuple(part.numpy() for part in after)
        return (action[0] if single else action), kept_state

    def _keep(self) -> dict[str, Any]:
        return {"sight": self.sight.state_dict(), "optimizer": self._optimizer.state_dict()}

    def _take(self, kept: Mapping[str, Any]) -> None:
        self.sight.load_state_dict(kept["sight"])
        self._optimizer.load_state_dict(kept["optimizer"])


class PPOLocation(Location):
    algorithm = "stable_baselines3:PPO"


class SACLocation(Location):
    algorithm = "stable_baselines3:SAC"
    acting = SAC.acting
    heads = SAC.heads
    unasked = SAC.unasked
