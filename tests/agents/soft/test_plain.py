"""The plain classifiers: sizes, the papers' networks, what the keywords switch."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from saccade.agents.soft.plain import CNN, FullyConnected

RAM_PAPER = {
    "filters": (8,),
    "kernels": 10,
    "strides": 5,
    "pools": 1,
    "padded": False,
    "norm": False,
    "hidden": (256,),
}
STN_PAPER = {
    "filters": (32, 32),
    "kernels": (9, 7),
    "padded": False,
    "norm": False,
    "hidden": (),
}


def sizes(network: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for name, p in network.named_parameters() if name.endswith("weight")]


def test_the_papers_networks() -> None:
    assert sizes(CNN((1, 60, 60), 10, **RAM_PAPER)) == [(8, 1, 10, 10), (256, 8 * 121), (10, 256)]
    # 28 - 8 = 20, pooled 10; 10 - 6 = 4, pooled 2.
    assert sizes(CNN((1, 28, 28), 10, **STN_PAPER)) == [
        (32, 1, 9, 9),
        (32, 32, 7, 7),
        (10, 32 * 4),
    ]
    assert sizes(FullyConnected((1, 60, 60), 10)) == [(256, 3600), (10, 256)]


def test_the_cnn_is_convolve_rectify_pool() -> None:
    torch.manual_seed(0)
    network = CNN((1, 28, 28), 10, **STN_PAPER)
    first, second, last = (p.detach() for n, p in network.named_parameters() if "weight" in n)
    images = torch.rand(3, 1, 28, 28)
    maps = functional.max_pool2d(functional.conv2d(images, first).relu(), 2)
    maps = functional.max_pool2d(functional.conv2d(maps, second).relu(), 2)
    torch.testing.assert_close(network(images), maps.flatten(1) @ last.T)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (2, 17, 40), (4, 9, 64)])
@pytest.mark.parametrize("norm", [False, True])
def test_any_channels_and_size(shape: tuple[int, int, int], norm: bool) -> None:
    images = torch.rand(5, *shape)
    for network in (
        CNN(shape, 7, norm=norm, dropout=0.1),
        FullyConnected(shape, 7, hidden=(9, 8), norm=norm),
        FullyConnected(shape, 7, hidden=(), norm=norm),
    ):
        assert network(images).shape == (5, 7)
        loss, scores = network.loss(images, torch.arange(5), nn.CrossEntropyLoss())
        loss.backward()
        assert scores.shape == (5, 7) and network.attention(images) == {}
        assert all(value.grad is not None for value in network.parameters())
        kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
        hidden = isinstance(network, CNN) or len(network.layers)
        assert any(isinstance(m, kinds) for m in network.modules()) == bool(norm and hidden)


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_what_is_counted_is_what_comes_out(padded: bool, kernel: int, stride: int) -> None:
    network = CNN(
        (1, 40, 45), 4, filters=(3, 4), kernels=kernel, strides=(stride, 1), pools=(2, 1),
        padded=padded, hidden=(),
    )  # fmt: skip
    maps = network.stages(torch.rand(2, 1, 40, 45))
    assert maps[0].numel() == network.scores.in_features
    if padded and kernel % 2 and stride == 1:
        assert maps.shape == (2, 4, 20, 22)


def test_features_are_the_last_stage_s_rectified_maps() -> None:
    network, seen = CNN((1, 20, 20), 3), []
    network.features.register_forward_hook(lambda module, given, made: seen.append(made))
    network(torch.randn(2, 1, 20, 20))
    assert seen[0].shape == (2, 64, 2, 2) and seen[0].min() == 0
    assert not any("features" in name for name in network.state_dict())


def test_dropout_is_training_s_alone() -> None:
    images = torch.rand(4, 1, 12, 12)
    for network in (
        CNN((1, 12, 12), 3, filters=(8,), norm=False, hidden=(), dropout=0.5),
        FullyConnected((1, 12, 12), 3, dropout=0.5),
    ):
        assert not torch.equal(network(images), network(images))
        network.eval()
        assert torch.equal(network(images), network(images))


def test_a_short_training_lowers_the_loss() -> None:
    torch.manual_seed(0)
    images, labels = torch.rand(64, 1, 12, 12), torch.arange(64) % 4
    images[torch.arange(64), 0, 2 + 2 * labels] += 1.0
    for network in (CNN((1, 12, 12), 4, filters=(8, 8)), FullyConnected((1, 12, 12), 4)):
        optimizer = torch.optim.Adam(network.parameters(), 3e-3)
        losses = []
        for _ in range(25):
            loss, _ = network.loss(images, labels, nn.CrossEntropyLoss())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.5 * losses[0]


def test_refusals() -> None:
    for shape, keywords, words in [
        ((1, 8, 8), {"filters": (4, 4, 4, 4)}, "stage 4 has only 1x1 pixels"),
        ((1, 9, 60), {"filters": (8,), "kernels": 10, "padded": False}, "has only 9x60 pixels"),
        ((1, 28, 28), {"kernels": (3, 3)}, r"kernels=\(3, 3\): give one, or 3"),
        ((1, 28, 28), {"strides": 0}, "strides=0"),
        ((1, 28, 28), {"pools": (2, 2, 0)}, "pools="),
        ((1, 28, 28), {"filters": ()}, "filters="),
        ((1, 28, 28), {"filters": (8, 0, 8)}, "filters="),
        ((1, 28, 28), {"hidden": (0,)}, "hidden="),
        ((1, 28, 28), {"dropout": 1.0}, "dropout=1.0"),
    ]:
        with pytest.raises(ValueError, match=words) as refusal:
            CNN(shape, 10, **keywords)
        assert "\n" not in str(refusal.value)
    with pytest.raises(ValueError, match="hidden="):
        FullyConnected((1, 8, 8), 10, hidden=(16, -1))
