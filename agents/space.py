"""The space that a sweep draws from: config keys, and what their values are drawn by.

    agent.learning_rate=loguniform(1e-4, 1e-2)    a distribution, by its name in `ray.tune`
    agent.std=[0.1, 0.15, 0.2]                    one of these, as choice(0.1, 0.15, 0.2)
    agent.hidden=grid_search(128, 256)            each of these in turn, with every other draw

A file holds the same as YAML, a line a key. Values are YAML; nothing is evaluated. Ray Tune draws.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .config import read_yaml
from .errors import UserError, did_you_mean

# What each distribution of numbers takes; ray.tune's documentation says what it draws.
NUMBERS: dict[str, tuple[str, ...]] = {
    "uniform": ("low", "high"),
    "quniform": ("low", "high", "step"),
    "loguniform": ("low", "high"),
    "qloguniform": ("low", "high", "step"),
    "randn": ("mean", "deviation"),
    "qrandn": ("mean", "deviation", "step"),
    "randint": ("low", "high"),
    "qrandint": ("low", "high", "step"),
    "lograndint": ("low", "high"),
    "qlograndint": ("low", "high", "step"),
}
LISTS = ("choice", "grid_search")
MOST_TRIALS = 10_000

_CALL = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)
_DIGITS = 6  # of a number that is drawn, so that it can be read and typed


@dataclass(frozen=True)
class Dimension:
    """One config key, the name of what draws its values, and that one's arguments.

    `source` opens the message of an error: where the dimension stands.
    """

    key: str
    kind: str
    arguments: tuple[Any, ...]
    source: str

    @property
    def probes(self) -> tuple[Any, ...]:
        """Values that it may take and that show a config's error: all of a list, else a bound."""
        return self.arguments if self.kind in LISTS else self.arguments[:1]

    def domain(self) -> Any:
        """Ray's object that draws; of a list it draws the place, since values may be lists."""
        from ray import tune

        if self.kind in LISTS:
            return tune.choice(list(range(len(self.arguments))))
        try:
            return getattr(tune, self.kind)(*self.arguments)
        except ValueError as error:
            raise UserError(f"{self}: {error}") from None

    def draw(self, domain: Any, random: np.random.Generator) -> Any:
        """One value, by what `domain` gave."""
        drawn = domain.sample(random_state=random)
        if self.kind in LISTS:
            return self.arguments[int(drawn)]
        return int(drawn) if "int" in self.kind else float(f"{drawn:.{_DIGITS}g}")

    def __str__(self) -> str:
        return f"{self.source}: {self.key}"


def parse(words: Sequence[str]) -> tuple[Dimension, ...]:
    """The dimensions of `KEY=VALUES` words, and of YAML files, words without '='.

    Raises UserError, one line, for what is not understood and for a key that stands twice.
    """
    found: dict[str, Dimension] = {}
    for word in words:
        key, equals, text = word.partition("=")
        dimensions = [_read(key.strip(), text)] if equals else _read_file(Path(word))
        for dimension in dimensions:
            if dimension.key in found:
                raise UserError(f"{dimension}: stands twice in the space")
            found[dimension.key] = dimension
    return tuple(found.values())


def draw(space: Sequence[Dimension], samples: int, seed: int) -> list[dict[str, Any]]:
    """What each trial sets: `samples` draws, each for every combination of the grids' values.

    The same seed draws the same. Raises UserError where that is too much, or Ray refuses a bound;
    ModuleNotFoundError without Ray.
    """
    grids = [dimension for dimension in space if dimension.kind == "grid_search"]
    trials = samples * math.prod(len(grid.arguments) for grid in grids)
    if trials > MOST_TRIALS:
        raise UserError(f"--samples {samples}: {trials:,} trials; take at most {MOST_TRIALS:,}")
    domains = {item.key: item.domain() for item in space if item not in grids}
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(samples):
        for values in itertools.product(*(grid.arguments for grid in grids)):
            chosen = dict(zip((grid.key for grid in grids), values, strict=True))
            drawn.append(
                {
                    item.key: chosen[item.key]
                    if item.key in chosen
                    else item.draw(domains[item.key], random)
                    for item in space
                }
            )
    return drawn


def _read_file(file: Path) -> Iterable[Dimension]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(
            f"--space {file}: {why}; give KEY=VALUES, such as "
            "'agent.learning_rate=loguniform(1e-4, 1e-2)', or a YAML file of them"
        ) from None
    document = read_yaml(text, str(file))
    if not isinstance(document, dict):
        raise UserError(f"{file}: should hold keys and values, such as 'agent.std: [0.1, 0.2]'")
    return [_dimension(str(key), value, str(file)) for key, value in document.items()]


def _read(key: str, text: str) -> Dimension:
    # A call is no YAML where a bracket of it holds a comma: it is read in parts.
    source = "--space"
    value = text if _CALL.fullmatch(text) else read_yaml(text, f"{source} {key}")
    return _dimension(key, value, source)


def _dimension(key: str, value: Any, source: str) -> Dimension:
    call = _CALL.fullmatch(value) if isinstance(value, str) else None
    if call is None:
        kind = "choice"
        arguments = value if isinstance(value, list) else [value]
    else:
        kind, known = call[1], [*LISTS, *NUMBERS]
        if kind not in known:
            raise UserError(
                f"{source}: {key}: unknown distribution '{kind}'{did_you_mean(kind, known)}"
            )
        arguments = read_yaml(f"[{call[2]}]", f"{source}: {key}")
        if kind in LISTS and len(arguments) == 1 and isinstance(arguments[0], list):
            arguments = arguments[0]  # as ray.tune takes them
    dimension = Dimension(key, kind, tuple(arguments), source)
    _check(dimension)
    return dimension


def _check(dimension: Dimension) -> None:
    kind, arguments = dimension.kind, dimension.arguments
    if kind in LISTS:
        if not arguments:
            raise UserError(f"{dimension}: {kind} has nothing to take from; give it values")
        return
    names = NUMBERS[kind]
    if len(arguments) != len(names):
        raise UserError(
            f"{dimension}: {kind}({', '.join(names)}) takes {len(names)} numbers, "
            f"got {len(arguments)}"
        )
    whole = "int" in kind
    for name, value in zip(names, arguments, strict=True):
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            wanted = "a whole number" if whole else "a number"
            raise UserError(f"{dimension}: {kind}: {name} must be {wanted}, got {value!r}")
        if name in ("step", "deviation") and value <= 0:
            raise UserError(f"{dimension}: {kind}: {name} must be above 0, got {value}")
    low, high = arguments[:2]
    if names[0] == "low" and not low < high:
        raise UserError(f"{dimension}: {kind}: low must be below high, got {low} and {high}")
    if "log" in kind and low <= 0:
        raise UserError(f"{dimension}: {kind}: low must be above 0, got {low}")
