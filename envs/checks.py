"""Checking what a user gives: one clear line that names the value and what would fit."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

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


def at_least(what: str, value: Any, least: int, most: float = math.inf) -> int:
    """Return `value` as an int if it is a whole number from `least` to `most`.

    Raises:
        ValueError: it is not.
    """
    whole = isinstance(value, (int, np.integer)) or (
        isinstance(value, (float, np.floating)) and float(value).is_integer()
    )
    if isinstance(value, (bool, np.bool_)) or not whole or not least <= value <= most:
        upto = "" if most == math.inf else f" and at most {most}"
        raise ValueError(f"{what}={value!r}: a whole number of at least {least}{upto} is needed")
    return int(value)


def number(what: str, value: Any, above: float = -math.inf) -> float:
    """Return `value` as a float if it is a finite number above `above`.

    Raises:
        ValueError: it is not.
    """
    real = isinstance(value, (int, float, np.integer, np.floating))
    if isinstance(value, bool) or not real or not math.isfinite(value) or value <= above:
        bound = "" if above == -math.inf else f" above {above:g}"
        raise ValueError(f"{what}={value!r}: a finite number{bound} is needed")
    return float(value)


def flag(what: str, value: Any) -> bool:
    """Return `value` as a bool if it is one.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{what}={value!r}: True or False is needed")
    return bool(value)


def pair(what: str, value: Any, meaning: str, least: int) -> tuple[int, int]:
    """Return `value` as two ints if it is two whole numbers of at least `least`.

    Raises:
        ValueError: it is not; `meaning` says what the two are.
    """
    if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str) and len(value) == 2:
        try:
            return at_least(what, value[0], least), at_least(what, value[1], least)
        except ValueError:
            pass
    raise ValueError(f"{what}={value!r}: give {meaning}, whole numbers of at least {least}")
