"""What a user may ask of `reset`, checked before anything changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import choose, flag, shown

_NAMES = ("index", "fixation", "restart", "reset_mask")


@dataclass(frozen=True)
class ResetOptions:
    """A reset as it was asked for.

    Attributes:
        lanes: which lanes begin anew, int64 `(m,)`.
        index: the image of each, int64 `(m,)`; None: the walk's next.
        fixation: where each looks first, float32 `(m, 2)` or one `(2,)`; None: the rule's choice.
        restart: whether the walk goes back to its first image.
    """

    lanes: NDArray[np.int64]
    index: NDArray[np.int64] | None
    fixation: NDArray[np.float32] | None
    restart: bool


def read_options(options: Mapping[str, Any], num_envs: int, length: int) -> ResetOptions:
    """Read the options of a reset of `num_envs` lanes in a split of `length` places.

    Raises:
        ValueError: an unknown option, or one that does not fit.
    """
    for name in options:
        choose("option", name, _NAMES)
    lanes = _lanes(options.get("reset_mask"), num_envs)
    return ResetOptions(
        lanes=lanes,
        index=_index(options.get("index"), lanes, num_envs, length),
        fixation=_fixation(options.get("fixation"), lanes, num_envs),
        restart=flag("option restart", options.get("restart", False)),
    )


def check_seed(seed: Any) -> int:
    """One seed serves all lanes.

    Raises:
        ValueError: `seed` is not a whole number of at least 0.
    """
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if whole and 0 <= seed < 1 << 64:
        return int(seed)
    raise ValueError(
        f"seed={shown(seed)}: give one whole number from 0 up to 2**64 - 1; each lane draws from "
        "(seed, lane)"
    )


def _lanes(mask: Any, num_envs: int) -> NDArray[np.int64]:
    if mask is None:
        return np.arange(num_envs)
    mask = np.asarray(mask)
    if mask.dtype != np.bool_ or mask.shape != (num_envs,) or not mask.any():
        raise ValueError(
            f"option reset_mask={shown(mask)}: give a bool array of shape ({num_envs},) with at "
            "least one True"
        )
    return mask.nonzero()[0]


def _index(
    index: Any, lanes: NDArray[np.int64], num_envs: int, length: int
) -> NDArray[np.int64] | None:
    if index is None:
        return None
    asked = _as_array("index", index)
    if asked.dtype.kind not in "iu" or asked.shape not in ((), (num_envs,)):
        raise ValueError(f"option index={shown(index)}: give a whole number, or one a lane")
    chosen = np.broadcast_to(asked, (num_envs,))[lanes].astype(np.int64)
    if (chosen < 0).any() or (chosen >= length).any():
        raise ValueError(
            f"option index={shown(index)}: the split has {length} places, counted from 0"
        )
    return chosen


def _fixation(fixation: Any, lanes: NDArray[np.int64], num_envs: int) -> NDArray[np.float32] | None:
    if fixation is None:
        return None
    asked = _as_array("fixation", fixation)
    if (
        asked.dtype.kind not in "fiu"
        or asked.shape not in ((2,), (num_envs, 2))
        or not np.abs(asked).max() <= 1
    ):
        raise ValueError(
            f"option fixation={shown(fixation)}: give (x, y), or one a lane, within [-1, 1]"
        )
    asked = asked.astype(np.float32)
    return asked if asked.ndim == 1 else asked[lanes]


def _as_array(name: str, value: Any) -> NDArray:
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"option {name}={shown(value)}: not an array of numbers") from error
