"""Runs side by side: seeds of one config are a row, and each environment has tables of its own.

Reads run folders alone. A run's stored evaluation counts where it is of the checkpoint that is
best now; else the run is evaluated, as `saccade evaluate` does it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..envs.parts import options_of
from ..envs.registration import ENVIRONMENTS
from . import attention
from .config import Config, env_parameters, load_resolved
from .cost import cost
from .environments import make_env, task_of
from .errors import UserError
from .evaluate import Split, evaluate_run, load_policy
from .groups import Group, Seed, bundles_of, damaged, group_of, labels_of, read_seed
from .runs import RunFolder
from .sweep import is_of_sweep

OWN = "<!-- written by saccade compare -->"  # the first line of every compare.md


@dataclass(frozen=True)
class Section:
    """The groups on one environment: the same id, scenes and task, whatever they look with."""

    title: str
    groups: tuple[Group, ...]

    @property
    def goal(self) -> str:
        """What success is."""
        return task_of(self.groups[0].seeds[0].config).goal

    @property
    def reports(self) -> list[str]:
        """Names of what the task reports, as it was stored of any group."""
        return list(dict.fromkeys(name for group in self.groups for name in group.learned.reports))

    @property
    def scenes(self) -> int:
        return self.groups[0].seeds[0].scenes

    @property
    def images(self) -> int:
        return self.groups[0].seeds[0].images

    @property
    def priors(self) -> Mapping[str, attention.Landing] | None:
        """As a seed's: of the first that has some, as all are of the same scenes."""
        found = [seed.priors for group in self.groups for seed in group.seeds]
        return next((priors for priors in found if priors is not None), None)


@dataclass(frozen=True)
class Comparison:
    """What `compare` found, on one split."""

    split: Split
    sections: tuple[Section, ...]

    @property
    def groups(self) -> list[Group]:
        return [group for section in self.sections for group in section.groups]

    @property
    def runs(self) -> list[RunFolder]:
        return [seed.run for group in self.groups for seed in group.seeds]


def compare(
    paths: Sequence[str | Path],
    split: Split = "validation",
    *,
    placements: int | None = None,
    device: str | None = None,
) -> Comparison:
    """Compare runs, evaluating on `split` those that were not.

    All runs on one environment are measured on the same scenes: `placements` of each image, or
    the most that one of their configs asks for. Raises UserError for a folder that is no run, a
    file missing or cut short, a run or a seed given twice; all folders are read before the first
    evaluation.
    """
    opened = open_runs(paths)
    restored = {run.path: load_policy(run, device="cpu")[1] for run, _ in opened}
    sections = []
    for title, members in _by_section(opened).items():
        scenes = placements or max(config.train.eval_placements for _, config in members)
        bundles = bundles_of(members)
        groups = []
        for label, bundle in zip(labels_of([b[0][1] for b in bundles]), bundles, strict=True):
            seeds = tuple(
                _seed(run, config, restored[run.path].num_timesteps, split, scenes, device)
                for run, config in bundle
            )
            first, config = bundle[0]
            env = make_env(config, split, num_envs=100)
            try:
                spent = cost(restored[first.path], env)
            finally:
                env.close()
            groups.append(group_of(label, seeds, spent))
        sections.append(Section(title, tuple(groups)))
    return Comparison(split, tuple(sections))


def open_runs(paths: Sequence[str | Path]) -> list[tuple[RunFolder, Config]]:
    """The runs and their configs; a comparison's own folder among them is passed over."""
    opened: dict[Path, tuple[RunFolder, Config]] = {}
    for path in paths:
        if is_comparison(Path(path)):
            print(f"{path}: a comparison, not a run: passed over", file=sys.stderr)
            continue
        if is_of_sweep(Path(path)):
            print(f"{path}: a sweep's own file, not a run: passed over", file=sys.stderr)
            continue
        run = RunFolder.open(path)
        if run.path.resolve() in opened:
            raise UserError(f"{path}: given twice")
        if not run.metrics():  # says so where it is cut short
            raise UserError(f"{path}: has no metrics.json, so it is no whole run folder")
        opened[run.path.resolve()] = (run, load_resolved(run.config))
    if not opened:
        raise UserError("no run to compare: give run folders, such as runs/*")
    return list(opened.values())


def is_comparison(folder: Path) -> bool:
    """Whether `saccade compare` wrote this folder."""
    try:
        with (folder / "compare.md").open(encoding="utf-8") as file:
            return file.readline().strip() == OWN
    except (OSError, UnicodeDecodeError):
        return False


def _seed(
    run: RunFolder,
    config: Config,
    timesteps: int,
    split: Split,
    placements: int,
    device: str | None,
) -> Seed:
    """A run's evaluation on a split: the stored one where it still holds, else a new one."""
    wanted = {
        "env": config.env.id,
        "checkpoint": run.checkpoint().name.removesuffix(".pt"),
        "timesteps": timesteps,
        "placements": placements,
    }
    try:
        entry = run.metrics().get("evaluations", {}).get(split, {})
        current = all(entry.get(key) == value for key, value in wanted.items())
    except AttributeError as error:
        raise damaged(run, split, error) from error
    if not current:
        print(f"{run.path}: evaluating on {split}", file=sys.stderr, flush=True)
        found = evaluate_run(run, split, placements=placements, device=device)
        return read_seed(run, config, split, found.as_dict())
    return read_seed(run, config, split)


def _by_section(
    opened: Iterable[tuple[RunFolder, Config]],
) -> dict[str, list[tuple[RunFolder, Config]]]:
    """Runs by what their environment shows, under a title that says what is not the id's own."""
    sections: dict[str, list[tuple[RunFolder, Config]]] = {}
    for run, config in opened:
        defaults = env_parameters(config.env.id)
        title = config.env.id
        for name in sorted(_scene_keywords(config) | _goal_keywords(config)):
            value = config.env.keywords[name]
            if name not in defaults or value != defaults[name].default:
                title += f", {name}={value}"
        sections.setdefault(title, []).append((run, config))
    return sections


def _scene_keywords(config: Config) -> set[str]:
    """The keywords that decide what there is to see."""
    from ..envs.scenes import SCENES

    scene = SCENES[ENVIRONMENTS[config.env.id]["scene"]]
    return {"source", *options_of(scene)} & config.env.keywords.keys()


def _goal_keywords(config: Config) -> set[str]:
    """The keywords that decide what success is, where they are not the task's own defaults."""
    kind = type(task_of(config))
    names = options_of(kind).keys() & config.env.keywords.keys()
    return {n for n in names if kind(**{n: config.env.keywords[n]}).goal != kind().goal}


if __name__ == "__main__":
    from .cli import main

    sys.exit(main(["compare", *sys.argv[1:]]))
