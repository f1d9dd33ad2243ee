"""SoftRAM: RAM's network on a retina that gradients pass, and the gradient of where it looks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from saccade.agents.soft.soft_ram import SoftRAM, coverage, hold_inside
from saccade.envs.sensors import GlimpseSensor, pixel_to_fixation
from saccade.envs.sensors.differentiable import retina
from saccade.ram.networks import RAMNetwork

SMALL = dict(size=4, scales=2, glimpses=3, what=16, where=16, glimpse_features=32, hidden=32)


def made(shape=(1, 20, 20), classes=4, seed=0, **keywords) -> SoftRAM:
    torch.manual_seed(seed)
    network = SoftRAM(shape, classes, **{**SMALL, **keywords})
    # Further from the centre than at first, and not at the middle between pixels.
    torch.nn.init.normal_(network.network.location.mean.weight, std=0.3)
    torch.nn.init.constant_(network.network.location.mean.bias, 0.07)
    return network


def some_images(count=5, shape=(1, 20, 20), seed=1, **options) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed), **options)


@pytest.mark.parametrize("core", ["rnn", "lstm"])
@pytest.mark.parametrize("location_hidden", [0, 8])
def test_it_is_rams_network_led_over_retina_glimpses_by_hand(core, location_hidden):
    soft, images = made(core=core, location_hidden=location_hidden), some_images()
    network = soft.network
    assert isinstance(network, RAMNetwork)
    fixation, state, looked = torch.zeros(5, 2), network.start(5), []
    for _ in range(3):
        looked.append(fixation)
        state = network.see(retina(images, fixation, 4, 2), fixation, state)
        fixation = network.location(state[0]).clamp(-1, 1)
    torch.testing.assert_close(soft(images), network.answer(state[0]))
    torch.testing.assert_close(soft.fixations(images), torch.stack(looked, 1))
    assert soft.fixations(images)[:, 1:].abs().max() > 0.05


def test_at_whole_pixels_the_weights_of_a_ram_answer_as_in_ram():
    hard = RAMNetwork((2, 4, 4), 4, what=16, where=16, glimpse_features=32, hidden=32)
    place = pixel_to_fixation([13, 4], 21)
    with torch.no_grad():  # every location decision is pixel (13, 4)
        hard.location.mean.weight.zero_()
        hard.location.mean.bias.copy_(torch.from_numpy(place))
    soft = made((1, 21, 21))
    soft.network.load_state_dict(hard.state_dict())
    images = np.random.default_rng(0).integers(0, 256, (5, 21, 21, 1), dtype=np.uint8)
    state = hard.start(5)
    for fixation in (np.zeros(2, np.float32), place, place):
        fixations = np.tile(fixation, (5, 1))
        glimpse = GlimpseSensor(4, 2)(images, fixations)
        state = hard.see(torch.from_numpy(glimpse), torch.from_numpy(fixations), state)
    seen = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(soft(seen), hard.answer(state[0]), atol=1e-4, rtol=1e-4)


def test_the_loss_is_the_mean_over_the_answers_after_every_glimpse():
    images, labels = some_images(), torch.tensor([0, 1, 2, 3, 0])
    every, last = made(), made(answer_every_step=False)
    by_step = []
    for glimpses in (1, 2, 3):
        short = made(glimpses=glimpses)
        by_step.append(functional.cross_entropy(short(images), labels))
    loss, scores = every.loss(images, labels, functional.cross_entropy)
    torch.testing.assert_close(loss, torch.stack(by_step).mean())
    torch.testing.assert_close(scores, every(images))
    loss, scores = last.loss(images, labels, functional.cross_entropy)
    torch.testing.assert_close(loss, by_step[-1])
    torch.testing.assert_close(scores, last(images))


def test_the_location_learns_the_loss_s_own_gradient():
    soft = made(core="lstm", location_weight=1.0).double()
    images = some_images(dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 0])
    bias = soft.network.location.mean.bias
    soft.loss(images, labels, functional.cross_entropy)[0].backward()
    for axis in (0, 1):
        losses = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                bias[axis] += step
                losses.append(soft.loss(images, labels, functional.cross_entropy)[0])
                bias[axis] -= step
        assert bias.grad[axis] == pytest.approx((losses[0] - losses[1]).item() / 2e-6, rel=1e-4)
        assert bias.grad[axis].abs() > 1e-6


def test_the_gradient_of_the_location_is_weighed():
    images, labels = some_images(), torch.tensor([0, 1, 2, 3, 0])
    found = {}
    for weight in (0.0, 0.5, 1.0):
        soft = made(glimpses=2, location_weight=weight)
        soft.loss(images, labels, functional.cross_entropy)[0].backward()
        found[weight] = soft.network.location.mean.bias.grad
    torch.testing.assert_close(found[0.5], found[1.0] / 2)
    assert found[0.0].eq(0).all() and found[1.0].ne(0).all()


def test_a_mean_beyond_the_image_is_held_and_only_led_back():
    mean = torch.tensor([-1.5, -1.5, -0.5, 0.5, 1.5, 1.5], requires_grad=True)
    gradient = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    held = hold_inside(mean, 2.0)
    held.backward(gradient)
    assert held.tolist() == [-1, -1, -0.5, 0.5, 1, 1]
    # Descent moves against the gradient: at -1.5 a gradient of -1 leads inside, 1 further out.
    assert mean.grad.tolist() == [0, -2, 2, -2, 2, 0]


def test_attention_counts_the_glimpses_on_each_pixel():
    soft, images = made((1, 15, 22)), some_images(shape=(1, 15, 22))
    ((name, covered),) = soft.attention(images).items()
    assert name == "glimpses" and covered.shape == (5, 15, 22)
    expected = torch.zeros(5, 15, 22)
    for image, path in enumerate(soft.fixations(images).tolist()):
        for x, y in path:
            left, top = (x + 1) / 2 * 21 - 2, (y + 1) / 2 * 14 - 2
            for row in range(15):
                for column in range(22):
                    tall = max(0.0, min(top + 4, row + 1) - max(top, row))
                    wide = max(0.0, min(left + 4, column + 1) - max(left, column))
                    expected[image, row, column] += tall * wide
    torch.testing.assert_close(covered, expected, atol=1e-4, rtol=1e-4)


def test_a_patch_covers_its_own_pixels():
    fixation = torch.from_numpy(pixel_to_fixation([9, 0], 20))
    covered = coverage(fixation, 20, 5)
    expected = torch.zeros(2, 20)
    expected[0, 7:12] = 1
    expected[1, :3] = 1
    torch.testing.assert_close(covered, expected, atol=1e-5, rtol=0)


def test_the_first_fixation_is_drawn_in_training_alone():
    soft, images = made(first_fixation="random"), some_images(64)
    first = soft.train().fixations(images)[:, 0]
    assert first.abs().max() <= 1 and first.std(0).min() > 0.4
    assert soft.eval().fixations(images)[:, 0].eq(0).all()
    assert made().train().fixations(images)[:, 0].eq(0).all()


@pytest.mark.parametrize("shape", [(1, 12, 31), (3, 28, 28), (2, 3, 3)])
def test_sizes_and_channels(shape):
    soft = made(shape, scales=3)
    for size in (shape[1:], (17, 9)):
        images = some_images(shape=(shape[0], *size))
        assert soft(images).shape == (5, 4)
        assert soft.attention(images)["glimpses"].shape == (5, *size)


@pytest.mark.parametrize("core", ["rnn", "lstm"])
def test_half_precision_keeps_places_whole(core):
    soft, images = made(core=core), some_images()
    exact = soft.fixations(images)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = soft.loss(images, torch.tensor([0, 1, 2, 3, 0]), functional.cross_entropy)
        rough = soft.fixations(images)
    loss.backward()
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, atol=0.05, rtol=0)
    assert all(p.grad.isfinite().all() for p in soft.parameters() if p.requires_grad)


def test_training_lowers_the_loss_and_finds_the_sign():
    """A sign of 4 x 4 pixels at one of two places, which the coarse patch tells apart."""
    generator = torch.Generator().manual_seed(0)
    signs = torch.rand(2, 4, 4, generator=generator).round() * 0.8 + 0.2

    def batch(count: int) -> tuple[Tensor, Tensor]:
        labels = torch.randint(2, (count,), generator=generator)
        images = torch.zeros(count, 1, 16, 16)
        sides = torch.randint(2, (count,), generator=generator)
        for image, label, side in zip(images, labels, sides, strict=True):
            image[0, 6:10, (1, 11)[side] :][:, :4] = signs[label]
        return images, labels

    torch.manual_seed(0)
    soft = SoftRAM((1, 16, 16), 2, **SMALL)
    optimizer = torch.optim.Adam(soft.parameters(), 3e-3)
    losses = []
    for _ in range(120):
        loss, _ = soft.loss(*batch(64), functional.cross_entropy)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        (dict(size=0), "size=0"),
        (dict(scales=6), "scales=6"),
        (dict(glimpses=0), "glimpses=0"),
        (dict(core="gru"), "core='gru'"),
        (dict(hidden=0), "hidden=0"),
        (dict(location_hidden=-1), "location_hidden=-1"),
        (dict(location_weight=-0.1), "location_weight=-0.1"),
        (dict(answer_every_step=2), "answer_every_step=2"),
        (dict(first_fixation="corner"), "first_fixation='corner'"),
        (dict(classes=1), "classes=1"),
    ],
)
def test_what_does_not_fit_is_refused(keywords, said):
    with pytest.raises(ValueError, match=said):
        made(**keywords)
