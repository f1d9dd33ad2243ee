"""Tasks: what is asked of the agent, and what an answer is worth.

A new task is one file here and one line in `TASKS`; a user's own may be handed to an environment.
"""

from __future__ import annotations

from .addition import Addition
from .base import Task, Turn
from .catch import Catch
from .classify import Classify
from .locate import Locate
from .pair import Pair
from .track import Track

TASKS: dict[str, type[Task]] = {
    "classify": Classify,
    "pair": Pair,
    "addition": Addition,
    "locate": Locate,
    "catch": Catch,
    "track": Track,
}

__all__ = ["TASKS", "Addition", "Catch", "Classify", "Locate", "Pair", "Task", "Track", "Turn"]
