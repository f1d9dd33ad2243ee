"""The pages say what the code does."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from saccade.agents.config import load, resolve
from saccade.agents.gaze import GAZES
from saccade.agents.train import train
from saccade.envs.datasets import DATASETS
from saccade.envs.scenes import SCENES
from saccade.envs.sensors import SENSORS
from saccade.envs.tasks import TASKS

DOCS = Path(__file__).parent.parent / "docs"
EXAMPLES = re.findall(r"```python\n(.*?)```", (DOCS / "tasks.md").read_text(), re.DOTALL)


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


def test_the_tour_s_configs_share_their_scenes_and_its_pictures_are_there():
    page, script = ((DOCS / name).read_text() for name in ("tour.md", "draw_tour.py"))
    for link in links(page):
        assert (DOCS / link).exists(), link
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in headings}
    assert set(re.findall(r"\]\(#(.*?)\)", page)) < anchors

    drawn = {f"tour_{kind}.png" for kind in ("kinds", "spatial", "channel", "mixed", "hard")}
    assert set(re.findall(r"\((\w+\.png)\)", page)) == drawn
    assert {file.name for file in DOCS.glob("tour*.png")} == drawn
    assert all((DOCS / name).stat().st_size < 150_000 for name in drawn)

    named = set(re.findall(r"saccade train ([\w/]+)", page))
    trained = set(re.findall(r"saccade train configs/(\S+)\.yaml", script))
    assert named == trained and len(named) == 4
    linked = set(re.findall(r"\(\.\./configs/(\S+)\.yaml\)", page))
    assert linked == named
    scenes = [load(name).env for name in sorted(named)]
    assert len({(env.id, env.keywords["canvas"]) for env in scenes}) == 1


def links(page: str) -> list[str]:
    """Files that a page links to."""
    return re.findall(r"\]\(([^)#:]+)\)", page)


def test_every_task_scene_and_sensor_is_explained():
    asked, rest = (DOCS / "tasks.md").read_text().split("| `scene=` |")
    shown, seen = rest.split("| `sensor=` |")
    assert sorted(re.findall(r"^\| `(\w+)` \|", asked, re.MULTILINE)) == sorted(TASKS)
    rows = re.findall(r"^\| (`[\w`, ]+) \|", shown, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(SCENES)
    eyes = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", seen, re.MULTILINE)
    assert [name for name, _ in eyes] == list(SENSORS)
    for name, options in eyes:
        fields = [field.name for field in dataclasses.fields(SENSORS[name])]
        assert re.findall(r"`(\w+)`", options) == fields


def test_every_data_set_is_explained():
    rows = re.findall(r'^\| (`"[^|]+) \|', (DOCS / "data.md").read_text(), re.MULTILINE)
    assert sorted(re.findall(r'`"([\w-]+)"`', " ".join(rows))) == sorted(DATASETS)


@pytest.mark.parametrize("example", EXAMPLES, ids=["memory", "task", "video"])
def test_examples_of_ones_own_run(example):
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", example], capture_output=True, text=True
    )
    assert run.returncode == 0 and run.stdout, run.stderr
