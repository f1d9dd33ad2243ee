"""The cells of a paper's tables: an index file in a folder of configs, one a cell.

    title: ...                       of the page
    source: ...                      who published what
    about: ...                       what a reader should know first, may be left out
    published: [NIPS, arXiv v1]      names of the columns of published figures
    tables:
      - name: clutter                names the table's files
        title: ...
        about: ...                   a sentence beneath it, may be left out
        rows:
          - config: ram_clutter_8    a file beside the index, without its ending
            label: RAM, 8 glimpses
            published: [4.04, "5.23?"] percent; "?" marks second hand, null what is not known
            control_of: ...          the row that this one is a control of, trained as such
            note: ...                what a reader should know of it
        claims:                      what public implementations say they reach
          - {error: 2.13, says: chosen on the test set, row: ram_clutter_8}

Only reads and checks; `reproduce.py` trains and measures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..envs.checks import shown
from . import config
from .config import Config
from .errors import UserError, did_you_mean
from .learners import LEARNERS

INDEX = "tables.yaml"
_NONE = "-"
_FIGURE = re.compile(r"\d+(\.\d+)?\??")


@dataclass(frozen=True)
class Cell:
    """One row: its config and that file, what it is called, and what others published of it.

    `published` has a figure, in percent, for each of the index's names; "-" where none is known.
    """

    file: Path
    config: Config
    label: str
    published: tuple[str, ...]
    control_of: str | None = None
    note: str = ""
    row: bool = True
    """Whether the tables show it; others are trained for rows that begin with their weights."""

    @property
    def name(self) -> str:
        return self.file.stem

    @property
    def looks(self) -> bool:
        """Whether it chooses itself where it looks."""
        return not (LEARNERS[self.config.agent.name].whole or self.config.env.gaze)


@dataclass(frozen=True)
class Claim:
    """What a public implementation says it reaches, in percent, and how; of a row, where it says.

    `says` is empty where it says no more.
    """

    error: float
    says: str = ""
    row: str | None = None

    def __str__(self) -> str:
        return f"{self.error:g} ({self.says})" if self.says else f"{self.error:g}"


@dataclass(frozen=True)
class PaperTable:
    """One table: its cells in order, and the claims that are about its scenes."""

    name: str
    title: str
    about: str
    cells: tuple[Cell, ...]
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Index:
    """A folder's tables, and the names of the columns of published figures."""

    folder: Path
    title: str
    source: str
    published: tuple[str, ...]
    tables: tuple[PaperTable, ...]
    about: str = ""

    @property
    def cells(self) -> list[Cell]:
        """The rows of all tables."""
        return [cell for table in self.tables for cell in table.cells]

    def before(self, cell: Cell) -> list[Cell]:
        """What is trained before a cell, for its weights (`train.init`), and is no row."""
        rows = [row.name for row in self.cells]
        first: list[Cell] = []
        while name := (first[0] if first else cell).config.train.init:
            file = self.folder / f"{name}.yaml"
            if not file.is_file() or name in [*rows, *(one.name for one in first)]:
                break
            first.insert(0, Cell(file, config.load(file), name, (), row=False))
        return first


def read_index(folder: str | Path) -> Index:
    """Read a folder's index and the configs that it names.

    A folder that is not there is looked for among the packaged configs. Raises UserError, one line,
    naming the place in the file.
    """
    found = _find(Path(folder))
    file = found / INDEX
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{folder}: has no {INDEX}, which says what there is to fill in") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    reader = _Reader(file)
    top = reader.part("", config.read_yaml(text, str(file)), ("title", "tables"), _TOP)
    names = tuple(reader.text("published", name) for name in reader.items("", top, "published"))
    tables = tuple(
        _table(reader, f"tables[{i}]", value, names)
        for i, value in enumerate(reader.items("", top, "tables"))
    )
    index = Index(
        found,
        reader.text("title", top["title"]),
        reader.text("source", top["source"]),
        names,
        tables,
        reader.text("about", top["about"]).strip(),
    )
    _check_names(reader, index)
    return index


def _find(folder: Path) -> Path:
    if folder.is_dir():
        return folder
    packaged = Path(__file__).resolve().parent.parent / "configs"
    parts = folder.parts[1:] if folder.parts[:1] == ("configs",) else folder.parts
    known = {file.parent.relative_to(packaged).as_posix() for file in packaged.rglob(INDEX)}
    if (asked := "/".join(parts)) in known:
        return packaged / asked
    raise UserError(f"{folder}: no such folder{did_you_mean(asked, sorted(known))}")


_TOP = {"source": "", "published": [], "about": ""}
_TABLE = {"about": "", "claims": []}
_ROW = {"published": None, "control_of": None, "note": ""}
_CLAIM = {"says": "", "row": None}


