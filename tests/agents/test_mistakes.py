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


BASELINES = {
    "ppo": {"n_steps": 6, "batch_size": 48, "n_epochs": 1},
    "a2c": {"n_steps": 6},
    "dqn": {"buffer_size": 500, "learning_starts": 64, "batch_size": 16},
    "sac": {"buffer_size": 500, "learning_starts": 64, "batch_size": 16},
    "ppo_location": {"n_steps": 6, "batch_size": 48, "n_epochs": 1, "hidden": 16},
}


@pytest.mark.parametrize(
    ("agent", "change", "message"),
    [
        ("ppo", {"n_epochs": 0}, "n_epochs=0: take a number of at least 1"),
        ("ppo", {"batch_size": 1}, "batch_size=1: take at least 2"),
        ("a2c", {"n_steps": 0}, "n_steps=0: take a number of at least 1"),
        ("ppo", {"gamma": 2}, "gamma=2.0: take a number of at least 0 and at most 1"),
        ("ppo", {"gamma": float("nan")}, "gamma=nan: take a number"),
        ("ppo", {"ent_coef": float("nan")}, "ent_coef=nan: take a finite number"),
        ("dqn", {"train_freq": 0}, "train_freq=0: take a number of at least 1"),
        ("dqn", {"train_freq": [1, "episode"]}, "many lanes have no one episode"),
        ("dqn", {"buffer_size": 0}, "buffer_size=0"),
        ("sac", {"target_update_interval": 0}, "target_update_interval=0"),
        ("sac", {"tau": -1}, "tau=-1"),
        ("ppo_location", {"hidden": 0}, "hidden=0"),
        ("ppo", {"policy_kwargs": [1]}, "must be keys and values or null"),
        ("ppo", {"policy_kwargs": {"net_arch": "abc"}}, "net_arch='abc': takes a list of whole"),
        ("ppo", {"policy_kwargs": {"net_arch": {"vg": [3]}}}, "net_arch: unknown 'vg'"),
        ("dqn", {"policy_kwargs": {"net_arch": {"pi": [3]}}}, "unknown 'pi': takes a list"),
        ("ppo", {"policy_kwargs": {"activation_fn": "functional"}}, "torch.nn has no such class"),
        ("ppo", {"policy_kwargs": {"optimizer_class": "SGD"}}, "takes a class, not its name"),
        (
            "ppo",
            {"policy_kwargs": {"features_extractor_kwargs": {"what": 0}}},
            "features_extractor_kwargs.what=0: takes a whole number above 0",
        ),
    ],
)
def test_a_baselines_keyword_out_of_range_leaves_no_folder(
    config, tmp_path, capsys, agent, change, message
):
    keywords = {"name": agent, "num_envs": 16, **BASELINES[agent], **change}
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump({**TINY, "agent": keywords}))
    assert main(["train", str(file), "--runs", str(tmp_path / "runs")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error
    assert not (tmp_path / "runs").exists()


def test_a_value_function_that_diverged_is_said(config, tmp_path, capsys):
    keywords = {"name": "dqn", "num_envs": 16, **BASELINES["dqn"], "learning_rate": 1e20}
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump({**TINY, "agent": keywords}))
    assert main(["train", str(file), "--runs", str(tmp_path / "runs")]) == 2
    assert "training diverged after" in capsys.readouterr().err
    (run,) = (tmp_path / "runs").iterdir()
    assert not (run / "checkpoints" / "last.pt").exists()


@pytest.mark.parametrize("text", ["seed: 2024-13-45", "seed: !!int abc", "seed: " + "[" * 3000])
def test_yaml_that_cannot_be_made_into_values(tmp_path, capsys, text):
    file = tmp_path / "odd.yaml"
    file.write_text(text)
    assert main(["train", str(file), "--runs", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "not valid YAML" in error
