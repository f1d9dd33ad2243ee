"""Augmentation: whole pixels, quarter turns, sizes, bends, and the range of what is drawn."""

import math

import pytest
import torch

from saccade.agents.soft.augment import Augmentation, moved, smooth


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


def cubic(distance):
    """Keys's kernel with a = -0.75, as PyTorch's bicubic interpolation has it."""
    a, x = -0.75, abs(distance)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def slow_field(knots, height, width):
    """A field through knots (h, w), pixel by pixel; beyond the last knot it is repeated."""
    field = torch.zeros(height, width)
    for i in range(height):
        for j in range(width):
            y, x = (
                at * (n - 1) / (side - 1)
                for at, n, side in zip((i, j), knots.shape, (height, width), strict=True)
            )
            for row in range(math.floor(y) - 1, math.floor(y) + 3):
                for column in range(math.floor(x) - 1, math.floor(x) + 3):
                    knot = knots[
                        min(max(row, 0), len(knots) - 1), min(max(column, 0), knots.shape[1] - 1)
                    ]
                    field[i, j] += cubic(y - row) * cubic(x - column) * knot
    return field


def test_a_smooth_field_is_bicubic_and_goes_through_its_knots():
    knots = torch.randn(2, 2, 4, 3, generator=torch.Generator().manual_seed(0))
    field = smooth(knots, (10, 13))
    for image in range(2):
        for axis in range(2):
            slow = slow_field(knots[image, axis], 10, 13)
            assert torch.allclose(field[image, axis], slow, atol=1e-5)
    assert torch.allclose(field[..., ::3, ::6], knots, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8), (6, 9)])
def test_a_bend_says_how_much_further_each_pixel_reads(shape):
    before = image(*shape)
    bend = torch.zeros(1, 2, *shape)
    bend[:, 0, :3], bend[:, 1, 3:] = 1.0, -2.0  # above from the right, below from further up
    after = moved(before, torch.zeros(1, 2), torch.zeros(1), torch.ones(1), bend)
    assert torch.allclose(after[..., :3, :-1], before[..., :3, 1:], atol=1e-5)
    assert torch.allclose(after[..., 3:, :], before[..., 1:-2, :], atol=1e-5)


def test_elastic_is_the_bend_of_gaussian_knots_nine_pixels_apart():
    before = image(28, 28).expand(5, -1, -1, -1)
    torch.manual_seed(0)
    after = Augmentation(elastic=1.5)(before)
    torch.manual_seed(0)
    torch.rand(4, 5)  # shift, angle and size, of which nothing is wanted here
    bend = smooth(1.5 * torch.randn(5, 2, 4, 4), (28, 28))
    still = torch.zeros(5, 2), torch.zeros(5), torch.ones(5)
    assert torch.allclose(after, moved(before, *still, bend), atol=1e-6)
    assert (after[0] - after[1]).abs().max() > 0.1


def test_an_image_smaller_than_the_knots_are_apart_is_moved_as_a_whole():
    before = image(4, 4)
    assert Augmentation(elastic=1.0)(before).shape == before.shape


def test_without_elastic_the_draws_are_those_of_before():
    before = image(8, 8)
    torch.manual_seed(0)
    Augmentation(shift=1.0)(before)
    state = torch.get_rng_state()
    torch.manual_seed(0)
    torch.rand(4, 1)
    assert torch.equal(torch.get_rng_state(), state)