def _table(reader: _Reader, place: str, value: Any, names: tuple[str, ...]) -> PaperTable:
    part = reader.part(place, value, ("name", "title", "rows"), _TABLE)
    name = reader.text(f"{place}.name", part["name"])
    if not re.fullmatch(r"[\w.+-]+", name):
        reader.fail(f"{place}.name", f"{shown(name)} names files: take letters, digits, - and _")
    rows, claims = (reader.items(place, part, key) for key in ("rows", "claims"))
    return PaperTable(
        name,
        reader.text(f"{place}.title", part["title"]),
        reader.text(f"{place}.about", part["about"]),
        tuple(_cell(reader, f"{place}.rows[{i}]", row, names) for i, row in enumerate(rows)),
        tuple(_claim(reader, f"{place}.claims[{i}]", claim) for i, claim in enumerate(claims)),
    )


def _cell(reader: _Reader, place: str, value: Any, names: tuple[str, ...]) -> Cell:
    part = reader.part(place, value, ("config", "label"), _ROW)
    name = reader.text(f"{place}.config", part["config"])
    file = reader.file.parent / f"{name}.yaml"
    if not file.is_file():
        known = [other.stem for other in sorted(reader.file.parent.glob("*.yaml"))]
        reader.fail(f"{place}.config", f"no {file.name} beside it{did_you_mean(name, known)}")
    figures = part["published"]
    if figures is None:
        figures = [None] * len(names)
    if not isinstance(figures, list) or len(figures) != len(names):
        reader.fail(f"{place}.published", f"takes {len(names)} figures, for {', '.join(names)}")
    return Cell(
        file,
        config.load(file),
        reader.text(f"{place}.label", part["label"]),
        tuple(_figure(reader, f"{place}.published", figure) for figure in figures),
        None if part["control_of"] is None else reader.text(place, part["control_of"]),
        reader.text(f"{place}.note", part["note"]),
    )


def _figure(reader: _Reader, place: str, value: Any) -> str:
    if value is None:
        return _NONE
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    if isinstance(value, bool) or not _FIGURE.fullmatch(text):
        reader.fail(place, f'takes a number, one like "1.5?", or null, got {shown(value)}')
    return text


def _claim(reader: _Reader, place: str, value: Any) -> Claim:
    part = reader.part(place, value, ("error",), _CLAIM)
    error = part["error"]
    if isinstance(error, bool) or not isinstance(error, int | float) or not 0 <= error <= 100:
        reader.fail(f"{place}.error", f"takes a number from 0 to 100, got {shown(error)}")
    row = None if part["row"] is None else reader.text(f"{place}.row", part["row"])
    return Claim(float(error), reader.text(f"{place}.says", part["says"]), row)


def _check_names(reader: _Reader, index: Index) -> None:
    """Tables and rows once each, and every name of a row that of one."""
    cells = [cell.name for cell in index.cells]
    for what, names in (("table", [table.name for table in index.tables]), ("config", cells)):
        if twice := [name for name in names if names.count(name) > 1]:
            reader.fail("tables", f"the {what} '{twice[0]}' stands twice")
    if not cells:
        reader.fail("tables", "have no rows")
    for table in index.tables:
        here = [cell.name for cell in table.cells]
        named = [("control_of", cell.control_of) for cell in table.cells]
        for key, name in [*named, *(("row", claim.row) for claim in table.claims)]:
            if name is not None and name not in here:
                near = did_you_mean(name, here)
                reader.fail(f"table '{table.name}'", f"{key}: no row '{name}' in it{near}")


@dataclass(frozen=True)
class _Reader:
    """Takes parts of one file and words its errors."""

    file: Path

    def fail(self, place: str, message: str) -> Any:
        raise UserError(f"{self.file}: {f'{place}: ' if place else ''}{message}")

    def part(
        self, place: str, value: Any, needed: tuple[str, ...], defaults: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Keys and values: all that are needed, no unknown one, the defaults of the rest."""
        if not isinstance(value, dict):
            self.fail(place, f"should hold keys and values, got {shown(value)}")
        for key in value:
            if key not in (*needed, *defaults):
                near = did_you_mean(str(key), (*needed, *defaults))
                self.fail(place, f"unknown key {shown(key)}{near}")
        for key in needed:
            if key not in value:
                self.fail(place, f"'{key}' is missing")
        return {**defaults, **value}

    def items(self, place: str, part: Mapping[str, Any], key: str) -> list[Any]:
        value = part[key]
        if not isinstance(value, list):
            self.fail(f"{place}.{key}".strip("."), f"takes a list, got {shown(value)}")
        return value

    def text(self, place: str, value: Any) -> str:
        if not isinstance(value, str):
            self.fail(place, f"takes text, got {shown(value)}")
        return value
