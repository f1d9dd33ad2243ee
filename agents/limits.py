"""What stable-baselines3's keywords may be, said before a run begins; SB3 itself checks few."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from gymnasium import spaces

from ..envs.checks import fits, shown
from .errors import did_you_mean

_COUNTS = (
    *("num_envs", "log_interval", "n_steps", "n_epochs", "batch_size", "buffer_size"),
    *("target_update_interval", "stats_window_size"),
    *("what", "where", "glimpse_features", "hidden"),
)
_SHARES = (
    *("gamma", "gae_lambda", "tau"),
    *("exploration_fraction", "exploration_initial_eps", "exploration_final_eps"),
)
_WIDEST = 16_384  # values of a layer
_MOST_WEIGHTS = 1 << 28  # between layers
_FROM_ZERO = ("learning_starts", "learning_rate", "clip_range", "max_grad_norm", "target_kl")
_BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(_COUNTS, (1, math.inf)),
    **dict.fromkeys(_SHARES, (0, 1)),
    **dict.fromkeys(_FROM_ZERO, (0, math.inf)),
    "gradient_steps": (-1, math.inf),  # -1: as many as steps were taken
    "sde_sample_freq": (-1, math.inf),  # -1: once a rollout
}


def check_options(options: Mapping[str, Any], heads: Iterable[str]) -> None:
    """ValueError, in one line, for a value out of range.

    `heads` are the names that a `net_arch` of this algorithm's policy may have; none: it is a list.
    """
    for name, value in options.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            _check_number(name, value)
    # The advantages of a batch are divided by their deviation, which one alone has not.
    if "n_epochs" in options and options.get("batch_size", 2) < 2:
        raise ValueError("batch_size=1: take at least 2")
    frequency = options.get("train_freq", 1)
    often, unit = frequency if isinstance(frequency, Sequence) else (frequency, "step")
    if often < 1:
        raise ValueError(f"train_freq={frequency!r}: take a number of at least 1")
    if unit == "episode" and options.get("num_envs", 1) != 1:
        raise ValueError(f"train_freq={frequency!r}: many lanes have no one episode; take 'step'")
    _check_policy(options.get("policy_kwargs") or {}, tuple(heads))


def _check_number(name: str, value: float) -> None:
    lowest, highest = _BOUNDS.get(name, (-math.inf, math.inf))
    if not (math.isfinite(value) and lowest <= value <= highest):
        bound = "" if highest == math.inf else f" and at most {highest:g}"
        least = "a finite number" if lowest == -math.inf else f"a number of at least {lowest:g}"
        raise ValueError(f"{name}={value!r}: take {least}{bound}")


def _check_policy(keywords: Mapping[str, Any], heads: tuple[str, ...]) -> None:
    for name, value in keywords.items():
        if str(name).endswith("_class") and isinstance(value, str):
            raise ValueError(f"policy_kwargs.{name}={value!r}: takes a class, not its name")
    features = keywords.get("features_extractor_kwargs") or {}
    if not isinstance(features, Mapping):
        raise ValueError("policy_kwargs.features_extractor_kwargs: takes keys and values")
    for name, value in features.items():
        _check_sizes(f"features_extractor_kwargs.{name}", [value])
    layers = keywords.get("net_arch")
    if layers is None:
        return
    if not isinstance(layers, Mapping):
        _check_sizes("net_arch", layers)
        return
    for head, sizes in layers.items():
        if head not in heads:
            known = did_you_mean(str(head), heads) if heads else ": takes a list"
            raise ValueError(f"policy_kwargs.net_arch: unknown '{head}'{known}")
        _check_sizes(f"net_arch.{head}", sizes)


def _check_sizes(name: str, sizes: Any) -> None:
    fine = isinstance(sizes, (list, tuple)) and all(
        isinstance(size, int) and not isinstance(size, bool) and size >= 1 for size in sizes
    )
    if not fine:
        given = sizes[0] if "extractor" in name else sizes
        kind = "a whole number" if "extractor" in name else "a list of whole numbers"
        raise ValueError(f"policy_kwargs.{name}={shown(given)}: takes {kind} above 0")
    if max(sizes, default=0) > _WIDEST or sum(a * b for a, b in pairwise(sizes)) > _MOST_WEIGHTS:
        raise ValueError(
            f"policy_kwargs.{name}={shown(sizes)}: takes layers of at most {_WIDEST:,}, of "
            f"{_MOST_WEIGHTS:,} weights together"
        )


def check_room(
    options: Mapping[str, Any], defaults: Mapping[str, Any], space: spaces.Space
) -> None:
    """ValueError, in one line, where the observations that are kept would not fit into memory.

    `options` and the algorithm's `defaults` say how many; with `num_envs` lanes of `space`.
    """
    asked = {**defaults, **options}
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    each = 4 * sum(math.prod(part.shape or ()) for part in parts)
    if asked.get("buffer_size"):
        what, size = f"buffer_size={asked['buffer_size']}", 2 * asked["buffer_size"] * each
    elif asked.get("n_steps"):
        lanes = asked["num_envs"]
        what, size = f"n_steps={asked['n_steps']} of {lanes} lanes", asked["n_steps"] * lanes * each
    else:
        return
    fits(what, size, "take fewer")
