"""The trainer of classifiers that see whole images: a learner of a run, as RAM and PPO are.

It knows no network by name; `classifier_of` makes a learner of any `SoftNetwork`.
"""

from __future__ import annotations

import functools
import inspect
import math
import os
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from ...ram import checkpoint, distributed, sizes
from ...ram.callbacks import Metrics
from ...ram.checkpoint import CheckpointError
from ...ram.descent import make_optimizer
from ...ram.hyperparameters import check, types_of
from ...ram.training import KEPT, GradientLearner
from .augment import Augmentation
from .base import SoftNetwork
from .norm import share_norms
from .sight import Sight

_KIND, _VERSION = "saccade.agents.soft.Classifier", 1
_KEYS = KEPT | {"architecture", "sight", "random"}


class Classifier(GradientLearner):
    """A classifier of whole images that learns from the scenes of a glimpse environment.

    A timestep is an image: every reset of the environment brings the next batch, scenes drawn
    anew, and the answer ends the episode. Training goes down the network's own loss, mostly the
    cross-entropy of its answers.

    Args:
        env: a native vector environment with action "dict", one glimpse, the image revealed and
            autoreset disabled; or a `Sight`, for a learner that only predicts.
        num_envs: lanes: images in a batch; an environment that is given decides by itself.
        label_smoothing: share of the cross-entropy spent on all classes alike.
        shift: images are moved by up to so many pixels along each axis in training.
        rotate: turned by up to so many degrees.
        zoom: enlarged or reduced by up to this share.
        elastic: bent: knots 9 pixels apart move by a Gaussian of so many pixels along each axis.
        optimizer: "adam" (decoupled weight decay) or "sgd".
        learning_rate: its peak.
        schedule: of the learning rate over `total_timesteps`.
        warmup: share of the training over which "one-cycle" rises to its peak.
        momentum: of "sgd".
        weight_decay: of either optimizer.
        max_grad_norm: longest gradient; 0: any.
        precision: of products and convolutions in training; "bfloat16" is faster where the
            processor has it. Weights, losses and predictions are always float32.
        compile: let PyTorch compile the network's loss; needs a C++ compiler, and minutes.
        log_interval: updates between two measurements.
        seed: of weights, draws, and the environment's walk.
        device: where the network lives.
        options: the network's own keywords.

    Attributes: `num_timesteps` so far, `metrics` (the newest value of everything measured),
    `network` (a `SoftNetwork`), `env`, `sight`, `hyperparameters`.

    Raises ValueError for a hyperparameter out of range or an environment that does not fit.
    """

    architecture: ClassVar[type[SoftNetwork]]
    network: SoftNetwork
    whole: ClassVar[bool] = True
    """It sees the whole image: it has no gaze to be measured."""

    def __init__(
        self,
        env: Any,
        *,
        num_envs: int = 128,
        label_smoothing: float = 0.0,
        shift: float = 0.0,
        rotate: float = 0.0,
        zoom: float = 0.0,
        elastic: float = 0.0,
        optimizer: Literal["adam", "sgd"] = "adam",
        learning_rate: float = 2e-3,
        schedule: Literal["one-cycle", "cosine", "linear", "constant"] = "one-cycle",
        warmup: float = 0.2,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        max_grad_norm: float = 1.0,
        precision: Literal["float32", "bfloat16"] = "float32",
        compile: bool = False,
        log_interval: int = 20,
        seed: int = 0,
        device: str = "cpu",
        **options: Any,
    ) -> None:
        given = locals()
        types = {name: kind for name, kind in types_of(Classifier).items() if name != "options"}
        own = {name: given[name] for name in types}
        check(own, types)
        super().__init__(own | options, device)
        self.env = None
        if isinstance(env, Sight):
            self.sight = env
        else:
            self.env = env
            self.sight = Sight.of(env)
            self.hyperparameters["num_envs"] = env.num_envs * distributed.world().size
        self._augment = Augmentation(shift, rotate, zoom, elastic)
        with torch.random.fork_rng(devices=()):  # the global generator is the user's
            torch.manual_seed(seed)
            self.network = sizes.built(
                lambda: self.architecture(self.sight.image_shape, self.sight.classes, **options)
            ).to(self.device)
            self._random = torch.get_rng_state()  # dropout and augmentation draw from here
        share_norms(self.network)
        for weights in self.network.parameters():
            if weights.dim() == 4:  # convolutions are faster with channels last
                weights.data = weights.data.contiguous(memory_format=torch.channels_last)
        self.optimizer = make_optimizer(
            optimizer, self.network.parameters(), learning_rate, momentum, weight_decay
        )
        self._loss = torch.compile(self.network.loss) if compile else self.network.loss

    @classmethod
    def parameters(cls) -> dict[str, inspect.Parameter]:
        """Every keyword, the network's own among them."""
        own = inspect.signature(Classifier, eval_str=True).parameters
        found = {name: p for name, p in own.items() if p.kind is p.KEYWORD_ONLY}
        network = inspect.signature(cls.architecture, eval_str=True).parameters
        return found | {name: p for name, p in network.items() if p.kind is p.KEYWORD_ONLY}

    # ------------------------------------------------------------------ learning

    def _start(self) -> None:
        self._meter = _Meter(self.hyperparameters["log_interval"])

    def _update(self, env: Any) -> Metrics:
        """A batch of fresh scenes, then a step down the gradient of the network's loss."""
        observation, info = self._reset(env)
        labels = self._tensor(info["label"])  # (B,)
        self.network.train()
        with torch.random.fork_rng(devices=()):
            self._take_turn()
            images = self._augment(self._images(observation["image"]))  # (B, C, H, W)
            with self.precision():
                loss, scores = self._loss(images, labels, self._criterion)
            norm = self._descend(loss)
            self._random = torch.get_rng_state()
        self.num_timesteps += len(labels) * distributed.world().size
        right = (scores.detach().argmax(-1) == labels).float().mean()
        return self._meter.add(torch.stack((loss.detach(), right, norm)), self)

    def _take_turn(self) -> None:
        """Let PyTorch draw from where this learner's draws go on.

        Of several processes the first draws as one alone would; the others' draws follow from
        seed, timesteps and rank, so that checkpoints need not hold them.
        """
        torch.set_rng_state(self._random)
        rank = distributed.world().rank
        if rank:
            place = (self.hyperparameters["seed"], self.num_timesteps, rank)
            torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

    def _criterion(self, scores: Tensor, labels: Tensor) -> Tensor:
        smoothing = self.hyperparameters["label_smoothing"]
        return functional.cross_entropy(scores.float(), labels, label_smoothing=smoothing)

    def _images(self, images: Any) -> Tensor:
        return self._tensor(images).contiguous(memory_format=torch.channels_last)

    # ------------------------------------------------------------------ acting

    def scores(self, images: Any) -> Tensor:
        """Log-probabilities (n, K), float32, of images (n, C, H, W) in [0, 1]."""
        self.network.eval()
        with torch.inference_mode():
            return self.network(self._images(images)).float().log_softmax(-1)

    def predict(
        self,
        observation: Mapping[str, Any],
        state: Any = None,
        episode_start: ArrayLike | None = None,
        deterministic: bool = False,
    ) -> tuple[dict[str, NDArray], None]:
        """The answer to the image of one or n observations; the eye stays where it is.

        Args:
            observation: with `image` (C, H, W) or (n, C, H, W), and `fixation`.
            deterministic: the likeliest class, instead of one drawn by its probability.

        Raises:
            ValueError: an image of another number of channels than the network's.
        """
        image = np.asarray(observation["image"])
        single = image.ndim == 3
        if image.shape[-3] != self.sight.image_shape[0] or image.ndim not in (3, 4):
            raise ValueError(
                f"an image of shape {image.shape}, where this classifier sees images of shape "
                f"{self.sight.image_shape}"
            )
        scores = self.scores(image[None] if single else image)
        if deterministic:
            answer = scores.argmax(-1)
        else:
            with torch.random.fork_rng(devices=()):
                torch.set_rng_state(self._random)
                answer = scores.exp().multinomial(1)[:, 0]
                self._random = torch.get_rng_state()
        fixation = np.asarray(observation["fixation"], np.float32)
        said = answer.cpu().numpy()
        return {"fixation": fixation, "answer": said[0] if single else said}, None

    def validate(self, env: Any) -> Metrics:
        """Error, mean reward and cross-entropy (nats) on each scene of `env`'s split, once."""
        scenes, lanes = env.unwrapped.split_length, env.num_envs
        right = reward_sum = nats = 0.0
        for first in range(0, scenes, lanes):
            index = np.minimum(np.arange(first, first + lanes), scenes - 1)
            real = slice(0, min(lanes, scenes - first))  # the rest of the last batch only fills it
            observation, info = env.reset(options={"index": index})
            label = info["label"]
            scores = self.scores(observation["image"]).cpu().numpy()
            action = {"fixation": observation["fixation"], "answer": scores.argmax(-1)}
            _, reward, _, _, info = env.step(action)
            reward_sum += float(reward[real].sum())
            right += float(info["is_success"][real].sum())
            nats -= float(scores[np.arange(lanes), label][real].sum(dtype=np.float64))
        return {
            "eval/error": 1 - right / scenes,
            "eval/mean_reward": reward_sum / scenes,
            "eval/mean_ep_length": 1.0,
            "eval/cross_entropy": nats / scenes,
        }

    # ------------------------------------------------------------------ keeping

    def save(self, path: str | os.PathLike[str], *, to_learn: bool = True) -> None:
        """Write all that is needed to go on exactly; the file is there whole or not at all.

        Without `to_learn` the file is smaller, and what is loaded from it only predicts.
        """
        content = {
            "kind": _KIND,
            "version": _VERSION,
            "architecture": self.architecture.__name__,
            "sight": self.sight.to_dict(),
            "random": self._random,
            **self.kept(to_learn),
        }
        checkpoint.write(path, content)

    @classmethod
    def load(cls, path: str | os.PathLike[str], env: Any = None, device: str = "cpu") -> Classifier:
        """The learner that was saved; with an environment it can go on learning.

        Raises CheckpointError where the file is missing, damaged, of another kind or network, or
        was trained on other images or classes than the environment's.
        """
        content = checkpoint.from_plain(checkpoint.read(path, _KIND, _VERSION, _KEYS))
        if content["architecture"] != cls.architecture.__name__:
            raise CheckpointError(
                f"{path}: holds a {content['architecture']}, not a {cls.architecture.__name__}"
            )
        try:
            with sizes.expecting(content["network"]):
                learner = cls(
                    Sight(**content["sight"]), device=device, **content["hyperparameters"]
                )
            learner.take_up(content)
            learner._random = content["random"]
        except Exception as error:
            raise checkpoint.unfit(path, error) from error
        if env is not None:
            there = Sight.of(env)
            if there != learner.sight:
                raise CheckpointError(f"{path}: trained on {learner.sight}, not {there}")
            learner.env = env
            learner.hyperparameters["num_envs"] = env.num_envs * distributed.world().size
        return learner


