"""Sweeps: trials of one config with values drawn from a space, and the best of them by validation.

sweep-<name>-<seed>-<YYYYmmdd-HHMMSS>/
    sweep.json                      the command, each trial's settings and resolved config
    sweep.md                        the trials, the best on validation first
    <name>-<trial>-<seed>-<time>/   a run folder each, as `saccade train` makes them

That is the whole state: a trial goes on from its run folder, and a sweep from its trials. Ray,
which shares them out among processes, is in `tuner.py` alone.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..envs.files import write_text
from ..ram.callbacks import Callback, rank_of
from . import config as configs
from . import space as spaces
from .config import Config
from .errors import UserError
from .runs import RunFolder, new_folder
from .tables import Table
from .train import resume, train

FILES = ("sweep.json", "sweep.md")
_PATIENCE = 20  # seconds; Ray's processes outlive the one that started them by a few


@dataclass(frozen=True)
class Trial:
    """One config to train: its number, what it sets of the space, and all of it resolved."""

    number: int
    settings: Mapping[str, Any]
    config: Config

    @property
    def words(self) -> str:
        """What it sets, as the command line takes it."""
        return " ".join(
            f"--{key} {shlex.quote(text(value))}" for key, value in self.settings.items()
        )

    @property
    def stops(self) -> bool:
        """Whether its agent answers when it likes, so that reward ranks and not error."""
        return bool(self.config.env.keywords.get("stop"))


@dataclass(frozen=True)
class Outcome:
    """How far a trial came: its run, if it has one, the best of its validations, and how it stands.

    `best` holds `error`, `timesteps` and `rank` (the lower the better); None before the first.
    """

    trial: Trial
    run: RunFolder | None
    best: Mapping[str, Any] | None
    state: str

    @property
    def rank(self) -> tuple[float, ...]:
        """What trials are sorted by."""
        if self.best is None:
            return (math.inf, math.inf, self.trial.number)
        rank = (math.inf if part is None else float(part) for part in self.best["rank"])
        return (*rank, self.trial.number)

    @property
    def figures(self) -> str:
        """`error 4.44% at 300,000 steps`, and how the trial stands."""
        if self.best is None:
            return self.state
        found = f"error {100 * self.best['error']:.2f}% at {self.best['timesteps']:,} steps"
        return f"{found}, {self.state}"


@dataclass(frozen=True)
class Sweep:
    """A sweep's folder and what was asked for. `early_stop` ends trials that fall behind."""

    path: Path
    command: str
    early_stop: bool
    trials: tuple[Trial, ...]

    @classmethod
    def create(
        cls, root: str | Path, trials: Sequence[Trial], command: str, early_stop: bool = False
    ) -> Sweep:
        """A fresh folder under `root` for these trials, which are named after it."""
        base = trials[0].config
        digits = len(str(len(trials) - 1))
        named = [
            dataclasses.replace(
                trial,
                config=dataclasses.replace(
                    trial.config, name=f"{trial.config.name}-{trial.number:0{digits}}"
                ),
            )
            for trial in trials
        ]
        content = {
            "command": command,
            "early_stop": early_stop,
            "stopped": [],
            "trials": [
                {"settings": trial.settings, "config": trial.config.to_dict()} for trial in named
            ],
        }
        path = new_folder(
            root,
            f"sweep-{base.name}",
            base.seed,
            lambda folder: _write(folder, content),
        )
        return cls(path.resolve(), command, early_stop, tuple(named))

    @classmethod
    def open(cls, path: str | Path) -> Sweep:
        """An existing sweep; UserError where the folder is none, or its file is damaged."""
        file = Path(path) / FILES[0]
        content = _read(file)
        try:
            trials = tuple(
                Trial(
                    number,
                    dict(entry["settings"]),
                    configs.resolve(entry["config"], f"{file}: trial {number}"),
                )
                for number, entry in enumerate(content["trials"])
            )
            command, early_stop = str(content["command"]), bool(content["early_stop"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{file}: is damaged ({type(error).__name__}: {error})") from None
        return cls(Path(path).resolve(), command, early_stop, trials)

    def run_of(self, trial: Trial) -> RunFolder | None:
        """The run folder of a trial that has begun."""
        return RunFolder.find(self.path, trial.config.name, trial.config.seed)

    def note_stopped(self, trial: Trial) -> None:
        """Keep that a trial fell behind and is not to go on."""
        content = _read(self.path / FILES[0])
        _write(self.path, {**content, "stopped": [*content["stopped"], trial.number]})

    def outcome(self, trial: Trial, failure: str = "", stopped: bool = False) -> Outcome:
        """How a trial stands; `failure` says what ended it, `stopped` that it fell behind."""
        run = self.run_of(trial)
        metrics = {} if run is None else run.metrics()
        if metrics.get("finished"):
            state = "finished"
        elif failure:
            state = f"failed: {failure}"
        elif stopped:
            state = "stopped early"
        else:
            state = "not begun" if run is None else "unfinished"
        if run is None or not run.has_checkpoint("best"):
            return Outcome(trial, run, None, state)
        best = metrics.get("best")
        if not isinstance(best, dict) or {"error", "timesteps", "rank"} - set(best):
            raise UserError(f"{run.path}: metrics.json does not tell its best validation")
        return Outcome(trial, run, best, state)

    def outcomes(self, failures: Mapping[int, str] | None = None) -> list[Outcome]:
        """How all trials stand, the best on validation first."""
        failed, stopped = failures or {}, set(_read(self.path / FILES[0])["stopped"])
        found = [
            self.outcome(trial, failed.get(trial.number, ""), trial.number in stopped)
            for trial in self.trials
        ]
        return sorted(found, key=lambda outcome: outcome.rank)

    def waiting(self) -> list[Trial]:
        """The trials that have not come to their end, in their order."""
        ended = ("finished", "stopped early")
        found = [outcome.trial for outcome in self.outcomes() if outcome.state not in ended]
        return sorted(found, key=lambda trial: trial.number)


def check(
    path: str | Path, overrides: Mapping[str, Any], space: Sequence[spaces.Dimension]
) -> None:
    """UserError, one line, for a key or a value of the space that the config does not take."""
    for item in space:
        if item.key == "name":
            raise UserError(f"{item}: names the trials; give --name instead")
        if item.key in overrides:
            raise UserError(f"--{item.key}: is drawn from the space; give it once")
        for value in item.probes:
            configs.load(path, {**_first(overrides, space), item.key: value}, _origins(space))


def plan(
    path: str | Path,
    overrides: Mapping[str, Any],
    space: Sequence[spaces.Dimension],
    samples: int,
) -> list[Trial]:
    """The trials of a config, each resolved: see `config.load` and `space.draw`.

    Raises UserError, one line, for a value that the config does not take.
    """
    seed = configs.load(path, _first(overrides, space), _origins(space)).seed
    return [
        Trial(number, drawn, configs.load(path, {**overrides, **drawn}, _origins(space)))
        for number, drawn in enumerate(spaces.draw(space, samples, seed))
    ]


class Reporting(Callback):
    """Hands each validation's score, the lower the better, and its timestep to `report`."""

    def __init__(self, stops: bool, report: Callable[[float, int], None]) -> None:
        self.stops = stops
        self.report = report

    def on_step(self, learner: Any, metrics: dict[str, float]) -> None:
        # A trial that is through is not to be judged any more.
        if "eval/error" in metrics and not learner.finished:
            self.report(rank_of(metrics, self.stops)[0], learner.num_timesteps)


def train_trial(sweep: Sweep, trial: Trial, report: Callable[[float, int], None]) -> None:
    """Train one trial, from its run folder's last checkpoint where it has begun.

    Its validations are told to `report`. Raises UserError as `train` and `resume` do.
    """
    callbacks = [Reporting(trial.stops, report)]
    run = sweep.run_of(trial)
    if run is None:
        train(trial.config, sweep.path, callbacks)
    elif not run.metrics().get("finished"):
        _await_end(run)
        resume(run.path, callbacks)


def _await_end(run: RunFolder) -> None:
    """Give the process that trained here until a kill of all some seconds to notice."""
    for _ in range(_PATIENCE):
        try:
            with run.claimed():
                return
        except UserError:
            time.sleep(1)


def markdown(sweep: Sweep, outcomes: Sequence[Outcome]) -> str:
    """The page of a sweep: its command, its trials and the best of them."""
    keys = list(outcomes[0].trial.settings)
    columns: list[tuple[str, Callable[[Outcome], str]]] = [
        ("trial", lambda outcome: str(outcome.trial.number)),
        *((key, _setting(key)) for key in keys),
        ("error %", lambda outcome: _figure(outcome, "error", lambda error: f"{100 * error:.2f}")),
        ("at step", lambda outcome: _figure(outcome, "timesteps", lambda steps: f"{steps:,}")),
        ("", lambda outcome: outcome.state),
    ]
    if any(outcome.trial.stops for outcome in outcomes):
        reward = ("reward", lambda item: _figure(item, "rank", lambda rank: f"{-rank[0]:.4f}"))
        columns.insert(-2, reward)
    lines = [
        f"# {sweep.path.name}",
        "",
        f"    {sweep.command}",
        "",
        "Each trial's best on `validation`, and the best trial first.",
        "",
        *Table.of(columns, outcomes).lines(),
        "",
    ]
    return "\n".join([*lines, *best_lines(outcomes)]) + "\n"


def best_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """What was best, as the command line takes it, and the command that tests it."""
    best = outcomes[0]
    if best.best is None or best.run is None:
        return ["No trial came to a validation."]
    return [
        f"Best on validation: trial {best.trial.number}, {best.trial.words}",
        f"Test it, once: saccade evaluate {shlex.quote(shown(best.run.path))} --split test",
    ]


def write(sweep: Sweep, outcomes: Sequence[Outcome]) -> Path:
    """Write the page into the sweep's folder."""
    return write_text(sweep.path / FILES[1], markdown(sweep, outcomes))


def is_of_sweep(path: Path) -> bool:
    """Whether a path is one of the files that a sweep keeps beside its runs."""
    return path.name in FILES and path.is_file() and (path.parent / FILES[0]).is_file()


def text(value: Any) -> str:
    """A setting's value as YAML on one line, which the command line takes."""
    if isinstance(value, str) and configs.read_yaml(value, "") == value:
        return value
    return json.dumps(value)


def shown(path: Path) -> str:
    """A path as short as it can be typed from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _first(overrides: Mapping[str, Any], space: Sequence[spaces.Dimension]) -> dict[str, Any]:
    """The overrides, and of each dimension the first value to try."""
    return {**overrides, **{item.key: item.probes[0] for item in space}}


def _origins(space: Sequence[spaces.Dimension]) -> dict[str, str]:
    return {item.key: item.source for item in space}


def _setting(key: str) -> Callable[[Outcome], str]:
    return lambda outcome: text(outcome.trial.settings[key])


def _figure(outcome: Outcome, name: str, show: Callable[[Any], str]) -> str:
    return "-" if outcome.best is None else show(outcome.best[name])


def _write(folder: Path, content: Mapping[str, Any]) -> None:
    write_text(folder / FILES[0], json.dumps(content, indent=1) + "\n")


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        why = f"({FILES[0]}: {error.strerror})"
        raise UserError(f"{file.parent}: not a sweep's folder {why}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: not readable as JSON ({error})") from None
    if not isinstance(content, dict) or not isinstance(content.get("stopped"), list):
        raise UserError(f"{file}: should hold one JSON object, a sweep's")
    if not content.get("trials"):
        raise UserError(f"{file}: has no trials")
    return content
