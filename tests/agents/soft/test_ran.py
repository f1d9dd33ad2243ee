"""The residual attention network: its numbers of weights and layers, its masks, that it learns."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from saccade.agents.soft.masks import AttentionModule
from saccade.agents.soft.ran import RAN


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize(("m", "millions"), [(2, 1.9), (6, 5.1), (12, 8.6)])
def test_weights_are_nearly_the_paper_s(m: int, millions: float) -> None:
    """Wang et al. 2017, table 4: Attention-92, 236 and 452."""
    with torch.device("meta"):  # no weight needs a value
        network = RAN((3, 32, 32), 10, preset="attention92", modules=m)
    assert count(network) == pytest.approx(millions * 1e6, rel=0.08)


def test_the_small_one_is_small() -> None:
    assert count(RAN((1, 28, 28), 10)) == 199_178
    assert count(RAN((3, 32, 32), 10, preset="attention56")) == 1_082_298


@pytest.mark.parametrize(("preset", "m"), [("attention56", 1), ("attention92", 2)])
def test_the_trunk_has_36_m_plus_20_weighted_layers(preset: str, m: int) -> None:
    network = RAN((3, 32, 32), 10, preset=preset)
    layers = [
        name
        for name, module in network.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
        and ".mask." not in name
        and not name.endswith("shortcut")
    ]
    assert len(layers) == 36 * m + 20 == int(preset.removeprefix("attention"))


def test_cifar_masks_go_down_to_8x8_in_every_stage() -> None:
    network = RAN((3, 32, 32), 10, preset="attention56").eval()
    sides: list[int] = []
    for module in network.modules():
        if isinstance(module, AttentionModule):
            hourglass = module.mask.hourglass
            bottom = getattr(hourglass, "inside", hourglass)
            bottom.down.register_forward_hook(lambda *seen: sides.append(seen[2].shape[-1]))
    network(torch.rand(1, 3, 32, 32))
    assert sides == [8, 8, 8]


@pytest.mark.parametrize("preset", ["small", "attention56"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 61, 37), (1, 100, 100)])
def test_any_image_gives_scores_and_maps(preset: str, shape: tuple[int, int, int]) -> None:
    network = RAN(shape, 7, preset=preset).eval()
    images = torch.rand(1, *shape)
    with torch.no_grad():
        assert network(images).shape == (1, 7)
        maps = network.attention(images)
    assert list(maps) == ["stage 1", "stage 2", "stage 3"]
    for mask in maps.values():
        assert mask.shape == (1, *shape[1:]) and mask.min() >= 0 and mask.max() <= 1
    assert not network.gates(images)


@pytest.mark.parametrize("learning", ["residual", "naive"])
@pytest.mark.parametrize("function", ["mixed", "channel", "spatial", "se"])
def test_every_attention_learns(learning: str, function: str, separable) -> None:
    images, labels = separable((1, 20, 20))
    torch.manual_seed(0)
    network = RAN((1, 20, 20), 4, learning=learning, attention_function=function, width=8)
    first, last = descend(network, images, labels, 12)
    assert last < 0.5 * first
    assert all(weight.grad is not None for weight in network.parameters())
    network.eval()
    maps, gates = network.attention(images), network.gates(images)
    if function == "se":
        assert not maps
        assert [tuple(gate.shape) for gate in gates.values()] == [(32, 8), (32, 16), (32, 32)]
    else:
        assert all(mask.min() >= 0 for mask in maps.values()) and len(maps) == 3 and not gates


def test_attention_56_learns(separable) -> None:
    images, labels = separable((3, 32, 32))
    torch.manual_seed(0)
    network = RAN((3, 32, 32), 4, preset="attention56")
    first, last = descend(network, images[:8], labels[:8], 6)
    assert last < 0.5 * first


def test_a_stage_s_map_is_the_mean_of_its_modules() -> None:
    network = RAN((1, 28, 28), 10, modules=2).eval()
    images = torch.rand(2, 1, 28, 28)
    masks: list[torch.Tensor] = []
    for module in network.features[2].modules():
        if isinstance(module, AttentionModule):
            module.mask.register_forward_hook(lambda *seen: masks.append(seen[2]))
    found = network.attention(images)["stage 2"]
    both = torch.cat(masks, 1).mean(1, keepdim=True)
    expected = nn.functional.interpolate(both, (28, 28), mode="bilinear")[:, 0]
    assert len(masks) == 2
    torch.testing.assert_close(found, expected)


def test_features_are_the_last_maps() -> None:
    network = RAN((1, 28, 28), 10).eval()
    images = torch.rand(2, 1, 28, 28)
    maps = network.features(images)
    assert maps.shape == (2, 64, 4, 4) and maps.min() >= 0
    torch.testing.assert_close(network.head(maps.mean((2, 3))), network(images))


def descend(network, images, labels, steps) -> tuple[float, float]:
    """The loss before and after some steps on one batch."""
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    losses = []
    for _ in range(steps):
        loss, _ = network.loss(images, labels, nn.functional.cross_entropy)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "large"}, "preset='large': take one of 'small', 'attention56', 'attention92'"),
        ({"modules": 0}, "modules=0: take at least 1"),
        ({"p": -1}, "p=-1: take at least 0"),
        ({"width": 10}, "width=10: take a multiple of 4"),
        ({"learning": "some"}, "learning='some': take one of"),
        ({"attention_function": "all"}, "attention_function='all': take one of"),
        ({"image_shape": (1, 8, 8)}, "sides of at least 9, or a smaller stem_stride"),
    ],
)
def test_bad_arguments_are_one_line(arguments: dict, message: str) -> None:
    keywords = {"image_shape": (1, 28, 28), **arguments}
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        RAN(keywords.pop("image_shape"), 10, **keywords)
    assert message in str(caught.value)
