"""A comparison in words and numbers: its tables, what they say of controls, Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from ..envs.files import write_bytes, write_text
from . import figures
from .attention import MEASURES, PRIORS, nothing
from .columns import (
    ATTENTION_LEGEND,
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
from .compare import OWN, Comparison, Section, is_comparison
from .errors import UserError
from .evaluate import UNMEASURED
from .groups import Group
from .sentences import sentence
from .tables import Table, interval_text

MARK = "†"  # stands by what is shown more than glimpses
ATTENTION = "Where attention lands"
CONTROLS = ("random", "centre", "fixed path")

HOW_TO_READ = """\
*error*: share of episodes without success, of one deterministic path a scene, on the checkpoint
that was best on validation, with a 95% interval: Student's t over seeds, and of one seed Wilson's
over images. *random*: error of the same models on random fixations. *behind*: points of error that
a control of the same models is behind the learned gaze."""

COST = """\
*parameters*: of the network. *multiply-adds*: of its matrix products and convolutions, an image.
*ms*: the policy's time an image, on one thread of the machine and in the process that wrote this,
100 images side by side. Neither counts the environment. *scenes*: those a seed was trained on,
drawn anew each time; where several paths share a scene, it counts once. *CPU min*: processor time
of a seed's training, validation and pictures included."""

_FILES = ("compare.md", "compare.csv", "error-vs-pixels.png", "curves.png")


def tables(section: Section) -> dict[str, Table]:
    """A section's tables by title."""
    agent: tuple[str, Callable[[Group], str]] = ("agent", _name)
    results: list[tuple[str, Callable[[Group], str]]] = [
        agent,
        ("seeds", lambda group: str(len(group.seeds))),
        ("error %", lambda group: interval_text(group.learned.error, 100)),
        ("random", _random_error),
        *(_of_learned(reported(name)) for name in section.reports),
        *map(_of_learned, (RETURN, GLIMPSES, VALUES, PIXELS)),
    ]
    found = {"Results": Table.of(results, section.groups)}
    controlled = [group for group in section.groups if _controls(group)]
    if controlled:
        behind = [(f"{name} behind", _behind(name)) for name in CONTROLS]
        found["Controls"] = Table.of([agent, *behind], controlled)
    costs: list[tuple[str, Callable[[Group], str]]] = [
        agent,
        ("parameters", lambda group: f"{group.cost.parameters:,}"),
        ("multiply-adds", lambda group: f"{group.cost.multiply_adds:,.0f}"),
        ("ms", lambda group: f"{group.cost.milliseconds:.3f}"),
        ("scenes", lambda group: _or_dash(group.training_scenes, ",.0f")),
        ("CPU min", lambda group: _or_dash(group.cpu_seconds / 60, ".1f")),
    ]
    found["Cost"] = Table.of(costs, section.groups)
    looking = [group for group in section.groups if not group.whole]
    if looking:
        found["Scanpaths"] = Table.of([agent, *map(_of_learned, SCANPATH)], looking)
    if section.priors:
        named = [(_name(group), group.learned) for group in section.groups]
        found[ATTENTION] = attention_table("agent", named, section.priors)
    return found


def sentences(section: Section) -> list[str]:
    """What is to be known of a section's rows: controls that do as well, advantages, ends."""
    said = []
    for group in section.groups:
        ahead = []
        for name in _controls(group):
            behind = group.rows[name].behind
            assert behind is not None
            if behind.low > 0:
                ahead.append(name)
            else:
                said.append(f"{group.label}: {sentence(name, behind, group.own)}")
        if len(ahead) == len(CONTROLS):
            said.append(f"{group.label}: the {group.own} gaze is ahead of all three controls.")
        if group.whole:
            said.append(f"{MARK} {group.label}: **sees the whole image** at once.")
        elif group.sees:
            said.append(f"{MARK} {group.label}: **is shown {group.sees}** beside its glimpses.")
        if stopped := [seed.run.path.name for seed in group.seeds if not seed.finished]:
            said.append(f"{group.label}: training has not finished in {', '.join(stopped)}.")
        if old := [seed.run.path.name for seed in group.seeds if seed.priors is None]:
            said.append(
                f"{group.label}: where attention lands was not yet measured when"
                f" {', '.join(old)} {'was' if len(old) == 1 else 'were'} evaluated;"
                " `saccade evaluate` measures it."
            )
    if section.priors == {}:
        said.append(f"Where attention lands: {UNMEASURED}")
    return said


def scope(comparison: Comparison, section: Section) -> str:
    """How many scenes of which split, and what success is on them."""
    each = section.scenes // section.images
    placed = f", {each} of each image" if each > 1 else ""
    scenes = f"{section.scenes} scenes of the {comparison.split} split{placed}."
    return f"{scenes} Success: {section.goal}."