@functools.cache
def classifier_of(network: type[SoftNetwork]) -> type[Classifier]:
    """The learner of a network."""
    return type(f"{network.__name__}Classifier", (Classifier,), {"architecture": network})


class _Meter:
    """Averages over `interval` updates. State: their numbers, and when it began."""

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self._kept: list[Tensor] = []
        self._began: float | None = None
        self._first = 0

    def add(self, numbers: Tensor, learner: Classifier) -> Metrics:
        """Means of loss, share right and gradient norm, every `interval` updates; else nothing."""
        self._kept.append(numbers)
        now = time.perf_counter()
        if self._began is None:  # the first update also warms up
            self._began, self._first = now, learner.num_timesteps
        if len(self._kept) < self.interval and not learner.finished:
            return {}
        means = torch.stack(self._kept).mean(0)
        distributed.average([means])
        loss, right, norm = means.tolist()
        self._kept.clear()
        if not math.isfinite(loss):
            learner._check_finite("loss", torch.tensor(loss))
        return {
            "rollout/ep_rew_mean": right,
            "rollout/ep_len_mean": 1.0,
            "time/fps": (learner.num_timesteps - self._first) / max(now - self._began, 1e-9),
            "time/total_timesteps": float(learner.num_timesteps),
            "train/loss": loss,
            "train/accuracy": right,
            "train/grad_norm": norm,
            "train/learning_rate": learner.learning_rate,
        }
