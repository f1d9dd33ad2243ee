"""A training step of RAM beside its bare matrix products, measured in turns in one run.

    python benchmarks/ram_step.py --core rnn --batch 128
    python benchmarks/ram_step.py --core rnn --batch 128 --precision bfloat16

The bare products are those of one step and nothing else: forward glimpse by glimpse, then backward
glimpse by glimpse (to weights and, where something lies before, to inputs), same shapes, float32,
written into buffers that are used again. The training step is `RAM.learn`'s: environment, drawing,
networks, loss, gradients, clipping, optimiser, measuring. Prints the medians and their ratio, and
the share of the training step that is spent in the environment.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import gymnasium
import torch
from gymnasium.vector import AutoresetMode

import saccade  # noqa: F401  (registers the environments)
from saccade.ram import RAM


def bare_products(learner: RAM) -> Callable[[], None]:
    """The step's matrix products on tensors of their own; no T-th location."""
    network, lanes = learner.network, learner.env.num_envs
    glimpses = learner.env.unwrapped.glimpses
    # (the linear map, whether a gradient goes on to what lies before it, how often it is applied)
    used = [
        (network.glimpse.what, False, glimpses),
        (network.glimpse.where, False, glimpses),
        (network.glimpse.both, True, glimpses),
        (network.core.linear, True, glimpses),
        (network.answer.linear, True, glimpses),
        (network.location.mean, learner.hyperparameters["through_core"], glimpses - 1),
    ]
    if network.location.before is not None:
        used.append(
            (network.location.before, learner.hyperparameters["through_core"], glimpses - 1)
        )
    if learner.hyperparameters["paths"] == 1:
        used.append((network.baseline.linear, False, glimpses - 1))
    products = []
    for linear, goes_on, times in used:
        outputs, inputs = linear.weight.shape
        x, w, g = (
            torch.randn(lanes, inputs),
            torch.randn(inputs, outputs),
            torch.randn(lanes, outputs),
        )
        buffers = (
            torch.empty(lanes, outputs),
            torch.empty(inputs, outputs),
            torch.empty(lanes, inputs),
        )
        products.append((x, w, g, *buffers, goes_on, times))

    def run() -> None:
        for t in range(glimpses):
            for x, w, _, y, _, _, _, times in products:
                if t < times:
                    torch.mm(x, w, out=y)
        for t in range(glimpses):
            for x, w, g, _, to_w, to_x, goes_on, times in products:
                if t < times:
                    torch.mm(x.t(), g, out=to_w)
                    if goes_on:
                        torch.mm(g, w.t(), out=to_x)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="saccade/MNIST-v0")
    parser.add_argument("--source", help="data set in place of the environment's own")
    parser.add_argument("--core", choices=("rnn", "lstm"), default="rnn")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--paths", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20, help="training steps a round")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    keywords = {"source": options.source} if options.source else {}
    env = gymnasium.make_vec(
        options.env,
        num_envs=options.batch,
        paths=options.paths,
        action="dict",
        autoreset_mode=AutoresetMode.DISABLED,
        **keywords,
    )
    how = {"core": options.core, "precision": options.precision}
    learner = RAM(env, log_interval=options.steps, **how)
    learner.total_timesteps = 10**9
    inside = [0.0]  # seconds spent in the environment

    def timed(call: Callable) -> Callable:
        def run(*args, **kwargs):
            start = time.perf_counter()
            result = call(*args, **kwargs)
            inside[0] += time.perf_counter() - start
            return result

        return run

    env.unwrapped.reset = timed(env.unwrapped.reset)
    env.unwrapped.step = timed(env.unwrapped.step)
    bare = bare_products(learner)
    bare_times, step_times, env_shares = [], [], []
    for number in range(options.rounds + 2):
        start = time.perf_counter()
        for _ in range(options.steps):
            bare()
        middle = time.perf_counter()
        inside[0] = 0.0
        for _ in range(options.steps):
            learner._update(env)
        end = time.perf_counter()
        if number >= 2:  # the first rounds warm up
            bare_times.append((middle - start) / options.steps)
            step_times.append((end - middle) / options.steps)
            env_shares.append(inside[0] / (end - middle))
    ratios = [step / products for step, products in zip(step_times, bare_times, strict=True)]
    step = statistics.median(step_times)
    print(
        f"{options.env}, {options.core}, {options.precision}, batch {options.batch}, "
        f"paths {options.paths}, {options.threads} thread(s)\n"
        f"bare products   {statistics.median(bare_times) * 1e3:8.2f} ms\n"
        f"training step   {step * 1e3:8.2f} ms  ({options.batch / step:,.0f} episodes a second)\n"
        f"ratio           {statistics.median(ratios):8.2f}\n"
        f"environment     {statistics.median(env_shares):8.1%} of the training step"
    )


if __name__ == "__main__":
    main()
