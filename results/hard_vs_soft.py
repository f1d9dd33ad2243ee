"""Put the comparisons of hard and soft attention on one page: `python results/hard_vs_soft.py`

Reads what `saccade compare` and `saccade transfer` wrote into `results/hard-vs-soft/`, and fills
the tables of `results/hard-vs-soft.md` in place: each stands under a line `<!-- table: NAME -->`.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pages
from pages import Row, fill, percent, table

RESULTS = Path(__file__).resolve().parent
FOLDER = RESULTS / "hard-vs-soft"
OWN_GAZES = ("learned", "whole image")
IN_BOTH = {28: ("ram", "ran", "resnet", "se_resnet")}
"""By side: configs whose runs of equal scenes already took about the time of equal processor time.
They stand in both columns, read from the comparison of equal scenes; that at 60x60 has its own."""


def rows_of(name: str) -> dict[str, Row]:
    """The rows of a comparison by their configs' names, controls left out."""
    found = pages.rows_of(FOLDER / name)
    return {config: row for (config, gaze), row in found.items() if gaze in OWN_GAZES}


def error(row: Row | None) -> str:
    """`1.80 (1.56 to 2.08)`, in percent."""
    return "-" if row is None else percent(row, "error")


def number(row: Row, key: str, form: str = ",.0f", factor: float = 1.0) -> str:
    return format(factor * float(row[key]), form) if row[key] else "-"


def budget(row: Row | None) -> str:
    """`58 s, 90,000`: processor time of a seed's training and the scenes it saw."""
    if row is None:
        return "-"
    return f"{number(row, 'cpu_seconds')} s, {number(row, 'training_scenes')}"


def errors(side: int) -> list[str]:
    """Error at equal numbers of scenes and, where compared, at equal processor time."""
    images = rows_of(f"images{side}")
    names = sorted(images, key=lambda name: float(images[name]["error"]))
    head = ["agent", "error %, equal scenes", "CPU time, scenes"]
    if not (FOLDER / f"time{side}").is_dir():
        lines = [[name, error(images[name]), budget(images[name])] for name in names]
        return table(head, lines)
    time = rows_of(f"time{side}") | {name: images[name] for name in IN_BOTH.get(side, ())}
    head += ["error %, equal CPU time", "CPU time, scenes "]
    lines = [
        [
            name,
            error(images[name]),
            budget(images[name]),
            error(time.get(name)),
            budget(time.get(name)),
        ]
        for name in names
    ]
    return table(head, lines)


def costs(side: int) -> list[str]:
    """What an image costs each network, and what it reads."""
    images = rows_of(f"images{side}")
    head = ["agent", "parameters", "multiply-adds", "ms", "values read", "pixels touched"]
    keys = ("parameters", "multiply_adds", "milliseconds", "sensor_values", "distinct_pixels")
    names = sorted(images, key=lambda name: float(images[name]["multiply_adds"]))
    lines = [
        [
            name,
            *(
                number(images[name], key, ".2f" if key == "milliseconds" else ",.0f")
                for key in keys
            ),
        ]
        for name in names
    ]
    return table(head, lines)


def landing(side: int) -> list[str]:
    """Where attention lands, beside the priors."""
    images = rows_of(f"images{side}")
    measures = ("energy", "iou", "pointing")
    named = {
        name: [row["attention_map"], *(number(row, key, ".1f", 100) for key in measures)]
        for name, row in images.items()
        if row["energy"]
    }
    first = next(iter(images.values()))
    lines = [[name, *cells] for name, cells in named.items()]
    for prior in ("centre", "uniform"):
        cells = [number(first, f"{prior}_{key}", ".1f", 100) for key in measures]
        lines.append([f"*{prior}*", "-", *cells])
    return table(["agent", "map", "energy %", "IoU %", "pointing %"], lines)


def transferred(key: str) -> list[str]:
    """Error of the trained models at other values of one keyword, and their multiply-adds."""
    with (FOLDER / key / "transfer.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    values = list(dict.fromkeys(row[key] for row in found))
    lines = []
    for name in dict.fromkeys(row["agent"] for row in found):
        mine = {row[key]: row for row in found if row["agent"] == name}
        cells = [error(mine[value]) if mine[value]["error"] else "-" for value in values]
        last = mine[values[-1]]
        cells += [number(mine[values[0]], "multiply_adds"), number(last, "multiply_adds")]
        lines.append([name, *cells])
    head = ["agent", *(f"error %, {key} {value}" for value in values)]
    return table([*head, f"multiply-adds, {values[0]}", f"{values[-1]}"], lines)


TABLES = {
    **{f"errors {side}": (errors, side) for side in (28, 60)},
    **{f"costs {side}": (costs, side) for side in (28, 60)},
    "landing 60": (landing, 60),
    **{f"transfer {key}": (transferred, key) for key in ("pieces", "canvas")},
}


def main() -> None:
    made = {name: make(argument) for name, (make, argument) in TABLES.items()}  # type: ignore[operator]
    fill(RESULTS / "hard-vs-soft.md", made)


if __name__ == "__main__":
    main()
