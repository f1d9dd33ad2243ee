"""The boxes of the figure: sizes, starts, and the paper's formulas."""

from __future__ import annotations

import pytest
import torch

from saccade.ram.networks import (
    Filters,
    GlimpseNetwork,
    LocationNetwork,
    LSTMCore,
    RAMNetwork,
    RectifiedCore,
)


def test_the_paper_s_sizes_are_the_defaults() -> None:
    network = RAMNetwork((1, 8, 8), 10)
    shapes = {name: tuple(value.shape) for name, value in network.named_parameters()}
    assert shapes["glimpse.what.weight"] == (128, 64)
    assert shapes["glimpse.where.weight"] == (128, 2)
    assert shapes["glimpse.both.weight"] == (256, 256)
    assert shapes["core.linear.weight"] == (256, 512)
    assert shapes["location.mean.weight"] == (2, 256)
    assert shapes["answer.linear.weight"] == (10, 256)
    assert shapes["baseline.linear.weight"] == (1, 256)


def test_one_map_side_by_side_is_the_sum_of_two() -> None:
    network = GlimpseNetwork(64)
    glimpse, fixation = torch.rand(5, 64), torch.rand(5, 2)
    what, where = network.what(glimpse).relu(), network.where(fixation).relu()
    left, right = network.both.weight.split(128, 1)
    summed = (what @ left.T + where @ right.T + network.both.bias).relu()
    torch.testing.assert_close(network(glimpse, fixation), summed)


def test_the_rectified_core_keeps_its_state() -> None:
    core = RectifiedCore(8, 16)
    state = (torch.rand(3, 16),)
    torch.testing.assert_close(core(torch.zeros(3, 8), state)[0], state[0])


def test_the_lstm_is_pytorch_s() -> None:
    core, cell = LSTMCore(8, 16), torch.nn.LSTMCell(8, 16)
    i, f, o, g = core.linear.weight.detach().split(16)
    b_i, b_f, b_o, b_g = core.linear.bias.detach().split(16)
    with torch.no_grad():
        weight = torch.cat((i, f, g, o))
        cell.weight_ih.copy_(weight[:, :8])
        cell.weight_hh.copy_(weight[:, 8:])
        cell.bias_ih.copy_(torch.cat((b_i, b_f, b_g, b_o)))
        cell.bias_hh.zero_()
    features, state = torch.randn(5, 8), (torch.randn(5, 16), torch.randn(5, 16))
    torch.testing.assert_close(core(features, state), cell(features, state))
    assert (b_f == 1).all()


@pytest.mark.parametrize("location_hidden", [0, 32])
def test_the_first_means_are_near_the_centre(location_hidden: int) -> None:
    network = LocationNetwork(256, location_hidden)
    assert network(torch.rand(1000, 256)).abs().max() < 0.5


@pytest.mark.parametrize("core", ["rnn", "lstm"])
def test_start_is_the_same_for_every_lane(core: str) -> None:
    network = RAMNetwork((1, 4, 4), 4, core=core, hidden=8)
    assert all(part.shape == (3, 8) and not part.any() for part in network.start(3))


def test_gain_turns_glimpses_up_and_nothing_else() -> None:
    torch.manual_seed(0)
    plain = RAMNetwork((1, 8, 8), 10)
    turned_up = RAMNetwork((1, 8, 8), 10, gain=8.0)
    turned_up.load_state_dict(plain.state_dict())
    glimpse, fixation = torch.rand(5, 1, 8, 8), torch.rand(5, 2)
    bright = plain.see(8 * glimpse, fixation, plain.start(5))
    torch.testing.assert_close(turned_up.see(glimpse, fixation, turned_up.start(5)), bright)


def test_filters_see_every_pixel_first_and_every_second_then() -> None:
    # A slow reading: the response at a place is the filter laid over it, black outside.
    filters = Filters((2, 7, 5), (4, 3), stride=1)
    image = torch.rand(6, 2, 7, 5)
    found = image
    for layer, step in ((filters[0], 1), (filters[2], 2)):
        padded = torch.nn.functional.pad(found, (1, 1, 1, 1))
        rows, columns = (range(0, side, step) for side in found.shape[2:])
        laid = [
            torch.stack([_laid(padded, layer, row, column) for column in columns], 2)
            for row in rows
        ]
        found = torch.stack(laid, 2)
    torch.testing.assert_close(filters(image), found.flatten(1))
    assert filters.size == 3 * 4 * 3


def _laid(padded: torch.Tensor, layer: torch.nn.Conv2d, row: int, column: int) -> torch.Tensor:
    patch = padded[:, None, :, row : row + 3, column : column + 3]
    return ((patch * layer.weight).sum((2, 3, 4)) + layer.bias).relu()


def test_ram_sees_through_filters_what_it_else_sees_itself() -> None:
    network = RAMNetwork((1, 8, 8), 10, filters=(4, 6), gain=2.0)
    glimpse, fixation, state = torch.rand(5, 1, 8, 8), torch.rand(5, 2), network.start(5)
    seen = network.filters(2 * glimpse)
    assert seen.shape == (5, 6 * 4 * 4)
    wanted = network.core(network.glimpse(seen, fixation), state)
    torch.testing.assert_close(network.see(glimpse, fixation, state), wanted)
