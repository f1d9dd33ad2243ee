"""One policy's figures in an evaluation, and how metrics.json keeps them."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import attention, stats

SCANPATH_MEASURES = (
    *("on_target", "ever_on_target", "first_on_target"),
    *("amplitude", "revisits", "entropy", "distinct_pixels"),
)


@dataclass(frozen=True)
class Row:
    """One policy's figures: intervals at 95%, shares in [0, 1]; `behind` is its error minus the
    first row's, scene by scene (None for the first row itself). `attention` says where the map
    named `attention_map` lands; it is NaN, and the name empty, where there is none. `reports` are
    means of what the task itself measures, by name. `right` says on which scenes the first row was
    right, as `packed` writes it; it is empty in others."""

    name: str
    error: stats.Interval
    reward: stats.Interval
    glimpses: float
    sensor_values: float
    scanpath: dict[str, float]
    behind: stats.Interval | None = None
    attention: attention.Landing = field(default_factory=attention.nothing)
    attention_map: str = ""
    reports: dict[str, stats.Interval] = field(default_factory=dict)
    right: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For metrics.json: intervals as [estimate, low, high], NaN as null."""
        return plain(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, stored: Any) -> Row:
        """What `as_dict` gave; KeyError, TypeError or ValueError where it is something else.

        Rows from before attention, what tasks report or `right` was kept have none.
        """
        behind = stored["behind"]
        return cls(
            name=str(stored["name"]),
            error=stats.Interval(*map(number, stored["error"])),
            reward=stats.Interval(*map(number, stored["reward"])),
            glimpses=number(stored["glimpses"]),
            sensor_values=float(stored["sensor_values"]),
            scanpath={name: number(stored["scanpath"][name]) for name in SCANPATH_MEASURES},
            behind=None if behind is None else stats.Interval(*map(number, behind)),
            attention=landing(stored.get("attention", attention.nothing())),
            attention_map=str(stored.get("attention_map", "")),
            reports={
                name: stats.Interval(*map(number, values))
                for name, values in stored.get("reports", {}).items()
            },
            right=str(stored.get("right", "")),
        )


def packed(values: NDArray[np.bool_]) -> str:
    """Truth values (N,) as text, eight of them a byte, in base64."""
    return base64.b64encode(np.packbits(values).tobytes()).decode()


def unpacked(text: str, count: int) -> NDArray[np.bool_]:
    """The `count` truth values that `packed` was given; ValueError where there are not as many."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8))
    if not count <= len(bits) < count + 8:
        raise ValueError(f"holds {len(bits)} truth values, not {count}")
    return bits[:count].astype(np.bool_)


def landing(stored: Mapping[str, Any]) -> attention.Landing:
    """Measures of attention as metrics.json holds them."""
    return {name: number(stored[name]) for name in attention.MEASURES}


def number(value: Any) -> float:
    """null is NaN."""
    return float("nan") if value is None else float(value)


def plain(value: Any) -> Any:
    """For JSON: NaN and infinity as null, tuples as lists."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(inner) for inner in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else None
    return value
