"""Scenes: what is shown. A scene turns images of a split into frames and knows where the target is.

A new scene is one file here and one line in `SCENES`; a user's own may be handed to an environment.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from ..names import choose, suggest
from .base import Scene, SceneError
from .cluttered import ClutteredScene
from .plain import PlainScene
from .translated import TranslatedScene

SCENES: dict[str, type[Scene]] = {
    "plain": PlainScene,
    "translated": TranslatedScene,
    "cluttered": ClutteredScene,
}


def make_scene(
    scene: str | Scene, options: Mapping[str, Any], siblings: Iterable[str] = ()
) -> Scene:
    """Build a scene from its name and options, or change the options of a given one.

    Args:
        siblings: other keywords that the caller takes, which a wrong one may have meant.

    Raises:
        ValueError: an unknown scene, or an option that it does not have.
    """
    kind = type(scene) if isinstance(scene, Scene) else SCENES[choose("scene", scene, SCENES)]
    fields = [field.name for field in dataclasses.fields(kind)]
    for name in options:
        if name not in fields:
            hint = suggest(name, [*fields, *siblings])
            raise SceneError(f"unknown keyword {name!r} with {kind.__name__}: {hint}")
    return dataclasses.replace(scene, **options) if isinstance(scene, Scene) else kind(**options)


__all__ = [
    "SCENES",
    "ClutteredScene",
    "PlainScene",
    "Scene",
    "SceneError",
    "TranslatedScene",
    "make_scene",
]
