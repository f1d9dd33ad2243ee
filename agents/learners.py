"""The learners that a config can name: a new agent is one entry.

A learner is a class with the face of a stable-baselines3 model: `Learner(env, *, seed, device,
...)`, `learn(total_timesteps, callback)`, `predict`, `save(path)`, `load(path, env, device)`,
`num_timesteps`; beside it `validate(env)` and `network`. A classifier of whole images is a
`SoftNetwork`, which `agents.soft.classifier` trains. Entries are strings, so that naming one
imports nothing.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import UserError


@dataclass(frozen=True)
class Learner:
    """Where a learner's class is, and what a run decides for it.

    `entry` is "module:class" under `saccade`; `own` are keywords that a run sets itself and a
    config therefore cannot; `action` is the environment's action mode where the config names none;
    `autoreset` is how its training environment resets; `whole` says that it is a `SoftNetwork`,
    which sees the whole image and answers at once; `reveal` is what the environment shows beside
    glimpses where the config names nothing; `tensors` says that it learns from observations on its
    own device, where that is not the CPU.
    """

    entry: str
    action: str
    autoreset: str = "Disabled"
    own: frozenset[str] = frozenset({"env", "seed", "device"})
    whole: bool = False
    reveal: tuple[str, ...] = ()
    tensors: bool = False

    def load(self) -> Any:
        """Import and return the class."""
        module, name = self.entry.split(":")
        package = __name__.rsplit(".", 2)[0]
        found = getattr(importlib.import_module(f"{package}.{module}"), name)
        if not self.whole:
            return found
        from .soft.classifier import classifier_of

        return classifier_of(found)

    @property
    def env_defaults(self) -> dict[str, Any]:
        """The environment's keywords where a config names none."""
        shown = {"reveal": list(self.reveal)} if self.reveal else {}
        once = {"glimpses": 1} if self.whole else {}
        return {"action": self.action, **once, **shown}

    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The class's keywords; UserError where a package that it needs is missing."""
        try:
            learner = self.load()
            found = getattr(learner, "parameters", None)
            return found() if found else inspect.signature(learner, eval_str=True).parameters
        except ModuleNotFoundError as error:
            raise UserError(f"{error}") from None

    def restore(self, file: Path, env: Any = None, device: str = "cpu") -> Any:
        """The learner in a checkpoint; UserError where the file is damaged or does not fit."""
        check_device(device)
        try:
            return self.load().load(file, env=env, device=device)
        except (ValueError, OSError, RuntimeError) as error:
            raise UserError(f"{error}") from error


def _soft(entry: str) -> Learner:
    return Learner(f"agents.soft.{entry}", action="dict", whole=True, reveal=("image",))


LEARNERS: dict[str, Learner] = {
    "ram": Learner("ram.learner:RAM", action="dict", tensors=True),
    "dram": Learner("ram.dram:DRAM", action="dict", reveal=("context",), tensors=True),
    "ppo": Learner("agents.baselines:PPO", action="grid", autoreset="SameStep"),
    "a2c": Learner("agents.baselines:A2C", action="grid", autoreset="SameStep"),
    "dqn": Learner("agents.baselines:DQN", action="discrete", autoreset="SameStep"),
    "sac": Learner("agents.baselines:SAC", action="box", autoreset="SameStep"),
    "recurrent_ppo": Learner("agents.baselines:RecurrentPPO", action="grid", autoreset="SameStep"),
    "maskable_ppo": Learner(
        "agents.baselines:MaskablePPO", action="discrete", autoreset="SameStep"
    ),
    "ppo_location": Learner("agents.location:PPOLocation", action="box", autoreset="SameStep"),
    "sac_location": Learner("agents.location:SACLocation", action="box", autoreset="SameStep"),
    "fc": _soft("plain:FullyConnected"),
    "cnn": _soft("plain:CNN"),
    "resnet": _soft("resnet:ResNet"),
    "stn": _soft("stn:STN"),
    "ran": _soft("ran:RAN"),
    "dvan": _soft("dvan:DVAN"),
    "soft_ram": _soft("soft_ram:SoftRAM"),
}


def check_device(name: str) -> None:
    """UserError unless PyTorch knows the device and it is there."""
    if not is_here(name):
        raise UserError(f"device '{name}': not here; 'cpu' always is (--device cpu)")


def is_here(device: str) -> bool:
    """Whether PyTorch knows the device and this machine has it."""
    from ..envs.device import find

    try:
        find(device)
    except ValueError:
        return False
    return True
