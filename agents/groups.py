"""Seeds of one config as one row: what a run's stored evaluation says, and several together.

Reads run folders alone and evaluates nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from . import attention, stats
from .config import Config
from .cost import Cost
from .errors import UserError
from .evaluate import WHOLE
from .gaze import gaze_class
from .learners import LEARNERS
from .row import Row, landing, number
from .runs import RunFolder
from .sentences import LEARNED

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
    evaluation is from before it was measured. `averaged` is there where that was asked for, see
    `averaging.py`. `device` is what it was trained on. What the runs took whose weights it began
    with is counted in: `earlier_scenes`, `earlier_timesteps`, seconds and devices.
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
    wall_seconds: float = math.nan
    averaged: stats.Interval | None = None
    device: str = ""
    earlier_scenes: float = 0.0
    earlier_timesteps: int = 0

    @property
    def training_scenes(self) -> float:
        """How many scenes it was trained on, see `scenes_drawn`."""
        return self.earlier_scenes + scenes_drawn(self.config, self.timesteps)


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
    def wall_seconds(self) -> float:
        """Time of a seed's training by the clock, validation included, mean over seeds."""
        return _mean(seed.wall_seconds for seed in self.seeds)

    @property
    def averaged(self) -> stats.Interval | None:
        """The error of several paths a scene together; None unless all seeds were so measured."""
        found = [seed.averaged for seed in self.seeds if seed.averaged is not None]
        return interval_over(found) if len(found) == len(self.seeds) else None

    @property
    def own(self) -> str:
        """The gaze that the agent was trained with: its own, or that of `env.gaze`."""
        return own_gaze(self.seeds[0].config)

    @property
    def whole(self) -> bool:
        """Whether it sees the whole image, and so has no gaze."""
        return self.own == WHOLE


def read_seed(
    run: RunFolder, config: Config, split: str, entry: Mapping[str, Any] | None = None
) -> Seed:
    """A run with its evaluation on a split: `entry`, else the one that its folder keeps.

    Raises UserError where that is damaged or missing.
    """
    metrics = run.metrics()
    try:
        entry = metrics["evaluations"][split] if entry is None else entry
        rows = {row.name: row for row in map(Row.from_dict, entry["rows"])}
        if own_gaze(config) not in rows:
            raise ValueError(f"no row of the {own_gaze(config)} gaze")
        priors = entry.get("priors")
        if priors is not None:
            priors = {name: landing(values) for name, values in priors.items()}
        spent, averaged = metrics.get("time", {}), entry.get("averaged")
        earlier = metrics.get("init", {})
        return Seed(
            run=run,
            config=config,
            rows=rows,
            scenes=int(entry["scenes"]),
            images=int(entry["images"]),
            finished=bool(metrics.get("finished", True)),
            timesteps=int(metrics.get("timesteps", 0)),
            priors=priors,
            cpu_seconds=float(spent.get("cpu_seconds", math.nan))
            + float(earlier.get("cpu_seconds", 0)),
            wall_seconds=float(spent.get("wall_seconds", math.nan))
            + float(earlier.get("wall_seconds", 0)),
            averaged=averaged and stats.Interval(*map(number, averaged["error"])),
            device=devices(metrics),
            earlier_scenes=earlier_scenes(metrics),
            earlier_timesteps=int(earlier.get("timesteps", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise damaged(run, split, error) from error


def scenes_drawn(config: Config, timesteps: int) -> float:
    """How many scenes so many timesteps were trained on, each counted as often as it was drawn.

    Paths that share a scene count once. NaN where episodes may end early, since timesteps do not
    tell.
    """
    env, agent = config.env.keywords, config.agent.keywords
    if env["action"] == "discrete" or env.get("stop"):
        return math.nan
    return float(timesteps / (env["glimpses"] * agent.get("paths", 1)))


def earlier_scenes(metrics: Mapping[str, Any]) -> float:
    """How many scenes those runs were trained on whose weights a run began with."""
    earlier = metrics.get("init", {})
    return float(earlier.get("scenes", math.nan if earlier else 0))


def devices(metrics: Mapping[str, Any]) -> str:
    """What a run was trained on, with the runs whose weights it began with: "cuda, cpu"."""
    names = [str(of.get("device", "")) for of in (metrics.get("init", {}), metrics)]
    return ", ".join(dict.fromkeys(one for name in names for one in name.split(", ") if one))


def damaged(run: RunFolder, split: str, error: Exception) -> UserError:
    """What to raise where the evaluation that a run keeps cannot be read."""
    return UserError(
        f"{run.path / 'metrics.json'}: evaluations.{split} is damaged ({type(error).__name__}:"
        f" {error}): remove it there and it is made anew"
    )


def group_of(label: str, seeds: Sequence[Seed], spent: Cost) -> Group:
    """Seeds of one recipe as a row, under a label."""
    rows = _pooled(label, seeds)
    return Group(label, tuple(seeds), rows, spent, _sees(seeds[0].config))


def pool(name: str, rows: Sequence[Row]) -> Row:
    """One row for several seeds: means, intervals by Student's t; of one seed, its own intervals.

    Shares stay in [0, 1]; a measure that some seeds have no value for is the mean of the others.
    """
    first = rows[0]
    behinds = [row.behind.estimate for row in rows if row.behind is not None]
    error, reward, behind = first.error, first.reward, first.behind
    if len(rows) > 1:
        error = interval_over([row.error for row in rows])
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


def bundles_of(
    members: Iterable[tuple[RunFolder, Config]],
) -> list[list[tuple[RunFolder, Config]]]:
    """Seeds of one config together, in order of their seeds; one seed is there once."""
    bundles: dict[str, list[tuple[RunFolder, Config]]] = {}
    for run, config in members:
        bundles.setdefault(recipe(config), []).append((run, config))
    for bundle in bundles.values():
        bundle.sort(key=lambda pair: pair[1].seed)
        for (one, first), (other, second) in pairwise(bundle):
            if first.seed == second.seed:
                raise UserError(
                    f"{one.path} and {other.path}: the same config and seed {first.seed}, so they"
                    " are no two samples; give one of them"
                )
    return list(bundles.values())


def interval_over(shares: Sequence[stats.Interval]) -> stats.Interval:
    """The mean of a share over seeds, within [0, 1]; of one seed, its own interval."""
    if len(shares) == 1:
        return shares[0]
    estimate, low, high = stats.student_t([share.estimate for share in shares])
    return stats.Interval(estimate, max(low, 0.0), min(high, 1.0))


def recipe(config: Config) -> str:
    """What a config asks for, as text: all but the seed and how, not what, is done.

    Runs of one recipe are seeds of each other, whatever their names, devices and threads.
    """
    told = {key: value for key, value in _flat(config).items() if key not in _INDIFFERENT}
    return repr(sorted(told.items()))


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


def own_gaze(config: Config) -> str:
    """The name of the row that a config's own policy has in an evaluation."""
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
