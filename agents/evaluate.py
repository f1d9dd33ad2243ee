"""How well a run's policy answers and where it looks, beside its controls on the same model.

The same trained model answers along four paths: its own, random fixations, the centre alone, and
the fixed path, which is its own mean path over `validation`, replayed on every image. Where a
control is not told apart from the learned gaze, the table says so. Where an `env.gaze` moved the
eye in training, that gaze stands in the learned one's place; a classifier that sees the whole image
has one row and no gaze.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..envs.files import write_text
from . import attention, gaze, scanpath, stats
from .averaging import Averaged, averaged_error, images_of
from .columns import (
    ATTENTION_LEGEND,
    GAZE,
    GLIMPSES,
    PIXELS,
    RETURN,
    SCANPATH,
    VALUES,
    Column,
    attention_table,
    legend,
    reported,
)
from .config import Config, load_resolved
from .environments import make_env, task_of
from .errors import UserError
from .gazed import GazedVectorEnv
from .learners import LEARNERS, is_here
from .rollout import Episodes, rollout, shown
from .row import SCANPATH_MEASURES, Row, packed, plain
from .runs import RunFolder
from .sentences import LEARNED, remarks, sentence
from .tables import Table, interval_text

Split = Literal["validation", "test"]

WHOLE = "whole image"
GLIMPSED = "glimpses"  # the map of a path: how often each pixel lay in its finest patch


@dataclass(frozen=True)
class Evaluation:
    """The rows of one evaluation, and what they were measured on.

    `priors` say where attention lands that knows the scenes' boxes alone; they are empty where
    every target's box is the whole image, so that there is nothing to measure. `goal` says what
    success is. `averaged` is there where it was asked for and the policy's answers can be averaged.
    """

    env_id: str
    split: str
    scenes: int
    images: int
    checkpoint: str
    rows: tuple[Row, ...]
    priors: Mapping[str, attention.Landing] = field(default_factory=dict)
    goal: str = ""
    averaged: Averaged | None = None

    @property
    def learned(self) -> Row:
        return self.rows[0]

    @property
    def _how(self) -> str:
        whole = self.learned.name == WHOLE
        return "the whole image seen at once" if whole else "one deterministic path a scene"

    def sentences(self) -> list[str]:
        """In words: what a gaze sees more, and whether it is ahead of each control."""
        own = self.rows[0].name
        return [
            *remarks(own),
            *(sentence(r.name, r.behind, own) for r in self.rows if r.behind is not None),
        ]

    def as_dict(self) -> dict[str, Any]:
        """For metrics.json."""
        return {
            "env": self.env_id,
            "scenes": self.scenes,
            "images": self.images,
            "checkpoint": self.checkpoint,
            "rows": [row.as_dict() for row in self.rows],
            "priors": plain(dict(self.priors)),
            "sentences": self.sentences(),
            "averaged": None if self.averaged is None else plain(asdict(self.averaged)),
        }

    def markdown(self) -> str:
        """The tables and the sentences, ready for a page."""
        placed = "" if self.scenes == self.images else f" ({self.scenes // self.images} an image)"
        lines = [
            f"## {self.env_id}, {self.split}",
            "",
            f"{self.scenes} scenes{placed}, checkpoint `{self.checkpoint}`, {self._how}; 95%"
            " intervals.",
            *([f"Success: {self.goal}. *error*: share of scenes without it."] if self.goal else []),
            "",
            *Table.of(_results(self.rows[0]), self.rows).lines(),
            "",
        ]
        if self.rows[0].name == WHOLE:
            return "\n".join([*lines, *self._attention(), ""])
        if self.averaged is not None:
            lines += [self.averaged.sentence(), ""]
        lines += [
            *(f"- {sentence}" for sentence in self.sentences()),
            "",
            *Table.of([GAZE, VALUES, *SCANPATH], self.rows).lines(),
            "",
            legend(self.learned.reports),
            "",
        ]
        return "\n".join(lines)

    def _attention(self) -> list[str]:
        """Where a classifier's map lands, or why there is no such table."""
        if not self.priors:
            return [f"Where attention lands: {UNMEASURED}"]
        table = attention_table("attention", [("learned", self.learned)], self.priors)
        return ["### Where attention lands", "", *table.lines(), "", ATTENTION_LEGEND]


