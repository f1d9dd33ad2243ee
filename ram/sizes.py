"""How large a network will be, known before memory is taken for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import nn

from ..envs.checks import fits

Network = TypeVar("Network", bound=nn.Module)

_expected: ContextVar[Mapping[str, tuple[int, ...]] | None] = ContextVar("expected", default=None)


def built(build: Callable[[], Network]) -> Network:
    """What `build` makes, after its sizes have been looked at.

    Raises:
        ValueError: it would not fit this machine's memory with its gradients and two moments, or
            has not the weights that are `expected`.
    """
    try:
        with torch.random.fork_rng(devices=()), torch.device("meta"):
            weights = build().state_dict()
    except (RuntimeError, OverflowError, MemoryError):
        # PyTorch counts no further than 64 bits.
        raise ValueError("the network would be too large: take smaller layers") from None
    expected = _expected.get()
    if expected is not None:
        shapes = {name: tuple(values.shape) for name, values in weights.items()}
        if wrong := [
            name for name in {**shapes, **expected} if shapes.get(name) != expected.get(name)
        ]:
            raise ValueError(
                f"its network's {wrong[0]} is {expected.get(wrong[0])}, not {shapes.get(wrong[0])}"
            )
    count = sum(values.numel() for values in weights.values())
    fits(f"the network with its {count:,} weights", 16 * count, "take smaller layers")
    return build()


@contextmanager
def expecting(weights: Mapping[str, Any]) -> Iterator[None]:
    """Networks `built` within have the weights of a checkpoint, or are refused."""
    token = _expected.set({name: tuple(values.shape) for name, values in weights.items()})
    try:
        yield
    finally:
        _expected.reset(token)
