"""Kept models: small, read like any run, left as they are, and no beginning to go on from."""

import json

import pytest
import torch

from saccade.agents.cli import main
from saccade.agents.compare import compare
from saccade.agents.config import load_resolved
from saccade.agents.environments import make_env
from saccade.agents.evaluate import evaluate_run, load_policy
from saccade.agents.keep import keep
from saccade.agents.runs import RunFolder
from saccade.envs.files import write_text
from saccade.ram import RAM
from saccade.ram.checkpoint import CheckpointError
from saccade.ram.task import make


@pytest.fixture
def kept(run, tmp_path):
    """A model kept of the small run, which was measured on test."""
    evaluate_run(RunFolder.open(run), "test")
    return keep(RunFolder.open(run), tmp_path / "models" / "small")


def bytes_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_gives_the_same_evaluation_as_the_run_and_is_left_as_it_is(run, kept, capsys):
    before = bytes_of(kept.path)
    assert [path.relative_to(kept.path).as_posix() for path in sorted(before)] == [
        "checkpoints/best.pt",
        "config.yaml",
        "metrics.json",
    ]
    told = []
    for folder in (run, kept.path):
        assert main(["evaluate", str(folder), "--split", "test", "--average", "2"]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert bytes_of(kept.path) == before
    stored = [RunFolder.open(folder).metrics() for folder in (run, kept.path)]
    assert stored[0]["best"] == stored[1]["best"] and "metrics" not in stored[1]
    assert stored[1]["run"] == run.name


def test_watching_it_writes_into_the_working_folder(kept, tmp_path, monkeypatch, capsys):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = bytes_of(kept.path)
    assert main(["watch", str(kept.path), "--images", "3", "--format", "png"]) == 0
    assert capsys.readouterr().out.split() == ["pictures/small/paths-validation-3.png"]
    assert (tmp_path / "here/pictures/small/paths-validation-3.png").is_file()
    assert main(["watch", str(kept.path), "--format", "png", "--output", "chosen"]) == 0
    assert (tmp_path / "here/chosen/paths-validation.png").is_file()
    assert bytes_of(kept.path) == before


def test_it_is_compared_on_either_split(run, kept, trained):
    """On test by the evaluation that it keeps, on validation by a new one."""
    before = bytes_of(kept.path)
    for split in ("test", "validation"):
        (group,) = compare([kept.path], split).groups
        (other,) = compare([run], split).groups
        assert group.rows == other.rows
    assert bytes_of(kept.path) == before


def test_it_cannot_go_on_training(kept, capsys):
    assert main(["train", "--resume", str(kept.path)]) == 2
    assert "a kept model, without what training needs" in capsys.readouterr().err
    config = load_resolved(kept.config)
    env = make_env(config, "train", num_envs=16, paths=4)
    learner = RAM.load(kept.checkpoint(), env=env)
    with pytest.raises(CheckpointError, match="saved to predict alone"):
        learner.learn(10_000)
    assert learner.num_timesteps == load_policy(kept)[1].num_timesteps


def test_a_kept_model_can_be_kept_again(kept, tmp_path):
    again = keep(kept, tmp_path / "again")
    first, second = (torch.load(one.checkpoint(), weights_only=True) for one in (kept, again))
    assert first.keys() == second.keys() and first["optimizer"] is second["optimizer"] is None
    for name, values in first["network"].items():
        assert torch.equal(values, second["network"][name])


@pytest.mark.parametrize(("size", "scales"), [(8, 1), (12, 3), (12, 4)])
def test_the_paper_s_networks_are_small(tmp_path, size, scales):
    env = make("saccade/ClutteredDigits-v0", 8, 4)
    task = RAM(env).task.to_dict() | {"glimpse_shape": (scales, size, size)}
    learner = RAM(type(RAM(env).task)(**task))
    learner.save(tmp_path / "whole.pt")
    learner.save(tmp_path / "small.pt", to_learn=False)
    assert (tmp_path / "small.pt").stat().st_size < 2e6


def test_what_cannot_be_kept_is_one_line(run, kept, tmp_path, capsys):
    assert main(["keep", str(run), str(kept.path)]) == 2
    assert "is there already" in capsys.readouterr().err
    (run / "checkpoints" / "best.pt").unlink()
    (run / "checkpoints" / "last.pt").unlink()
    assert main(["keep", str(run), str(tmp_path / "other")]) == 2
    assert "did its training stop before saving one?" in capsys.readouterr().err
    write_text(tmp_path / "file", "")
    assert main(["keep", str(kept.path), str(tmp_path / "file" / "x")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "other").exists()


def test_a_classifier_is_kept_and_stable_baselines3_s_agents_are_not(tmp_path, capsys):
    small = ["--train.total_timesteps", "256", "--train.picture_images", "0"]
    small += ["--train.threads", "1", "--runs", str(tmp_path / "runs"), "--agent.num_envs", "32"]
    assert main(["train", "paper/fc", "--env.id", "saccade/Digits-v0", *small]) == 0
    (fc,) = (tmp_path / "runs").iterdir()
    assert main(["keep", str(fc), str(tmp_path / "fc")]) == 0
    whole, light = (RunFolder.open(folder) for folder in (fc, tmp_path / "fc"))
    assert evaluate_run(light).rows == evaluate_run(whole).rows
    sizes = [one.checkpoint().stat().st_size for one in (whole, light)]
    assert sizes[1] < 0.4 * sizes[0]
    ppo = ["--agent.n_steps", "6", "--agent.batch_size", "32"]
    assert main(["train", "ppo_digits", *small, *ppo]) == 0
    (run,) = (tmp_path / "runs").glob("ppo*")
    capsys.readouterr()
    assert main(["keep", str(run), str(tmp_path / "ppo")]) == 2
    assert "ram, dram and the soft classifiers can be kept" in capsys.readouterr().err
    assert not (tmp_path / "ppo").exists() and json.loads((run / "metrics.json").read_text())
