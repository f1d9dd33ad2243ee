"""Training by command: what the run folder holds, and an interruption that leaves no trace."""

import json
import signal

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from killing import begin, interrupted
from saccade.agents import config
from saccade.agents.cli import main
from saccade.agents.errors import UserError
from saccade.agents.train import resume, train
from saccade.ram import RAM


def events(run):
    found = EventAccumulator(str(run))
    found.Reload()
    return found


def test_the_folder_holds_all_that_later_commands_read(trained):
    events_file, *others = sorted(
        (entry.name for entry in trained.iterdir()), key=lambda name: "tfevents" not in name
    )
    assert events_file.startswith("events.out.tfevents")
    assert set(others) == {"config.yaml", "metrics.json", "checkpoints", "pictures"}
    assert {entry.name for entry in (trained / "checkpoints").iterdir()} == {"best.pt", "last.pt"}
    assert trained.name.startswith("ram_translated_digits-0-")
    resolved = yaml.safe_load((trained / "config.yaml").read_text())
    assert resolved["env"]["canvas"] == 36 and resolved["agent"]["hidden"] == 32
    assert resolved["train"]["patience"] == 0  # a default, written out


def test_metrics_say_what_the_numbers_depend_on(trained):
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["versions"].keys() >= {"saccade", "python", "torch", "numpy", "gymnasium"}
    assert metrics["finished"] and metrics["timesteps"] == 2400
    assert metrics["device"] == "cpu" and metrics["threads"] == 1
    assert metrics["time"]["wall_seconds"] > 0 and metrics["time"]["cpu_seconds"] > 0
    assert 0 <= metrics["best"]["error"] <= 1 and metrics["best"]["timesteps"] in (1200, 2400)
    assert len(metrics["config_sha256"]) == 64


def test_tensorboard_has_the_curves_that_sb3_users_know(trained):
    found = events(trained)
    assert set(found.Tags()["scalars"]) >= {
        "rollout/ep_rew_mean",
        "rollout/ep_len_mean",
        "time/fps",
        "train/loss",
        "train/fixation_spread",
        "train/location_entropy",
        "train/learning_rate",
        "eval/mean_reward",
        "eval/mean_ep_length",
        "eval/error",
    }
    assert [point.step for point in found.Scalars("eval/error")] == [1200, 2400]
    assert [point.step for point in found.Images("eval/paths")] == [1200, 2400]
    text = found.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "saccade/TranslatedDigits-v0" in text


def test_the_best_checkpoint_is_the_one_that_validation_chose(trained):
    best = json.loads((trained / "metrics.json").read_text())["best"]
    assert RAM.load(trained / "checkpoints" / "best.pt").num_timesteps == best["timesteps"]
    assert RAM.load(trained / "checkpoints" / "last.pt").num_timesteps == 2400


def test_training_ends_early_without_progress(small_config, tmp_path):
    settings = {
        "agent.learning_rate": 1e-9,
        "train.total_timesteps": 10_000,
        "train.eval_freq": 100,
        "train.patience": 2,
        "train.picture_images": 0,
        "train.threads": 1,
        "agent.num_envs": 16,
    }
    finished = train(config.load("ram_digits", settings), tmp_path)
    assert finished.timesteps < 10_000 and not finished.interrupted
    assert "images" in events(finished.run.path).Tags()
    assert not events(finished.run.path).Tags()["images"]
    with pytest.raises(UserError, match="has finished"):
        resume(finished.run.path)


def test_the_same_seed_gives_the_same_bytes(trained, small_config, tmp_path):
    again = train(small_config, tmp_path)
    for name in ("best.pt", "last.pt"):
        same_network(trained / "checkpoints" / name, again.run.path / "checkpoints" / name)


def same_network(first, second):
    one, other = (torch.load(file, weights_only=True) for file in (first, second))
    for part in ("network", "generator", "optimizer"):
        assert str(one[part]) == str(other[part])
    for name, weights in one["network"].items():
        assert torch.equal(weights, other["network"][name]), name


