"""`train.init`: a run that begins with another's weights."""

import json

import pytest
import torch
import yaml

from saccade.agents.cli import main
from saccade.ram.learner import RAM

SMALL = {
    "env": {"id": "saccade/Digits-v0"},
    "agent": {"name": "ram", "num_envs": 16, "paths": 2, "hidden": 16},
    "train": {"total_timesteps": 96, "eval_freq": 96, "threads": 1, "picture_images": 0},
}


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(SMALL))
    return str(file)


def newest(root, pattern):
    return sorted(root.glob(pattern))[-1]


def test_it_begins_with_the_best_weights_of_a_run_of_its_seed(config, tmp_path):
    runs = tmp_path / "runs"
    for seed in ("3", "4"):
        assert main(["train", config, "--runs", str(runs), "--seed", seed]) == 0
    first = newest(runs, "small-3-*")
    # At this rate nothing is learned, so that it ends with what it began with.
    still = ["--agent.learning_rate=1e-30", "--runs", str(runs), "--seed=3"]
    for asked in ("small", str(first)):
        assert main(["train", config, *still, f"--train.init={asked}"]) == 0
        then = newest(runs, "small-3-*")
        if asked == "small":
            named = then
        before, after = (
            RAM.load(folder / "checkpoints/best.pt").network.state_dict()
            for folder in (first, then)
        )
        assert all(torch.allclose(before[name], after[name]) for name in before)
        noted = json.loads((then / "metrics.json").read_text())["init"]
        time = json.loads((first / "metrics.json").read_text())["time"]
        told = {"run": first.name, "timesteps": 96, "scenes": 8, "device": "cpu", **time}
        assert noted == told
    config_of = yaml.safe_load((named / "config.yaml").read_text())
    assert config_of["train"]["init"] == "small"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--train.init=other"], "run 'other' of seed 0 under {runs} is not there: train it first"),
        (["--agent.hidden=17"], "is (16, 272), here it is (17, 273); give both the sizes of"),
        (["--agent.core=lstm"], "here it is"),
        (["--agent.location_hidden=8"], "best.pt: has other layers than this agent ram"),
        (["--agent.name=dram", "--agent.hidden=16"], "has other layers than this agent dram"),
    ],
)
def test_what_does_not_fit_is_one_line_before_a_folder_is_made(
    config, tmp_path, options, message, capsys
):
    runs = tmp_path / "runs"
    assert main(["train", config, "--runs", str(runs)]) == 0
    command = ["train", config, "--runs", str(runs), "--train.init=small", *options]
    assert main(command) == 2
    *_, last = capsys.readouterr().err.strip().splitlines()
    assert last.startswith("saccade: train.init: ") and message.format(runs=runs) in last
    assert len(list(runs.iterdir())) == 1


def test_baselines_begin_with_their_own(config, tmp_path, capsys):
    assert main(["train", "a2c_digits", "--runs", str(tmp_path), "--train.init=small"]) == 2
    assert "train.init: agent a2c begins with weights of its own; ram" in capsys.readouterr().err
