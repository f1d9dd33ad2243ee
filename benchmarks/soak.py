"""Whether memory, open files and speed stay flat: millions of steps, and hundreds of epochs.

    python benchmarks/soak.py                      # 10 million steps an id, then 200 epochs of RAM
    python benchmarks/soak.py --steps 1e8 --epochs 2000

Prints a line a tenth of the way: resident memory, open files, and steps a second since the last
line. Reads `/proc`, so needs Linux. The training is `saccade train`'s own, with an evaluation,
curves and a checkpoint every epoch.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core

import argparse
import gc
import tempfile
import time
from pathlib import Path

import gymnasium as gym

import saccade  # noqa: F401  (registers the environments)
from saccade.agents import train as training
from saccade.agents.config import find, load
from saccade.envs.datasets import load_dataset
from saccade.ram import callbacks

IDS = ("saccade/ClutteredDigits-v0", "saccade/MovingDigits-v0", "saccade/Catch-v0")
LANES = 1024
PARTS = 10
DRAWN = 14  # batches of actions drawn beforehand


class Meter:
    """Prints how things stand at each tenth of `total` steps."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total = name, total
        self._next, self._last = 1, (0, time.perf_counter())
        print(f"\n{name}\n{'steps':>14} {'steps/s':>10} {'MiB':>8} {'files':>6}")

    def at(self, steps: int) -> None:
        if steps * PARTS < self._next * self._total:
            return
        self._next = steps * PARTS // self._total + 1
        gc.collect()
        now = time.perf_counter()
        rate = (steps - self._last[0]) / (now - self._last[1])
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        files = len(os.listdir("/proc/self/fd"))
        print(f"{steps:>14,} {rate:>10,.0f} {memory:>8.1f} {files:>6}", flush=True)
        self._last = steps, time.perf_counter()


def step(env_id: str, total: int) -> None:
    """Random actions in the native vector environment, and a picture of it now and then."""
    env = gym.make_vec(env_id, num_envs=LANES, action="dict")
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(DRAWN)]
    env.reset(seed=0)
    meter = Meter(f"{env_id}, {LANES} lanes", total)
    for batch in range(-(-total // LANES)):
        env.step(actions[batch % DRAWN])
        meter.at((batch + 1) * LANES)
    env.close()


def train(epochs: int) -> None:
    """`saccade train ram_digits`, through so many epochs."""
    config = load(find("ram_digits"))
    episode = config.env.keywords["glimpses"] * config.agent.keywords["paths"]
    epoch = len(load_dataset("digits").split("train").labels) * episode
    total = epochs * epoch
    overrides = {
        "total_timesteps": total,
        "eval_freq": epoch,
        "checkpoint_freq": epoch,
        "threads": 1,
    }
    config = load(find("ram_digits"), {f"train.{name}": n for name, n in overrides.items()})
    meter = Meter(f"{config.name}, {epochs} epochs", total)
    checkpoint = callbacks.Checkpoint.on_step

    def metered(self: callbacks.Checkpoint, learner: callbacks.Learner, metrics: dict) -> object:
        going = checkpoint(self, learner, metrics)
        meter.at(learner.num_timesteps)
        return going

    callbacks.Checkpoint.on_step = metered  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as folder:
        training.train(config, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ids", nargs="*", default=IDS)
    parser.add_argument("--steps", type=float, default=1e7)
    parser.add_argument("--epochs", type=int, default=200)
    options = parser.parse_args()
    for env_id in options.ids:
        step(env_id, int(options.steps))
    if options.epochs:
        train(options.epochs)


if __name__ == "__main__":
    main()
