"""Train what a config says: environments, learner, validation, checkpoints, a run folder.

Everything that can be wrong with a config shows before the folder is made. Ctrl-C and SIGTERM end
the training between two updates, with a checkpoint that `resume` goes on from to the same bytes.
Several processes that torchrun started train one run: the first validates and writes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ..ram import distributed
from ..ram.callbacks import Callback, Checkpoint, StopOnInterrupt, Validation
from ..ram.training import GradientLearner
from .config import Config, load_resolved
from .environments import EVALUATION_LANES, make_env
from .errors import UserError
from .journal import Journal
from .learners import LEARNERS, check_device
from .runs import RunFolder
from .warm_start import warm_start

PACKAGES = ("torch", "numpy", "gymnasium", "stable-baselines3", "sb3-contrib")
_LANES = ("num_envs", "paths")  # what an agent's keywords say of the training environment


@dataclass(frozen=True)
class Finished:
    """How a training ended: its folder, how far it came, and the signal that ended it early.

    `first` says whether this process is the one that writes, of several that trained together.
    """

    run: RunFolder
    timesteps: int
    signal: int | None = None
    first: bool = True

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended it before its time."""
        return self.signal is not None


def train(
    config: Config, runs: str | Path = "runs", callbacks: Sequence[Callback] = ()
) -> Finished:
    """Train from the beginning into a new folder under `runs`.

    `callbacks` come behind those that validate and write. Raises UserError, before anything is
    written, where the environment or the learner refuse their keywords.
    """
    with _together(config):
        _set_threads(config)
        env = _training_env(config)
        learner = _make_learner(config, env)
        begun = warm_start(config, learner, runs)
        evaluation = _evaluation_envs(config)
        text = config.to_yaml()
        made = distributed.from_first(
            lambda: str(RunFolder.create(runs, config.name, config.seed, text).path)
        )
        run = RunFolder(Path(made))
        with _claimed(run):
            _note(run, _circumstances(config, text) | begun)
            return _learn(config, run, learner, evaluation, callbacks)


def resume(
    path: str | Path, callbacks: Sequence[Callback] = (), device: str | None = None
) -> Finished:
    """Go on with an interrupted run, in its folder, from its last checkpoint.

    One that was killed before its first checkpoint begins anew, with the same seed. On another
    `device` than the run's it goes on with the same weights, optimiser and scenes, and ends in
    other bytes, as devices round differently; `metrics.json` then names both, and None is where it
    was last.
    """
    run = RunFolder.open(path)
    config = load_resolved(run.config)
    devices = str(run.metrics().get("device", config.device)).split(", ")
    moved = devices[-1] if len(devices) > 1 else None
    config = replace(config, device=device or moved or config.device)
    with _together(config), _claimed(run):
        if run.kept:
            raise UserError(f"{path}: a kept model, without what training needs: train anew")
        if run.metrics().get("finished"):
            raise UserError(f"{path}: has finished, there is nothing to resume")
        if distributed.world().first:
            run.tidy()
        _set_threads(config)
        env = _training_env(config)
        if run.has_checkpoint("last"):
            file = run.checkpoint("last")
            learner = LEARNERS[config.agent.name].restore(file, env, config.device)
            _check_unedited(config, run, learner)
            if devices[-1] != config.device:
                _note(run, {"device": ", ".join([*devices, config.device])})
        else:
            learner = _make_learner(config, env)
            begun = warm_start(config, learner, run.path.parent)
            text = run.config.read_text(encoding="utf-8")
            _note(run, _circumstances(config, text) | begun)
        return _learn(config, run, learner, _evaluation_envs(config), callbacks)


def resume_command(run: RunFolder) -> str:
    """What to type to go on with a run."""
    words = f"--resume {shlex.quote(str(run.path))}"
    size = distributed.launched().size
    if size == 1:
        return f"saccade train {words}"
    here = int(os.environ.get("LOCAL_WORLD_SIZE", size))
    options = f"--standalone --nproc-per-node {here}" if here == size else "OPTIONS"
    return f"torchrun {options} -m saccade.agents.train {words}"


@contextlib.contextmanager
def _together(config: Config) -> Iterator[None]:
    """With the processes that were launched with this one, each of which names itself in errors."""
    try:
        several = distributed.launched().size > 1
        if several and not issubclass(LEARNERS[config.agent.name].load(), GradientLearner):
            raise UserError(
                f"agent {config.agent.name}: trains in one process, without torchrun; several "
                "train ram, dram and the soft classifiers"
            )
        with distributed.joined(config.device):
            yield
    except (UserError, ValueError, distributed.Lost) as error:
        here = distributed.launched()
        if here.first and isinstance(error, UserError):
            raise
        who = "" if here.first else f"process {here.rank} of {here.size}: "
        raise UserError(f"{who}{error}") from error


