"""Tasks: what is asked of the agent, and what an answer is worth.

A new task is one file here and one line in `TASKS`; a user's own may be handed to an environment.
"""

from __future__ import annotations

from .base import Task, Turn
from .classify import Classify

TASKS: dict[str, type[Task]] = {
    "classify": Classify,
}

__all__ = ["TASKS", "Classify", "Task", "Turn"]
