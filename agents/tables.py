"""Tables of text: made from columns and items, shown as Markdown that also reads well as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .stats import Interval

Item = TypeVar("Item")


@dataclass(frozen=True)
class Table:
    """Cells of text: a header, and rows as long as it. The first column names, the rest count."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(
        cls, columns: Sequence[tuple[str, Callable[[Item], str]]], items: Iterable[Item]
    ) -> Table:
        """A row for each item; each column is a title and what it shows of an item."""
        rows = tuple(tuple(show(item) for _, show in columns) for item in items)
        return cls(tuple(title for title, _ in columns), rows)

    def lines(self) -> list[str]:
        """The lines of a Markdown table, padded to equal width."""
        cells = [
            tuple(cell.replace("|", "\\|") for cell in row) for row in (self.header, *self.rows)
        ]
        widths = [max(len(line[i]) for line in cells) for i in range(len(self.header))]
        rule = tuple(
            "-" * width if not i else "-" * (width - 1) + ":" for i, width in enumerate(widths)
        )
        lines = []
        for line in (cells[0], rule, *cells[1:]):
            padded = [
                cell.ljust(width) if i == 0 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            lines.append("| " + " | ".join(padded) + " |")
        return lines


def interval_text(interval: Interval | None, factor: float = 1.0, sign: str = "") -> str:
    """`1.80 (1.56 to 2.08)`; empty where there is none. `sign` "+" shows that of positive ones."""
    if interval is None:
        return ""
    estimate, low, high = interval.scaled(factor)
    return f"{estimate:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"
