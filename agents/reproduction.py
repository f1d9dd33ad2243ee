"""The page of a paper's tables filled in: figures beside those published, and what they say.

Made from measured runs alone; `reproduce.py` makes and measures them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..envs.files import write_bytes, write_text
from . import figures, stats
from .cells import Cell, Index, PaperTable
from .compare import Comparison, Section
from .comparison import CONTROLS, comma_separated
from .errors import UserError
from .groups import Group, Seed
from .reproduce import PATHS, SPLIT
from .row import unpacked
from .sentences import sentence
from .tables import Table, interval_text

OWN = "<!-- written by saccade reproduce -->"  # the first line of every such page

HOW_TO_READ = f"""\
*error %*: share of the test split's scenes answered wrongly, of one deterministic path a scene, on
the checkpoint that was best on validation; the test split was read once. 95% intervals: Student's t
over seeds, and of one seed Wilson's over images. *{PATHS} paths*: the error where {PATHS} sampled
paths of each scene answer together, another protocol that costs {PATHS} times the looks. Published
figures with a "?" are known second hand. *behind*: points of error that a control is behind the
row, scene by scene: the same model on *random* fixations, in the *centre*, and along the *fixed
path*, its own mean path over validation replayed on every image; *trained so* is a model that was
trained with the control. Of one seed their interval is a paired bootstrap over images.

