"""What may happen between the updates of a learner: validation, checkpoints, an orderly stop."""

from __future__ import annotations

import abc
import contextlib
import copy
import os
import signal
import threading
from collections.abc import Iterable
from typing import Any, Protocol

import torch
from gymnasium.vector import VectorEnv

Metrics = dict[str, float]


class Learner(Protocol):
    """What callbacks know of the learner that calls them: RAM, or another with its face."""

    num_timesteps: int
    between_updates: bool
    metrics: Metrics

    @property
    def finished(self) -> bool:
        """Whether all timesteps are used up."""

    @property
    def network(self) -> torch.nn.Module:
        """Every weight that acts."""

    def validate(self, env: VectorEnv) -> Metrics:
        """What is measured on an evaluation split, under names that begin with `eval/`."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint."""


class Callback:
    """Called by a learner's `learn`; subclasses override what they need.

    `metrics` holds what was measured at this update, under the names that stable-baselines3's
    users know, and is empty at most updates; a callback may add its own, and later ones in the
    list see them. `learner.metrics` holds the newest value of every number. `state` and
    `restore` carry what a callback remembers through a checkpoint.
    """

    def on_start(self, learner: Learner, metrics: Metrics) -> bool | None:
        """Before the first update; False: there is to be none."""

    def on_step(self, learner: Learner, metrics: Metrics) -> bool | None:
        """After every update; False ends the training."""

    def on_end(self, learner: Learner, metrics: Metrics) -> None:
        """After the last update, also where an exception ended the training."""

    def state(self) -> dict[str, Any]:
        """What to keep in a checkpoint: plain values, arrays and tensors."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned."""


class Callbacks(Callback):
    """Several callbacks as one, in order, but checkpoints last: they keep what the others know."""

    def __init__(self, callbacks: Callback | Iterable[Callback] | None = None) -> None:
        if callbacks is None:
            callbacks = ()
        every = [callbacks] if isinstance(callbacks, Callback) else list(callbacks)
        self.all = sorted(every, key=lambda callback: isinstance(callback, Checkpoint))

    def on_start(self, learner: Learner, metrics: Metrics) -> bool:
        going = True
        with contextlib.ExitStack() as begun:  # where one cannot begin, those before it end
            for callback in self.all:
                going = callback.on_start(learner, metrics) is not False and going
                begun.callback(callback.on_end, learner, metrics)
            begun.pop_all()
        return going

    def on_step(self, learner: Learner, metrics: Metrics) -> bool:
        return all([callback.on_step(learner, metrics) is not False for callback in self.all])

    def on_end(self, learner: Learner, metrics: Metrics) -> None:
        # Signals stay with who listens to them until all others are done. One that fails, as
        # curves do on a full disk, keeps no other from its end.
        every = sorted(self.all, key=lambda one: isinstance(one, StopOnInterrupt))
        with contextlib.ExitStack() as ends:
            for callback in reversed(every):
                ends.callback(callback.on_end, learner, metrics)

    def state(self) -> dict[str, Any]:
        return {name: callback.state() for name, callback in self._named()}

    def restore(self, state: dict[str, Any]) -> None:
        for name, callback in self._named():
            if name in state:
                callback.restore(state[name])

    def _named(self) -> list[tuple[str, Callback]]:
        """Each callback under its class's name and its place among those of that class."""
        names = [type(callback).__name__ for callback in self.all]
        return [(f"{name}-{names[:i].count(name)}", self.all[i]) for i, name in enumerate(names)]


class Every(Callback, abc.ABC):
    """A callback that acts whenever `every` more timesteps are over, and at the end of training.

    An interrupted training ends without the last act unless `on_interrupt` is set.
    """

    on_interrupt = False

    def __init__(self, every: int) -> None:
        if every < 1:
            raise ValueError(f"every={every}: give a number of timesteps above 0")
        self.every = every
        self._acted = 0  # timesteps at the last act

    @abc.abstractmethod
    def act(self, learner: Learner, metrics: Metrics) -> bool | None:
        """What is to be done; False ends the training."""

    def on_step(self, learner: Learner, metrics: Metrics) -> bool | None:
        if learner.num_timesteps // self.every == self._acted // self.every:
            return None
        self._acted = learner.num_timesteps
        return self.act(learner, metrics)

    def on_end(self, learner: Learner, metrics: Metrics) -> None:
        whole = learner.between_updates and (learner.finished or self.on_interrupt)
        if whole and self._acted != learner.num_timesteps:
            self._acted = learner.num_timesteps
            self.act(learner, metrics)

    def state(self) -> dict[str, Any]:
        return {"acted": self._acted}

    def restore(self, state: dict[str, Any]) -> None:
        self._acted = int(state["acted"])


