"""The pages say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from saccade.agents.config import resolve
from saccade.agents.gaze import GAZES
from saccade.agents.train import train

DOCS = Path(__file__).parent.parent / "docs"


def test_every_curve_is_explained_and_every_explanation_has_a_curve(tmp_path):
    explained = set(re.findall(r"^\| `([\w/]+)`", (DOCS / "metrics.md").read_text(), re.MULTILINE))
    config = resolve(
        {
            "env": {"id": "saccade/Digits-v0"},
            "agent": {"name": "ram", "num_envs": 16, "paths": 2, "log_interval": 1, "hidden": 8},
            "train": {"total_timesteps": 200, "eval_freq": 100, "threads": 1},
        }
    )
    run = train(config, tmp_path).run
    events = EventAccumulator(str(run.path)).Reload()
    texts = {name.removesuffix("/text_summary") for name in events.Tags()["tensors"]}
    assert set(events.Tags()["scalars"]) | set(events.Tags()["images"]) | texts == explained


def test_every_gaze_is_explained():
    explained = re.findall(r"^\| `(\w+)` \|", (DOCS / "gaze.md").read_text(), re.MULTILINE)
    assert explained == [*GAZES, "null"]
