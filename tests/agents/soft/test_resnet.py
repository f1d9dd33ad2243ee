"""Residual networks with and without attention: sizes, maps, gates, and that they learn."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from saccade.agents.soft.resnet import ResNet

KINDS = ("none", "channel", "spatial", "mixed")


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(("depth", "weights"), [(8, 78_042), (20, 272_474), (110, 1_730_714)])
def test_the_cifar_networks_have_the_published_numbers_of_weights(depth: int, weights: int) -> None:
    """He et al. 2016, table 6: ResNet-20 0.27M, ResNet-110 1.7M (here with 1x1 shortcuts)."""
    assert count(ResNet((3, 32, 32), 10, depth=depth)) == weights


def test_attention_adds_its_own_weights_alone() -> None:
    """Squeeze-and-excitation: 2 C^2 / r and the biases a block; r = 16 leaves 1, 2, 4 units."""
    plain = ResNet((3, 32, 32), 10, depth=110)
    gated = ResNet((3, 32, 32), 10, depth=110, attention="channel", reduction=16)
    added = sum(18 * (2 * c * c // 16 + c // 16 + c) for c in (16, 32, 64))
    assert count(gated) == count(plain) + added
    small = ResNet((1, 28, 28), 10)
    assert count(ResNet((1, 28, 28), 10, attention="spatial")) == count(small) + 3 * (2 * 49 + 1)
    for kind in KINDS:
        names = dict(ResNet((1, 28, 28), 10, attention=kind).named_parameters())
        for name, weight in small.named_parameters():
            assert names[name].shape == weight.shape, (kind, name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 60, 60), (1, 37, 61), (3, 9, 20)])
def test_any_image_gives_scores_and_maps(kind: str, shape: tuple[int, int, int]) -> None:
    network = ResNet(shape, 7, attention=kind, stem_stride=2 if min(shape[1:]) > 9 else 1).eval()
    images = torch.rand(2, *shape)
    assert network(images).shape == (2, 7)
    maps, gates = network.attention(images), network.gates(images)
    if kind in ("spatial", "mixed"):
        assert list(maps) == ["stage 1", "stage 2", "stage 3"]
    else:
        assert not maps
    for mask in maps.values():
        assert mask.shape == (2, *shape[1:]) and mask.min() >= 0 and mask.max() <= 1
    expected = {"stage 1": (2, 16), "stage 2": (2, 32), "stage 3": (2, 64)}
    assert {name: tuple(gate.shape) for name, gate in gates.items()} == (
        expected if kind == "channel" else {}
    )


def test_the_stem_halves_large_images() -> None:
    def side(network: ResNet, size: int) -> int:
        return network.features(torch.rand(1, 1, size, size)).shape[-1]

    assert side(ResNet((1, 28, 28), 10).eval(), 28) == 7
    assert side(ResNet((1, 60, 60), 10).eval(), 60) == 8
    assert side(ResNet((1, 100, 100), 10).eval(), 100) == 13
    assert side(ResNet((1, 100, 100), 10, stem_stride=4).eval(), 100) == 7


def test_attention_is_what_the_forward_pass_uses() -> None:
    network = ResNet((1, 28, 28), 10, attention="spatial").eval()
    with torch.no_grad():
        for module in network.modules():
            if type(module).__name__ == "SpatialGate":
                module.convolution.weight.zero_()
                module.convolution.bias.fill_(-1.0)
    images = torch.rand(2, 1, 28, 28)
    maps = network.attention(images)
    for mask in maps.values():
        torch.testing.assert_close(mask, torch.full((2, 28, 28), 1.0).mul(-1).sigmoid())
    # closed gates leave the shortcuts: the first stage is the identity then
    with torch.no_grad():
        network.features[1][0].gate.mask.convolution.bias.fill_(-1e4)
    stem = network.features[0](images)
    torch.testing.assert_close(network.features[1](stem), stem)


def test_gates_of_deeper_networks_are_named_by_block() -> None:
    network = ResNet((1, 28, 28), 10, depth=14, attention="channel").eval()
    gates = network.gates(torch.rand(2, 1, 28, 28))
    assert list(gates) == [f"stage {stage}.{block}" for stage in (1, 2, 3) for block in (1, 2)]
    assert all(gate.min() > 0 and gate.max() < 1 for gate in gates.values())


def test_a_copy_looks_through_its_own_weights() -> None:
    network = ResNet((1, 28, 28), 10, attention="mixed").eval()
    images = torch.rand(2, 1, 28, 28)
    before = network.attention(images)
    twin = copy.deepcopy(network)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.3)
    torch.testing.assert_close(twin.attention(images), before)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns(kind: str, separable) -> None:
    images, labels = separable((1, 20, 20))
    torch.manual_seed(0)
    network = ResNet((1, 20, 20), 4, attention=kind, stem_stride=2)
    first, last = descend(network, images, labels, 25)
    assert last < 0.5 * first
    assert all(weight.grad is not None for weight in network.parameters())


def descend(network, images, labels, steps) -> tuple[float, float]:
    """The loss before and after some steps on one batch."""
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    losses = []
    for _ in range(steps):
        loss, scores = network.loss(images, labels, nn.functional.cross_entropy)
        assert scores.shape == (len(images), 4)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 9}, "depth=9: take 6 n"),
        ({"depth": 2}, "depth=2: take 6 n"),
        ({"width": 0}, "width=0: take at least 1 channel"),
        ({"attention": "all"}, "attention='all': take one of 'none'"),
        ({"stem_stride": 3}, "stem_stride=3: take 1, 2 or 4"),
        ({"attention": "channel", "reduction": 17}, "reduction=17: of 16 channels"),
        (
            {"image_shape": (1, 4, 28)},
            "too small for maps shrunk 4 times; take sides of at least 5",
        ),
        ({"image_shape": (1, 8, 60)}, "take sides of at least 9, or a smaller stem_stride"),
        ({"image_shape": (28, 28)}, "give channels, height and width"),
        ({"classes": 1}, "classes=1: take at least 2"),
    ],
)
def test_bad_arguments_are_one_line(arguments: dict, message: str) -> None:
    keywords = {"image_shape": (1, 28, 28), "classes": 10, **arguments}
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        ResNet(keywords.pop("image_shape"), keywords.pop("classes"), **keywords)
    assert message in str(caught.value)
