"""The table of environment ids. A new environment is one line here."""

from __future__ import annotations

import inspect
from typing import Any

import gymnasium as gym

_SMALL: dict[str, Any] = {"scene": "plain", "glimpses": 6, "size": 8, "scales": 1}
_DISTORTED: dict[str, Any] = {
    "scene": "distorted",
    "distortion": "rotation",
    "glimpses": 6,
    "size": 8,
    "scales": 2,
}
_LARGE: dict[str, Any] = {"canvas": 60, "glimpses": 6, "size": 12, "scales": 3}
_LARGEST: dict[str, Any] = {"canvas": 100, "glimpses": 8, "size": 12, "scales": 4}
_CLUTTERED: dict[str, Any] = {"scene": "cluttered", "pieces": 4, **_LARGE}
_PAIR: dict[str, Any] = {"scene": "pair", **_LARGEST}
_LOCATE: dict[str, Any] = {"task": "locate", **_CLUTTERED}
_MOVING: dict[str, Any] = {"scene": "drifting", "pieces": 4, **_LARGE}
_TRACK: dict[str, Any] = {**_MOVING, "task": "track", "glimpses": 12}

ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "saccade/Digits-v0": {"source": "digits", **_SMALL},
    "saccade/TranslatedDigits-v0": {"source": "digits", "scene": "translated", **_LARGE},
    "saccade/ClutteredDigits-v0": {"source": "digits", **_CLUTTERED},
    "saccade/DistortedDigits-v0": {"source": "digits", **_DISTORTED},
    "saccade/MNIST-v0": {"source": "mnist", **_SMALL},
    "saccade/FashionMNIST-v0": {"source": "fashion-mnist", **_SMALL},
    "saccade/TranslatedMNIST-v0": {"source": "mnist", "scene": "translated", **_LARGE},
    "saccade/ClutteredMNIST-v0": {"source": "mnist", **_CLUTTERED},
    "saccade/ClutteredMNIST100-v0": {
        "source": "mnist",
        "scene": "cluttered",
        "pieces": 8,
        **_LARGEST,
    },
    "saccade/DistortedMNIST-v0": {"source": "mnist", **_DISTORTED},
    "saccade/PairDigits-v0": {"source": "digits", "task": "pair", **_PAIR},
    "saccade/PairMNIST-v0": {"source": "mnist", "task": "pair", **_PAIR},
    "saccade/AdditionDigits-v0": {"source": "digits", "task": "addition", **_PAIR},
    "saccade/AdditionMNIST-v0": {"source": "mnist", "task": "addition", **_PAIR},
    "saccade/LocateDigits-v0": {"source": "digits", **_LOCATE},
    "saccade/LocateMNIST-v0": {"source": "mnist", **_LOCATE},
    "saccade/MovingDigits-v0": {"source": "digits", **_MOVING},
    "saccade/MovingMNIST-v0": {"source": "mnist", **_MOVING},
    "saccade/TrackDigits-v0": {"source": "digits", **_TRACK},
    "saccade/TrackMNIST-v0": {"source": "mnist", **_TRACK},
    # Images to try it with; `source=` takes a folder of pictures, a file, a data set of one's own.
    "saccade/Images-v0": {**_SMALL, "source": "colour-digits", "scales": 3},
    # Clips to try it with; `source=Dataset.from_clips(...)` shows a user's own.
    "saccade/Video-v0": {
        "source": "digit-clips",
        "scene": "video",
        "glimpses": 6,
        "size": 8,
        "scales": 3,
    },
    "saccade/Catch-v0": {
        "source": "games",
        "scene": "catch",
        "task": "catch",
        "canvas": 24,
        "glimpses": 23,
        "size": 6,
        "scales": 3,
    },
}


def register_all() -> None:
    """Register every id with Gymnasium; entry points are strings, so nothing is loaded."""
    for name, keywords in ENVIRONMENTS.items():
        gym.register(
            name,
            entry_point="saccade.envs.single:GlimpseEnv",
            vector_entry_point="saccade.envs.core:GlimpseVectorEnv",
            kwargs=keywords,
        )


def keywords(env_id: str, sensor: str = "retina") -> dict[str, inspect.Parameter]:
    """Every keyword that an id takes, with its type and the id's own default.

    The environment's own come first, then its scene's options, its task's, and those of the
    sensor that it looks through.

    Raises:
        gymnasium.error.NameNotFound: the id is not registered (or its kin for a wrong version).
    """
    from .core import GlimpseVectorEnv
    from .parts import options_of
    from .scenes import SCENES
    from .sensors import SENSORS
    from .tasks import TASKS

    defaults = {**gym.spec(env_id).kwargs, "sensor": sensor}
    eye = options_of(SENSORS[sensor])
    own = inspect.signature(GlimpseVectorEnv.__init__, eval_str=True).parameters.values()
    not_its = {"size", "scales"} - set(eye)
    found = [p for p in own if p.kind is p.KEYWORD_ONLY and p.name not in not_its]
    for part in (SCENES[defaults["scene"]], TASKS[defaults.get("task", "classify")]):
        found += [p.replace(kind=p.KEYWORD_ONLY) for p in options_of(part).values()]
    known = {p.name for p in found}
    found += [p.replace(kind=p.KEYWORD_ONLY) for name, p in eye.items() if name not in known]
    return {p.name: p.replace(default=defaults.get(p.name, p.default)) for p in found}
