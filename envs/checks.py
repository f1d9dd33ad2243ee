"""Checking what a user gives: one clear line that names the value and what would fit."""

from __future__ import annotations

import difflib
import math
import os
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
    word = value if isinstance(value, str) else shown(value)
    raise ValueError(f"{what}={shown(value)}: {suggest(word, map(str, choices))}")


def suggest(value: str, choices: Iterable[str]) -> str:
    """A half-sentence for an error: the nearest choice, if one is near, and all of them."""
    names = list(choices)
    near = difflib.get_close_matches(value, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}choose from " + ", ".join(names)


_LARGEST = (1 << 31) - 1  # of a whole number that counts something
_LARGEST_FLOAT = float(np.finfo(np.float64).max)


def at_least(what: str, value: Any, least: int, most: float = _LARGEST) -> int:
    """Return `value` as an int if it is a whole number from `least` to `most`.

    Raises:
        ValueError: it is not.
    """
    whole = isinstance(value, (int, np.integer)) or (
        isinstance(value, (float, np.floating)) and float(value).is_integer()
    )
    if isinstance(value, (bool, np.bool_)) or not whole or not least <= value <= most:
        upto = "" if most == _LARGEST and not (whole and value > most) else f" and at most {most}"
        raise ValueError(
            f"{what}={shown(value)}: a whole number of at least {least}{upto} is needed"
        )
    return int(value)


def number(what: str, value: Any, above: float = -math.inf, most: float = _LARGEST_FLOAT) -> float:
    """Return `value` as a float if it is a finite number above `above`, of a size up to `most`.

    Raises:
        ValueError: it is not.
    """
    real = isinstance(value, (int, float, np.integer, np.floating))
    if isinstance(value, bool) or not real or not -most <= value <= most or value <= above:
        bound = "" if above == -math.inf else f" above {above:g}"
        bound += "" if most == _LARGEST_FLOAT else f" and at most {most:g}"
        raise ValueError(f"{what}={shown(value)}: a finite number{bound} is needed")
    return float(value)


def flag(what: str, value: Any) -> bool:
    """Return `value` as a bool if it is one.

    Raises:
        ValueError: it is not.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{what}={shown(value)}: True or False is needed")
    return bool(value)


def pair(what: str, value: Any, meaning: str, least: int, most: int = _LARGEST) -> tuple[int, int]:
    """Return `value` as two ints if it is two whole numbers from `least` to `most`.

    Raises:
        ValueError: it is not; `meaning` says what the two are.
    """
    if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str) and len(value) == 2:
        try:
            return at_least(what, value[0], least, most), at_least(what, value[1], least, most)
        except ValueError:
            pass
    upto = "" if most == _LARGEST else f" and at most {most}"
    raise ValueError(
        f"{what}={shown(value)}: give {meaning}, whole numbers of at least {least}{upto}"
    )


def fits(what: str, size: int, remedy: str) -> None:
    """Nothing, if so many bytes are at most this machine's memory.

    Raises:
        ValueError: they are not; told before any of them is taken.
    """
    have = memory()
    if size > have:
        raise ValueError(
            f"{what} would take {size / (1 << 30):,.0f} GiB, and this machine has "
            f"{have / (1 << 30):,.0f}: {remedy}"
        )


def memory() -> float:
    """This machine's bytes; infinite where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return math.inf


def shown(value: Any) -> str:
    """A value as an error shows it: its beginning, where it is long."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return f"a number of {value.bit_length()} bits"
    text = " ".join(text.split())
    return text if len(text) <= 200 else f"{text[:200]}..."
