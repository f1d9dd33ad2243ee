"""Stable-baselines3 on the native vector environment beside its own over single environments.

    python benchmarks/sb3_steps.py --lanes 64

Random actions drawn beforehand, both sides in turns in one run; then the share of PPO's training
time that is spent in the native environment. One core.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core, also for the products

import argparse
import statistics
import time
from collections.abc import Callable

import gymnasium as gym
import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

import saccade  # noqa: F401  (registers the environments)
from saccade.agents.sb3 import make_vec_env


def stepper(env: VecEnv) -> Callable[[int], float]:
    """A function that steps `env` so many times and returns its steps a second, all lanes."""
    env.reset()
    env.action_space.seed(0)
    actions = [
        np.array([env.action_space.sample() for _ in range(env.num_envs)]) for _ in range(14)
    ]

    def run(steps: int) -> float:
        start = time.perf_counter()
        for step in range(steps):
            env.step(actions[step % 14])
        return steps * env.num_envs / (time.perf_counter() - start)

    return run


def share_of_ppo(env: VecEnv, timesteps: int) -> float:
    """The share of PPO's time that passes in the environment."""
    inside = 0.0
    step_wait = env.step_wait

    def timed():
        nonlocal inside
        start = time.perf_counter()
        result = step_wait()
        inside += time.perf_counter() - start
        return result

    env.step_wait = timed  # type: ignore[method-assign]
    model = PPO("MultiInputPolicy", env, n_steps=48, batch_size=256, device="cpu")
    start = time.perf_counter()
    model.learn(timesteps)
    return inside / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="saccade/Digits-v0")
    parser.add_argument("--action", default="grid")
    parser.add_argument("--lanes", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()

    native = make_vec_env(options.env, options.lanes, seed=0, action=options.action)
    dummy = DummyVecEnv(
        [lambda: gym.make(options.env, action=options.action) for _ in range(options.lanes)]
    )
    ours, theirs = stepper(native), stepper(dummy)
    rates = [(ours(200), theirs(14)) for _ in range(options.rounds + 1)][1:]
    ratio = statistics.median(one / other for one, other in rates)
    print(f"{options.env}, {options.action} actions, {options.lanes} lanes, steps a second")
    print(f"native         {statistics.median(one for one, _ in rates):12,.0f}")
    print(f"DummyVecEnv    {statistics.median(other for _, other in rates):12,.0f}")
    print(f"ratio          {ratio:12.1f}")
    share = share_of_ppo(make_vec_env(options.env, options.lanes, action=options.action), 30_000)
    print(f"environment    {share:12.1%} of PPO's training time")


if __name__ == "__main__":
    main()
