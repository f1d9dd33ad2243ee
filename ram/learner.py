"""RAM, a learner with the face of a stable-baselines3 model: `learn`, `predict`, `save`, `load`.

The rollout and the update are in `RAM._update`, in the order in which they happen; the loss is in
`loss.py`, the networks in `networks.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from . import checkpoint, distributed, sizes
from .callbacks import Metrics
from .checkpoint import CheckpointError
from .descent import make_optimizer
from .halting import halted, halting_loss
from .hyperparameters import check, types_of
from .loss import hybrid_loss
from .networks import LookingNetwork, RAMNetwork, State
from .recorder import Recorder, Update
from .resident import Resident
from .rollout import Rollout
from .task import Task, make
from .training import KEPT, GradientLearner
from .validating import validate

__all__ = ["RAM", "CheckpointError"]

_VERSION = 1
_KEYS = KEPT | {"task", "generator"}


class RAM(GradientLearner):
    """The Recurrent Attention Model, learning where to look in a glimpse environment.

    Where the environment lets it stop (`stop=True`), a halting unit learns when (`halting.py`).
    Training goes through the environment's `reset` and `step` alone, a whole episode of every
    lane at a time. The same seed gives the same bytes, also where a saved learner goes on.

    Args:
        env: a native vector environment with action "dict" or "box" and autoreset disabled, or
            the id of one; with a `Task` alone, the learner can predict but not learn.
        num_envs: lanes; an environment that is given decides by itself.
        paths: neighbouring lanes that share a scene; an environment that is given decides.
        filters: how many 3x3 filters each layer has that sees a glimpse, the first at every pixel,
            the others at every second; None, the paper's: "what" sees the pixels themselves.
        core: "rnn", the paper's rectified core, or "lstm".
        what: features of what is seen.
        where: features of where it is seen.
        glimpse_features: features of both together.
        hidden: size of the core.
        location_hidden: size of a rectified layer before the location; 0 for none, the paper's.
        gain: what glimpses are multiplied with before the network, for scenes that are mostly dark.
        std: standard deviation of drawn fixations, at first.
        std_final: at the end of training, reached linearly; None: it stays.
        answer_every_step: cross-entropy on the answers after every glimpse, not only where an
            answer is due.
        reward: what fixations are paid in: the environment's reward ("success"), or the truth's
            log-probability averaged over the answers still to come ("log_prob"). Tasks without
            answers (acts, aims) always pay their reward.
        discount: what the environment's reward is worth a step earlier.
        baseline: "learned" from the core, "leave_one_out" (mean return of the scene's other
            paths), or "auto": the latter where there are several paths.
        normalize_advantage: scale advantages to mean 0 and deviation 1 in every update.
        through_core: let REINFORCE's gradient into core and glimpse networks too.
        location_weight: weight of the fixations' REINFORCE in the loss.
        entropy_weight: weight of the entropy of acts, in tasks with acts.
        label_smoothing: share of the cross-entropy spent on all classes alike.
        optimizer: "adam" (decoupled weight decay) or "sgd".
        learning_rate: its peak.
        schedule: of the learning rate over `total_timesteps`.
        warmup: share of the training over which "one-cycle" rises to its peak.
        momentum: of "sgd".
        weight_decay: of either optimizer.
        max_grad_norm: longest gradient; 0: any.
        precision: of glimpse network and core in training; "bfloat16" is faster where the processor
            has it. Places, answers, losses, weights and predictions are always float32.
        log_interval: updates between two measurements.
        seed: of weights, draws, and the environment's walk.
        device: where the networks live.

    Attributes: `num_timesteps` of all lanes so far, `metrics` (the newest value of everything
    measured), `network` (a `RAMNetwork`), `env`, `task`, `hyperparameters`.

    Raises ValueError for a hyperparameter out of range or an environment that does not fit.
    """

    network: LookingNetwork
    kind: ClassVar[str] = "saccade.ram.RAM"
    """What its checkpoints say that they are."""
    reveal: ClassVar[tuple[str, ...]] = ()
    """What its environment has to show beside glimpses."""

    def __init__(
        self,
        env: VectorEnv | str | Task,
        *,
        num_envs: int = 256,
        paths: int = 4,
        filters: tuple[int, ...] | None = None,
        core: Literal["rnn", "lstm"] = "rnn",
        what: int = 128,
        where: int = 128,
        glimpse_features: int = 256,
        hidden: int = 256,
        location_hidden: int = 0,
        gain: float = 1.0,
        std: float = 0.15,
        std_final: float | None = None,
        answer_every_step: bool = True,
        reward: Literal["success", "log_prob"] = "log_prob",
        discount: float = 1.0,
        baseline: Literal["auto", "learned", "leave_one_out"] = "auto",
        normalize_advantage: bool = True,
        through_core: bool = True,
        location_weight: float = 1.0,
        entropy_weight: float = 0.0,
        label_smoothing: float = 0.0,
        optimizer: Literal["adam", "sgd"] = "adam",
        learning_rate: float = 2e-3,
        schedule: Literal["one-cycle", "cosine", "linear", "constant"] = "one-cycle",
        warmup: float = 0.2,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        max_grad_norm: float = 1.0,
        precision: Literal["float32", "bfloat16"] = "float32",
        log_interval: int = 20,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self._set_up(types_of(RAM), locals())

    def _set_up(self, types: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        """Begin with the keywords that `__init__` was given; `types` are its hyperparameters'."""
        super().__init__({name: given[name] for name in types}, given["device"])
        h = self.hyperparameters
        check(h, types)
        self.env: Any = None
        if isinstance(given["env"], Task):
            self.task = given["env"]
        else:
            self._enter(given["env"])
        self._generator = torch.Generator().manual_seed(h["seed"])
        self._predict_generator = torch.Generator().manual_seed(h["seed"])
        with torch.random.fork_rng(devices=()):  # the global generator is the user's
            torch.manual_seed(h["seed"])
            self.network = sizes.built(self._build).to(self.device)
        self.optimizer = make_optimizer(
            h["optimizer"],
            self.network.parameters(),
            h["learning_rate"],
            h["momentum"],
            h["weight_decay"],
        )

    def _build(self) -> LookingNetwork:
        """The network of this task, with weights as the global generator draws them."""
        h = self.hyperparameters
        sizes = ("filters", "core", "what", "where", "glimpse_features", "hidden")
        chosen = {name: h[name] for name in (*sizes, "location_hidden", "gain")}
        shape = self.task.glimpse_shape
        return RAMNetwork(shape, self.task.answers, halting=self.task.stop, **chosen)

    def _enter(self, env: VectorEnv | str) -> None:
        """Take an environment; it says how many lanes there are and how many share a scene."""
        h = self.hyperparameters
        if isinstance(env, str):
            env = make(env, h["num_envs"], h["paths"], self.reveal)
        self.env = env
        self.task = Task.of(self.env)
        h["num_envs"] = self.env.num_envs * distributed.world().size
        h["paths"] = getattr(self.env.unwrapped, "paths", 1)
        if h["baseline"] == "leave_one_out" and h["paths"] < 2:
            raise ValueError(
                "baseline='leave_one_out' needs several paths of each scene: make the environment "
                "with paths=4, or take baseline='learned'"
            )

    @property
    def std(self) -> float:
        """Standard deviation that fixations are drawn with now."""
        first, last = self.hyperparameters["std"], self.hyperparameters["std_final"]
        return first if last is None else first + (last - first) * self.progress

    # ------------------------------------------------------------------ learning

    def _start(self) -> None:
        self._recorder = Recorder(self.hyperparameters["log_interval"])
        self._resident: Resident | None = None
        self._asked_resident = False  # whether it is known if there is one

    def _update(self, env: Any) -> Metrics:
        """An episode of T glimpses in every lane, then a step down the gradient of its loss."""
        glimpses, lanes = env.unwrapped.glimpses, env.num_envs  # T, B
        if not self._asked_resident:
            self._resident, self._asked_resident = Resident.of(self, env), True
        noise = self._drawn(torch.randn, (glimpses, lanes, 2), 1)
        observation, info = self._reset(env)
        if self._resident:
            measured = self._resident.update(self._seen(observation), info["label"], noise)
        else:
            rollout = self._look(env, observation, info, noise.to(self.device))
            loss, update = self.learn_from(rollout, self.std)
            measured = update.numbers(self._descend(loss))
        self.num_timesteps += glimpses * lanes * distributed.world().size
        return self._recorder.add(measured, self)

    def _look(self, env: Any, observation: Any, info: Any, noise: Tensor) -> Rollout:
        """Look through the environment: a glimpse, the core's state after it, a fixation drawn."""
        network, std, task = self.network, self.std, self.task
        acting = task.judged == "act"
        state = network.begin(self._seen(observation))
        rollout = Rollout()
        for noise_now in noise:
            rollout.labels.append(self._tensor(info["label"]))  # (B,), of what is asked now
            seen = self._seen(observation)
            with self.precision():
                state = network.see(seen["glimpse"], seen["fixation"], state)
            mean, scores = self.read(state, rollout)  # (B, 2), (B, K)
            fixation = mean + std * noise_now
            act = self._act(scores, self._drawn(torch.rand, scores.shape)) if acting else None
            self._check_finite("fixation", fixation)
            action = task.batch_actions(fixation, scores, act)
            observation, reward, _, _, info = env.step(action)
            rollout.drawn.append(fixation)
            rollout.rewards.append(self._tensor(reward).float())
            if act is not None:
                rollout.acts.append(act)
        rollout.success = self._tensor(info["is_success"])
        return rollout

    def read(self, state: State, rollout: Rollout) -> tuple[Tensor, Tensor]:
        """A fixation's mean (B, 2) and the answers' scores (B, K), to act on without a gradient.

        The rollout keeps them with theirs.
        """
        network = self.network
        looks = network.looks_from(state).float()  # (B, hidden)
        through = self.hyperparameters["through_core"] or network.looks_apart
        mean = network.location(looks if through else looks.detach())
        scores = network.answer(network.answers_from(state).float())
        rollout.looking.append(looks)
        rollout.means.append(mean)
        rollout.scores.append(scores)
        return mean.detach(), scores.detach()

    def learn_from(self, rollout: Rollout, std: float | Tensor) -> tuple[Tensor, Update]:
        """The loss of what was looked at, and its parts. Nothing in it waits for the device."""
        h, network, task = self.hyperparameters, self.network, self.task
        acting = task.judged == "act"
        glimpses = len(rollout.looking)
        # Where no aim is judged, the last one drawn is left out: no glimpse came from it.
        aims = glimpses if task.judged == "aim" else glimpses - 1  # D
        decisions = glimpses if acting else aims
        means = torch.stack(rollout.means[:aims])
        every = acting or task.stop or h["answer_every_step"]
        times = list(range(glimpses)) if every else task.due(glimpses)
        scores = torch.stack([rollout.scores[t] for t in times])  # (S, B, K)
        expected = None  # (D, B)
        if not self._leave_one_out:
            looking = rollout.looking[:decisions]
            expected = torch.stack([network.baseline(after.detach()) for after in looking])
        labels = torch.stack(rollout.labels)  # (T, B)
        paid, success = torch.stack(rollout.rewards), rollout.success  # (T, B), (B,)
        length = paid.new_full((), glimpses)
        halting = paid.new_zeros(())
        if network.halt is not None:
            # It was played to the end; here is where it would have stopped, and what for.
            logits = network.halt(torch.stack(rollout.looking), scores)  # (T, B)
            stops = self._drawn(torch.rand, logits.shape, 1).to(logits) < logits.sigmoid()
            right = scores.argmax(-1) == labels
            episodes = halted(stops, right, task.glimpse_cost)
            halting = halting_loss(logits, right, task.glimpse_cost)
            paid, success = episodes.rewards, episodes.right
            length = episodes.length.float().mean()
        if success is None:  # nobody but the answer itself says so
            success = scores.detach()[-1].argmax(-1) == labels[-1]
            paid = torch.cat((paid[:-1], success[None].float()))
        losses = hybrid_loss(
            scores=scores if task.answers else None,
            means=means,  # (D, B, 2)
            drawn=torch.stack(rollout.drawn[:aims]),
            expected=expected,
            labels=torch.stack([rollout.labels[t] for t in times]),
            rewards=paid,
            std=std,
            paths=h["paths"],
            reward=h["reward"] if task.judged == "answer" else "success",
            normalize_advantage=h["normalize_advantage"],
            location_weight=h["location_weight"],
            label_smoothing=h["label_smoothing"],
            times=times,
            acts=torch.stack(rollout.acts) if acting else None,
            discount=h["discount"],
            entropy_weight=h["entropy_weight"],
        )
        return losses.total + halting, Update(losses, means, paid, success, length)

    def _drawn(self, sample: Any, shape: Sequence[int], lanes: int = 0) -> Tensor:
        """Random numbers of this shape, whose axis `lanes` is that of the lanes."""
        return distributed.draw(sample, shape, lanes, self._generator)

    def _act(self, scores: Tensor, drawn: Tensor) -> Tensor:
        """An act of each row, by the chances that scores (n, K) stand for; `drawn` is uniform."""
        return (scores - (-drawn.to(self.device).log()).log()).argmax(-1)  # Gumbel's trick

    _remedy = "lower learning_rate or location_weight, or raise std"

    @property
    def _leave_one_out(self) -> bool:
        h = self.hyperparameters
        return h["baseline"] == "leave_one_out" or (h["baseline"] == "auto" and h["paths"] > 1)

    def _seen(self, observation: Mapping[str, Any]) -> dict[str, Tensor]:
        return {name: self._tensor(observation[name]) for name in self.network.sees}

    # ------------------------------------------------------------------ acting

    def predict(
        self,
        observation: Mapping[str, Any],
        state: tuple[NDArray[np.float32], ...] | None = None,
        episode_start: ArrayLike | None = None,
        deterministic: bool = False,
    ) -> tuple[Any, tuple[NDArray[np.float32], ...]]:
        """The action after one more glimpse, and the state that goes with the next one.

        Args:
            observation: of one environment, or of n (a batched glimpse has four axes).
            state: what the call before returned, float32 (n, hidden) each; None at the start.
            episode_start: bool (n,), lanes whose episode begins here: their state is forgotten.
            deterministic: look at the mean fixation, instead of one drawn around it, and do what
                has the best score, in tasks with acts, and stop where that is the likelier.

        Returns:
            The action, NumPy, single where the observation is, and the new state.

        Raises:
            ValueError: a glimpse of another shape than the network's, or what it sees beside
                glimpses is not there.
        """
        single = self.task.is_single(observation, self.reveal)
        with torch.inference_mode():
            seen = self._seen(observation)
            if single:
                seen = {name: values[None] for name, values in seen.items()}
            begun = None if episode_start is None else np.asarray(episode_start, bool)
            if state is None:
                before = self.network.begin(seen)
            else:
                before = tuple(self._tensor(part) for part in state)
                if begun is not None and begun.any():
                    new = self._tensor(begun).reshape(-1, 1)
                    first = self.network.begin(seen)
                    before = tuple(
                        torch.where(new, *parts) for parts in zip(first, before, strict=True)
                    )
            after = self.network.see(seen["glimpse"], seen["fixation"], before)
            there = self.network.location(self.network.looks_from(after))  # (n, 2)
            scores, acts = self.network.answer(self.network.answers_from(after)), None
            if not deterministic:
                noise = torch.randn(there.shape, generator=self._predict_generator)
                there = there + self.std * noise.to(self.device)
                if self.task.judged == "act":
                    drawn = torch.rand(scores.shape, generator=self._predict_generator)
                    acts = self._act(scores, drawn)
            stops = None
            if self.network.halt is not None:
                logits = self.network.halt(self.network.looks_from(after), scores)
                bar = torch.full(logits.shape, 0.5)
                if not deterministic:
                    bar = torch.rand(logits.shape, generator=self._predict_generator)
                stops = logits.sigmoid() > bar.to(logits)
            action = self.task.batch_actions(there, scores, acts, stops)
        if single:
            action = self.task.single_action(action)
        return action, tuple(part.cpu().numpy() for part in after)

    def scores(self, state: tuple[NDArray[np.float32], ...]) -> NDArray[np.float32]:
        """The answers' log-probabilities (n, K), read off a state that `predict` returned.

        Their mean over several paths of a scene is the answer of all paths together.
        """
        with torch.inference_mode():
            known = self.network.answers_from(tuple(self._tensor(part) for part in state))
            return self.network.answer(known).log_softmax(-1).cpu().numpy()

    def validate(self, env: VectorEnv) -> Metrics:
        """Error, mean reward and cross-entropy (nats) of one deterministic path a scene of `env`.

        See `validating.validate`.
        """
        return validate(self, env)

    # ------------------------------------------------------------------ keeping

    def save(self, path: str | os.PathLike[str], *, to_learn: bool = True) -> None:
        """Write all that is needed to go on exactly; the file is there whole or not at all.

        Only between updates, when callbacks are called: half an update cannot be taken up again.
        Without `to_learn` the file is a third as large, and what is loaded from it only predicts.
        Raises FloatingPointError where the weights are no longer numbers.
        """
        if self._resident:
            self._resident.check()
        content = {
            "kind": self.kind,
            "version": _VERSION,
            "task": self.task.to_dict(),
            "generator": self._generator.get_state(),
            "predict_generator": self._predict_generator.get_state(),
            **self.kept(to_learn),
        }
        checkpoint.write(path, content)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        env: VectorEnv | str | None = None,
        device: str = "cpu",
    ) -> Self:
        """The learner that was saved; with an environment it can go on learning.

        Raises CheckpointError where the file is missing, damaged, of another kind, or was trained
        on other glimpses or answers than the environment's.
        """
        content = checkpoint.from_plain(checkpoint.read(path, cls.kind, _VERSION, _KEYS))
        try:
            with sizes.expecting(content["network"]):
                learner = cls(Task(**content["task"]), device=device, **content["hyperparameters"])
            learner.take_up(content)
            learner._generator.set_state(content["generator"])
            if "predict_generator" in content:  # which earlier versions did not keep
                learner._predict_generator.set_state(content["predict_generator"])
        except Exception as error:
            raise checkpoint.unfit(path, error) from error
        if env is not None:
            trained = learner.task
            learner._enter(env)
            shapes = [f"{name}_shape" for name in ("glimpse", *cls.reveal)]
            for name in (*shapes, "answers", "judged"):
                old, new = getattr(trained, name), getattr(learner.task, name)
                if old != new:
                    raise CheckpointError(f"{path}: trained with {name} {old}, not {new}")
        return learner
