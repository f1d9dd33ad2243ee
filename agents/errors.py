"""What the user got wrong, said in one line, and the nearest right name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in a config, a command or a run folder: shown as one line, exit code 2."""

    def __str__(self) -> str:
        return " ".join(super().__str__().split())


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """', did you mean ...?' with the nearest of `known`, or ' (known: ...)' where none is near."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f", did you mean '{prefix}{near[0]}'?"
    return f" (known: {', '.join(names)})" if names else ""
