"""Seeds side by side: a run folder each, lines under their seeds, Ctrl-C and failures told."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
import yaml

from saccade.agents import seeds
from saccade.agents.cli import main

TINY = {
    "env": {"id": "saccade/Digits-v0", "glimpses": 3},
    "agent": {"name": "ram", "num_envs": 16, "paths": 2, "hidden": 16},
    "train": {"total_timesteps": 600, "eval_freq": 300, "threads": 1, "picture_images": 0},
    "seed": 5,
}


@pytest.fixture
def command(tmp_path):
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(TINY))
    runs = str(tmp_path / "runs")
    return [sys.executable, "-m", "saccade.agents.cli", "train", str(file), "--runs", runs]


def finish(command, *options):
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([*command, *options], capture_output=True, text=True, env=env)


def test_each_seed_has_its_folder_and_its_lines(command, tmp_path):
    done = finish(command, "--seeds", "2", "--jobs", "2", "--evaluate", "--agent.hidden=8")
    assert done.returncode == 0, done.stderr
    folders = sorted((tmp_path / "runs").iterdir())
    configs = [yaml.safe_load((folder / "config.yaml").read_text()) for folder in folders]
    assert [config["seed"] for config in configs] == [5, 6]
    assert all(config["agent"]["hidden"] == 8 for config in configs)
    for seed, folder in zip((5, 6), folders, strict=True):
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["finished"] and "validation" in metrics["evaluations"]
        assert re.search(rf"^seed {seed} \| .*steps/s$", done.stderr, re.MULTILINE)
        assert f"seed {seed} | | learned" in done.stdout
    own = [line for line in done.stdout.splitlines() if not line.startswith("seed ")]
    assert own == [
        "Run folders:",
        *(f"  {folder}" for folder in folders),
        f"Compare them: saccade compare {folders[0]} {folders[1]}",
    ]
    assert main([*command[3:], "--agent.hidden=8", "--name", "alone"]) == 0
    (alone,) = (tmp_path / "runs").glob("alone-*")
    first, other = (json.loads((run / "metrics.json").read_text()) for run in (folders[0], alone))
    assert first["best"] == other["best"]


def test_a_mistake_is_one_line_before_anything_starts(command, tmp_path):
    done = finish(command, "--seeds", "3", "--agent.hiden", "8")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "did you mean" in done.stderr and not (tmp_path / "runs").exists()


def test_a_seed_that_fails_is_told_with_its_message(command):
    done = finish(command, "--seeds", "2", "--agent.learning_rate", "1e30")
    assert done.returncode == 2
    last = done.stderr.splitlines()[-2:]
    assert [line.split(" failed: ")[0] for line in last] == ["saccade: seed 5", "saccade: seed 6"]
    assert all("training diverged" in line for line in last)
    assert "Compare them" not in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_reaches_each_seed_once_and_each_saves(command, tmp_path, number, code):
    options = ["--seeds", "3", "--jobs", "2", "--train.total_timesteps", "10_000_000"]
    started = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # Where the tests run in the background Ctrl-C may be turned off; here it is meant to come.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with started:
        waiting = {"seed 5", "seed 6"}
        for line in started.stderr:
            if " steps " in line:
                waiting.discard(line.split(" |")[0])
            if not waiting:
                started.send_signal(getattr(signal, number))
                break
        rest = started.stderr.read()
    assert started.returncode == code, rest
    folders = sorted((tmp_path / "runs").iterdir())
    assert len(folders) == 2 and "Not begun: seed 7" in rest
    for seed, folder in zip((5, 6), folders, strict=True):
        assert f"seed {seed} |   saccade train --resume {folder}" in rest
        assert (folder / "checkpoints" / "last.pt").is_file()


def test_as_many_at_a_time_as_cores_hold(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert [seeds.default_jobs(threads) for threads in (1, 2, 3, 16)] == [8, 4, 2, 1]