UNMEASURED = "not measured, as the target's box is the whole image."


def evaluate(
    policy: gaze.Policy,
    make: Callable[[str], Any],
    split: Split,
    *,
    placements: int = 1,
    seed: int = 0,
) -> tuple[Row, ...]:
    """Rows for a policy: learned, random, centre and fixed path, on the environments of `make`.

    `make(split)` gives a native vector environment with autoreset disabled, `placements` scenes an
    image; it is closed here. Where a gaze moves its eye, the first row is named after that, and
    controls that look where it does are left out. A policy with `whole` set has no controls.
    """
    return _evaluate(policy, make, split, placements, seed)[0]


def evaluate_run(
    run: RunFolder,
    split: Split = "validation",
    *,
    placements: int | None = None,
    checkpoint: str | None = None,
    device: str | None = None,
    average: int = 0,
) -> Evaluation:
    """Evaluate a run's checkpoint and store the table in its folder, unless it is a kept model.

    Writes `evaluation-<split>.md` and `evaluations.<split>` of metrics.json. `placements` is the
    number of scenes of each image; without it, the config's `train.eval_placements`. `average` asks
    for the error of so many sampled paths a scene too, see `averaging.py`.
    """
    if split not in ("validation", "test"):
        raise UserError(f"no split to evaluate is called '{split}' (known: validation, test)")
    config, policy, file = load_policy(run, checkpoint, device)
    placements = config.train.eval_placements if placements is None else placements
    sizes = {}

    def make(which: str) -> Any:
        env = make_env(config, which, placements=placements)
        sizes[which] = int(env.unwrapped.split_length)
        return env

    started = time.perf_counter()
    rows, priors = _evaluate(policy, make, split, placements, config.seed)
    scenes = sizes[split]
    averaged = averaged_error(policy, config, split, placements, average) if average else None
    found = Evaluation(
        config.env.id,
        split,
        scenes,
        scenes // placements,
        file.name.removesuffix(".pt"),
        rows,
        priors,
        task_of(config).goal,
        averaged,
    )
    if run.kept:
        return found
    stored = run.metrics().get("evaluations", {})
    entry = found.as_dict() | {
        "placements": placements,
        "timesteps": getattr(policy, "num_timesteps", None),
        "seconds": round(time.perf_counter() - started, 2),
    }
    write_text(run.path / f"evaluation-{split}.md", found.markdown())
    run.update_metrics({"evaluations": {**stored, split: entry}})
    return found


def load_policy(
    run: RunFolder, checkpoint: str | None = None, device: str | None = None
) -> tuple[Config, Any, Path]:
    """A run's config, the learner in its checkpoint, and that checkpoint's file.

    On the device asked for; else on the config's, and where that is not here, on the CPU.
    """
    config = load_resolved(run.config)
    file = run.checkpoint(checkpoint)
    there = device or (config.device if is_here(config.device) else "cpu")
    return config, LEARNERS[config.agent.name].restore(file, device=there), file


def _evaluate(
    policy: gaze.Policy, make: Callable[[str], Any], split: Split, placements: int, seed: int
) -> tuple[tuple[Row, ...], dict[str, attention.Landing]]:
    """The rows, and where attention that knows the boxes alone would land."""
    env = make(split)
    core = env.unwrapped
    height, width, _ = core.image_shape
    if getattr(policy, "whole", False):
        with contextlib.closing(env):
            seen = rollout(policy, env)
            row = _whole_row(policy, seen, env, images_of(seen.index, core, placements))
            return (row,), attention.priors(seen.boxes, height, width)
    gazed = isinstance(env, GazedVectorEnv)
    own, bare = (env.name, env.env) if gazed else (LEARNED, env)
    count, glimpses = int(core.split_length), int(core.glimpses)
    learned = rollout(policy, env)
    if split == "validation":
        path = gaze.mean_path(learned.fixations)
    else:
        validation = make("validation")
        path = gaze.mean_path(rollout(policy, validation).fixations)
        validation.close()
    controls = {
        "random": gaze.random_paths(count, glimpses, seed),
        "centre": gaze.center_path(glimpses),
        "fixed path": path,
    }
    images = images_of(learned.index, core, placements)
    rows = [_row(own, learned, core, images)]
    for name, paths in controls.items():
        if name == own or (gazed and (learned.fixations == paths).all()):
            continue
        seen = rollout(gaze.FixedPath(policy, bare, paths), bare)
        rows.append(_row(name, seen, core, images, against=learned))
    env.close()
    return tuple(rows), attention.priors(learned.boxes, height, width)


