"""Mistakes that got past the types: each is one line on stderr, exit code 2, no traceback."""

from __future__ import annotations

import pytest
import yaml

from saccade.agents.cli import main
from saccade.agents.train import train  # noqa: F401  (imported once, not in every case)

TINY = {
    "env": {"id": "saccade/Digits-v0"},
    "agent": {"name": "ram", "num_envs": 16, "paths": 2, "hidden": 16},
    "train": {"total_timesteps": 600, "eval_freq": 10**6, "threads": 1, "picture_images": 0},
}


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY))
    return str(file)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (["--seed", "null"], "'seed' must be a whole number, got None"),
        (["--train.threads", "null"], "'train.threads' must be"),
        (["--train.total_timesteps", "null"], "'train.total_timesteps' must be"),
        (["--agent.answer_every_step", "null"], "'agent.answer_every_step' must be"),
        (["--agent.learning_rate", "null"], "'agent.learning_rate' must be"),
        (["--train.threads", "100000"], "'train.threads' must be at most"),
        (["--agent.warmup", "1"], "warmup=1.0: take a number of at least 0 and less than 1"),
        (["--agent.momentum", "5"], "momentum"),
        (["--agent.learning_rate", "1e30"], "lower learning_rate"),
        (["--device", "meta"], "device 'meta'"),
    ],
)
def test_one_line_and_exit_code_two(config, tmp_path, capsys, override, message):
    assert main(["train", config, "--runs", str(tmp_path / "runs"), *override]) == 2
    *_, last = capsys.readouterr().err.strip().splitlines()
    assert last.startswith("saccade: ") and message in last


@pytest.mark.parametrize("text", ["seed: 2024-13-45", "seed: !!int abc", "seed: " + "[" * 3000])
def test_yaml_that_cannot_be_made_into_values(tmp_path, capsys, text):
    file = tmp_path / "odd.yaml"
    file.write_text(text)
    assert main(["train", str(file), "--runs", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "not valid YAML" in error
