"""The commands on a classifier's run: trained, resumed, evaluated, and set beside RAM's."""

import csv
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

from saccade.agents.cli import main
from saccade.agents.evaluate import WHOLE
from saccade.agents.runs import RunFolder

SMALL = {
    "env.canvas": 36,
    "agent.hidden": "[32]",
    "agent.num_envs": 64,
    "train.total_timesteps": 12_800,
    "train.eval_freq": 6_400,
    "train.eval_placements": 2,
    "train.checkpoint_freq": 1_280,
    "train.picture_images": 3,
    "train.threads": 1,
}
CONFIG = """\
env: {id: saccade/TranslatedDigits-v0}
agent: {name: fc}
train: {}
"""


def flags(**changes):
    return [f"--{key}={value}" for key, value in {**SMALL, **changes}.items()]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    file = tmp_path_factory.mktemp("config") / "fc.yaml"
    file.write_text(CONFIG)
    return str(file)


@pytest.fixture(scope="module")
def classified(config, tmp_path_factory):
    """The folder of a finished run of the small classifier; not to be changed."""
    root = tmp_path_factory.mktemp("runs")
    assert main(["train", config, *flags(), "--runs", str(root)]) == 0
    (folder,) = root.iterdir()
    return folder


def test_the_config_says_what_a_classifier_is_shown(classified):
    text = (classified / "config.yaml").read_text()
    assert "glimpses: 1" in text and "- image" in text and "action: dict" in text


def test_validation_s_best_is_kept_and_its_numbers_told(classified):
    run = RunFolder.open(classified)
    metrics = run.metrics()
    assert metrics["finished"] is True
    assert metrics["timesteps"] == 12_800
    assert metrics["best"]["error"] < 0.9
    assert run.checkpoint("best").is_file() and run.checkpoint("last").is_file()
    assert metrics["metrics"]["train/accuracy"] > 0.15


def test_ctrl_c_leaves_a_run_that_goes_on_to_the_same_bytes(config, classified, tmp_path):
    command = [sys.executable, "-m", "saccade.agents.train", config, *flags()]
    started = subprocess.Popen(
        [*command, "--runs", str(tmp_path)], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/checkpoints/last.pt")):
        assert time.monotonic() < deadline and started.poll() is None
        time.sleep(0.01)
    started.send_signal(signal.SIGINT)
    started.communicate(timeout=60)
    (folder,) = tmp_path.iterdir()
    if started.returncode == 130:  # else it had finished before the signal came
        assert main(["train", "--resume", str(folder)]) == 0
    ends = [torch.load(run / "checkpoints" / "last.pt") for run in (classified, folder)]
    assert ends[0]["num_timesteps"] == ends[1]["num_timesteps"]
    for name, values in ends[0]["network"].items():
        assert torch.equal(values, ends[1]["network"][name])


def test_evaluate_prints_one_row_and_no_controls(classified, tmp_path, capsys):
    run = shutil.copytree(classified, tmp_path / "run")
    assert main(["evaluate", str(run)]) == 0
    out = capsys.readouterr().out
    assert "the whole image seen at once" in out
    assert "random" not in out
    (row,) = RunFolder.open(run).metrics()["evaluations"]["validation"]["rows"]
    assert row["name"] == WHOLE and row["sensor_values"] == 36 * 36


def test_compare_sets_it_beside_ram_on_the_same_scenes(classified, trained, tmp_path, capsys):
    runs = [
        shutil.copytree(source, tmp_path / name)
        for name, source in (("fc", classified), ("ram", trained))
    ]
    output = tmp_path / "out"
    assert main(["compare", *map(str, runs), "--output", str(output)]) == 0
    page = (output / "compare.md").read_text()
    assert page.count("## saccade/TranslatedDigits-v0") == 1
    assert "fc: **sees the whole image**" in page
    rows = list(csv.DictReader((output / "compare.csv").open()))
    found = {(row["agent"], row["gaze"]): row for row in rows}
    whole = found["fc", WHOLE]
    assert float(whole["distinct_pixels"]) == 36 * 36
    assert whole["on_target"] == whole["glimpses"] == ""
    assert float(whole["multiply_adds"]) == 36 * 36 * 32 + 32 * 10
    assert ("ram", "learned") in found


def test_transfer_says_where_a_network_takes_no_other_size(classified, capsys, tmp_path):
    words = ["--vary", "canvas", "36", "44", "--output", str(tmp_path / "out")]
    assert main(["transfer", str(classified), *words]) == 0
    captured = capsys.readouterr()
    assert "cannot be run there" in captured.err
    row = next(line for line in captured.out.splitlines() if line.startswith("| fc"))
    assert row.rstrip(" |").endswith("-")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"env.glimpses": 6}, "set env.glimpses to 1"),
        ({"env.action": "box"}, "set env.action"),
        ({"env.gaze": "random"}, "must not learn where to look"),
        ({"agent.hiden": 3}, "did you mean 'agent.hidden'?"),
        ({"agent.hidden": "[0]"}, "hidden"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(config, tmp_path, capsys, change, message):
    runs = tmp_path / "runs"
    assert main(["train", config, *flags(**change), "--runs", str(runs)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and message in err
    assert not runs.exists()
