"""Squeeze-and-excitation: every channel is weighed by a gate computed from the whole image.

Channel attention alone: it weighs no places.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SqueezeExcitation(nn.Module):
    """s = sigmoid(W2 relu(W1 GAP(u) + b1) + b2), and u times s (Hu et al. 2017, eq. 2 to 4).

    GAP is the mean over positions. In a residual network it stands on the residual branch, before
    the addition. The paper's reduction is 16; of 16 channels that would leave one hidden unit.

    Args:
        channels: C.
        reduction: the hidden layer has C // reduction units.

    Raises:
        ValueError: no hidden unit would be left, or reduction is below 1.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        if not 1 <= reduction <= channels:
            raise ValueError(
                f"reduction={reduction}: of {channels} channels no hidden unit is left; "
                f"take 1 to {channels}"
            )
        self.reduce = nn.Linear(channels, channels // reduction)
        self.expand = nn.Linear(channels // reduction, channels)

    def gates(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to gates (B, C) in (0, 1)."""
        squeezed = x.mean((2, 3))  # (B, C)
        hidden = functional.relu(self.reduce(squeezed))  # (B, C // reduction)
        return torch.sigmoid(self.expand(hidden))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W), each channel times its gate."""
        return x * self.gates(x)[:, :, None, None]
