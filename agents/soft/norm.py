"""Batch normalisation whose batch is that of all processes that train together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...ram import distributed


class SharedNorm(_BatchNorm):
    """PyTorch's batch normalisation, with mean and variance over all processes' equal batches.

    `torch.nn.SyncBatchNorm` does the same on GPUs alone.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        pass  # any number of axes after the channels

    def forward(self, input: Tensor) -> Tensor:
        """Maps (B, C, ...) normalised, in their precision."""
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None and self.running_var is not None
        axes = [axis for axis in range(input.dim()) if axis != 1]
        shape = [-1 if axis == 1 else 1 for axis in range(input.dim())]
        # Seen from the running mean, so that the difference of squares below loses little.
        away = input.float() - self.running_mean.view(shape)
        mean, square = _mean(torch.stack((away.mean(axes), away.square().mean(axes))))
        variance = square - mean.square()
        with torch.no_grad():
            count = away.numel() // len(mean) * distributed.world().size
            share = self.momentum or 0.0
            self.running_mean += share * mean
            self.running_var.lerp_(variance * count / (count - 1), share)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        scale = (variance + self.eps).rsqrt() * self.weight
        return (away * scale.view(shape) + (self.bias - mean * scale).view(shape)).to(input.dtype)


def share_norms(network: nn.Module) -> None:
    """Where several processes train together, let every batch normalisation be over all of them."""
    if distributed.world().size == 1:
        return
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                shared = SharedNorm(child.num_features, child.eps, child.momentum)
                shared.__dict__.update(child.__dict__)  # the same parameters, buffers, settings
                setattr(module, name, shared)


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        found = values.clone()
        distributed.average([found])
        return found

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        found = gradient.clone()
        distributed.average([found])
        return found


def _mean(values: Tensor) -> Tensor:
    """The mean of all processes' values; gradients come back from all of them."""
    return _Mean.apply(values)
