"""One training by several processes, as torchrun starts them: which is which, and what they share.

Each process walks its own lanes and descends the mean gradient of all, so that all hold the same
weights. For a process alone, every function here hands back what it is given.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

_PATIENCE = timedelta(hours=12)
"""How long the others wait for the first, which validates alone. A process that dies is noticed at
once, by its closed connections and by torchrun."""


@dataclass(frozen=True)
class World:
    """This process' place, `rank` counted from 0, among the `size` that train together."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that validates and writes."""
        return self.rank == 0


class Lost(RuntimeError):
    """Another process of this training has ended, or cannot be reached."""


def world() -> World:
    """The processes that train together: those of PyTorch's process group, if there is one."""
    if dist.is_available() and dist.is_initialized():
        return World(dist.get_rank(), dist.get_world_size())
    return World()


def launched() -> World:
    """The processes that torchrun, or another that sets its variables, says it has started."""
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        return World()
    return World(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))


@contextlib.contextmanager
def joined(device: str) -> Iterator[World]:
    """Train with the processes that were launched together, if there are several.

    They exchange what lies on a GPU through NCCL, each on its own GPU, and the rest through gloo.

    Raises:
        ValueError: a device that cannot be each one's own.
    """
    if world().size > 1 or launched().size == 1:
        yield world()
        return
    kind, backend = torch.device(device), "gloo"
    if kind.type == "cuda":
        local, here = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
        if kind.index is not None:
            raise ValueError(f"device '{device}': several processes take one each, say 'cuda'")
        if local >= here:
            raise ValueError(f"device 'cuda': {here} here, and more processes: one for each GPU")
        torch.cuda.set_device(local)  # which "cuda" now means
        backend = "cpu:gloo,cuda:nccl"
    # Optimisers import this when first used. Imported within a group it holds the group to the very
    # end, where gloo's threads abort the process now and then.
    importlib.import_module("torch._dynamo")
    with _noticing():
        dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield world()
    finally:
        dist.destroy_process_group()


def share(num_envs: int, paths: int = 1) -> dict[str, Any]:
    """The keywords of this process' environment where there are `num_envs` lanes in all.

    Raises:
        ValueError: they do not part into equal shares of whole scenes, `paths` lanes each.
    """
    here = world()
    if here.size == 1:
        return {"num_envs": num_envs}
    if num_envs % (here.size * paths):
        whole = f" with all {paths} paths of a scene in one" if paths > 1 else ""
        raise ValueError(
            f"num_envs={num_envs}: these lanes do not part evenly among {here.size} "
            f"processes{whole}; take a multiple of {here.size * paths}"
        )
    return {"num_envs": num_envs // here.size, "shard": (here.rank, here.size)}


def draw(
    sample: Callable[..., Tensor], shape: Sequence[int], axis: int, generator: torch.Generator
) -> Tensor:
    """`torch.rand` or `randn` of this shape, lanes along `axis`, as one process draws for them.

    Every process draws for all lanes, so that all generators stay the same.
    """
    here, lanes = world(), shape[axis]
    whole = [*shape[:axis], lanes * here.size, *shape[axis + 1 :]]
    return sample(whole, generator=generator).narrow(axis, here.rank * lanes, lanes)


def average(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its mean over all processes: one message for all of them."""
    here = world()
    if here.size == 1 or not tensors:
        return
    flat = torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
    with _noticing():
        dist.all_reduce(flat)
    flat /= here.size
    means = flat.split([tensor.numel() for tensor in tensors])
    for tensor, mean in zip(tensors, means, strict=True):
        tensor.detach().copy_(mean.view(tensor.shape))


def mean_gradients(weights: Iterable[Tensor]) -> None:
    """Give all processes the mean of their weights' gradients."""
    average([each.grad for each in weights if each.grad is not None])


def standardized(values: Tensor) -> Tensor:
    """Values less the mean, over the deviation, of all processes' values."""
    if world().size == 1:
        return (values - values.mean()) / (values.std(correction=0) + 1e-6)
    mean = values.mean()
    average([mean])
    square = (values - mean).square().mean()
    average([square])
    return (values - mean) / (square.sqrt() + 1e-6)


def highest(number: int) -> int:
    """The largest of the processes' numbers, in all of them."""
    if world().size == 1:
        return number
    found = torch.tensor(int(number))
    with _noticing():
        dist.all_reduce(found, dist.ReduceOp.MAX)
    return int(found)


def everyone(holds: bool) -> bool:
    """Whether it holds in all processes."""
    return not highest(not holds)


def from_first(make: Callable[[], str]) -> str:
    """What the first process makes, which the others are told."""
    here = world()
    found = [make() if here.first else None]
    if here.size > 1:
        with _noticing():
            dist.broadcast_object_list(found, device=torch.device("cpu"))
    (text,) = found
    assert text is not None
    return text


def whole_walk(walk: Mapping[str, Any]) -> dict[str, Any]:
    """The walk of all processes' lanes, which go in step, from the `walk_state` of this one's."""
    arrays = {name: value for name, value in walk.items() if isinstance(value, np.ndarray)}
    return {**walk, **{name: np.tile(value, world().size) for name, value in arrays.items()}}


def own_walk(walk: Mapping[str, Any]) -> dict[str, Any]:
    """This process' part of a walk of all lanes."""
    here = world()
    arrays = {name: value for name, value in walk.items() if isinstance(value, np.ndarray)}
    parts = {name: np.array_split(value, here.size)[here.rank] for name, value in arrays.items()}
    return {**walk, **parts}


@contextlib.contextmanager
def _noticing() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # gloo and NCCL have no better name for it
        raise Lost("another process of this training has ended or cannot be reached") from error
