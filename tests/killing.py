"""Small trainings as processes that a test may kill, and what two runs must have in common."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from saccade.agents.cli import main

SMALL = {
    "train.eval_placements": 1,
    "train.picture_images": 2,
    "train.threads": 1,
}
RAM = {
    "env.canvas": 36,
    "env.glimpses": 3,
    "agent.hidden": 32,
    "agent.num_envs": 32,
    "agent.log_interval": 7,
    "train.total_timesteps": 9600,
    "train.eval_freq": 1500,
    "train.checkpoint_freq": 960,
}
STN = {
    "env.canvas": 30,
    "agent.num_envs": 16,
    "agent.precision": "float32",
    "agent.rotate": 5.0,
    "train.total_timesteps": 640,
    "train.eval_freq": 320,
    "train.checkpoint_freq": 64,
}
PPO = {
    "agent.num_envs": 32,
    "agent.n_steps": 4,
    "agent.batch_size": 64,
    "train.total_timesteps": 2560,
    "train.eval_freq": 1280,
    "train.checkpoint_freq": 256,
}
CONFIGS = {"ram_translated_digits": RAM, "soft/stn_digits": STN, "ppo_digits": PPO}

# The command, killed at the n-th file that it writes: before that has its name, or just after.
DEADLY = """\
import os, signal, sys
from saccade.agents.cli import main
replace, left, when = os.replace, int(sys.argv[1]), sys.argv[2]
def deadly(source, target):
    global left
    left -= 1
    if not left and when == "after":
        replace(source, target)
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = deadly
sys.exit(main(sys.argv[3:]))
"""
# Of several processes the second, killed when it is about to share its n-th gradient.
DEADLY_RANK = """\
import os, signal, sys
from saccade.agents.cli import main
from saccade.ram import distributed
mean, left = distributed.mean_gradients, int(sys.argv[1])
def deadly(weights):
    global left
    left -= 1
    if not left and os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    mean(weights)
distributed.mean_gradients = deadly
sys.exit(main(sys.argv[2:]))
"""
# Whoever runs the tests under nohup ignores hang-ups, and would have their children do so too.
PLAIN = """
import signal, sys
from saccade.agents.cli import main
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
sys.exit(main(sys.argv[1:]))
"""


def words(name: str, root: Path, **changes: Any) -> list[str]:
    """The command that trains a small config into a folder of runs."""
    settings = {**SMALL, **CONFIGS[name], **changes}
    return ["train", name, *(f"--{k}={v}" for k, v in settings.items()), "--runs", str(root)]


def begin(*arguments: str, program: str = PLAIN, **options: Any) -> subprocess.Popen:
    """A process of the command; what it prints on stderr can be read."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        **options,
    )


def interrupted(process: subprocess.Popen, *numbers: int) -> tuple[int, str]:
    """Send signals to a training that tells of an evaluation; its exit code, and what it then said.

    Its stderr is a pipe of text.
    """
    with process:
        for line in process.stderr:
            if " steps " in line:
                break
        for number in numbers:
            process.send_signal(number)
        said = process.stderr.read()
    return process.returncode, said


def finished(name: str, root: Path, **changes: Any) -> Path:
    """The folder of a run that nothing stopped."""
    assert main(words(name, root, **changes)) == 0
    (folder,) = root.iterdir()
    return folder


def killed(arguments: list[str], place: int, when: str) -> None:
    """Run the command until its n-th file, and no further."""
    process = begin(str(place), when, *arguments, program=DEADLY)
    said = process.communicate()[1]
    assert process.returncode == -signal.SIGKILL, said


def same(left: Any, right: Any, path: str = "") -> None:
    """Equal to the bit, through all that a checkpoint nests."""
    assert type(left) is type(right), path
    if isinstance(left, dict):
        assert left.keys() == right.keys(), path
        for name in left:
            same(left[name], right[name], f"{path}/{name}")
    elif isinstance(left, (list, tuple)):
        assert len(left) == len(right), path
        for place, pair in enumerate(zip(left, right, strict=True)):
            same(*pair, f"{path}[{place}]")
    elif isinstance(left, torch.Tensor):
        assert left.dtype == right.dtype and torch.equal(left, right), path
    else:
        assert left == right, path


def same_run(left: Path, right: Path) -> None:
    """Both checkpoints hold the same, and the curves that follow from them are the same."""
    for name in ("last.pt", "best.pt"):
        files = (run / "checkpoints" / name for run in (left, right))
        same(*(torch.load(file, weights_only=True) for file in files), name)
    curves = []
    for run in (left, right):
        events = EventAccumulator(str(run), size_guidance={"scalars": 0}).Reload()
        for name in events.Tags()["scalars"]:
            steps = [point.step for point in events.Scalars(name)]
            assert steps == sorted(set(steps)), name  # no curve runs over itself
        curves.append([(point.step, point.value) for point in events.Scalars("eval/error")])
    assert curves[0] == curves[1]
    best = [json.loads((run / "metrics.json").read_text())["best"] for run in (left, right)]
    assert best[0] == best[1]


def nothing_half_written(folder: Path) -> bool:
    """Whether no temporary file is left in a run's folder."""
    return not [file for file in folder.rglob("*") if file.name.startswith(".")]
