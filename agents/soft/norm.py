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
        with torch.no_grad():
            # (C,) each; ten times as fast as `var_mean` where channels come last
            mean, variance = torch.batch_norm_update_stats(input.float(), None, None, 0.0)
            # Squares are seen from the running mean: so their difference loses little.
            away = mean - self.running_mean
            moments = torch.stack((away, variance + away.square()))
            distributed.average([moments])
            away, variance = moments[0], moments[1] - moments[0].square()
            mean = self.running_mean + away
            count = input.numel() // len(mean) * distributed.world().size
            share = self.momentum or 0.0
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance * count / (count - 1), share)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        return _Normalize.apply(input, self.weight, self.bias, mean, variance, self.eps)


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


class _Normalize(torch.autograd.Function):
    """Maps x to y = w (x - m) / s + b with all processes' mean m and deviation s, which x moves.

    With g the gradient at y, z = (x - m) / s, and E the mean over all processes' batches, the
    gradient at x is w / s (g - E[g] - z E[g z]).
    """

    @staticmethod
    def forward(
        context: Any, x: Tensor, w: Tensor, b: Tensor, m: Tensor, v: Tensor, eps: float
    ) -> Tensor:
        context.save_for_backward(x, w, m, v)
        context.eps = eps
        return nn.functional.batch_norm(x, m, v, w, b, training=False, eps=eps)

    @staticmethod
    def backward(context: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, w, m, v = context.saved_tensors
        # PyTorch's own backward where m and v are constants: w / s g, and sums of g z and of g.
        at_x, at_w, at_b = torch.ops.aten.native_batch_norm_backward(
            g, x, w, m, v, None, None, False, context.eps, [True, True, True]
        )
        means = torch.stack((at_w, at_b)) * (len(m) / x.numel())
        distributed.average([means])
        shape = [-1 if axis == 1 else 1 for axis in range(x.dim())]
        s = (v + context.eps).sqrt()
        slope = -(w / s) * means[0] / s
        offset = -(w / s) * means[1] - slope * m
        moved = torch.addcmul(offset.to(x).view(shape), x, slope.to(x).view(shape))
        return at_x + moved, at_w, at_b, None, None, None
