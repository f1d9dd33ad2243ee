"""The figures of a comparison: error against pixels seen, and learning curves. PNG bytes.

Needs matplotlib, the extra `report`.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .bands import band
from .curves import read_scalars
from .errors import UserError

if TYPE_CHECKING:
    from .compare import Comparison, Section
    from .groups import Group
    from .transfer import Transfer

# Okabe and Ito's colours, told apart by colour-blind readers too; then again with other strokes.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
STROKES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
CURVES = (
    ("rollout/ep_rew_mean", "training reward", 1.0),
    ("eval/error", "validation error, %", 100.0),
)
HOLLOW = "hollow: the same on random fixations"
DPI = 144
LINE = 0.22  # inches that a line of a legend takes
Curve = dict[str, NDArray[np.float64]]
_PANEL = (4.6, 3.3)  # inches


class MissingExtra(UserError):
    """Something needs packages that are not installed."""


def error_against_pixels(comparison: Comparison) -> bytes:
    """A panel an environment: error over distinct pixels seen, hollow on random fixations."""
    sections = comparison.sections
    width = max(len(sections) * _PANEL[0], 5.5)
    labels = dict.fromkeys(group.label for group in comparison.groups)
    columns = max(
        1, min(len(labels) + 1, int(width / (0.08 * max(map(len, [*labels, HOLLOW])) + 0.6)))
    )
    figure = _figure(width, _PANEL[1] + LINE * -(-(len(labels) + 1) // columns))
    panels = figure.subplots(1, len(sections), squeeze=False)[0]
    handles: dict[str, Any] = {}
    hollow = None
    for axes, section in zip(panels, sections, strict=True):
        for group in section.groups:
            style = _style(comparison, group)
            row = group.learned
            error = row.error.scaled(100)
            x = row.scanpath["distinct_pixels"]
            control = group.rows.get("random")
            if control is not None:
                there = (control.scanpath["distinct_pixels"], 100 * control.error.estimate)
                pair = zip((x, error.estimate), there, strict=True)
                axes.plot(*pair, lw=0.8, ls=":", color=style["color"])
                axes.plot(*there, style["marker"], mfc="white", ms=6, mew=1.4, color=style["color"])
                (hollow,) = axes.plot([], [], "o", mfc="white", ms=6, mew=1.4, color="#777777")
            handles[group.label] = axes.errorbar(
                x,
                error.estimate,
                yerr=[[error.estimate - error.low], [error.high - error.estimate]],
                fmt=style["marker"],
                ms=7,
                capsize=3,
                elinewidth=1.4,
                color=style["color"],
            )
        _plain_frame(axes)
        _errors_on_y(axes, _errors(section))
        axes.set(xlabel="distinct pixels seen, an image", ylabel=f"{comparison.split} error, %")
        axes.set_title(_wrapped(section.title), fontsize=10)
        axes.margins(x=0.18)
    if hollow is not None:
        handles[HOLLOW] = hollow
    _legend(figure, handles, columns)
    return _png(figure)


def learning_curves(comparison: Comparison) -> bytes | None:
    """A row an environment: training reward and validation error over timesteps, a band over seeds.

    Runs without events are left out, with a line on stderr; None where that leaves nothing.
    """
    read = [
        (section, [(group, _seeds_curves(group)) for group in section.groups])
        for section in comparison.sections
    ]
    read = [(section, found) for section, found in read if any(any(seeds) for _, seeds in found)]
    if not read:
        return None
    width = len(CURVES) * _PANEL[0]
    heights = [_PANEL[1] + LINE * (len(found) + 1) for _, found in read]
    figure = _figure(width, sum(heights))
    parts = figure.subfigures(len(read), 1, squeeze=False, height_ratios=heights)[:, 0]
    for part, (section, found) in zip(parts, read, strict=True):
        handles: dict[str, Any] = {}
        part.suptitle(section.title, fontsize=10)
        for axes, curve in zip(part.subplots(1, len(CURVES)), CURVES, strict=True):
            handles |= _draw_curve(axes, comparison, found, *curve)
        _legend(part, handles, columns=1)
    return _png(figure)


def transfer(found: Transfer) -> bytes:
    """Two panels over the varied keyword: error, and multiply-adds an image."""
    figure = _figure(2 * _PANEL[0], _PANEL[1] + LINE * (len(found.lines) + 1))
    left, right = figure.subplots(1, 2)
    handles: dict[str, Any] = {}
    extent: list[float] = []
    for place, line in enumerate(found.lines):
        style = _style_of(place)
        there = [point for point in line.points if point.error is not None]
        if not there:
            continue
        x = [point.value for point in there]
        errors = [point.error.scaled(100) for point in there if point.error is not None]
        extent += [value for error in errors for value in (error.low, error.high)]
        handles[line.label] = left.errorbar(
            x,
            [error.estimate for error in errors],
            yerr=[
                [error.estimate - error.low for error in errors],
                [error.high - error.estimate for error in errors],
            ],
            fmt=style["marker"] + style["stroke"],
            capsize=3,
            lw=1.4,
            color=style["color"],
        )
        adds = [point.cost.multiply_adds for point in there if point.cost is not None]
        right.plot(x, adds, style["marker"] + style["stroke"], lw=1.4, color=style["color"])
    for axes, label in ((left, f"{found.split} error, %"), (right, "multiply-adds an image")):
        axes.set(xlabel=found.key, ylabel=label)
        axes.set_xticks(sorted({point.value for line in found.lines for point in line.points}))
        _plain_frame(axes)
    _errors_on_y(left, extent)
    right.set_yscale("log")
    _legend(figure, handles, columns=2)
    return _png(figure)


def _draw_curve(
    axes: Any,
    comparison: Comparison,
    found: list[tuple[Group, list[Curve]]],
    name: str,
    label: str,
    factor: float,
) -> dict[str, Any]:
    """One curve of every group; the lines by what they are."""
    handles: dict[str, Any] = {}
    extent: list[float] = []
    for group, read in found:
        seeds = [curves[name] for curves in read if name in curves]
        if not seeds:
            continue
        try:
            shown = band(seeds)
        except ValueError as error:
            print(f"{group.label}: {name}: {error}, so no line", file=sys.stderr)
            continue
        style = _style(comparison, group)
        line = axes.plot(
            shown.steps, factor * shown.middle, style["stroke"], lw=1.6, color=style["color"]
        )
        handles[f"{group.label}: {shown.means}"] = line[0]
        low, high = factor * shown.low, factor * shown.high
        if len(seeds) > 1:
            axes.fill_between(shown.steps, low, high, alpha=0.2, lw=0, color=style["color"])
        extent += [*low, *high]
    axes.set(xlabel="timesteps", ylabel=label)
    axes.xaxis.set_major_formatter(_engineering())
    _plain_frame(axes)
    if name == "eval/error":
        _errors_on_y(axes, extent)
    return handles


def _seeds_curves(group: Group) -> list[Curve]:
    found = []
    for seed in group.seeds:
        curves = read_scalars(seed.run.path, [name for name, _, _ in CURVES])
        if not curves:
            print(f"{seed.run.path}: no learning curves in it, left out of them", file=sys.stderr)
        for points in curves.values():
            points[:, 0] += seed.earlier_timesteps  # behind the run whose weights it began with
        found.append(curves)
    return found


def check_installed() -> None:
    """MissingExtra unless there is matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingExtra('figures need matplotlib, run `pip install "saccade[report]"`') from None


