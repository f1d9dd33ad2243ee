"""Environments as a run makes them: from a config, one split, autoreset disabled or as asked."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.vector import AutoresetMode

from ..envs.parts import build
from ..envs.registration import ENVIRONMENTS
from ..envs.tasks import TASKS, Task
from .config import Config
from .errors import UserError
from .gaze import gaze_class
from .gazed import GazedVectorEnv

EVALUATION_LANES = 500


def make_env(config: Config, split: str, **keywords: Any) -> Any:
    """A native vector environment of the config's id and keywords, its eye moved by `env.gaze`.

    `keywords` come on top (num_envs, paths, placements, autoreset_mode, ...). What the environment
    refuses becomes a UserError of one line.
    """
    defaults = {"num_envs": EVALUATION_LANES, "autoreset_mode": AutoresetMode.DISABLED}
    keywords = {**defaults, **config.env.keywords, **keywords}
    gaze = config.env.gaze
    shown = tuple(keywords.get("reveal") or ())
    if gaze:
        keywords["reveal"] = tuple(dict.fromkeys((*shown, *gaze_class(gaze).reveal)))
    try:
        env = gymnasium.make_vec(config.env.id, split=split, vector_kwargs=None, **keywords)
        return GazedVectorEnv(env, gaze, keep=shown) if gaze else env
    except (ValueError, TypeError, OSError, gymnasium.error.Error) as error:
        raise UserError(f"{config.env.id}: {error}") from error


def task_of(config: Config) -> Task:
    """The task that a config's environment sets."""
    name = ENVIRONMENTS[config.env.id].get("task", "classify")
    return build(name, TASKS[name], config.env.keywords)
