"""Images a second of every soft classifier's training, on one core.

    SACCADE_DATA=... python benchmarks/soft_step.py

Each network trains at its defaults on one id's scenes, all ways of running it in turns in one run:
float32 and bfloat16, channels first and last, and, with `--compile`, compiled. The share of the
environment and the ratio to the bare network (its loss and gradients on a batch that stays) stand
beside it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core, also for the products

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import torch

import saccade  # noqa: F401  (registers the environments)
from saccade.agents.learners import LEARNERS
from saccade.agents.soft.classifier import Classifier

WAYS: dict[str, dict[str, Any]] = {
    "float32": {},
    "bfloat16": {"precision": "bfloat16"},
}


def make_learner(name: str, env_id: str, batch: int, canvas: int, **keywords: Any) -> Classifier:
    """A classifier on fresh scenes of an id, ready for its updates."""
    env = gymnasium.make_vec(
        env_id,
        num_envs=batch,
        vector_kwargs=None,
        canvas=canvas,
        autoreset_mode="Disabled",
        **LEARNERS[name].env_defaults,
    )
    learner = LEARNERS[name].load()(env, **keywords)
    learner.total_timesteps = 10**9
    return learner


def bare(learner: Classifier) -> Callable[[], None]:
    """The network's loss, its gradients and the optimiser's step, on one batch that stays."""
    observation, info = learner.env.reset(seed=0)
    images, labels = learner._images(observation["image"]), learner._tensor(info["label"])

    def step() -> None:
        learner.network.train()
        with learner._precision():
            loss, _ = learner.network.loss(images, labels, learner._criterion)
        learner.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        learner.optimizer.step()

    return step


def channels_first(learner: Classifier) -> Classifier:
    """The same learner with its weights and images in PyTorch's own layout."""
    learner.network.to(memory_format=torch.contiguous_format)
    learner._images = lambda images: learner._tensor(images).contiguous()  # type: ignore[method-assign]
    return learner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    soft = [name for name, learner in LEARNERS.items() if learner.whole]
    parser.add_argument("--agents", nargs="+", choices=soft, default=soft)
    parser.add_argument("--env", default="saccade/ClutteredMNIST-v0")
    parser.add_argument("--canvas", type=int, default=60)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="updates a round")
    parser.add_argument("--compile", action="store_true", help="measure compiled networks too")
    options = parser.parse_args()
    ways = {**WAYS, **({"compiled": {"compile": True}} if options.compile else {})}
    print(f"{options.env}, canvas {options.canvas}, batch {options.batch}, one thread")
    columns = [*ways, "channels first", "bare float32", "of bare", "environment"]
    print("".join(f"{word:>16}" for word in ["agent", *columns]))
    for name in options.agents:
        arguments = (name, options.env, options.batch, options.canvas)
        learners = {way: make_learner(*arguments, **keywords) for way, keywords in ways.items()}
        first = channels_first(make_learner(*arguments))
        plain = learners["float32"]
        steps: dict[str, Callable[[], Any]] = {
            way: (lambda learner=learner: learner._update(learner.env))
            for way, learner in learners.items()
        }
        steps["channels first"] = lambda learner=first: learner._update(learner.env)
        steps["bare float32"] = bare(make_learner(*arguments))
        steps["environment"] = lambda learner=plain: learner._reset(learner.env)
        taken: dict[str, list[float]] = {way: [] for way in steps}
        for number in range(options.rounds + 1):
            for way, step in steps.items():
                start = time.perf_counter()
                for _ in range(options.steps):
                    step()
                if number:  # the first round warms up
                    taken[way].append((time.perf_counter() - start) / options.steps)
        seconds = {way: statistics.median(times) for way, times in taken.items()}
        rates = [f"{options.batch / seconds[way]:,.0f}" for way in [*ways, "channels first"]]
        rates.append(f"{options.batch / seconds['bare float32']:,.0f}")
        rates.append(f"{seconds['bare float32'] / seconds['float32']:.2f}")
        rates.append(f"{100 * seconds['environment'] / seconds['float32']:.1f}%")
        print("".join(f"{word:>16}" for word in [name, *rates]), flush=True)


if __name__ == "__main__":
    main()
