"""What a picture says of an episode: the truth while it goes on, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .tasks import Task

APART = "   "  # between the parts of a caption


def truth(task: Task, names: Sequence[str], labels: Sequence[int]) -> str:
    """`label 7`, or `labels 3 8` of several questions; empty where no answer is asked for."""
    return _listed("label", names, labels) if task.judged == "answer" else ""


def verdict(
    task: Task,
    names: Sequence[str],
    *,
    success: bool,
    labels: Sequence[int],
    answers: Sequence[int],
    report: Mapping[str, Any],
    steps: int,
) -> str:
    """How an episode ended, in one line.

    Answers, and the truth where they are wrong; else what the task tells, and how often each act
    was done.

    Args:
        names: of the answers.
        labels: the truth of each question.
        answers: those that were given, or the acts, in their order; -1 for none.
        report: what the task reported.
        steps: of the episode.
    """
    if task.judged == "answer":
        said = _listed("answer", names, answers)
        return said if success else said + APART + truth(task, names, labels)
    told = task.told(success, report, steps)
    if task.judged == "act":
        done = [int(act) for act in answers]
        told += APART + ", ".join(f"{name} {done.count(k)}" for k, name in enumerate(names))
    return told


def named(names: Sequence[str], place: int) -> str:
    """The name of an answer or a label; a label that is no answer goes by its number."""
    if place < 0:
        return "none"
    return names[place] if place < len(names) else str(place)


def _listed(what: str, names: Sequence[str], places: Sequence[int]) -> str:
    shown = " ".join(named(names, int(place)) for place in places)
    return f"{what}{'s' * (len(places) > 1)} {shown}"
