"""What can be seen: data, scenes, sensors, tasks, and the Gymnasium environments."""

from __future__ import annotations

from typing import Any

_HOME = {
    "Dataset": ".datasets",
    "load_dataset": ".datasets",
    "ImageFolder": ".datasets",
    "from_torch": ".datasets",
    "from_huggingface": ".datasets",
    "read_video": ".datasets",
    "Sensor": ".sensors",
    "GlimpseSensor": ".sensors",
    "FoveaSensor": ".sensors",
    "LogPolarSensor": ".sensors",
    "BilinearSensor": ".sensors",
    "GlimpseEnv": ".single",
    "GlimpseVectorEnv": ".core",
    "GlimpseObservation": ".wrapper",
    "GlimpseVectorObservation": ".wrapper",
    "Task": ".tasks",
    "Turn": ".tasks",
    "Classify": ".tasks",
    "Pair": ".tasks",
    "Addition": ".tasks",
    "Locate": ".tasks",
    "Catch": ".tasks",
    "Track": ".tasks",
    "Scene": ".scenes",
    "PlainScene": ".scenes",
    "TranslatedScene": ".scenes",
    "ClutteredScene": ".scenes",
    "DistortedScene": ".scenes",
    "PairScene": ".scenes",
    "MovingScene": ".scenes",
    "DriftingScene": ".scenes",
    "CatchScene": ".scenes",
    "VideoScene": ".scenes",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import saccade` stays light."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name], __name__), name)