def test_ctrl_c_leaves_a_run_that_goes_on_to_the_same_bytes(flags, tmp_path):
    flags = [*flags, "--train.total_timesteps", "12_000", "--train.eval_freq", "3000"]
    words = ["train", "ram_translated_digits", *flags, "--name", "cut", "--runs", str(tmp_path)]
    ended, rest = interrupted(begin(*words), signal.SIGINT)
    (cut,) = tmp_path.iterdir()
    assert ended == 130, rest
    assert f"saccade train --resume {cut}" in rest
    metrics = json.loads((cut / "metrics.json").read_text())
    stopped_at = metrics["timesteps"]
    assert not metrics["finished"] and 3000 <= stopped_at < 12_000

    assert main(["train", "--resume", str(cut)]) == 0
    whole = ["train", "ram_translated_digits", *flags, "--name", "whole", "--runs", str(tmp_path)]
    assert main(whole) == 0
    (uncut,) = (path for path in tmp_path.iterdir() if path != cut)
    for name in ("best.pt", "last.pt"):
        same_network(cut / "checkpoints" / name, uncut / "checkpoints" / name)

    resumed, plain = events(cut), events(uncut)
    for name in ("eval/error", "eval/mean_reward"):
        assert [(p.step, p.value) for p in resumed.Scalars(name)] == [
            (p.step, p.value) for p in plain.Scalars(name)
        ]
    steps = [point.step for point in resumed.Scalars("train/loss")]
    assert steps == sorted(set(steps))  # no curve runs over itself
    now = json.loads((cut / "metrics.json").read_text())
    assert now["finished"] and now["time"]["wall_seconds"] > metrics["time"]["wall_seconds"]


def test_events_beyond_the_checkpoint_are_hidden_after_a_resume(tmp_path):
    from saccade.agents.curves import Curves

    first = Curves(tmp_path)
    for step in (10, 20, 30):
        first.scalars({"a": float(step), "never": float("nan")}, step)
    first.close()
    second = Curves(tmp_path, resumed_at=20)
    second.scalars({"a": 35.0}, 35)
    second.close()
    found = events(tmp_path)
    assert [point.step for point in found.Scalars("a")] == [10, 20, 35]
    assert "never" not in found.Tags()["scalars"]


def test_a_run_goes_on_and_is_evaluated_on_another_device(flags, tmp_path, capsys):
    flags = [*flags, "--train.total_timesteps", "24_000", "--train.eval_freq", "3000"]
    words = ["train", "ram_translated_digits", *flags, "--device", "cpu:0"]  # any but "cpu"
    interrupted(begin(*words, "--runs", str(tmp_path)), signal.SIGINT)
    (folder,) = tmp_path.iterdir()
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("device: cpu:0", "device: cuda:99"))
    assert main(["train", "--resume", str(folder)]) == 2
    assert capsys.readouterr().err.endswith("'cpu' always is (--device cpu)\n")
    on = ["train", "--resume", str(folder)]
    assert interrupted(begin(*on, "--device", "cpu"), signal.SIGINT)[0] == 130
    assert main(on) == 0  # where it was last
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["finished"] and metrics["device"] == "cpu:0, cpu"
    assert main(["evaluate", str(folder)]) == 0  # where it can


def test_resuming_takes_no_other_settings(run, capsys):
    assert main(["train", "--resume", str(run), "--seed", "3"]) == 2
    assert "--resume" in capsys.readouterr().err


def test_train_evaluates_where_asked(flags, tmp_path, capsys):
    command = ["train", "ram_translated_digits", *flags, "--runs", str(tmp_path), "--evaluate"]
    assert main([*command, "test"]) == 0
    (folder,) = tmp_path.iterdir()
    assert (folder / "evaluation-test.md").read_text() in capsys.readouterr().out
    learned = json.loads((folder / "metrics.json").read_text())["evaluations"]["test"]["rows"][0]
    assert np.isfinite(learned["error"]).all()


def test_a_run_resumed_within_a_second_has_its_curves_in_order(tmp_path, monkeypatch):
    """Event files are read in the order of their names: seconds first, then processes."""
    from saccade.agents.curves import Curves, read_scalars

    for process, step in ((9, 0), (8, 10), (7, 20)):
        monkeypatch.setattr("os.getpid", lambda process=process: process)
        part = Curves(tmp_path, resumed_at=step)
        for later in (5, 10, 15):
            part.scalars({"a": float(process)}, step + later)
        part.close()
    points = read_scalars(tmp_path, ["a"])["a"]
    assert points.tolist() == [[5, 9], [10, 9], [15, 8], [20, 8], [25, 7], [30, 7], [35, 7]]