*parameters*: of the network. *multiply-adds*: of its matrix products and convolutions, an image.
*scenes*: those a seed was trained on, drawn anew each time; where several paths share a scene, it
counts once. *CPU min*, *min*: processor time and time by the clock of a seed's training, validation
and pictures included."""

Groups = Mapping[str, Group]


def lead(control: Group, learned: Group) -> stats.Interval | None:
    """How far a model trained with a control is behind another, as a share of error.

    Seeds of the same number are paired, and scenes within them. Of one pair the interval is a
    paired bootstrap over images, of several Student's t over pairs; None where there is no pair.
    """
    others = {seed.config.seed: seed for seed in learned.seeds}
    pairs = [
        (seed, others[seed.config.seed]) for seed in control.seeds if seed.config.seed in others
    ]
    found = [_paired(*pair) for pair in pairs if pair[0].scenes == pair[1].scenes]
    if not found:
        return None
    if len(found) == 1:
        return found[0]
    return stats.student_t([one.estimate for one in found])


def _paired(control: Seed, learned: Seed) -> stats.Interval:
    images = np.arange(learned.scenes) % learned.images
    return stats.paired_bootstrap(~_right(control), ~_right(learned), images)


def _right(seed: Seed) -> NDArray[np.bool_]:
    first = next(iter(seed.rows.values()))
    try:
        return unpacked(first.right, seed.scenes)
    except ValueError as error:
        raise UserError(f"{seed.run.path / 'metrics.json'}: 'right' is damaged ({error})") from None


# ---------------------------------------------------------------------- one table


def tables(index: Index, table: PaperTable, groups: Groups) -> list[Table]:
    """Figures beside those published; controls; cost: each where there is something in it."""

    def of(show: Callable[[Group], str]) -> Callable[[Cell], str]:
        return lambda cell: show(groups[cell.name]) if cell.name in groups else "-"

    def published(place: int) -> Callable[[Cell], str]:
        return lambda cell: cell.published[place]

    name: tuple[str, Callable[[Cell], str]] = ("model", lambda cell: cell.label)
    claimed = any(claim.row for claim in table.claims)
    errors = [
        name,
        ("error %", of(lambda group: interval_text(group.learned.error, 100))),
        ("seeds", of(lambda group: str(len(group.seeds)))),
        (f"{PATHS} paths", of(_averaged)),
        *((title, published(place)) for place, title in enumerate(index.published)),
        *([("public claim", _claim_of(table))] if claimed else []),
    ]
    found = [Table.of(errors, table.cells)]
    looking = [cell for cell in table.cells if cell.looks and cell.name in groups]
    if looking:
        behind = [(f"{control} behind", of(_behind(control))) for control in CONTROLS]
        trained = [cell for cell in table.cells if cell.control_of]
        columns = [name, *behind]
        if trained:
            columns.append(("trained so behind", _trained_so(table, groups)))
        found.append(Table.of(columns, looking))
    costs = [
        name,
        ("parameters", of(lambda group: f"{group.cost.parameters:,}")),
        ("multiply-adds", of(lambda group: f"{group.cost.multiply_adds:,.0f}")),
        ("scenes", of(lambda group: _number(group.training_scenes, ",.0f"))),
        ("CPU min", of(lambda group: _number(group.cpu_seconds / 60, ".1f"))),
        ("min", of(lambda group: _number(group.wall_seconds / 60, ".1f"))),
        ("device", of(lambda group: ", ".join(sorted({seed.device for seed in group.seeds})))),
    ]
    filled = [cell for cell in table.cells if cell.name in groups]
    return [*found, Table.of(costs, filled)] if filled else found


def sentences(index: Index, table: PaperTable, groups: Groups) -> list[str]:
    """What a table says in words: what looking is worth, where a control does as well, the rest."""
    said = [*_worth(table, groups), *_as_good(table, groups)]
    for place, title in enumerate(index.published):
        said += _against(table, groups, place, title)
    if table.claims:
        best = min(table.claims, key=lambda claim: claim.error)
        others = [str(claim) for claim in table.claims if claim is not best]
        more = f"; others {', '.join(others)}" if others else ""
        said.append(f"Public implementations say of themselves: {best} at best{more}.")
    said += [f"{cell.label}: {cell.note}" for cell in table.cells if cell.note]
    empty = [cell.label for cell in table.cells if cell.name not in groups]
    if len(empty) == len(table.cells):
        said.append("No row has a finished run yet.")
    elif empty:
        said.append(f"No finished run yet, so empty here: {'; '.join(empty)}.")
    return said


def _worth(table: PaperTable, groups: Groups) -> list[str]:
    """What looking where the model chooses is worth: of the last row that has a model trained as
    its control, else of the last row."""
    looking = [cell for cell in table.cells if cell.looks and cell.name in groups]
    if not looking:
        return []
    cell = ([cell for cell in looking if _control(table, groups, cell)] or looking)[-1]
    group = groups[cell.name]
    parts = [
        f"{_points(behind)} {where}"
        for control, where in _LED.items()
        if control in group.rows and (behind := group.rows[control].behind) is not None
    ]
    text = (
        f"What looking is worth here: {cell.label} is wrong on {_percent(group)} of scenes. Points"
        f" of error more with the same model's eye led elsewhere: {'; '.join(parts)}."
    )
    apart = _control(table, groups, cell)
    if apart is not None:
        control, behind = apart
        text += (
            f" {control.label}, trained so from the beginning, is wrong on {_percent(control)}:"
            f" choosing where to look is worth {_points(behind)} points."
        )
    return [text]


_LED = {
    "random": "on random fixations",
    "centre": "in the centre alone",
    "fixed path": "along its mean path, the same on every image",
}


def _as_good(table: PaperTable, groups: Groups) -> list[str]:
    """Controls that do as well, or that all are behind."""
    looking = [cell for cell in table.cells if cell.looks and cell.name in groups]
    said = []
    for cell in looking:
        for control in CONTROLS:
            row = groups[cell.name].rows.get(control)
            if row is not None and row.behind is not None and row.behind.low <= 0:
                said.append(f"{cell.label}: {sentence(control, row.behind)}")
        apart = _control(table, groups, cell)
        if apart is not None and apart[1].low <= 0:
            said.append(
                f"{cell.label}: **{apart[0].label}, trained so, does as well here**: a difference"
                f" of {_points(apart[1])} points of error."
            )
    if looking and not said:
        which = "its model is" if len(looking) == 1 else f"each of the {len(looking)} models is"
        said.append(f"Of those that choose where to look, {which} ahead of all its controls.")
    return said


def _against(table: PaperTable, groups: Groups, place: int, title: str) -> list[str]:
    """In which rows the error is below a published figure, and in which it is not."""
    known = [
        (cell, 100 * groups[cell.name].learned.error.estimate, cell.published[place])
        for cell in table.cells
        if cell.name in groups and cell.published[place] != "-"
    ]
    if not known:
        return []
    above = [
        f"{cell.label} ({error:.2f} against {figure})"
        for cell, error, figure in known
        if round(error, 2) >= float(figure.rstrip("?"))
    ]
    if not above:
        return [f"Against {title}: below its figure in all {len(known)} rows filled here."]
    below = len(known) - len(above)
    return [
        f"Against {title}: below its figure in {below} of {len(known)} rows filled here; not in"
        f" {'; '.join(above)}."
    ]


def _control(table: PaperTable, groups: Groups, cell: Cell) -> tuple[Group, stats.Interval] | None:
    """The model trained as a control of a row, and how far it is behind; None without one."""
    for other in table.cells:
        if other.control_of == cell.name and other.name in groups and cell.name in groups:
            behind = lead(groups[other.name], groups[cell.name])
            return None if behind is None else (groups[other.name], behind)
    return None


def _trained_so(table: PaperTable, groups: Groups) -> Callable[[Cell], str]:
    def show(cell: Cell) -> str:
        apart = _control(table, groups, cell)
        return "-" if apart is None else interval_text(apart[1], 100, "+")

    return show


def _behind(control: str) -> Callable[[Group], str]:
    def show(group: Group) -> str:
        row = group.rows.get(control)
        return "-" if row is None else interval_text(row.behind, 100, "+")

    return show


def _claim_of(table: PaperTable) -> Callable[[Cell], str]:
    def show(cell: Cell) -> str:
        claims = [claim for claim in table.claims if claim.row == cell.name]
        return str(min(claims, key=lambda claim: claim.error)) if claims else "-"

    return show


def _averaged(group: Group) -> str:
    return "-" if group.averaged is None else interval_text(group.averaged, 100)


def _percent(group: Group) -> str:
    return f"{100 * group.learned.error.estimate:.2f}%"


def _points(interval: stats.Interval) -> str:
    return interval_text(interval, 100, "+")


def _number(value: float, form: str) -> str:
    return "-" if value != value else f"{value:{form}}"


# ---------------------------------------------------------------------- the page


def markdown(index: Index, groups: Groups, command: str, pictures: Mapping[str, str]) -> str:
    """The whole page. `pictures` are the addresses of learning curves by their table's name."""
    filled = sum(cell.name in groups for cell in index.cells)
    lines = [
        f"# {index.title}",
        "",
        *([f"{index.source}.", ""] if index.source else []),
        f"{filled} of {len(index.cells)} rows are filled. Made by",
        "",
        "```",
        command,
        "```",
        "",
        "which trains what is missing; each row is a config of that folder, under the name that"
        " `--list` shows.",
        *(["", index.about] if index.about else []),
    ]
    for table in index.tables:
        lines += ["", f"## {table.title}", ""]
        lines += [table.about, ""] if table.about else []
        for one in tables(index, table, groups):
            lines += [*one.lines(), ""]
        lines += [f"- {line}" for line in sentences(index, table, groups)]
        if table.name in pictures:
            lines += ["", f"![Learning curves: {table.title}]({pictures[table.name]})"]
    return "\n".join([*lines, "", "## How to read them", "", HOW_TO_READ]) + "\n"


