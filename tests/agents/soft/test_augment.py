"""Augmentation: whole pixels, quarter turns, sizes, and the range of what is drawn."""

import pytest
import torch

from saccade.agents.soft.augment import Augmentation, moved


def image(height, width, channels=2):
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(0))


def move(images, right=0.0, down=0.0, degrees=0.0, scale=1.0):
    values = [torch.tensor([value]) for value in (degrees, scale)]
    return moved(images, torch.tensor([[right, down]]), *values)


@pytest.mark.parametrize("shape", [(8, 8), (6, 9)])
def test_a_shift_by_whole_pixels_copies_them_and_black_comes_in(shape):
    before = image(*shape)
    after = move(before, right=2.0, down=-1.0)
    assert torch.allclose(after[..., :-1, 2:], before[..., 1:, :-2], atol=1e-5)
    assert after[..., :, :2].abs().max() < 1e-5
    assert after[..., -1, :].abs().max() < 1e-5


def test_a_quarter_turn_is_clockwise():
    before = image(7, 7)
    expected = torch.rot90(before, -1, (2, 3))
    assert torch.allclose(move(before, degrees=90.0), expected, atol=1e-5)


def test_half_a_turn_of_an_oblong_image_reverses_it():
    before = image(5, 8)
    assert torch.allclose(move(before, degrees=180.0), before.flip(2, 3), atol=1e-5)


def test_an_image_is_turned_before_it_is_shifted():
    before = image(7, 7)
    turned = torch.rot90(before, -1, (2, 3))
    after = move(before, right=2.0, degrees=90.0)
    assert torch.allclose(after[..., 2:], turned[..., :-2], atol=1e-5)


def test_twice_the_size_reads_the_middle_half():
    ramp = torch.arange(16.0).expand(1, 1, 16, 16)
    after = move(ramp, scale=2.0)
    expected = 7.5 + (torch.arange(16) - 7.5) / 2
    assert torch.allclose(after[0, 0, 8], expected, atol=1e-4)


def test_nothing_asked_for_changes_nothing_and_draws_nothing():
    before = image(8, 8)
    state = torch.get_rng_state()
    assert Augmentation()(before) is before
    assert torch.equal(torch.get_rng_state(), state)


def test_draws_stay_in_range_and_differ_between_images():
    dot = torch.zeros(200, 1, 33, 33)
    dot[..., 16, 16] = 1.0
    torch.manual_seed(0)
    after = Augmentation(shift=3.0)(dot)[:, 0]
    places = torch.arange(33.0) - 16
    right = (after.sum(1) * places).sum(1)
    down = (after.sum(2) * places).sum(1)
    for moves in (right, down):
        assert 2.5 < moves.abs().max() <= 3.001
        assert abs(moves.mean()) < 0.5
    assert torch.corrcoef(torch.stack((right, down)))[0, 1].abs() < 0.25
