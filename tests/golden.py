"""The first steps of every id, kept in `envs/golden.json`: `python tests/golden.py` writes them.

A step is kept as one number an array: all its values, each with a weight of its own. So any change
shows, and last bits of floats, which are the processor's where a scene or sensor takes a sine or a
logarithm, do not.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from saccade.envs.files import write_text
from saccade.envs.fit import fitting_actions, may_stop
from saccade.envs.registration import ENVIRONMENTS
from support import has_data, needs_data, task_of

FILE = Path(__file__).parent / "envs" / "golden.json"
SEED, LANES, STEPS = 7, 2, 10
RELATIVE, ABSOLUTE = 1e-7, 2e-5

Played = dict[str, list[float]]


def variants(env_id: str) -> list[dict[str, Any]]:
    """The keywords that an id is played with; few where another id shows the same on other data."""
    found: list[dict[str, Any]] = [{}, {"split": "validation"}]
    if needs_data(env_id):
        return found
    task = task_of(env_id)
    found += [
        {"action": action}
        for action in fitting_actions(task)[1:]
        if action != "fixation" or not task.answers(10)  # others need an answerer
    ]
    found.append({"memory": "canvas", "moves": "relative", "first_fixation": "center"})
    found.append({"reveal": ["image", "box", "context"], "paths": 2})
    if may_stop(task):
        found.append({"stop": True, "glimpse_cost": 0.125})
    if env_id in ("saccade/Digits-v0", "saccade/Images-v0"):
        found += [{"sensor": name} for name in ("fovea", "logpolar", "bilinear")]
        found.append({"reward": "dense"})
    return found


def cases() -> list[tuple[str, dict[str, Any]]]:
    """Every id with each of its keywords."""
    return [(env_id, keywords) for env_id in ENVIRONMENTS for keywords in variants(env_id)]


def name_of(env_id: str, keywords: dict[str, Any]) -> str:
    """What a case is called in the file."""
    return f"{env_id} {json.dumps(keywords)}" if keywords else env_id


def play(env_id: str, keywords: dict[str, Any]) -> Played:
    """A number a step for everything that the native vector environment returns."""
    env = gym.make_vec(env_id, num_envs=LANES, **keywords)
    observation, infos = env.reset(seed=SEED)
    told: Played = {}
    tell(told, {**observation, **_named(infos)}, 0)
    for step in range(1, STEPS + 1):
        observation, *judged, infos = env.step(_action(env.action_space, step))
        names = ("reward", "terminated", "truncated")
        outcome = dict(zip(names, judged, strict=True))
        tell(told, {**observation, **outcome, **_named(infos)}, step)
    env.close()
    return told


def difference(now: Played, before: Played) -> str:
    """'glimpse at step 3 was 1.5, is 2': the first change, or ''."""
    if changed := sorted(now.keys() ^ before.keys()):
        return f"{changed[0]} is {'new' if changed[0] in now else 'gone'}"
    for step in range(STEPS + 1):
        for name, values in before.items():
            was, found = values[step], now[name][step]
            if not math.isclose(was, found, rel_tol=RELATIVE, abs_tol=ABSOLUTE):
                return f"{name} at step {step} was {was:g}, is {found:g}"
    return ""


def load() -> dict[str, Played]:
    """What is kept."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def _named(infos: dict[str, Any]) -> dict[str, Any]:
    """Infos by name, without the masks of who has them."""
    return {f"info {name}": value for name, value in infos.items() if name[0] != "_"}


def tell(told: Played, values: dict[str, Any], step: int) -> None:
    """Add the numbers of one step to what is told."""
    for name, value in values.items():
        numbers = np.asarray(value, np.float64).ravel()
        place = np.arange(numbers.size)
        weights = (0.5 + place * 37 % 101 / 101) * (1 - 2 * (place % 2))  # none is near 0
        # Until a name first comes, and where it does not, its number is 0.
        steps = told.setdefault(name, [0.0] * (STEPS + 1))
        steps[step] = round(float(numbers @ weights), 6) or 0.0  # no -0.0


def _action(space: spaces.Space, step: int) -> Any:
    """A batched action that follows from the step alone, exact in float32."""
    if isinstance(space, spaces.Dict):
        return {name: _action(part, step) for name, part in space.items()}
    counted = np.arange(math.prod(space.shape)).reshape(space.shape) * 7 + step * 5
    if isinstance(space, spaces.MultiDiscrete):
        return counted % space.nvec
    assert isinstance(space, spaces.Box)
    if space.dtype.kind == "i":  # a MultiDiscrete of every lane
        return space.low + counted % (space.high - space.low + 1)
    return ((counted % 17 - 8) / 8).astype(np.float32)


def main() -> None:
    """Write the file: all ids, or those that are named; the others keep what they have."""
    kept = load() if FILE.exists() else {}
    chosen = sys.argv[1:] or list(ENVIRONMENTS)
    if unknown := set(chosen) - ENVIRONMENTS.keys():
        raise SystemExit(f"no environment has the id {sorted(unknown)[0]}")
    lines = []
    for env_id, keywords in cases():
        name = name_of(env_id, keywords)
        source = needs_data(env_id)
        if env_id in chosen and (source is None or has_data(source)):
            kept[name] = play(env_id, keywords)
        elif name not in kept:
            print(f"{name}: not kept: needs {source or 'to be named too'}", file=sys.stderr)
            continue
        steps = (
            json.dumps(kept[name], separators=(",", ":")).replace(".0,", ",").replace(".0]", "]")
        )
        lines.append(f"{json.dumps(name)}: {steps}")
    write_text(FILE, "{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
