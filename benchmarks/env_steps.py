"""Environment steps a second beside the bare operation they cannot do without.

    python benchmarks/env_steps.py
    python benchmarks/env_steps.py --ids saccade/MNIST-v0 --lanes 1024 --actions box grid

Every figure is taken on one core with actions drawn beforehand, resets and fresh scenes included.
For each environment, in turns in one run:

- `native`: the vector environment, `--lanes` lanes;
- `bare`: nothing but the gather of the same glimpses, through NumPy's strided windows;
- `single`: the single environment as `gym.make` gives it;
- `sync`: Gymnasium's SyncVectorEnv over 16 single environments.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core, also for NumPy's products

import argparse
import statistics
import time
from collections.abc import Callable

import gymnasium as gym
import numpy as np

import saccade  # noqa: F401  (registers the environments)
from saccade.envs.sensors import GlimpseSensor

NAMES = ("", "Translated", "Cluttered", "Pair", "Addition", "Locate", "Moving", "Track")
IDS = (*(f"saccade/{name}MNIST-v0" for name in NAMES), "saccade/Catch-v0")
DRAWN = 14  # batches of actions drawn beforehand: two whole episodes of six glimpses


def vector_stepper(env: gym.vector.VectorEnv) -> tuple[Callable[[int], None], int]:
    """A function that steps `env` so many times, and its number of lanes."""
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(DRAWN)]

    def run(steps: int) -> None:
        for step in range(steps):
            env.step(actions[step % DRAWN])

    return run, env.num_envs


def single_stepper(env: gym.Env) -> tuple[Callable[[int], None], int]:
    """The same for a single environment, which is reset when its episode ends."""
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(DRAWN)]

    def run(steps: int) -> None:
        for step in range(steps):
            if env.step(actions[step % DRAWN])[2]:
                env.reset()

    return run, 1


def bare_stepper(env: gym.vector.VectorEnv) -> tuple[Callable[[int], None], int]:
    """Only the glimpses: prepared images, fixations drawn beforehand, no environment."""
    core = env.unwrapped
    env.reset(seed=0)
    sensor = GlimpseSensor(core.sensor.size, core.sensor.scales)
    prepared = sensor.prepare(core.images)
    height, width, _ = core.image_shape
    rng = np.random.default_rng(0)
    places = [
        (rng.integers(0, width, core.num_envs), rng.integers(0, height, core.num_envs))
        for _ in range(DRAWN)
    ]

    def run(steps: int) -> None:
        for step in range(steps):
            prepared.look_at(*places[step % DRAWN])

    return run, core.num_envs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ids", nargs="+", default=IDS)
    parser.add_argument("--actions", nargs="+", default=["box"])
    parser.add_argument("--lanes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7, help="medians are over these")
    parser.add_argument("--seconds", type=float, default=0.3, help="of each figure in a round")
    options = parser.parse_args()

    print(f"{'steps a second, one core':40} {'native':>12} {'bare':>12} {'single':>9} {'sync':>9}")
    for env_id in options.ids:
        for action in options.actions:
            native = gym.make_vec(env_id, num_envs=options.lanes, action=action)
            sync = gym.make_vec(env_id, 16, vectorization_mode="sync", action=action)
            steppers = [
                vector_stepper(native),
                bare_stepper(gym.make_vec(env_id, num_envs=options.lanes, action=action)),
                single_stepper(gym.make(env_id, action=action)),
                vector_stepper(sync),
            ]
            rates = np.array(measure(steppers, options.rounds, options.seconds))
            medians = np.median(rates, axis=0)
            row = " ".join(
                f"{rate:>{w},.0f}" for rate, w in zip(medians, (12, 12, 9, 9), strict=True)
            )
            print(f"{env_id + ' ' + action:40} {row}")
            over = [statistics.median(rates[:, 0] / rates[:, i]) for i in range(1, 4)]
            print(
                f"{'':40} native is {over[0]:.2f} of bare, {over[1]:.0f} times single, "
                f"{over[2]:.0f} times sync"
            )


def measure(steppers: list, rounds: int, seconds: float) -> list[list[float]]:
    """Steps a second of each stepper in each round, taken in turns; the first round warms up."""
    counts = []
    for run, _ in steppers:
        run(DRAWN)
        start = time.perf_counter()
        run(DRAWN)
        counts.append(max(DRAWN, int(DRAWN * seconds / (time.perf_counter() - start))))
    rates = []
    for _ in range(rounds + 1):
        row = []
        for (run, lanes), count in zip(steppers, counts, strict=True):
            start = time.perf_counter()
            run(count)
            row.append(count * lanes / (time.perf_counter() - start))
        rates.append(row)
    return rates[1:]


if __name__ == "__main__":
    main()
