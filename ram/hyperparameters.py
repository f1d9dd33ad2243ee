"""Hyperparameters are the keywords of a learner's `__init__`: their types, and whether they fit."""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from typing import Any, Literal

_LOWEST: dict[str, float] = {
    **dict.fromkeys(("num_envs", "paths", "what", "where", "glimpse_features", "hidden"), 1),
    "features": 1,
    **dict.fromkeys(("std", "std_final"), 1e-3),  # a Gaussian narrower than a pixel of any canvas
    "log_interval": 1,
}
# Shares, and what must stay below one to converge.
_BELOW: dict[str, float] = dict.fromkeys(("warmup", "momentum", "label_smoothing"), 1)
_AT_MOST: dict[str, float] = {"discount": 1}


def types_of(learner: type) -> dict[str, Any]:
    """The annotated keywords of the class's `__init__`, the environment and device excepted."""
    hints = typing.get_type_hints(learner.__init__)  # type: ignore[misc]
    return {name: hints[name] for name in hints if name not in ("env", "device", "return")}


def check(hyperparameters: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    """ValueError, in one line, for a value that is not allowed or out of range."""
    for name, kind in types.items():
        value = hyperparameters[name]
        if typing.get_origin(kind) is Literal and value not in typing.get_args(kind):
            allowed = ", ".join(map(repr, typing.get_args(kind)))
            raise ValueError(f"{name}={value!r}: take one of {allowed}")
        several = kind in (tuple[int, ...], tuple[int, ...] | None) and value is not None
        if several and (not value or min(value) < 1):
            raise ValueError(f"{name}={value!r}: take one number or more, each of at least 1")
        if kind in (int, float, float | None) and value is not None:
            lowest = _LOWEST.get(name, 0)
            highest = _BELOW.get(name, math.inf)
            most = _AT_MOST.get(name, math.inf)
            if not (lowest <= value < highest and value <= most):
                bound = "" if highest == math.inf else f" and less than {highest:g}"
                bound = bound if most == math.inf else f" and at most {most:g}"
                raise ValueError(f"{name}={value!r}: take a number of at least {lowest}{bound}")
