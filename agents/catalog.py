"""`saccade envs`: the table of environments and the page of one, from the registry alone."""

from __future__ import annotations

import inspect
import re
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

from ..envs.fit import fitting_actions, may_stop
from ..envs.parts import build
from ..envs.scenes import SCENES, MovingScene
from ..envs.tasks import TASKS, Task
from .config import env_ids, env_parameters, full_id
from .schema import describe


def table() -> str:
    """One line an environment: id, task, data, scene, canvas, glimpses, sensor."""
    rows = [("id", "task", "data", "scene", "canvas", "glimpses", "sensor")]
    for env_id in env_ids():
        keywords = gymnasium.spec(env_id).kwargs
        how = f", {keywords['pieces']} pieces" if "pieces" in keywords else ""
        how += f", {keywords['distortion']}" if "distortion" in keywords else ""
        rows.append(
            (
                env_id,
                _task(keywords),
                str(keywords.get("source", "-")),
                f"{keywords.get('scene', '-')}{how}",
                _canvas(keywords.get("canvas")),
                str(keywords.get("glimpses", "-")),
                _sensor(keywords),
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def page(env_id: str) -> str:
    """What an environment asks and shows, how it is used, and its keywords, defaults and types."""
    env_id = full_id(env_id)
    entry = gymnasium.spec(env_id).entry_point
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    first, _, rest = (inspect.getdoc(creator) or "").partition("\n\n")
    keywords = gymnasium.spec(env_id).kwargs
    lines = [f"# {env_id}", "", first, ""]
    task, scene = TASKS[_task(keywords)], SCENES[keywords["scene"]]
    lines += [f"## Task: {task.__name__}", ""]
    lines += [*_what_counts(build(_task(keywords), task, keywords), keywords["glimpses"]), ""]
    lines += [*markdown(task), ""]
    lines += [f"## Scene: {scene.__name__}", "", *markdown(scene), ""]
    if issubclass(scene, MovingScene):
        lines += [
            "It moves: one moment passes in every step, before the agent looks again, and the last",
            "observation shows the frame after the last move.",
            "",
        ]
    lines += [rest, "", "## Keywords", ""]
    for name, parameter in env_parameters(env_id).items():
        lines.append(f"    {name} = {parameter.default!r}    {describe(parameter.type)}")
    return "\n".join(lines)


def markdown(documented: object) -> list[str]:
    """A docstring as lines of Markdown: its arguments, attributes and errors become lists."""
    lines: list[str] = []
    section = False
    for line in (inspect.getdoc(documented) or "").splitlines():
        if re.fullmatch(r"(Args|Attributes|Raises):", line):
            section = True
            lines += [{"Args:": "Arguments:", "Attributes:": "Options:"}.get(line, line), ""]
        elif section and (item := re.fullmatch(r" {4}(\S.*?): (.*)", line)):
            names = ", ".join(f"`{name}`" for name in item[1].split(", "))
            lines.append(f"- {names}: {item[2]}")
        elif section and line.startswith(" " * 8):
            lines.append(line[6:])
        else:
            section = section and not line
            lines.append(line)
    return lines


def _task(keywords: dict[str, Any]) -> str:
    return keywords.get("task", "classify")


def _what_counts(task: Task, glimpses: int) -> list[str]:
    """What a task judges, what success is, and which actions fit, a line each."""
    if task.judged == "act":
        judged = "the answer of every step, an act that the scene carries out"
    elif task.judged == "aim":
        judged = f"where {'every' if task.every_step else 'the last'} action sends the eye"
    else:
        due = " and ".join(map(str, task.due(glimpses)))
        judged = f"the answer that is due at step {due} of {glimpses}"
    stop = "earlier with stop=True" if may_stop(task) else "every step counts, there is no stop"
    return [
        f"- It judges {judged}; {stop}.",
        f"- Success: {task.goal}.",
        f"- Action modes: {', '.join(fitting_actions(task))}.",
    ]


def _canvas(canvas: Any) -> str:
    if canvas is None:
        return "the image's"
    height, width = (canvas, canvas) if isinstance(canvas, int) else canvas
    return f"{height}x{width}"


def _sensor(keywords: dict[str, Any]) -> str:
    size, scales = keywords.get("size", "-"), keywords.get("scales", 1)
    return f"{scales} x {size}x{size}"
