"""RAM's training on a device: images a second through `step`, without the host, and captured.

    python benchmarks/ram_device.py --device cuda --lanes 512 2048 8192

Whole updates, environment included, of the paper's layer sizes. `step` goes through the
environment's step, `resident` does the same in tensors alone, `graph` is that as one CUDA graph,
and `replay` the graph without the reset before it. `products` are the update's matrix products
alone, forward and back, captured too: what the arithmetic costs. One path is one image here.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import torch

import saccade  # noqa: F401  (registers the environments)
from saccade.ram import RAM

IDS = ("saccade/MNIST-v0", "saccade/ClutteredMNIST-v0")
HOW = {"paths": 4, "action": "dict", "autoreset_mode": "Disabled"}


def rate(act: Callable[[], Any], lanes: int, seconds: float, cuda: bool) -> float:
    """Lanes a second, after a warm-up."""
    for _ in range(5):
        act()
    done, start = 0, time.perf_counter()
    if cuda:
        torch.cuda.synchronize()
    while time.perf_counter() - start < seconds:
        for _ in range(5):
            act()
        if cuda:
            torch.cuda.synchronize()
        done += 5
    return done * lanes / (time.perf_counter() - start)


def products(learner: RAM, lanes: int, device: str) -> Callable[[], None]:
    """The matrix products of an update: each layer's, its weights' and its inputs' gradients."""
    pairs = []
    for layer in learner.network.modules():
        if isinstance(layer, torch.nn.Linear):
            rows = torch.randn(lanes, layer.in_features, device=device)
            pairs.append((rows, layer.weight.detach(), rows.new_zeros(lanes, layer.out_features)))
    glimpses = learner.env.unwrapped.glimpses

    def once() -> None:
        for _ in range(glimpses):
            for rows, weights, out in pairs:
                torch.mm(rows, weights.T, out=out)
                torch.mm(out.T, rows)
                torch.mm(out, weights)

    if not device.startswith("cuda"):
        return once
    once()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        once()
    return graph.replay


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ids", nargs="+", default=IDS)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--lanes", type=int, nargs="+", default=(512, 2048, 8192))
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    cuda = options.device.startswith("cuda")

    names = ("step", "resident", "graph", "replay", "products")
    print(f"{'images a second':32} {'lanes':>6} " + " ".join(f"{name:>11}" for name in names))
    for env_id in options.ids:
        for lanes in options.lanes:
            made = {}
            for name in ("step", "resident", "graph"):
                env = gym.make_vec(env_id, num_envs=lanes, device=options.device, **HOW)
                learner = RAM(env, device=options.device, learning_rate=1e-4)
                learner.total_timesteps = 1 << 40
                learner._asked_resident = name == "step"
                if name == "resident":
                    learner._update(env)
                    learner._resident._captures = False
                made[name] = lambda learner=learner, env=env: learner._update(env)
            found = [rate(act, lanes, options.seconds, cuda) for act in made.values()]
            again = learner._resident._graph
            found.append(rate(again.replay, lanes, options.seconds, cuda) if again else 0.0)
            bare = products(learner, lanes, options.device)
            found.append(rate(bare, lanes, options.seconds, cuda))
            print(f"{env_id:32} {lanes:6} " + " ".join(f"{one:11,.0f}" for one in found))


if __name__ == "__main__":
    main()