def markdown(comparison: Comparison) -> str:
    """The whole comparison as a page."""
    lines = [f"# Comparison on {comparison.split}", ""]
    for section in comparison.sections:
        lines += [f"## {section.title}", "", scope(comparison, section), ""]
        for title, table in tables(section).items():
            lines += [f"{title}:", ""] if title == ATTENTION else []
            lines += [*table.lines(), ""]
        if said := sentences(section):
            lines += [*(f"- {line}" for line in said), ""]
    lines.append("\n\n".join(legends(comparison)))
    return "\n".join(lines) + "\n"


def legends(comparison: Comparison) -> list[str]:
    """What the tables' columns mean."""
    attention = [ATTENTION_LEGEND] * any(section.priors for section in comparison.sections)
    reports = dict.fromkeys(name for section in comparison.sections for name in section.reports)
    return [HOW_TO_READ, legend(reports), *attention, COST]


def comma_separated(comparison: Comparison) -> str:
    """A line for each group and gaze, every number in full; nothing where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    measures = list(comparison.groups[0].learned.scanpath)
    reports = list(dict.fromkeys(n for section in comparison.sections for n in section.reports))
    none = (None,) * 3
    writer.writerow(
        [
            *("environment", "split", "scenes", "images", "agent", "gaze", "sees", "seeds"),
            *("error", "error_low", "error_high", "behind", "behind_low", "behind_high"),
            *("mean_return", "mean_return_low", "mean_return_high"),
            *(f"{name}{end}" for name in reports for end in ("", "_low", "_high")),
            *("glimpses", "sensor_values", *measures),
            *("parameters", "multiply_adds", "milliseconds", "training_scenes", "cpu_seconds"),
            *("attention_map", *MEASURES),
            *(f"{prior}_{measure}" for prior in PRIORS for measure in MEASURES),
            "runs",
        ]
    )
    for section in comparison.sections:
        priors = [(section.priors or {}).get(prior, nothing()) for prior in PRIORS]
        for group in section.groups:
            for gaze, row in group.rows.items():
                numbers = [
                    *(*row.error, *(row.behind or none), *row.reward),
                    *(end for name in reports for end in row.reports.get(name, none)),
                    *(row.glimpses, row.sensor_values, *row.scanpath.values()),
                    *(group.cost.parameters, group.cost.multiply_adds, group.cost.milliseconds),
                    *(group.training_scenes, group.cpu_seconds),
                ]
                writer.writerow(
                    [
                        *(section.title, comparison.split, section.scenes, section.images),
                        *(group.label, gaze, group.sees),
                        " ".join(str(seed.config.seed) for seed in group.seeds),
                        *map(_cell, numbers),
                        row.attention_map,
                        *(
                            _cell(place[name])
                            for place in (row.attention, *priors)
                            for name in MEASURES
                        ),
                        " ".join(seed.run.path.name for seed in group.seeds),
                    ]
                )
    return text.getvalue()


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """Write the page, the CSV and the figures; returns the files.

    Replaces what an earlier comparison wrote, and nothing else: see `check_output`. Raises
    MissingExtra, after the page and the CSV, where there is no matplotlib.
    """
    check_output(folder)
    folder.mkdir(parents=True, exist_ok=True)
    page, data, pixels, curves = (folder / name for name in _FILES)
    write_text(page, f"{OWN}\n\n{markdown(comparison)}")
    write_text(data, comma_separated(comparison))
    files = [page, data]
    for file, draw in ((pixels, figures.error_against_pixels), (curves, figures.learning_curves)):
        picture = draw(comparison)
        if picture is not None:
            write_bytes(file, picture)
            files.append(file)
        else:
            file.unlink(missing_ok=True)  # an earlier comparison's, which would not belong here
    return files


def check_output(folder: Path) -> None:
    """UserError where the folder holds files of these names that no comparison wrote."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output {folder}: not a folder")
    there = [name for name in _FILES if (folder / name).exists()]
    if there and not is_comparison(folder):
        raise UserError(
            f"--output {folder}: holds a {there[0]} that 'saccade compare' did not write; give"
            " another folder"
        )


def _cell(value: float | None) -> float | str:
    """A number in full; nothing where there is none."""
    return "" if value is None or value != value else value


def _or_dash(value: float, form: str) -> str:
    return "-" if value != value else f"{value:{form}}"


def _name(group: Group) -> str:
    return f"{group.label} {MARK}" if group.sees else group.label


def _controls(group: Group) -> list[str]:
    """The controls that a group was measured with."""
    rows = group.rows
    return [name for name in CONTROLS if name in rows and rows[name].behind is not None]


def _of_learned(column: Column) -> tuple[str, Callable[[Group], str]]:
    title, show = column
    return title, lambda group: show(group.learned)


def _random_error(group: Group) -> str:
    return f"{100 * group.rows['random'].error.estimate:.2f}" if "random" in group.rows else "-"


def _behind(name: str) -> Callable[[Group], str]:
    def show(group: Group) -> str:
        return interval_text(group.rows[name].behind, 100, "+") if name in group.rows else "-"

    return show
