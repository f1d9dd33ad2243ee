"""How trained runs bear another environment: one of its keywords varied, nothing trained anew.

More clutter, a larger canvas: error at each value, and what an image costs there. Reads run
folders alone and leaves them as they are.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..envs.files import write_bytes, write_text
from . import figures, stats
from .compare import open_runs
from .config import Config, env_parameters, resolve
from .cost import Cost, cost
from .environments import make_env
from .errors import UserError, did_you_mean
from .evaluate import Split, load_policy
from .groups import bundles_of, labels_of
from .rollout import rollout
from .runs import RunFolder
from .tables import Table, interval_text

OWN = "<!-- written by saccade transfer -->"  # the first line of every transfer.md
_FILES = ("transfer.md", "transfer.csv", "transfer.png")

HOW_TO_READ = """\
*error*: percent of episodes without success, of one deterministic path a scene, on the checkpoint
that was best on validation of the environment trained in (marked \\*); 95% interval: Student's t
over seeds, and of one seed Wilson's over images. *-*: the network takes no images of that size.
*multiply-adds*: of matrix products and convolutions, an image."""


@dataclass(frozen=True)
class Point:
    """One agent at one value: pooled error and cost; None where it cannot be run there."""

    value: Any
    error: stats.Interval | None
    cost: Cost | None
    trained: bool


@dataclass(frozen=True)
class Line:
    """One agent, seeds together, over all values."""

    label: str
    seeds: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Transfer:
    """What `transfer` found: lines over the values of one keyword of the environment."""

    key: str
    split: Split
    lines: tuple[Line, ...]


def transfer(
    paths: Sequence[str | Path],
    key: str,
    values: Sequence[Any],
    split: Split = "validation",
    *,
    placements: int | None = None,
) -> Transfer:
    """Evaluate runs on their own environment with keyword `key` at each of `values`.

    Raises UserError for a folder that is no run, a keyword that an environment does not take, a
    value that does not fit; all configs are checked before the first evaluation.
    """
    opened = open_runs(paths)
    varied = {
        (run.path, place): _varied(config, key, value)
        for run, config in opened
        for place, value in enumerate(values)
    }
    policies = {run.path: load_policy(run, device="cpu")[1] for run, _ in opened}
    bundles = bundles_of(opened)
    lines = []
    for label, bundle in zip(labels_of([b[0][1] for b in bundles]), bundles, strict=True):
        points = []
        for place, value in enumerate(values):
            configs = {run.path: varied[run.path, place] for run, _ in bundle}
            trained = bundle[0][1].env.keywords[key] == configs[bundle[0][0].path].env.keywords[key]
            print(f"{label}: {key} {value} on {split}", file=sys.stderr, flush=True)
            error, spent = _measure(bundle, configs, policies, split, placements)
            points.append(Point(value, error, spent, trained))
        lines.append(Line(label, len(bundle), tuple(points)))
    return Transfer(key, split, tuple(lines))


def _varied(config: Config, key: str, value: Any) -> Config:
    """The config with another value in its environment; UserError where that does not fit."""
    known = list(env_parameters(config.env.id, config.env.keywords["sensor"]))
    if key not in known:
        raise UserError(f"{config.env.id}: has no keyword '{key}'{did_you_mean(key, known)}")
    plain = config.to_dict()
    changed = {**plain, "env": {**plain["env"], key: value}}
    return resolve(changed, "--vary", {f"env.{key}": "--vary"})


def _measure(
    bundle: Sequence[tuple[RunFolder, Config]],
    configs: dict[Path, Config],
    policies: dict[Path, Any],
    split: Split,
    placements: int | None,
) -> tuple[stats.Interval | None, Cost | None]:
    errors: list[float] = []
    own: stats.Interval | None = None
    for run, config in bundle:
        each = placements or config.train.eval_placements
        env = make_env(configs[run.path], split, placements=each)
        try:
            seen = rollout(policies[run.path], env)
        except (RuntimeError, ValueError) as error:
            _explain(run, error)
            return None, None
        finally:
            env.close()
        scenes = len(seen)
        images = seen.index % (scenes // each) if each > 1 else None
        own = stats.proportion_interval(~seen.success, images)
        errors.append(own.estimate)
    first = bundle[0][0]
    few = make_env(configs[first.path], split, num_envs=100)
    spent = cost(policies[first.path], few)
    few.close()
    if len(errors) == 1:
        return own, spent
    estimate, low, high = stats.student_t(errors)
    return stats.Interval(estimate, max(low, 0.0), min(high, 1.0)), spent


def _explain(run: RunFolder, error: Exception) -> None:
    print(f"{run.path}: cannot be run there ({str(error).splitlines()[0]})", file=sys.stderr)


def tables(found: Transfer) -> dict[str, Table]:
    """Error and multiply-adds, a column for each value."""

    def error(line: Line, place: int) -> str:
        point = line.points[place]
        mark = " \\*" if point.trained else ""
        return "-" if point.error is None else interval_text(point.error, 100) + mark

    def adds(line: Line, place: int) -> str:
        spent = line.points[place].cost
        return "-" if spent is None else f"{spent.multiply_adds:,.0f}"

    def table(show: Any) -> Table:
        columns: list[Any] = [
            ("agent", lambda line: line.label),
            ("seeds", lambda line: str(line.seeds)),
        ]
        for place, point in enumerate(found.lines[0].points):
            title = f"{found.key} {point.value}"
            columns.append((title, lambda line, place=place: show(line, place)))
        return Table.of(columns, found.lines)

    return {"Error, %": table(error), "Multiply-adds": table(adds)}


def markdown(found: Transfer) -> str:
    """The tables as a page."""
    lines = [f"# Transfer to other {found.key}, {found.split}", ""]
    for title, table in tables(found).items():
        lines += [f"## {title}", "", *table.lines(), ""]
    return "\n".join([*lines, HOW_TO_READ]) + "\n"


def comma_separated(found: Transfer) -> str:
    """A line for each agent and value, every number in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *("agent", "seeds", found.key, "trained", "error", "error_low", "error_high"),
            *("multiply_adds", "milliseconds"),
        ]
    )
    for line in found.lines:
        for point in line.points:
            error = point.error or ("", "", "")
            spent = (point.cost.multiply_adds, point.cost.milliseconds) if point.cost else ("", "")
            head = [line.label, line.seeds, point.value, point.trained]
            writer.writerow([*head, *error, *spent])
    return text.getvalue()


def write(found: Transfer, folder: Path) -> list[Path]:
    """Write the page, the CSV and the figure; returns the files.

    Replaces what an earlier transfer wrote, and nothing else. Raises MissingExtra, after the page
    and the CSV, where there is no matplotlib.
    """
    check_output(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page, data, picture = (folder / name for name in _FILES)
    write_text(page, f"{OWN}\n\n{markdown(found)}")
    write_text(data, comma_separated(found))
    drawn = figures.transfer(found)
    write_bytes(picture, drawn)
    return [page, data, picture]


def check_output(folder: Path) -> None:
    """UserError where the folder holds files of these names that no transfer wrote."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output {folder}: not a folder")
    there = [name for name in _FILES if (folder / name).exists()]
    if not there:
        return
    try:
        ours = (folder / _FILES[0]).read_text(encoding="utf-8").startswith(OWN)
    except (OSError, UnicodeDecodeError):
        ours = False
    if not ours:
        raise UserError(
            f"--output {folder}: holds a {there[0]} that 'saccade transfer' did not write; give"
            " another folder"
        )