def _whole_row(policy: Any, seen: Episodes, env: Any, images: NDArray[np.int64] | None) -> Row:
    """A classifier's figures: it reads every pixel and takes no path."""
    height, width, channels = env.unwrapped.image_shape
    path = dict.fromkeys(SCANPATH_MEASURES, math.nan)
    landed, name = _weighed(policy, env)
    return Row(
        name=WHOLE,
        error=stats.proportion_interval(~seen.success, images),
        reward=stats.mean_interval(seen.reward, images),
        glimpses=math.nan,
        sensor_values=float(height * width * channels),
        scanpath=path | {"distinct_pixels": float(height * width)},
        attention=landed,
        attention_map=name,
        reports=_reports(seen, images),
        right=packed(seen.success),
    )


def _reports(seen: Episodes, images: NDArray[np.int64] | None) -> dict[str, stats.Interval]:
    """Means of the numbers that the task reports of an episode."""
    return {
        name: stats.mean_interval(values, images)
        for name, values in seen.reports.items()
        if values.ndim == 1
    }


def _weighed(policy: Any, env: Any) -> tuple[attention.Landing, str]:
    """Where the map that counts of a classifier lands over all scenes, and its name."""
    from .soft.maps import principal, tensor

    tally, name = attention.Tally(), ""
    for observation, info in shown(env):
        found = principal(policy.network, tensor(policy, observation["image"]))
        if found is None:
            break
        name, maps = found
        tally.add(maps.cpu().numpy(), info["box"])
    return tally.means(), name


def _row(
    name: str,
    seen: Episodes,
    core: Any,
    images: NDArray[np.int64] | None,
    against: Episodes | None = None,
) -> Row:
    height, width, channels = core.image_shape
    context = core.context_size**2 * channels if "context" in core.reveal else 0  # read once
    wrong = ~seen.success
    behind = None
    if against is not None:
        behind = stats.paired_bootstrap(wrong, ~against.success, images)
    glimpses = float(seen.length.mean())
    return Row(
        name=name,
        error=stats.proportion_interval(wrong, images),
        reward=stats.mean_interval(seen.reward, images),
        glimpses=glimpses,
        sensor_values=glimpses * math.prod(core.sensor.shape(channels)) + context,
        scanpath=scanpath.measures(
            seen.fixations, seen.boxes, height=height, width=width, sensor=core.sensor
        ),
        behind=behind,
        attention=attention.of_paths(
            seen.fixations, seen.boxes, height=height, width=width, size=core.sensor.size
        ),
        attention_map=GLIMPSED,
        reports=_reports(seen, images),
        right=packed(seen.success) if against is None else "",
    )


def _results(first: Row) -> list[Column]:
    """The columns of results where `first` is the first row."""
    error: Column = ("error %", lambda row: interval_text(row.error, 100))
    own = [reported(name) for name in first.reports]
    if first.name == WHOLE:
        return [error, *own, RETURN, VALUES]
    return [
        GAZE,
        error,
        (f"behind {first.name}", lambda row: interval_text(row.behind, 100, "+")),
        *own,
        RETURN,
        GLIMPSES,
        PIXELS,
    ]


if __name__ == "__main__":
    import sys

    from .cli import main

    sys.exit(main(["evaluate", *sys.argv[1:]]))
