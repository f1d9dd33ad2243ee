"""Checking what a user names: one clear line with the nearest right name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def choose(what: str, value: T, allowed: Iterable[T]) -> T:
    """Return `value` if it is allowed.

    Raises:
        ValueError: it is not; the message names `what`, the value, the nearest and all choices.
    """
    choices = list(allowed)
    if value in choices:
        return value
    raise ValueError(f"{what}={value!r}: {suggest(str(value), map(str, choices))}")


def suggest(value: str, choices: Iterable[str]) -> str:
    """A half-sentence for an error: the nearest choice, if one is near, and all of them."""
    names = list(choices)
    near = difflib.get_close_matches(value, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}choose from " + ", ".join(names)


def at_least(what: str, value: int, least: int) -> int:
    """Return `value` as an int if it is a whole number of at least `least`.

    Raises:
        ValueError: it is not.
    """
    if isinstance(value, bool) or value != int(value) or value < least:
        raise ValueError(f"{what}={value!r}: a whole number of at least {least} is needed")
    return int(value)
