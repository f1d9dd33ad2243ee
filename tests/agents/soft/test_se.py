"""Squeeze-and-excitation against a slow reading of its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from saccade.agents.soft.se import SqueezeExcitation


def slow_gates(maps: np.ndarray, w1, b1, w2, b2) -> np.ndarray:
    """Hu et al. 2017, eq. 2 and 3, one number at a time."""
    batch, channels = maps.shape[:2]
    gates = np.zeros((batch, channels))
    for image in range(batch):
        z = [maps[image, c].sum() / maps[image, c].size for c in range(channels)]
        hidden = [
            max(0.0, sum(w1[unit, c] * z[c] for c in range(channels)) + b1[unit])
            for unit in range(len(b1))
        ]
        for c in range(channels):
            total = sum(w2[c, unit] * hidden[unit] for unit in range(len(b1))) + b2[c]
            gates[image, c] = 1 / (1 + math.exp(-total))
    return gates


def test_it_is_the_paper_s_formula() -> None:
    module = SqueezeExcitation(8, reduction=2).double()
    x = torch.randn(3, 8, 5, 4, dtype=torch.float64)
    weights = (module.reduce.weight, module.reduce.bias, module.expand.weight, module.expand.bias)
    expected = slow_gates(x.numpy(), *(weight.detach().numpy() for weight in weights))
    np.testing.assert_allclose(module.gates(x).detach().numpy(), expected, rtol=1e-12)
    scaled = x.numpy() * expected[:, :, None, None]
    np.testing.assert_allclose(module(x).detach().numpy(), scaled, rtol=1e-12)


def test_its_gradient_is_right() -> None:
    module = SqueezeExcitation(4, reduction=2).double()
    x = torch.randn(2, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, x)


def test_gates_know_no_places() -> None:
    module = SqueezeExcitation(4)
    x = torch.randn(2, 4, 6, 5)
    shuffled = x.flatten(2)[:, :, torch.randperm(30)].view_as(x)
    torch.testing.assert_close(module.gates(x), module.gates(shuffled))


@pytest.mark.parametrize("reduction", [0, 9])
def test_a_hidden_layer_of_nothing_is_refused(reduction: int) -> None:
    with pytest.raises(ValueError, match=f"reduction={reduction}: of 8 channels.*take 1 to 8"):
        SqueezeExcitation(8, reduction)
