"""Environment steps a second of the PyTorch path on a device, beside the NumPy path.

    python benchmarks/device_steps.py --device cuda --lanes 65536

Actions are drawn beforehand, resets and fresh scenes included, autoreset in the next step. `host`
is the device path without what it does with pixels: what the CPU costs a step whatever the device.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import gymnasium as gym
import torch

import saccade  # noqa: F401  (registers the environments)

IDS = ("saccade/MNIST-v0", "saccade/ClutteredMNIST-v0")
DRAWN = 14  # batches of actions drawn beforehand: two whole episodes of six glimpses, and resets


def rate(env: Any, rounds: int) -> float:
    """Steps a second of all lanes together, the median of some rounds."""
    device = env.unwrapped.device
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(DRAWN)]
    rates = []
    for _ in range(rounds + 1):  # the first warms up
        start = time.perf_counter()
        for action in actions:
            env.step(action)
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize()
        rates.append(DRAWN * env.num_envs / (time.perf_counter() - start))
    return statistics.median(rates[1:])


def without_pixels(env: Any) -> Any:
    """The same environment, blind: it shows one glimpse of nothing for ever."""
    core = env.unwrapped
    core.reset(seed=0)
    seen, frames = core.eye.look(), core.images
    core.eye.look = lambda: seen
    core.eye.refresh = lambda lanes, frames: None
    boxes = core._stage.boxes
    core._stage._scene = _Nothing(core._stage._scene, frames, boxes)
    core._stage._put = lambda lanes, frames, boxes: frames
    return env


class _Nothing:
    """A still scene that hands out frames drawn before."""

    targets = 1

    def __init__(self, scene: Any, frames: Any, boxes: Any) -> None:
        self.targets_of = scene.targets_of
        self._drawn = frames, boxes

    def draw(self, images: Any, index: Any, key: Any) -> tuple[Any, Any]:
        return self._drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ids", nargs="+", default=IDS)
    parser.add_argument("--action", default="dict")
    parser.add_argument("--sensor", default="retina")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--lanes", type=int, default=65_536)
    parser.add_argument("--rounds", type=int, default=5, help="medians are over these")
    options = parser.parse_args()

    print(f"{'steps a second':40} {options.device:>12} {'host':>12} {'numpy':>12}")
    for env_id in options.ids:
        how = {"num_envs": options.lanes, "action": options.action, "sensor": options.sensor}
        device, blind = (gym.make_vec(env_id, device=options.device, **how) for _ in range(2))
        made = [device, without_pixels(blind), gym.make_vec(env_id, **how)]
        found = [rate(env, options.rounds) for env in made]
        print(f"{env_id:40} " + " ".join(f"{one:>12,.0f}" for one in found))


if __name__ == "__main__":
    main()
