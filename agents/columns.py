"""The columns of tables of rows, and the legends that explain them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from .attention import PRIORS, Landing
from .row import Row
from .tables import Table, interval_text

Column = tuple[str, Callable[[Row], str]]


def _share(name: str) -> Callable[[Row], str]:
    return lambda row: _shown(100 * row.scanpath[name], ".1f", "%")


def _plain(name: str) -> Callable[[Row], str]:
    return lambda row: _shown(row.scanpath[name], ".2f")


def _shown(value: float, form: str, unit: str = "") -> str:
    return "-" if math.isnan(value) else f"{value:{form}}{unit}"


GAZE: Column = ("gaze", lambda row: row.name)
RETURN: Column = ("return", lambda row: f"{row.reward.estimate:.4f}")
GLIMPSES: Column = ("glimpses", lambda row: _shown(row.glimpses, ".2f"))
VALUES: Column = ("values", lambda row: f"{row.sensor_values:.0f}")
PIXELS: Column = ("pixels", lambda row: f"{row.scanpath['distinct_pixels']:.0f}")


def reported(name: str) -> Column:
    """The column of what a task reports under this name."""
    return name, lambda row: interval_text(row.reports.get(name))


def legend(reports: Iterable[str]) -> str:
    """What the columns mean, those of what a task reports at the end."""
    own = [f"*{name}*: {REPORTED[name]}." for name in reports if name in REPORTED]
    return "\n".join([LEGEND, *own])


SCANPATH: list[Column] = [
    ("on target", _share("on_target")),
    ("ever on it", _share("ever_on_target")),
    ("first at", _plain("first_on_target")),
    ("amplitude", _plain("amplitude")),
    ("revisits", _share("revisits")),
    ("entropy", _plain("entropy")),
]

# Of what the suite's own tasks report; a user's own has its name alone.
REPORTED = {
    "distance": "pixels from the last aim to the centre of the target's box",
    "overlap": "intersection over union of the box said and the target's",
    "share": "of steps whose aim is in the target's box",
}

LEGEND = """\
*return*: mean sum of rewards. *values*: numbers read off the sensor, an image. *pixels*: distinct
pixels of the image that some patch covered. *on target*: share of fixations in the target's box.
*ever on it*: share of scenes with one. *first at*: number of the first such glimpse. *amplitude*:
pixels from one fixation to the next. *revisits*: share of fixations less than half a glimpse from
an earlier one. *entropy*: bits of where a glimpse goes across scenes, 0 where all are looked at
alike."""

ATTENTION_LEGEND = """\
*map*: what is held against the target's box: `glimpses`, how often each pixel lay in a finest
patch; for a classifier of whole images the first of its own maps, by its name, or `Grad-CAM` of its
answer where it weighs no places. *energy*: share of the map inside the box. *IoU*: intersection
over union of the box and the pixels with at least half of the map's maximum. *pointing*: share of
scenes whose largest value lies in the box; tied ones count in part. *centre prior*: a box of the
target's size in the middle, pointing at the middle pixel. *uniform prior*: every pixel alike."""


def attention_table(
    first: str, named: Iterable[tuple[str, Row]], priors: Mapping[str, Landing]
) -> Table:
    """Where attention lands, a line for each row under its name, then the priors.

    `first` is the title of the names.
    """
    lines = [(name, row.attention_map or "-", row.attention) for name, row in named]
    lines += [(f"{name} prior", "-", priors[name]) for name in PRIORS if name in priors]

    def share(measure: str) -> Callable[[tuple[str, str, Landing]], str]:
        return lambda line: _shown(100 * line[2][measure], ".1f", "%")

    return Table.of(
        [
            (first, lambda line: line[0]),
            ("map", lambda line: line[1]),
            ("energy", share("energy")),
            ("IoU", share("iou")),
            ("pointing", share("pointing")),
        ],
        lines,
    )
