"""The optimisers, and how the learning rate goes over a training."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import torch

Optimizer = Literal["adam", "sgd"]
Schedule = Literal["one-cycle", "cosine", "linear", "constant"]


def make_optimizer(
    name: Optimizer,
    parameters: Iterable[torch.nn.Parameter],
    learning_rate: float,
    momentum: float,
    weight_decay: float,
) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay, or SGD with momentum; each one call over all weights."""
    if name == "adam":
        return torch.optim.AdamW(parameters, learning_rate, weight_decay=weight_decay, fused=True)
    return torch.optim.SGD(
        parameters, learning_rate, momentum=momentum, weight_decay=weight_decay, fused=True
    )


def make_capturable(optimizer: torch.optim.Optimizer, device: torch.device) -> None:
    """Let a CUDA graph hold its steps: what they depend on is in tensors that stay there.

    The weights stay as they are.
    """
    for group in optimizer.param_groups:
        group["capturable"] = True
        group["lr"] = torch.zeros((), device=device)
    if optimizer.state:
        return
    for group in optimizer.param_groups:
        for weights in group["params"]:
            weights.grad = torch.zeros_like(weights)
    optimizer.step()  # which makes its moments, at a rate of 0
    for moments in optimizer.state.values():
        if "step" in moments:
            moments["step"].zero_()


def plain_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Its `state_dict`, which any device can take up."""
    state = optimizer.state_dict()
    plain = {"capturable": False}
    groups = [
        {name: plain.get(name, value) for name, value in group.items()} | {"lr": float(group["lr"])}
        for group in state["param_groups"]
    ]
    return {**state, "param_groups": groups}


def scheduled(schedule: Schedule, progress: float, warmup: float = 0.2) -> float:
    """Share of the peak at `progress` (0 to 1).

    "one-cycle" rises from 1/25 over the first `warmup` of the training, then falls to 0, both
    along half a cosine; "cosine" and "linear" fall to 0 from the start.
    """
    if schedule == "one-cycle":
        if progress < warmup:
            return 0.04 + 0.96 * _half_cosine(1 - progress / warmup)
        return _half_cosine((progress - warmup) / (1 - warmup))
    if schedule == "cosine":
        return _half_cosine(progress)
    return 1 - progress if schedule == "linear" else 1.0


def _half_cosine(share: float) -> float:
    """1 at 0, 0 at 1, flat at both."""
    return 0.5 + 0.5 * math.cos(math.pi * share)