def _figure(width: float, height: float) -> Any:
    check_installed()
    from matplotlib.figure import Figure  # without pyplot, which holds state

    return Figure(figsize=(width, height), layout="constrained")


def _style(comparison: Comparison, group: Group) -> dict[str, str]:
    """The same for one label in every panel and figure."""
    labels = list(dict.fromkeys(other.label for other in comparison.groups))
    return _style_of(labels.index(group.label))


def _style_of(place: int) -> dict[str, str]:
    return {
        "color": COLOURS[place % len(COLOURS)],
        "stroke": STROKES[place // len(COLOURS) % len(STROKES)],
        "marker": MARKERS[(place + place // len(COLOURS)) % len(MARKERS)],
    }


def _errors(section: Section) -> list[float]:
    rows = [row for group in section.groups for row in _shown(group)]
    return [100 * value for row in rows for value in (row.error.low, row.error.high)]


def _shown(group: Group) -> list[Any]:
    return [group.rows[name] for name in (group.own, "random") if name in group.rows]


def _plain_frame(axes: Any) -> None:
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _errors_on_y(axes: Any, values: list[float]) -> None:
    """A logarithmic axis where errors differ by much; else one that starts at 0."""
    from matplotlib.ticker import FixedLocator, NullLocator

    if not values or min(values) <= 0 or max(values) < 8 * min(values):
        axes.set_ylim(bottom=0)
        return
    axes.set_yscale("log")
    ticks = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def _engineering() -> Any:
    from matplotlib.ticker import EngFormatter

    return EngFormatter(sep="")


def _wrapped(title: str, width: int = 44) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(title, width))


def _legend(figure: Any, handles: dict[str, Any], columns: int) -> None:
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=9,
    )


def _png(figure: Any) -> bytes:
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=DPI)
    return target.getvalue()
