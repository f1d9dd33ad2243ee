"""Runs side by side: seeds of one config are a row, and each environment has tables of its own.

Reads run folders alone. A run's stored evaluation counts where it is of the checkpoint that is
best now; else the run is evaluated, as `saccade evaluate` does it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..envs.parts import options_of
from ..envs.registration import ENVIRONMENTS
from . import attention, stats
from .config import Config, env_parameters, load_resolved
from .cost import Cost, cost
from .environments import make_env, task_of
from .errors import UserError
from .evaluate import LEARNED, WHOLE, Split, evaluate_run, load_policy
from .gaze import gaze_class
from .learners import LEARNERS
from .row import Row, landing
from .runs import RunFolder
from .sweep import is_of_sweep

OWN = "<!-- written by saccade compare -->"  # the first line of every compare.md

# What may differ between seeds of one row: it names the run, or changes how and not what is done.
_INDIFFERENT = frozenset(
    [
        *("name", "seed", "device"),
        *("train.threads", "train.picture_images", "train.checkpoint_freq"),
    ]
)
_SEES = {
    "box": "the target's box",
    "image": "the whole image",
    "context": "the whole image in few pixels",
}
_MOST_KEYS = 2  # keys that tell rows of one agent apart; with more of them, names do


@dataclass(frozen=True)
class Seed:
    """One run: its evaluation on the split, a row for each gaze.

    `priors` of where attention lands: empty where there is nothing to measure, None where the
    evaluation is from before it was measured.
    """

    run: RunFolder
    config: Config
    rows: Mapping[str, Row]
    scenes: int
    images: int
    finished: bool
    timesteps: int
    priors: Mapping[str, attention.Landing] | None = None
    cpu_seconds: float = math.nan

    @property
    def training_scenes(self) -> float:
        """How many scenes it was trained on, each counted as often as it was drawn.

        Paths that share a scene count once. NaN where episodes may end early, since timesteps do
        not tell.
        """
        env, agent = self.config.env.keywords, self.config.agent.keywords
        if env["action"] == "discrete" or env.get("stop"):
            return math.nan
        return self.timesteps / (env["glimpses"] * agent.get("paths", 1))


@dataclass(frozen=True)
class Group:
    """Seeds of one config. `rows` are theirs together; `sees` is what it is shown beside glimpses.

    Intervals are Student's t over seeds, or, of one seed, its own.
    """

    label: str
    seeds: tuple[Seed, ...]
    rows: Mapping[str, Row]
    cost: Cost
    sees: str

    @property
    def learned(self) -> Row:
        return self.rows[self.own]

    @property
    def training_scenes(self) -> float:
        """Scenes that a seed was trained on, mean over seeds."""
        return _mean(seed.training_scenes for seed in self.seeds)

    @property
    def cpu_seconds(self) -> float:
        """Processor time of a seed's training, validation included, mean over seeds."""
        return _mean(seed.cpu_seconds for seed in self.seeds)

    @property
    def own(self) -> str:
        """The gaze that the agent was trained with: its own, or that of `env.gaze`."""
        return _own(self.seeds[0].config)

    @property
    def whole(self) -> bool:
        """Whether it sees the whole image, and so has no gaze."""
        return self.own == WHOLE


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
            groups.append(Group(label, seeds, _pooled(label, seeds), spent, _sees(config)))
        sections.append(Section(title, tuple(groups)))
    return Comparison(split, tuple(sections))


