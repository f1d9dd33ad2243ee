"""The window in which a person plays: pygame's mouse and keys, handed to a `Session`."""

from __future__ import annotations

import os

import numpy as np
from gymnasium.error import DependencyNotInstalled

from ..envs.render import Window
from .errors import UserError
from .play import Session

FPS = 30
_UNSEEN = ("offscreen", "dummy")  # what SDL falls back to
_CLICK = 4  # pixels that the mouse may move in a click


def play(session: Session, episodes: int | None = None) -> None:
    """Let a person play until so many episodes are over and looked at, or the window is closed.

    Raises:
        UserError: there is no pygame, or no display.
    """
    try:
        window = Window(FPS, f"Saccade: {session.env_id}")
    except DependencyNotInstalled as error:
        raise UserError(str(error)) from None
    import pygame

    pressed = None  # where the mouse went down
    shown = session.frame()
    try:
        while True:
            try:
                window.show(shown)
            except pygame.error as error:
                raise UserError(f"play: no window can be opened ({error})") from None
            if pygame.display.get_driver() in _UNSEEN and "SDL_VIDEODRIVER" not in os.environ:
                raise UserError("play: there is no display to open a window on")
            changed = False
            for event in pygame.event.get():
                if event.type == pygame.QUIT:
                    return
                if event.type == pygame.KEYDOWN:
                    if event.key == pygame.K_ESCAPE:
                        return
                    if session.over and len(session.score) == episodes:
                        return
                    session.press(_name(pygame.key.name(event.key)))
                    changed = True
                elif event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
                    pressed = event.pos
                elif event.type == pygame.MOUSEMOTION:
                    at = session.fixation_at(*event.pos)
                    session.point = session.point if at is None else at
                elif event.type == pygame.MOUSEBUTTONUP and event.button == 1:
                    if session.over and len(session.score) == episodes:
                        return
                    _click(session, pressed or event.pos, event.pos)
                    pressed, changed = None, True
            if changed:
                shown = session.frame()
    finally:
        window.close()


def _click(session: Session, began: tuple[int, int], ended: tuple[int, int]) -> None:
    """A click, or a box that was drawn where the task asks for one."""
    if session.over:
        session.go_on()
        return
    corners = np.array([began, ended], np.float64)
    extent = np.abs(corners[1] - corners[0])
    drawn = session.drags and extent.max() > _CLICK
    x, y = corners.mean(axis=0) if drawn else corners[1]
    at = session.fixation_at(x, y)
    if at is not None:
        session.click(at, session.box_size(extent) if drawn else None)


def _name(key: str) -> str:
    """A key's name without the keypad's brackets; both Enter keys are "return"."""
    key = key.strip("[]")
    return "return" if key == "enter" else key
