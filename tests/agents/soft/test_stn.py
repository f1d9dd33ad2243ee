"""The spatial transformer network: shapes, what it shares with its body, what it shows."""

from __future__ import annotations

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn

from saccade.agents.soft.plain import CNN, FullyConnected
from saccade.agents.soft.stn import STN

KINDS = ["affine", "zoom", "tps"]


def marks(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images 24x24 with one of two marks somewhere: a cross or a square."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (count,), generator=generator)
    images = torch.zeros(count, 1, 24, 24)
    cross = torch.zeros(7, 7)
    cross[3], cross[:, 3] = 1, 1
    square = torch.ones(7, 7)
    square[1:-1, 1:-1] = 0
    places = torch.randint(0, 18, (count, 2), generator=generator).tolist()
    for image, label, (row, column) in zip(images, labels, places, strict=True):
        image[0, row : row + 7, column : column + 7] = square if label else cross
    return images, labels


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", ["cnn", "fcn"])
@pytest.mark.parametrize("shape", [(1, 60, 60), (3, 8, 31), (2, 28, 28)])
def test_any_channels_and_size(kind: str, body: str, shape: tuple[int, int, int]) -> None:
    network = STN(shape, 7, kind=kind, body=body, output=(12, 16)).eval()
    images = torch.rand(3, *shape)
    assert network(images).shape == (3, 7)
    assert network.cut(images).shape == (3, shape[0], 12, 16)
    assert network.corners(images).shape == (3, 4, 2)
    maps = network.attention(images)
    assert list(maps) == ["box"] and maps["box"].shape == (3, *shape[1:])
    assert maps["box"].min() >= 0
    torch.testing.assert_close(maps["box"].sum((1, 2)), torch.full((3,), 4.0 * 12 * 16))


@pytest.mark.parametrize("body", ["cnn", "fcn"])
def test_without_the_transformer_it_is_the_plain_network(body: str) -> None:
    shape, keywords = (2, 30, 26), {"hidden": (24,), "norm": True, "dropout": 0.1}
    if body == "cnn":
        keywords |= {"filters": (8, 12), "kernels": (5, 3), "padded": False}
    network = STN(
        shape, 5, kind="affine", body=body, output=None, initial_zoom=1.0, oversample=1, **keywords
    ).eval()
    plain = (CNN if body == "cnn" else FullyConnected)(shape, 5, **keywords).eval()
    assert {n.partition(".")[0] for n in network.state_dict()} == {"body", "transformer"}
    plain.load_state_dict(
        {n[5:]: value for n, value in network.state_dict().items() if n.startswith("body.")}
    )
    images = torch.rand(4, *shape)
    torch.testing.assert_close(network(images), plain(images), atol=1e-4, rtol=1e-4)


def test_the_paper_s_localisation_networks() -> None:
    convolutional = STN(
        (1, 60, 60), 10, kind="affine", locate_filters=(20, 20), locate_pools=(2, 1),
        locate_padded=False, locate_norm=False, locate_hidden=(20,),
    )  # fmt: skip
    sizes = [tuple(p.shape) for p in convolutional.transformer.parameters() if p.ndim > 1]
    # 60 halved is 30; 30 - 4 = 26, pooled 13; 13 - 4 = 9.
    assert sizes == [(20, 1, 5, 5), (20, 20, 5, 5), (20, 20 * 81), (6, 20)]
    connected = STN(
        (1, 60, 60), 10, locate_filters=(), locate_norm=False, locate_hidden=(32, 32, 32)
    )
    sizes = [tuple(p.shape) for p in connected.transformer.parameters() if p.ndim > 1]
    assert sizes == [(32, 900), (32, 32), (32, 32), (3, 32)]


def test_features_are_where_there_are_convolutions() -> None:
    network = STN((1, 60, 60), 10)
    seen = []
    network.features.register_forward_hook(lambda module, given, made: seen.append(made.shape))
    network(torch.rand(2, 1, 60, 60))
    assert seen == [(2, 64, 3, 3)]
    assert not hasattr(STN((1, 60, 60), 10, body="fcn"), "features")


def test_every_parameter_gets_a_gradient_once_it_has_moved() -> None:
    torch.manual_seed(0)
    images, labels = marks(32, 0)
    for kind in KINDS:
        network = STN((1, 24, 24), 2, kind=kind, output=12, locate_kernels=3)
        nn.init.normal_(network.transformer.last.weight, std=0.01)
        network.loss(images, labels, nn.CrossEntropyLoss())[0].backward()
        assert all(value.grad.abs().sum() > 0 for value in network.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_a_short_training_lowers_the_loss_and_moves_the_cut(kind: str) -> None:
    torch.manual_seed(0)
    network = STN(
        (1, 24, 24), 2, kind=kind, output=12, locate_kernels=3, filters=(8, 16), hidden=(32,)
    )
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for step in range(50):
        loss, _ = network.loss(*marks(64, step), nn.CrossEntropyLoss())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    network.eval()
    corners = network.corners(marks(64, 99)[0])
    assert corners.std(0).max() > 1e-3  # no longer the same for every image


def test_a_config_can_set_the_keywords() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(STN, "agent", skip={"image_shape", "classes"})
    given = {
        "kind": "tps",
        "output": [20, 24],
        "filters": [8, 8],
        "kernels": [9, 7],
        "pools": 1,
        "locate_filters": [],
    }
    keywords = parser.parse_object({"agent": given}).agent.as_dict()
    network = STN((1, 28, 30), 10, **keywords)
    assert network.cut(torch.rand(2, 1, 28, 30)).shape == (2, 1, 20, 24)


def test_refusals() -> None:
    for shape, keywords, words in [
        ((1, 60, 60), {"kind": "rotate"}, "kind='rotate'"),
        ((1, 60, 60), {"body": "rnn"}, "body='rnn': use one of cnn, fcn"),
        ((1, 6, 9), {"output": 16}, "locate_kernels=5.*stage 2 has only 1x2 pixels"),
        ((1, 60, 60), {"output": 4}, "kernels=3.*has only 1x1 pixels"),
        ((1, 60, 60), {"locate_shrink": 0}, "locate_shrink=0"),
        ((1, 60, 20), {"locate_shrink": 21}, "locate_shrink=21"),
        ((1, 60, 60), {"locate_kernels": (3,)}, "locate_kernels=.*give one, or 2"),
        ((1, 60, 60), {"locate_hidden": (0,)}, "hidden="),
        ((1, 60, 60), {"initial_zoom": -1.0}, "zoom=-1.0"),
        ((1, 60, 60), {"oversample": 0}, "oversample=0"),
    ]:
        with pytest.raises(ValueError, match=words) as refusal:
            STN(shape, 10, **keywords)
        assert "\n" not in str(refusal.value)
