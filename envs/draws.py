"""Random numbers as pure functions of integers, many lanes at a time.

A lane's draws depend on nothing but its key and the name of the draw: not on the batch size, the
order of calls or the other lanes. The mixer is SplitMix64 (Steele, Lea and Flood 2014), used as a
counter-based generator. This is not a replacement for `numpy.random` where a plain stream will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)
_MULTIPLY_1, _MULTIPLY_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_TO_53_BITS = np.uint64(11)
_64_BITS = (1 << 64) - 1
# One odd factor for each part of a key: unrelated bits, so that no two small tuples meet.
_FACTORS = tuple(
    np.uint64(factor)
    for factor in (
        0xD1342543DE82EF95,
        0xA0761D6478BD642F,
        0xE7037ED1A0B428DB,
        0x8EBC6AF09C88C6E3,
        0x589965CC75374CC3,
        0x1D8E4E27C47D124F,
    )
)


def make_key(*parts: int | NDArray[np.integer]) -> NDArray[np.uint64]:
    """Hash up to six integers, or arrays of integers, into one key a lane.

    Args:
        parts: integers or integer arrays of shape `(n,)`; their order matters.

    Returns:
        uint64 `(n,)`, with n = 1 for plain integers.
    """
    fixed, varying = 0, None
    for part, factor in zip(parts, _FACTORS, strict=False):
        if isinstance(part, int):
            fixed += (part + 1) * int(factor)
        else:
            term = part.astype(np.int64, copy=False).view(np.uint64) * factor
            varying = term if varying is None else varying + term
            fixed += int(factor)
    start = np.array([fixed & _64_BITS], np.uint64)
    return _mix(start if varying is None else varying + start)


def uniform(key: NDArray[np.uint64], stream: int, count: int) -> NDArray[np.float64]:
    """Draw `count` numbers in [0, 1) for each key; `stream` names the draw.

    Returns:
        float64 `(n, count)`.
    """
    bits = _mix(key[:, None] + _counters(stream, count))
    return (bits >> _TO_53_BITS).astype(np.float64) / (1 << 53)


@lru_cache(maxsize=64)
def _counters(stream: int, count: int) -> NDArray[np.uint64]:
    # A stream owns 2**32 counters, so that streams of one key never meet.
    return (np.arange(count, dtype=np.uint64) + np.uint64((stream << 32) + 1)) * _STEP


def integers(
    key: NDArray[np.uint64], stream: int, high: int | Sequence[int], count: int
) -> NDArray[np.int64]:
    """Draw `count` integers in [0, high) for each key; `high` broadcasts to `(n, count)`.

    Returns:
        int64 `(n, count)`.
    """
    return (uniform(key, stream, count) * np.array(high, np.float64)).astype(np.int64)


def normal(key: NDArray[np.uint64], stream: int, count: int) -> NDArray[np.float64]:
    """Draw `count` standard normal numbers for each key, by Box and Muller (1958) on `uniform`.

    Returns:
        float64 `(n, count)`; the last bits are the processor's, since logarithm and cosine are.
    """
    half = (count + 1) // 2
    draws = uniform(key, stream, 2 * half)
    radius = np.sqrt(-2 * np.log(1 - draws[:, :half]))  # of a number in (0, 1]
    turn = 2 * np.pi * draws[:, half:]
    return np.concatenate([radius * np.cos(turn), radius * np.sin(turn)], axis=1)[:, :count]


def permutation(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """The order in which epoch number `epoch` shows `length` images, int64 `(length,)`."""
    key = make_key(seed, epoch)
    keys = _mix(key + np.arange(1, length + 1, dtype=np.uint64) * _STEP)
    return np.argsort(keys, kind="stable")


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = (words ^ (words >> _SHIFT_1)) * _MULTIPLY_1
    words = (words ^ (words >> _SHIFT_2)) * _MULTIPLY_2
    return words ^ (words >> _SHIFT_3)
