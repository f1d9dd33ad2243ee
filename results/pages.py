"""What the pages of results share: rows of a comparison, tables, and how they are put in place."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from saccade.envs.files import write_text

Row = dict[str, str]


def rows_of(folder: Path) -> dict[tuple[str, str], Row]:
    """The rows that `saccade compare` wrote into a folder, by their configs' names and gazes."""
    with (folder / "compare.csv").open(encoding="utf-8") as file:
        # A run folder is called <config>-<seed>-<date>-<time>.
        return {
            (row["runs"].split()[0].rsplit("-", 3)[0], row["gaze"]): row
            for row in csv.DictReader(file)
        }


def percent(row: Row, key: str, sign: str = "") -> str:
    """`1.80 (1.56 to 2.08)`: a share and its interval, in percent."""
    value, low, high = (100 * float(row[f"{key}{end}"]) for end in ("", "_low", "_high"))
    return f"{value:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


def table(head: list[str], lines: Iterable[list[str]]) -> list[str]:
    """The lines of a Markdown table; the first column names, the others count."""
    rule = ["---", *("---:" for _ in head[1:])]
    return ["| " + " | ".join(cells).replace("  ", " ") + " |" for cells in (head, rule, *lines)]


def fill(page: Path, tables: Mapping[str, list[str]]) -> None:
    """Put tables into a page, each under its line `<!-- table: NAME -->`.

    Raises SystemExit where the page has no such line.
    """
    text = page.read_text(encoding="utf-8")
    for name, lines in tables.items():
        mark = f"<!-- table: {name} -->\n"
        if mark not in text:
            raise SystemExit(f"{page}: has no line '{mark.strip()}'")
        filled = mark + "\n".join(lines) + "\n"
        text = re.sub(re.escape(mark) + r"(\|.*\n)*", lambda _, filled=filled: filled, text)
    write_text(page, text)
    print(page)