def write(index: Index, groups: Groups, command: str, page: Path) -> list[Path]:
    """Write the page, and in a folder of its name every number and the learning curves.

    Replaces an earlier such page and nothing else, see `check_output`; returns the files. Without
    matplotlib there are no curves, which is said on stderr.
    """
    check_output(page)
    folder = page.with_suffix("")
    sections = {
        table.name: Section(table.title, found)
        for table in index.tables
        if (found := tuple(groups[cell.name] for cell in table.cells if cell.name in groups))
    }
    files, pictures = [page], {}
    if sections:
        everything = Comparison(SPLIT, tuple(sections.values()))
        files.append(write_text(folder / "numbers.csv", comma_separated(everything)))
    try:
        for name, section in sections.items():
            drawn = figures.learning_curves(Comparison(SPLIT, (section,)))
            if drawn is not None:
                files.append(write_bytes(folder / f"{name}.png", drawn))
                pictures[name] = f"{folder.name}/{name}.png"
    except figures.MissingExtra as error:
        print(f"saccade: no learning curves: {error}", file=sys.stderr)
    write_text(page, f"{OWN}\n\n{markdown(index, groups, command, pictures)}")
    return files


def check_output(page: Path) -> None:
    """UserError where `page` has no ending .md, or is a file that this did not write."""
    if page.suffix != ".md":
        raise UserError(f"--to {page}: names the page, which ends in .md")
    if not page.exists():
        return
    try:
        ours = page.is_file() and page.read_text(encoding="utf-8").startswith(OWN)
    except (OSError, UnicodeDecodeError):
        ours = False
    if not ours:
        raise UserError(f"--to {page}: is there and was not written by 'saccade reproduce'")
