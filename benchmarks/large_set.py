"""Training on a set that is larger than the memory given to it, beside the same set in memory.

    python benchmarks/large_set.py --images 50000 --side 64

Makes colour images of noise, as `ImageFolder` keeps those of a folder: one file, read as it is
needed. Training steps of RAM on the file and on a copy in memory are timed in turns; then the file
alone is trained on in a process that may not take more than `--memory` MB of its own. Prints
episodes a second, and the share of the speed that is left.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode

import saccade  # noqa: F401  (registers the environments)
from saccade.envs.datasets import Dataset, ImageSet
from saccade.ram import RAM

CLASSES = tuple(map(str, range(10)))


def make_file(file: Path, images: int, side: int) -> None:
    """Noise, a few images at a time."""
    whole = np.lib.format.open_memmap(file, "w+", np.uint8, (images, side, side, 3))
    random = np.random.default_rng(0)
    for start in range(0, images, 1000):
        whole[start : start + 1000] = random.integers(
            0, 256, whole[start : start + 1000].shape, np.uint8
        )
    whole.flush()


def learner_on(images: np.ndarray, lanes: int) -> RAM:
    """A RAM that trains on these images."""
    labels = np.arange(len(images)) % len(CLASSES)
    data = Dataset("noise", CLASSES, {"train": ImageSet(images, labels)})
    env = gymnasium.make_vec(
        "saccade/Images-v0",
        num_envs=lanes,
        source=data,
        action="dict",
        autoreset_mode=AutoresetMode.DISABLED,
    )
    return RAM(env, num_envs=lanes, paths=1, core="lstm")


def rate(learner: RAM, updates: int) -> float:
    """Episodes a second over so many updates."""
    env = learner.env
    steps = updates * env.num_envs * env.unwrapped.glimpses
    started = time.perf_counter()
    learner.learn(learner.num_timesteps + steps)
    return updates * env.num_envs / (time.perf_counter() - started)


def limited(options: argparse.Namespace) -> None:
    """Train on the file with no more memory than is allowed; every image is shown once."""
    learner = learner_on(np.load(options.file, mmap_mode="r"), options.lanes)
    rate(learner, 1)
    used = _own_memory()
    resource.setrlimit(resource.RLIMIT_DATA, ((used + options.memory) << 20,) * 2)
    found = rate(learner, -(-options.images // options.lanes))
    print(f"{found:,.0f} {_own_memory() - used:.0f}")


def _own_memory() -> int:
    """MB of this process that are no file's."""
    status = Path("/proc/self/status").read_text().splitlines()
    told = {line.split(":")[0]: line.split(":")[1] for line in status}
    return int(told["VmData"].split()[0]) >> 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--lanes", type=int, default=256)
    parser.add_argument("--memory", type=int, default=200, help="MB beside what it begins with")
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.file:
        limited(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npy"
        make_file(file, options.images, options.side)
        size = file.stat().st_size >> 20
        kept = np.load(file, mmap_mode="r")
        learners = [learner_on(kept, options.lanes), learner_on(np.array(kept), options.lanes)]
        for learner in learners:
            rate(learner, 2)
        rounds = [
            [rate(learner, options.updates) for learner in learners] for _ in range(options.rounds)
        ]
        on_file, in_memory = (statistics.median(column) for column in zip(*rounds, strict=True))
        share = statistics.median(one / other for one, other in rounds)
        print(f"{options.images:,} colour images of {options.side}x{options.side}, {size:,} MB")
        print(f"in memory {in_memory:,.0f} episodes a second, on file {on_file:,.0f}: {share:.2f}")
        arguments = [f"--{name}={getattr(options, name)}" for name in ("images", "lanes", "memory")]
        run = subprocess.run(
            [sys.executable, __file__, *arguments, f"--file={file}"],
            capture_output=True,
            text=True,
            check=True,
        )
        found, more = run.stdout.split()
        print(f"with {options.memory} MB to itself: {found} episodes a second, {more} MB more used")


if __name__ == "__main__":
    main()
