"""Several processes that train one run: the same curve as one, one folder, a death, an order."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from killing import DEADLY_RANK, interrupted, same_run, words
from saccade.agents.cli import main
from saccade.ram import distributed

pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="PyTorch without gloo",
)
TRAIN = ("-m", "saccade.agents.train")


def launch(*arguments, count=2):
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", str(count), *map(str, arguments)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def together(*arguments, count=2):
    """Exit code, stdout and stderr of a command in so many processes."""
    process = launch(*arguments, count=count)
    out, said = process.communicate()
    return process.returncode, out, said


@pytest.fixture(scope="module")
def arguments(tmp_path_factory):
    """What trains a small RAM with two paths a scene, but for where to."""
    changes = {"agent.paths": 2, "agent.log_interval": 1, "train.total_timesteps": 2880}
    return words("ram_translated_digits", Path("RUNS"), **changes)[1:-2]


@pytest.fixture(scope="module")
def whole(arguments, tmp_path_factory):
    """The folder of two processes' run, and what they printed."""
    root = tmp_path_factory.mktemp("whole")
    code, out, said = together(*TRAIN, *arguments, "--runs", root)
    assert code == 0, said
    (folder,) = root.iterdir()
    return folder, out, said


def test_the_first_updates_are_those_of_one_process(tmp_path):
    script = Path(__file__).parents[1] / "together.py"
    code, _, said = together(script, tmp_path / "two.pt")
    assert code == 0, said
    subprocess.run([sys.executable, script, tmp_path / "one.pt"], check=True)
    one, two = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("one", "two"))
    for name, alone in one.items():
        for part in ("timesteps", "num_envs"):
            assert alone[part] == two[name][part], name
        assert torch.equal(alone["episode"], two[name]["episode"]), name
        assert alone["losses"] == pytest.approx(two[name]["losses"], rel=1e-4, abs=1e-6), name
        for part, weights in alone["weights"].items():
            torch.testing.assert_close(
                weights, two[name]["weights"][part], rtol=1e-3, atol=1e-4, msg=f"{name} {part}"
            )


def test_one_folder_is_written_and_one_process_speaks(whole):
    folder, out, said = whole
    assert len(list(folder.parent.iterdir())) == 1
    assert out.count("Run folder:") == 1 and said.count("timesteps, seed 0") == 1
    assert len(list(folder.glob("events.out.tfevents*"))) == 1
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["finished"] and metrics["processes"] == 2 and metrics["timesteps"] == 2880


def test_a_process_that_dies_ends_the_run_and_it_goes_on_to_the_same_bytes(
    arguments, whole, tmp_path
):
    script = tmp_path / "deadly.py"
    script.write_text(DEADLY_RANK)
    runs = tmp_path / "runs"
    code, _, said = together(script, 17, "train", *arguments, "--runs", runs)
    assert code != 0
    (cut,) = runs.iterdir()
    assert "another process of this training has ended" in said
    command = f"torchrun --standalone --nproc-per-node 2 -m saccade.agents.train --resume {cut}"
    assert command in said
    assert not json.loads((cut / "metrics.json").read_text())["finished"]

    alone = tmp_path / "alone"
    shutil.copytree(cut, alone)
    code, _, said = together(*command.split()[4:])
    assert code == 0, said
    same_run(cut, whole[0])

    assert main(["train", "--resume", str(alone)]) == 0  # as one process, to nearly the same
    ends = [json.loads((run / "metrics.json").read_text()) for run in (alone, cut)]
    assert ends[0]["timesteps"] == ends[1]["timesteps"]
    loss, other = (end["metrics"]["train/loss"] for end in ends)
    assert loss == pytest.approx(other, rel=1e-3)


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_sigterm_saves_a_checkpoint(arguments, tmp_path):
    runs = tmp_path / "runs"
    endless = ("--train.total_timesteps=100_000_000", "--train.checkpoint_freq=10_000_000")
    process = launch(*TRAIN, *arguments, *endless, "--runs", runs)
    ended, said = interrupted(process, signal.SIGTERM)
    assert ended != 0
    (cut,) = runs.iterdir()
    assert (cut / "checkpoints" / "last.pt").is_file() and f"--resume {cut}" in said
    assert not json.loads((cut / "metrics.json").read_text())["finished"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["ppo_digits"], "without torchrun"), (["ram_digits", "--seeds", "2"], "without torchrun")],
)
def test_what_trains_in_one_process_is_refused(arguments, message, tmp_path, monkeypatch, capsys):
    place = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    assert main(["train", *arguments, "--runs", str(tmp_path / "runs")]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_lanes_part_evenly_or_not_at_all(monkeypatch):
    assert distributed.share(9, 2) == {"num_envs": 9}  # alone, the environment judges
    monkeypatch.setattr(distributed, "world", lambda: distributed.World(1, 2))
    assert distributed.share(12, 2) == {"num_envs": 6, "shard": (1, 2)}
    with pytest.raises(ValueError, match=r"num_envs=10.* multiple of 4"):
        distributed.share(10, 2)


def test_each_process_has_its_lanes_of_one_draw(monkeypatch):
    whole = torch.randn(3, 8, 2, generator=torch.Generator().manual_seed(0))
    for rank in range(2):
        monkeypatch.setattr(distributed, "world", lambda rank=rank: distributed.World(rank, 2))
        generator = torch.Generator().manual_seed(0)
        part = distributed.draw(torch.randn, (3, 4, 2), 1, generator)
        assert torch.equal(part, whole[:, 4 * rank : 4 * rank + 4])
