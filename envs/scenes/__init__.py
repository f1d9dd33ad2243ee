"""Scenes: what is shown. A scene turns images of a split into frames and knows where the target is.

A new scene is one file here and one line in `SCENES`; a user's own may be handed to an environment.
"""

from __future__ import annotations

from .base import MovingScene, Scene, SceneError
from .catch import CatchScene
from .cluttered import ClutteredScene
from .distorted import DistortedScene
from .drifting import DriftingScene
from .pair import PairScene
from .plain import PlainScene
from .translated import TranslatedScene
from .video import VideoScene

SCENES: dict[str, type[Scene]] = {
    "plain": PlainScene,
    "translated": TranslatedScene,
    "cluttered": ClutteredScene,
    "distorted": DistortedScene,
    "pair": PairScene,
    "drifting": DriftingScene,
    "catch": CatchScene,
    "video": VideoScene,
}

__all__ = [
    "SCENES",
    "CatchScene",
    "ClutteredScene",
    "DistortedScene",
    "DriftingScene",
    "MovingScene",
    "PairScene",
    "PlainScene",
    "Scene",
    "SceneError",
    "TranslatedScene",
    "VideoScene",
]