def pool(name: str, rows: Sequence[Row]) -> Row:
    """One row for several seeds: means, intervals by Student's t; of one seed, its own intervals.

    Shares stay in [0, 1]; a measure that some seeds have no value for is the mean of the others.
    """
    first = rows[0]
    behinds = [row.behind.estimate for row in rows if row.behind is not None]
    error, reward, behind = first.error, first.reward, first.behind
    if len(rows) > 1:
        estimate, low, high = stats.student_t([row.error.estimate for row in rows])
        error = stats.Interval(estimate, max(low, 0.0), min(high, 1.0))
        reward = stats.student_t([row.reward.estimate for row in rows])
        behind = stats.student_t(behinds) if len(behinds) == len(rows) else None
    return Row(
        name=name,
        error=error,
        reward=reward,
        glimpses=_mean(row.glimpses for row in rows),
        sensor_values=_mean(row.sensor_values for row in rows),
        scanpath={key: _mean(row.scanpath[key] for row in rows) for key in first.scanpath},
        behind=behind,
        attention=attention.mean([row.attention for row in rows]),
        attention_map=next((row.attention_map for row in rows if row.attention_map), ""),
        reports={
            key: stats.student_t([row.reports[key].estimate for row in rows])
            if len(rows) > 1
            else first.reports[key]
            for key in first.reports
            if all(key in row.reports for row in rows)
        },
    )


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
    file = run.path / "metrics.json"
    metrics = run.metrics()
    try:
        entry = metrics.get("evaluations", {}).get(split, {})
        if any(entry.get(key) != value for key, value in wanted.items()):
            print(f"{run.path}: evaluating on {split}", file=sys.stderr, flush=True)
            evaluate_run(run, split, placements=placements, device=device)
            entry = run.metrics()["evaluations"][split]
        rows = {row.name: row for row in map(Row.from_dict, entry["rows"])}
        if _own(config) not in rows:
            raise ValueError(f"no row of the {_own(config)} gaze")
        priors = entry.get("priors")
        if priors is not None:
            priors = {name: landing(values) for name, values in priors.items()}
        return Seed(
            run=run,
            config=config,
            rows=rows,
            scenes=int(entry["scenes"]),
            images=int(entry["images"]),
            finished=bool(metrics.get("finished", True)),
            timesteps=int(metrics.get("timesteps", 0)),
            priors=priors,
            cpu_seconds=float(metrics.get("time", {}).get("cpu_seconds", math.nan)),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(
            f"{file}: evaluations.{split} is damaged ({type(error).__name__}: {error}): remove it"
            " there and it is made anew"
        ) from error


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


def bundles_of(
    members: Iterable[tuple[RunFolder, Config]],
) -> list[list[tuple[RunFolder, Config]]]:
    """Seeds of one config together, in order of their seeds; one seed is there once."""
    bundles: dict[str, list[tuple[RunFolder, Config]]] = {}
    for run, config in members:
        told = {key: value for key, value in _flat(config).items() if key not in _INDIFFERENT}
        bundles.setdefault(repr(sorted(told.items())), []).append((run, config))
    for bundle in bundles.values():
        bundle.sort(key=lambda pair: pair[1].seed)
        for (one, first), (other, second) in pairwise(bundle):
            if first.seed == second.seed:
                raise UserError(
                    f"{one.path} and {other.path}: the same config and seed {first.seed}, so they"
                    " are no two samples; give one of them"
                )
    return list(bundles.values())


def labels_of(configs: Sequence[Config]) -> list[str]:
    """A name for each group's config: its agent and gaze, and what tells it from its namesakes."""
    labels = [_plain_label(config) for config in configs]
    result = []
    for config, label in zip(configs, labels, strict=True):
        alike = [other for other, name in zip(configs, labels, strict=True) if name == label]
        flats = [_flat(other) for other in alike]
        keys = [
            key
            for key in flats[0]
            if key not in _INDIFFERENT and len({repr(flat.get(key)) for flat in flats}) > 1
        ]
        if len(keys) > _MOST_KEYS and len({other.name for other in alike}) == len(alike):
            label = f"{label} ({config.name})"
        else:
            flat = _flat(config)
            label = ", ".join([label, *(f"{key}={flat.get(key)}" for key in keys)])
        result.append(label)
    return result


def _plain_label(config: Config) -> str:
    gaze = config.env.gaze
    return f"{config.agent.name}, {gaze} gaze" if gaze else config.agent.name


def _own(config: Config) -> str:
    if LEARNERS[config.agent.name].whole:
        return WHOLE
    return config.env.gaze or LEARNED


def _sees(config: Config) -> str:
    """What an agent is shown beside its glimpses, in words; empty where that is nothing."""
    shown = set(config.env.keywords.get("reveal") or ())
    if config.env.gaze:
        shown.update(gaze_class(config.env.gaze).reveal)
    return " and ".join(words for name, words in _SEES.items() if name in shown)


def _flat(config: Config) -> dict[str, Any]:
    """Dotted keys and values; lists as tuples, as a config read from YAML may hold either."""
    flat: dict[str, Any] = {}
    for part, value in config.to_dict().items():
        inner = value if isinstance(value, dict) else None
        for key, leaf in inner.items() if inner is not None else [(None, value)]:
            name = part if key is None else f"{part}.{key}"
            flat[name] = tuple(leaf) if isinstance(leaf, list) else leaf
    return flat


def _pooled(label: str, seeds: Sequence[Seed]) -> dict[str, Row]:
    """A row for each gaze that all seeds were measured with."""
    names = [name for name in seeds[0].rows if all(name in seed.rows for seed in seeds)]
    return {name: pool(label, [seed.rows[name] for seed in seeds]) for name in names}


def _mean(values: Iterable[float]) -> float:
    found = [value for value in values if not math.isnan(value)]
    return sum(found) / len(found) if found else math.nan


if __name__ == "__main__":
    from .cli import main

    sys.exit(main(["compare", *sys.argv[1:]]))