def _claimed(run: RunFolder) -> contextlib.AbstractContextManager[None]:
    return run.claimed() if distributed.world().first else contextlib.nullcontext()


def _note(run: RunFolder, changes: dict[str, Any]) -> None:
    """Into metrics.json, by the one process that writes."""
    if distributed.world().first:
        run.update_metrics(changes)


def _check_unedited(config: Config, run: RunFolder, learner: Any) -> None:
    """UserError where the config asks for another learner than the one that goes on."""
    asked = {f"agent.{name}": value for name, value in config.agent.keywords.items()}
    begun = {f"agent.{name}": value for name, value in learner.hyperparameters.items()}
    begun["seed"] = begun.pop("agent.seed")
    for name, value in {**asked, "seed": config.seed}.items():
        if name in begun and _as_list(value) != _as_list(begun[name]):
            raise UserError(
                f"{run.config}: '{name}' is {value!r}, but the run was begun with "
                f"{begun[name]!r}: put that back, or train anew"
            )


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _learn(
    config: Config,
    run: RunFolder,
    learner: Any,
    evaluation: tuple[Any, Any],
    further: Sequence[Callback],
) -> Finished:
    stop = StopOnInterrupt()
    first = distributed.world().first
    callbacks = [stop, *(_recording(config, run, *evaluation) if first else ()), *further]
    try:
        learner.learn(config.train.total_timesteps, callbacks)
        told = distributed.highest(stop.signal or 0)  # a signal may reach one process alone
        signal = told if told and not learner.finished else None
        _note(run, {"finished": signal is None})
    except distributed.Lost as error:
        raise UserError(f"{error}; start all again with {resume_command(run)}") from error
    except (FloatingPointError, ValueError) as error:  # diverged, or a config edited since
        raise UserError(f"{run.path}: {error}") from error
    except OSError as error:  # no room left, a folder that is gone
        what = f"{error.filename or run.path}: {error.strerror or error}"
        kept = "the last checkpoint is whole" if run.has_checkpoint("last") else "nothing is saved"
        then = f"when that is mended, go on with {resume_command(run)}"
        raise UserError(f"{what}: training ended, {kept}; {then}") from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"ended at once; go on with {resume_command(run)}") from None
    for env in (learner.env, *evaluation):
        if env is not None:
            env.close()
    return Finished(run, learner.num_timesteps, signal, first)


def _recording(config: Config, run: RunFolder, unseen: Any, watched: Any) -> list[Callback]:
    settings = config.train
    validation = Validation(
        unseen,
        settings.eval_freq,
        patience=settings.patience or None,
        path=run.checkpoints / "best.pt",
    )
    journal = Journal(config, run, validation, watched)
    # In this order: the journal tells what validation found, the checkpoint holds all their states.
    return [validation, journal, Checkpoint(run.checkpoints / "last.pt", settings.checkpoint_freq)]


def _training_env(config: Config) -> Any:
    # A learner without lanes that share a scene has no keyword `paths`.
    own = {key: value for key, value in config.agent.keywords.items() if key in _LANES}
    learner = LEARNERS[config.agent.name]
    if learner.tensors and config.device != "cpu" and not config.env.gaze:
        check_device(config.device)
        own["device"] = config.device  # what is seen is where it is learned from
    if distributed.world().size > 1:
        own |= distributed.share(own["num_envs"], own.get("paths", 1))
    return make_env(config, "train", autoreset_mode=learner.autoreset, **own)


def _evaluation_envs(config: Config) -> tuple[Any, Any]:
    """What validation walks, and the few scenes whose paths are drawn (None: none)."""
    if not distributed.world().first:
        return None, None
    placements = config.train.eval_placements
    unseen = make_env(config, "validation", num_envs=EVALUATION_LANES, placements=placements)
    lanes = min(config.train.picture_images, int(unseen.unwrapped.split_length))
    watched = make_env(config, "validation", num_envs=lanes) if lanes else None
    return unseen, watched


def _make_learner(config: Config, env: Any) -> Any:
    check_device(config.device)
    learner = LEARNERS[config.agent.name].load()
    try:
        return learner(env, **config.agent.keywords, seed=config.seed, device=config.device)
    except (ValueError, TypeError, RuntimeError, AssertionError) as error:
        raise UserError(f"agent {config.agent.name}: {error}") from error


def _set_threads(config: Config) -> None:
    torch.set_num_threads(config.train.threads)


def _circumstances(config: Config, text: str) -> dict[str, Any]:
    """What a number in metrics.json depends on besides the config itself."""
    from .. import __version__

    versions = {"saccade": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "name": config.name,
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "versions": versions,
        "device": config.device,
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "processes": distributed.world().size,
        "finished": False,
    }


if __name__ == "__main__":
    from .cli import main

    sys.exit(main(["train", *sys.argv[1:]]))
