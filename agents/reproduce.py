"""Fill in a paper's tables: train the cells that are missing, measure each run once on test.

All that is known lies in the run folders, so that it may be stopped at any moment and goes on where
it stood. A cell's runs are those of its recipe, whatever their names, devices and threads. What is
written of them is in `reproduction.py`.
"""

from __future__ import annotations

import fnmatch
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cells import Cell, Index
from .config import Config, load_resolved
from .cost import Cost, cost
from .environments import make_env
from .errors import UserError, did_you_mean
from .evaluate import Split, evaluate_run, load_policy
from .groups import Group, group_of, read_seed, recipe
from .runs import RunFolder
from .seeds import Outcome, Training, side_by_side
from .tables import Table

SPLIT: Split = "test"
PATHS = 10  # that are averaged in a column of their own

_LANES = 100  # that the cost is counted with


@dataclass(frozen=True)
class Found:
    """A run of a cell, and how far it came."""

    run: RunFolder
    config: Config
    timesteps: int
    finished: bool
    measured: bool


@dataclass(frozen=True)
class Place:
    """A seed of a cell that is asked for, and its run where there is one."""

    cell: Cell
    seed: int
    found: Found | None

    @property
    def label(self) -> str:
        return f"{self.cell.name}-{self.seed}"

    @property
    def finished(self) -> bool:
        return self.found is not None and self.found.finished

    @property
    def stage(self) -> str:
        """How far it is, in words."""
        if self.found is None:
            return "missing"
        if not self.found.finished:
            return f"{self.found.timesteps / self.cell.config.train.total_timesteps:.0%} trained"
        return "measured" if self.found.measured else "trained"


Runs = dict[str, dict[int, Found]]
"""The runs of each cell by its name, and by their seeds."""


def runs_of(index: Index, root: Path) -> Runs:
    """The runs under a folder that are of an index's cells; of one recipe and seed the furthest.

    Raises UserError where two cells ask for the same.
    """
    cells: dict[str, str] = {}
    before = {one.name: one for cell in index.cells for one in index.before(cell)}
    every = [*before.values(), *index.cells]
    for cell in every:
        other = cells.setdefault(recipe(cell.config), cell.name)
        if other != cell.name:
            raise UserError(f"{cell.file}: asks for the same as '{other}', so they are one row")
    runs: Runs = {cell.name: {} for cell in every}
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        if not (path / "config.yaml").is_file():
            continue
        run = RunFolder(path)
        try:
            config = load_resolved(run.config)
            name = cells.get(recipe(config))
            found = None if name is None else _found(run, config)
        except UserError as error:
            print(f"passed over: {error}", file=sys.stderr)
            continue
        if name is not None and found is not None:
            other_run = runs[name].get(config.seed)
            if other_run is None or _far(found) >= _far(other_run):
                runs[name][config.seed] = found
    return runs


def places(index: Index, runs: Runs, seeds: int, only: Sequence[str] = ()) -> list[Place]:
    """What is asked for: the first seed of every cell, then the second, to the number `seeds`.

    What a missing cell begins with comes before it. `only` has patterns, one of which a cell's name
    must fit; UserError for one that none fits.
    """
    names = [cell.name for cell in index.cells]
    for pattern in only:
        if not fnmatch.filter(names, pattern):
            raise UserError(f"--only {pattern}: fits no cell{did_you_mean(pattern, names)}")
    chosen = [
        cell
        for cell in index.cells
        if not only or any(fnmatch.fnmatchcase(cell.name, pattern) for pattern in only)
    ]
    asked: dict[str, Place] = {}
    for number in range(seeds):
        for cell in chosen:
            seed = cell.config.seed + number
            found = runs[cell.name].get(seed)
            before = [] if found is not None and found.finished else index.before(cell)
            for one in (*before, cell):
                place = Place(one, seed, runs[one.name].get(seed))
                asked[place.label] = place
    return list(asked.values())


def listing(asked: Sequence[Place]) -> str:
    """A line for each place: cell, seed, how far it is, its folder."""
    return "\n".join(
        Table.of(
            [
                ("cell", lambda place: place.cell.name),
                ("seed", lambda place: str(place.seed)),
                ("stage", lambda place: place.stage),
                ("run", lambda place: str(place.found.run.path) if place.found else "-"),
            ],
            asked,
        ).lines()
    )


