"""Sensors: what a glimpse is.

A new sensor is one file here and one line in `SENSORS`; a user's own may be handed to an
environment.
"""

from __future__ import annotations

from .base import OUTSIDE, Layer, Outline, Prepared, Sensor, fixation_to_pixel, pixel_to_fixation
from .bilinear import BilinearSensor
from .fovea import FoveaSensor
from .logpolar import LogPolarSensor
from .retina import MAX_SCALES, MOST_SIZE, GlimpseSensor

SENSORS: dict[str, type[Sensor]] = {
    "retina": GlimpseSensor,
    "fovea": FoveaSensor,
    "logpolar": LogPolarSensor,
    "bilinear": BilinearSensor,
}

__all__ = [
    "MAX_SCALES",
    "MOST_SIZE",
    "OUTSIDE",
    "SENSORS",
    "BilinearSensor",
    "FoveaSensor",
    "GlimpseSensor",
    "Layer",
    "LogPolarSensor",
    "Outline",
    "Prepared",
    "Sensor",
    "fixation_to_pixel",
    "pixel_to_fixation",
]
