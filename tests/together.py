"""Tiny trainings, each of a few updates, by one process or by several: `together.py FILE`.

The first process writes the weights and curves that they end in, by name, for a test to compare.
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from saccade.agents.config import resolve
from saccade.agents.learners import LEARNERS
from saccade.agents.train import _make_learner, _training_env
from saccade.ram import distributed
from saccade.ram.callbacks import Callback

SGD = {"optimizer": "sgd", "learning_rate": 0.05, "schedule": "constant", "log_interval": 1}
# Batch normalisation and bilinear reading blow rounding up.
GENTLE = {**SGD, "num_envs": 16, "learning_rate": 5e-3}
RAM = {**SGD, "num_envs": 16, "paths": 2, "hidden": 16}
DIGITS = {"canvas": 36, "glimpses": 3}
CASES: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "ram": ("TranslatedDigits-v0", DIGITS, "ram", RAM),
    "long gradients": ("TranslatedDigits-v0", DIGITS, "ram", {**RAM, "max_grad_norm": 1e-2}),
    "learned baseline": (
        "TranslatedDigits-v0",
        DIGITS,
        "ram",
        {**RAM, "paths": 1, "reward": "success", "core": "lstm"},
    ),
    "stop": ("TranslatedDigits-v0", {**DIGITS, "stop": True, "glimpse_cost": 0.1}, "ram", RAM),
    "acts": ("Catch-v0", {}, "ram", {**RAM, "entropy_weight": 0.01}),
    "aims": ("LocateDigits-v0", {"glimpses": 3}, "ram", RAM),
    "dram": ("TranslatedDigits-v0", DIGITS, "dram", RAM),
    "fc": ("TranslatedDigits-v0", {"canvas": 30}, "fc", {**SGD, "num_envs": 16}),
    "stn": ("TranslatedDigits-v0", {"canvas": 30}, "stn", GENTLE),
}


class Curve(Callback):
    """Keeps every update's loss."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_step(self, learner: Any, metrics: dict[str, float]) -> None:
        self.losses.append(metrics["train/loss"])


def trained(name: str, updates: int = 3) -> dict[str, Any]:
    """Weights, losses and checkpointed lanes of a training of so many updates."""
    env_id, options, agent, keywords = CASES[name]
    asked = {
        "env": {"id": f"saccade/{env_id}", **options},
        "agent": {"name": agent, **keywords},
        "seed": 3,
    }
    config = resolve(asked)
    env = _training_env(config)
    learner = _make_learner(config, env)
    steps = 1 if LEARNERS[agent].whole else env.unwrapped.glimpses
    curve = Curve()
    learner.learn(updates * steps * keywords["num_envs"], curve)
    kept = learner.kept()
    return {
        "weights": learner.network.state_dict(),
        "losses": curve.losses,
        "timesteps": learner.num_timesteps,
        "num_envs": kept["hyperparameters"]["num_envs"],
        "episode": torch.tensor(kept["walk"]["episode"]),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    with distributed.joined("cpu") as world:
        found = {name: trained(name) for name in CASES}
        if world.first:
            torch.save(found, sys.argv[1])
