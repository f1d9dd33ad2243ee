"""The pages say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from saccade.agents.config import resolve
from saccade.agents.gaze import GAZES
from saccade.agents.train import train

DOCS = Path(__file__).parent.parent / "docs"


SMALL = {
    "ram": {"paths": 2, "log_interval": 1, "hidden": 8},
    "cnn": {"log_interval": 1, "filters": [4], "hidden": [8]},
    "ppo": {"n_steps": 6, "batch_size": 48, "n_epochs": 1},
    "a2c": {"n_steps": 6},
    "dqn": {"buffer_size": 200, "learning_starts": 32, "batch_size": 8},
    "sac": {"buffer_size": 200, "learning_starts": 32, "batch_size": 8},
    "ppo_location": {"n_steps": 6, "batch_size": 48, "n_epochs": 1, "hidden": 8},
}


def curves(agent: str, folder: Path) -> set[str]:
    """The names of all that a short run of this agent shows in TensorBoard."""
    config = resolve(
        {
            "env": {"id": "saccade/Digits-v0"},
            "agent": {"name": agent, "num_envs": 16, "log_interval": 48, **SMALL[agent]},
            "train": {"total_timesteps": 200, "eval_freq": 100, "threads": 1},
        }
    )
    events = EventAccumulator(str(train(config, folder).run.path)).Reload()
    texts = {name.removesuffix("/text_summary") for name in events.Tags()["tensors"]}
    return set(events.Tags()["scalars"]) | set(events.Tags()["images"]) | texts


def test_every_curve_is_explained_and_every_explanation_has_a_curve(tmp_path):
    pages = re.split(r"^## Those of", (DOCS / "metrics.md").read_text(), flags=re.MULTILINE)
    own, soft, further = (set(re.findall(r"^\| `([\w/]+)`", page, re.MULTILINE)) for page in pages)
    assert curves("ram", tmp_path) == own
    assert curves("cnn", tmp_path) - own == soft
    baselines = [agent for agent in SMALL if agent not in ("ram", "cnn")]
    sb3 = set().union(*(curves(agent, tmp_path) for agent in baselines))
    assert sb3 - own == further - own
    assert sb3 & own == {
        *("rollout/ep_rew_mean", "rollout/ep_len_mean", "time/fps", "train/loss"),
        *("train/learning_rate", "train/answer_loss", "eval/error", "eval/mean_reward"),
        *("eval/mean_ep_length", "eval/paths", "config", "time/cpu_seconds"),
    }


def test_every_gaze_is_explained():
    explained = re.findall(r"^\| `(\w+)` \|", (DOCS / "gaze.md").read_text(), re.MULTILINE)
    assert explained == [*GAZES, "null"]
