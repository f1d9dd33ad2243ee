"""Attention functions against the paper's formulas; what a mask does to a trunk."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from saccade.agents.soft.masks import (
    AttentionModule,
    ChannelGates,
    Hourglass,
    MaskBranch,
    SpatialGate,
    channel,
    mixed,
    spatial,
)


def slow(function: str, x: np.ndarray) -> np.ndarray:
    """Wang et al. 2017, eq. 4 to 6, one value at a time."""
    result = np.zeros_like(x)
    for b, c, i, j in np.ndindex(*x.shape):
        value = x[b, c, i, j]
        if function == "channel":
            result[b, c, i, j] = value / math.sqrt(sum(v**2 for v in x[b, :, i, j]))
            continue
        if function == "spatial":
            values = [float(v) for row in x[b, c] for v in row]
            mean = sum(values) / len(values)
            value = (value - mean) / math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
        result[b, c, i, j] = 1 / (1 + math.exp(-value))
    return result


FUNCTIONS = {"mixed": mixed, "channel": channel, "spatial": spatial}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_the_paper_s(name: str) -> None:
    x = torch.randn(2, 5, 4, 3, dtype=torch.float64) * 3
    # the variance has 1e-5 added
    np.testing.assert_allclose(FUNCTIONS[name](x).numpy(), slow(name, x.numpy()), rtol=1e-5)


@pytest.mark.parametrize("function", [*FUNCTIONS.values(), ChannelGates(4, 2).double()])
def test_their_gradients_are_right(function) -> None:
    x = torch.randn(2, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, x)


def test_channel_attention_is_of_length_one_at_every_place_and_finite_at_zero() -> None:
    x = torch.randn(2, 6, 4, 4)
    x[0, :, 1, 2] = 0
    lengths = channel(x).norm(dim=1)
    assert lengths[0, 1, 2] == 0
    lengths[0, 1, 2] = 1
    torch.testing.assert_close(lengths, torch.ones(2, 4, 4))


def test_spatial_attention_does_not_see_a_map_s_level_and_scale() -> None:
    x = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(spatial(7 * x + 5), spatial(x), atol=1e-4, rtol=0)
    torch.testing.assert_close(spatial(torch.ones(1, 2, 3, 3)), torch.full((1, 2, 3, 3), 0.5))


class Constant(nn.Module):
    """A mask that is the same everywhere."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full_like(x, self.value)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_mask_weighs_the_trunk(value: float) -> None:
    x = torch.randn(2, 8, 7, 5)
    for learning, factor in (("residual", 1 + value), ("naive", value)):
        module = AttentionModule(8, 1, learning=learning).eval()
        module.mask = Constant(value)
        trunk = module.trunk(module.before(x))
        torch.testing.assert_close(module(x), module.after(factor * trunk))


def test_mask_and_trunk_read_the_same_maps() -> None:
    module = AttentionModule(8, 1, p=0).eval()
    x = torch.randn(2, 8, 7, 5)
    torch.testing.assert_close(module(x), (1 + module.mask(x)) * module.trunk(x))


@pytest.mark.parametrize("poolings", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (7, 7), (5, 12), (16, 16)])
@pytest.mark.parametrize("function", ["mixed", "channel", "spatial", "se"])
def test_masks_have_the_size_of_the_maps(poolings: int, size: tuple, function: str) -> None:
    branch = MaskBranch(8, poolings, function, bottleneck=True).eval()
    mask = branch(torch.randn(2, 8, *size))
    assert mask.shape == (2, 8, *((1, 1) if function == "se" else size))
    assert mask.abs().max() <= 1
    if function != "channel":
        assert mask.min() >= 0


def test_poolings_widen_what_a_mask_sees() -> None:
    """Two units of 3x3 convolutions see 9 pixels; each pooling about doubles that."""
    widths = []
    for poolings in range(3):
        torch.manual_seed(0)
        hourglass = Hourglass(16, poolings, 1, bottleneck=False).double().eval()
        x = torch.randn(1, 16, 65, 65, dtype=torch.float64, requires_grad=True)
        hourglass(x)[0, :, 32, 32].sum().backward()
        rows = x.grad.nonzero()[:, 2]
        widths.append(int(rows.max() - rows.min()) + 1)
    assert widths[0] == 9
    assert widths[1] >= 18 and widths[2] >= 36


@pytest.mark.parametrize(("poolings", "count"), [(0, 2), (1, 2), (2, 5), (3, 8)])
def test_an_hourglass_has_the_authors_units(poolings: int, count: int) -> None:
    """ImageNet's Attention-56, stage 1: 1, 1, 2 units down, 2 across, 1, 1 up with 3 poolings."""
    hourglass = Hourglass(4, poolings, 1, bottleneck=False)
    convolutions = [m for m in hourglass.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 2 * count


def test_the_spatial_gate_is_cbam_s() -> None:
    """Woo et al. 2018, eq. 3, by a window at every place."""
    gate = SpatialGate().double()
    x = torch.randn(2, 6, 9, 8, dtype=torch.float64)
    weight = gate.convolution.weight.detach().numpy()[0]  # (2, 7, 7)
    pooled = np.stack((x.numpy().mean(1), x.numpy().max(1)), 1)
    padded = np.pad(pooled, ((0, 0), (0, 0), (3, 3), (3, 3)))
    expected = np.zeros((2, 9, 8))
    for b, i, j in np.ndindex(*expected.shape):
        total = (padded[b, :, i : i + 7, j : j + 7] * weight).sum() + gate.convolution.bias.item()
        expected[b, i, j] = 1 / (1 + math.exp(-total))
    np.testing.assert_allclose(gate(x).detach().numpy()[:, 0], expected, rtol=1e-10)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="attention_function='all': take one of 'mixed', 'chan"):
        MaskBranch(8, 1, "all")
    with pytest.raises(ValueError, match="learning='some': take one of 'residual', 'naive'"):
        AttentionModule(8, 1, learning="some")
