"""The differentiable retina: the sensor at whole pixels, bilinear between, and its gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from saccade.envs.sensors import GlimpseSensor, pixel_to_fixation
from saccade.envs.sensors.differentiable import Retina, retina

SIZES = [(60, 60, 1, 12, 3), (9, 23, 3, 5, 5), (7, 4, 2, 1, 4), (28, 20, 3, 8, 1), (1, 6, 1, 3, 2)]


def drawn(height: int, width: int, channels: int, count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, height, width, channels), dtype=np.uint8)


def to_tensor(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2) / 255


def fixations_at(x: np.ndarray, y: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.stack([pixel_to_fixation(x, width), pixel_to_fixation(y, height)], 1)


def read_slowly(image: Tensor, fixation: Tensor, size: int, scales: int) -> Tensor:
    """One glimpse, value by value: overlaps of real intervals with pixels, summed."""
    channels, height, width = image.shape
    glimpse = image.new_zeros(scales, channels, size, size)
    x, y = ((f + 1) / 2 * (n - 1) for f, n in zip(fixation, (width, height), strict=True))
    for scale in range(scales):
        box = 2**scale
        for i in range(size):
            for j in range(size):
                top = y - size * box // 2 + i * box
                left = x - size * box // 2 + j * box
                for row in range(max(math.floor(top), 0), min(math.ceil(top + box), height)):
                    tall = min(top + box, row + 1) - max(top, row)
                    for column in range(
                        max(math.floor(left), 0), min(math.ceil(left + box), width)
                    ):
                        wide = min(left + box, column + 1) - max(left, column)
                        glimpse[scale, :, i, j] += tall * wide * image[:, row, column] / box**2
    return glimpse.flatten(0, 1)


@pytest.mark.parametrize(("height", "width", "channels", "size", "scales"), SIZES)
def test_at_whole_pixels_it_is_the_sensor(height, width, channels, size, scales):
    rng = np.random.default_rng(1)
    images = drawn(height, width, channels, 48)
    x, y = rng.integers(0, width, 48), rng.integers(0, height, 48)
    x[:4], y[:4] = (0, width - 1, 0, width - 1), (0, 0, height - 1, height - 1)
    fixations = fixations_at(x, y, height, width)
    soft = retina(to_tensor(images), torch.from_numpy(fixations), size, scales)
    np.testing.assert_allclose(soft, GlimpseSensor(size, scales)(images, fixations), atol=1e-5)


def test_beyond_the_image_it_is_the_sensor_too():
    height, width, sensor = 11, 14, GlimpseSensor(4, 3)
    x, y = (place.ravel() for place in np.meshgrid(np.arange(-40, 55, 3), np.arange(-40, 52, 3)))
    images = drawn(height, width, 1, len(x))
    fixations = fixations_at(x, y, height, width)
    soft = retina(to_tensor(images), torch.from_numpy(fixations), 4, 3)
    np.testing.assert_allclose(soft, sensor(images, fixations), atol=1e-5)
    assert soft[0].eq(0).all() and soft.gt(0).any()


def test_between_pixels_it_mixes_the_four_glimpses_around():
    height, width, sensor = 21, 17, GlimpseSensor(5, 3)
    images = drawn(height, width, 3, 1)
    x, y, right, down = 6, 12, 0.3, 0.85
    mixed = 0
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        weight = (right if dx else 1 - right) * (down if dy else 1 - down)
        corner = fixations_at(np.array([x + dx]), np.array([y + dy]), height, width)
        mixed = mixed + weight * sensor(images, corner)
    between = torch.tensor([[2 * (x + right) / (width - 1) - 1, 2 * (y + down) / (height - 1) - 1]])
    np.testing.assert_allclose(retina(to_tensor(images), between, 5, 3), mixed, atol=1e-5)


def test_it_is_what_a_slow_reading_sees():
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(6, 2, 9, 13, generator=generator, dtype=torch.float64)
    fixations = torch.rand(6, 2, generator=generator, dtype=torch.float64) * 3 - 1.5
    seen = retina(images, fixations, 3, 3)
    for image, fixation, glimpse in zip(images, fixations.tolist(), seen, strict=True):
        torch.testing.assert_close(glimpse, read_slowly(image, fixation, 3, 3))


def test_gradients_in_images_and_fixations():
    generator = torch.Generator().manual_seed(3)
    images = torch.rand(3, 2, 7, 6, generator=generator, dtype=torch.float64)
    # A quarter of a pixel and more away from whole pixels, where the gradient jumps.
    pixels = torch.tensor([[2.3, 4.6], [0.4, 5.7], [4.5, 0.25]], dtype=torch.float64)
    fixations = 2 * pixels / torch.tensor([5.0, 6.0]) - 1
    images.requires_grad_(), fixations.requires_grad_()
    assert torch.autograd.gradcheck(lambda i, f: retina(i, f, 3, 3), (images, fixations))


def test_the_gradient_is_the_step_to_the_next_pixel():
    images = drawn(30, 24, 1, 1)
    fixation = torch.tensor([[2 * 10.5 / 23 - 1, 2 * 14 / 29 - 1]], requires_grad=True)
    weights = torch.rand(2, 6, 6, generator=torch.Generator().manual_seed(4))
    (retina(to_tensor(images), fixation, 6, 2) * weights).sum().backward()
    sensor = GlimpseSensor(6, 2)
    near, far = (
        sensor(images, fixations_at(np.array([x]), np.array([14]), 30, 24)) for x in (10, 11)
    )
    expected = ((far - near) * weights.numpy()).sum() * 23 / 2  # pixels in a unit of the fixation
    assert fixation.grad[0, 0].item() == pytest.approx(expected, rel=1e-3)


def test_prepared_once_it_looks_many_times():
    images = to_tensor(drawn(12, 12, 3, 4))
    prepared = Retina(images, 4, 2)
    for seed in range(3):
        fixations = torch.rand(4, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        torch.testing.assert_close(prepared(fixations), retina(images, fixations, 4, 2))


@pytest.mark.parametrize(
    ("images", "fixations", "size", "scales", "said"),
    [
        (torch.rand(2, 1, 8, 8), torch.zeros(2, 2), 0, 1, "size=0"),
        (torch.rand(2, 1, 8, 8), torch.zeros(2, 2), 4, 6, "scales=6"),
        (torch.rand(1, 8, 8), torch.zeros(1, 2), 4, 1, "images"),
        (torch.ones(2, 1, 8, 8, dtype=torch.uint8), torch.zeros(2, 2), 4, 1, "uint8"),
        (torch.rand(2, 1, 8, 8), torch.zeros(3, 2), 4, 1, "fixations"),
    ],
)
def test_what_does_not_fit_is_refused(images, fixations, size, scales, said):
    with pytest.raises(ValueError, match=said):
        retina(images, fixations, size, scales)