def train(asked: Sequence[Place], root: Path, jobs: int, device: str | None = None) -> Outcome:
    """Train what has not finished, `jobs` at a time; begun runs go on.

    All on `device`; None: new ones on the config's, begun ones on that which they are on.

    Each is a process of its own, the command `saccade train`. Those that begin with the weights of
    another that is asked for come after it.
    """
    missing = [place for place in asked if not place.finished]
    done: list[Training] = []
    while missing:
        labels = {place.label for place in missing}
        later = [p for p in missing if f"{p.cell.config.train.init}-{p.seed}" in labels]
        if len(later) == len(missing):  # in a circle: each says what it lacks
            later = []
        now = {place.label: _words(place, root, device) for place in missing if place not in later}
        ended = side_by_side(now, jobs)
        done += ended.done
        if ended.stopped is not None:
            return Outcome(done, [*ended.waiting, *(p.label for p in later)], ended.stopped)
        missing = later
    return Outcome(done, [], None)


def _words(place: Place, root: Path, device: str | None) -> list[str]:
    """What `saccade train` is told, to begin a place's run or to go on with it."""
    if place.found is not None:
        words = ["--resume", str(place.found.run.path)]
    else:
        words = [str(place.cell.file), f"--seed={place.seed}", f"--runs={root}"]
    return [*words, *([f"--device={device}"] if device else [])]


def measure(asked: Sequence[Place], device: str | None = None) -> None:
    """Evaluate on test what has finished and was not, and count what an image costs.

    Both are kept in the run's metrics.json.
    """
    for place in asked:
        if not place.cell.row or place.found is None or not place.found.finished:
            continue
        if place.found.measured:
            continue
        run = place.found.run
        print(f"{run.path}: evaluating on {SPLIT}", file=sys.stderr, flush=True)
        evaluate_run(run, SPLIT, device=device, average=PATHS)
        config, policy, _ = load_policy(run, device="cpu")
        env = make_env(config, SPLIT, num_envs=_LANES)
        try:
            spent = cost(policy, env)
        finally:
            env.close()
        run.update_metrics(
            {"cost": {"parameters": spent.parameters, "multiply_adds": spent.multiply_adds}}
        )


def groups_of(index: Index, runs: Runs) -> dict[str, Group]:
    """The cells that have runs measured on test, each with all its seeds, by their names."""
    groups = {}
    for cell in index.cells:
        measured = [found for _, found in sorted(runs[cell.name].items()) if found.measured]
        if measured:
            seeds = [read_seed(found.run, found.config, SPLIT) for found in measured]
            groups[cell.name] = group_of(cell.label, seeds, _cost(measured[0].run))
    return groups


def _found(run: RunFolder, config: Config) -> Found:
    metrics = run.metrics()
    try:
        finished = bool(metrics.get("finished"))
        timesteps = int(metrics.get("timesteps", 0))
    except (TypeError, ValueError) as error:
        raise UserError(f"{run.path / 'metrics.json'}: is damaged ({error})") from None
    return Found(run, config, timesteps, finished, finished and _is_measured(metrics, config))


def _is_measured(metrics: dict[str, Any], config: Config) -> bool:
    """Whether an evaluation is kept with all that is asked for, of the checkpoint that is best."""
    try:
        entry = metrics["evaluations"][SPLIT]
        paths = entry["averaged"] is None or entry["averaged"]["paths"] == PATHS
        return bool(
            paths
            and entry["timesteps"] == metrics["best"]["timesteps"]
            and entry["placements"] == config.train.eval_placements
            and entry["rows"][0]["right"]
            and metrics["cost"]["parameters"]
        )
    except (KeyError, TypeError, IndexError):
        return False


def _far(found: Found) -> tuple[bool, bool, int]:
    return found.measured, found.finished, found.timesteps


def _cost(run: RunFolder) -> Cost:
    kept = run.metrics()["cost"]
    try:
        return Cost(int(kept["parameters"]), float(kept["multiply_adds"]), math.nan)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{run.path / 'metrics.json'}: 'cost' is damaged ({error})") from None
