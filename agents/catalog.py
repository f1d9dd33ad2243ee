"""`saccade envs`: the table of environments and the page of one, from the registry alone."""

from __future__ import annotations

import inspect
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

from .config import env_ids, env_parameters
from .errors import UserError, did_you_mean
from .schema import describe


def table() -> str:
    """One line an environment: id, data, scene, canvas, glimpses, sensor."""
    rows = [("id", "data", "scene", "canvas", "glimpses", "sensor")]
    for env_id in env_ids():
        keywords = gymnasium.spec(env_id).kwargs
        how = f", {keywords['pieces']} pieces" if "pieces" in keywords else ""
        how += f", {keywords['distortion']}" if "distortion" in keywords else ""
        rows.append(
            (
                env_id,
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
    """An environment's docstring, and its keywords with their defaults and types."""
    known = env_ids()
    names = {name.split("/")[1]: name for name in known}
    env_id = names.get(env_id, env_id)
    if env_id not in known:
        raise UserError(f"{env_id}: no such environment{did_you_mean(env_id, known)}")
    entry = gymnasium.spec(env_id).entry_point
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    lines = [f"# {env_id}", "", inspect.getdoc(creator) or "", "", "## Keywords", ""]
    for name, parameter in env_parameters(env_id).items():
        lines.append(f"    {name} = {parameter.default!r}    {describe(parameter.type)}")
    return "\n".join(lines)


def _canvas(canvas: Any) -> str:
    if canvas is None:
        return "the image's"
    height, width = (canvas, canvas) if isinstance(canvas, int) else canvas
    return f"{height}x{width}"


def _sensor(keywords: dict[str, Any]) -> str:
    size, scales = keywords.get("size", "-"), keywords.get("scales", 1)
    return f"{scales} x {size}x{size}"
