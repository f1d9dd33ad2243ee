"""Tasks: what is asked of the agent, and what an answer is worth."""

from __future__ import annotations

from .classify import Classify

__all__ = ["Classify"]