class Checkpoint(Every):
    """Writes the learner to `path` every `every` timesteps and at the end: resumable exactly."""

    on_interrupt = True

    def __init__(self, path: str | os.PathLike[str], every: int) -> None:
        super().__init__(every)
        self.path = path

    def act(self, learner: Learner, metrics: Metrics) -> None:
        learner.save(self.path)


class Validation(Every):
    """Walks an evaluation split, keeps the best weights, and stops when they stay the best.

    Adds what the learner's `validate(env)` finds to the metrics: `eval/error` (share of wrong
    answers), `eval/mean_reward` and, where it tells, `eval/cross_entropy` (nats). Of equal errors
    the lower cross-entropy is better, or the higher reward where there is none. Where the agent
    answers when it likes, the higher reward is better, since it counts the cost of glimpses too.

    State: `error`, `cross_entropy` and `timesteps` of the best so far, its `weights`, and
    `history`, one (timesteps, error, mean reward) for each validation.

    Args:
        env: a vector environment on `validation`, autoreset disabled, one path a scene.
        every: timesteps between validations.
        patience: stop after so many validations in a row without a better one; None: never.
        path: where the best learner is saved, if anywhere.
    """

    def __init__(
        self,
        env: VectorEnv,
        every: int,
        *,
        patience: int | None = None,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(every)
        self.env = env
        self.patience = patience
        self.path = path
        self.error = float("inf")
        self.cross_entropy = float("inf")
        self.rank = (float("inf"), float("inf"))  # the lower the better
        self.timesteps = 0
        self.weights: dict[str, torch.Tensor] | None = None
        self.history: list[tuple[int, float, float]] = []
        self._worse = 0  # validations since the best

    def on_start(self, learner: Learner, metrics: Metrics) -> bool:
        return self._hopes  # else it was cut off between its last update and its end

    @property
    def _hopes(self) -> bool:
        """Whether patience is left."""
        return self.patience is None or self._worse < self.patience

    def act(self, learner: Learner, metrics: Metrics) -> bool:
        found = learner.validate(self.env)
        metrics.update(found)
        error, reward = found["eval/error"], found["eval/mean_reward"]
        self.history.append((learner.num_timesteps, error, reward))
        rank = rank_of(found, getattr(self.env.unwrapped, "stop", False))
        if rank < self.rank:
            self.rank = rank
            self.error = error
            self.cross_entropy = found.get("eval/cross_entropy", -reward)
            self.timesteps = learner.num_timesteps
            self.weights = copy.deepcopy(learner.network.state_dict())
            self._worse = 0
            if self.path is not None:
                learner.save(self.path)
        else:
            self._worse += 1
        return self._hopes

    def restore_best(self, learner: Learner) -> None:
        """Give the learner the best weights seen."""
        if self.weights is not None:
            learner.network.load_state_dict(self.weights)

    def state(self) -> dict[str, Any]:
        return {
            **super().state(),
            "error": self.error,
            "cross_entropy": self.cross_entropy,
            "rank": self.rank,
            "timesteps": self.timesteps,
            "weights": self.weights,
            "history": self.history,
            "worse": self._worse,
        }

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.error = float(state["error"])
        self.cross_entropy = float(state["cross_entropy"])
        first, second = state.get("rank", (self.error, self.cross_entropy))
        self.rank = float(first), float(second)
        self.timesteps = int(state["timesteps"])
        self.weights = state["weights"]
        self.history = list(state["history"])
        self._worse = int(state["worse"])


def rank_of(found: Metrics, stops: bool) -> tuple[float, float]:
    """What the best is chosen by, the lower the better: see `Validation`.

    `stops` says whether the agent answers when it likes.
    """
    error, reward = found["eval/error"], found["eval/mean_reward"]
    if stops:
        return -reward, error
    return error, found.get("eval/cross_entropy", -reward)


STOPS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""The signals that ask for an end: Ctrl-C, a scheduler's or the system's, a closed terminal's."""


class StopOnInterrupt(Callback):
    """Ctrl-C, SIGTERM and SIGHUP end the training after the present update, to go on exactly.

    Ctrl-C after any of them interrupts at once. SIGHUP that is ignored, as under nohup, stays so.
    Only the main thread can listen; in others nothing does.

    State: `signal`, the number of the first that came, or None.
    """

    signal: int | None = None

    @property
    def interrupted(self) -> bool:
        """Whether one came."""
        return self.signal is not None

    def on_start(self, learner: Learner, metrics: Metrics) -> None:
        self.signal = None
        self._before: dict[int, Any] = {}
        if threading.current_thread() is not threading.main_thread():
            return
        for number in STOPS:
            if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._interrupt)

    def on_step(self, learner: Learner, metrics: Metrics) -> bool:
        return not self.interrupted

    def on_end(self, learner: Learner, metrics: Metrics) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, frame: Any) -> None:
        # Schedulers may send theirs twice, to a process and to its group; people mean it.
        if self.interrupted and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = self.signal or number
