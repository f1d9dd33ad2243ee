"""The glimpse sensor against a slow, obvious reference, and what averaging is for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.envs.sensors import GlimpseSensor, fixation_to_pixel, pixel_to_fixation


def slow_pixel(coordinate: float, length: int) -> int:
    """DESIGN's formula, in float32 step by step."""
    one = np.float32(1)
    position = (np.float32(coordinate) + one) * np.float32((length - 1) / 2)
    return int(np.floor(position + np.float32(0.5)))


def slow_glimpse(image: np.ndarray, fixation, size: int, scales: int) -> np.ndarray:
    """Pixel by pixel: cut each patch with zeros around the image, then average its boxes."""
    height, width, channels = image.shape
    x, y = slow_pixel(fixation[0], width), slow_pixel(fixation[1], height)
    planes = []
    for scale in range(scales):
        box = 2**scale
        extent = size * box
        patch = np.zeros((extent, extent, channels))
        for row in range(extent):
            for column in range(extent):
                i, j = y - extent // 2 + row, x - extent // 2 + column
                if 0 <= i < height and 0 <= j < width:
                    patch[row, column] = image[i, j] / 255
        for channel in range(channels):
            plane = np.zeros((size, size))
            for row in range(size):
                for column in range(size):
                    cut = patch[box * row : box * row + box, box * column : box * column + box]
                    plane[row, column] = cut[:, :, channel].mean()
            planes.append(plane)
    return np.array(planes)


coordinates = st.one_of(
    st.sampled_from([-1.0, 0.0, 1.0]),
    st.floats(-1, 1, width=32),
    st.floats(-4, 4, width=32),  # beyond the corners
)


@settings(max_examples=150, deadline=None)
@given(
    size=st.integers(1, 7),
    scales=st.integers(1, 4),
    height=st.integers(1, 17),
    width=st.integers(1, 17),
    channels=st.sampled_from([1, 2, 3]),
    fixations=st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_equals_the_slow_reference(size, scales, height, width, channels, fixations, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (len(fixations), height, width, channels), dtype=np.uint8)
    seen = GlimpseSensor(size, scales)(images, np.array(fixations, np.float32))
    assert seen.shape == (len(fixations), scales * channels, size, size)
    assert seen.dtype == np.float32
    for image, fixation, glimpse in zip(images, fixations, seen, strict=True):
        expected = slow_glimpse(image, fixation, size, scales)
        np.testing.assert_allclose(glimpse, expected, atol=1e-6)


def test_many_lanes_equal_one_at_a_time():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 20, 30, 1), dtype=np.uint8)
    fixations = rng.uniform(-1, 1, (50, 2)).astype(np.float32)
    sensor = GlimpseSensor(6, 3)
    together = sensor(images, fixations)
    apart = [sensor(images[i : i + 1], fixations[i : i + 1])[0] for i in range(50)]
    assert np.array_equal(together, np.array(apart))


def test_updating_some_lanes_leaves_the_others():
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (6, 15, 15, 1), dtype=np.uint8)
    fixations = rng.uniform(-1, 1, (6, 2)).astype(np.float32)
    prepared = GlimpseSensor(4, 3).prepare(images)
    prepared.look(fixations)
    images[[1, 4]] = 255 - images[[1, 4]]
    prepared.update(np.array([1, 4]), images[[1, 4]])
    assert np.array_equal(prepared.look(fixations), GlimpseSensor(4, 3)(images, fixations))


def test_a_fine_checkerboard_reads_gray_where_it_is_coarse():
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[None, :, :, None]
    fine, middle, coarse = GlimpseSensor(8, 3)(board, np.zeros((1, 2), np.float32))[0]
    assert set(np.unique(fine)) == {0.0, 1.0}
    np.testing.assert_allclose(middle, 0.5, atol=1e-6)
    np.testing.assert_allclose(coarse, 0.5, atol=1e-6)


def test_x_is_to_the_right_and_y_down():
    image = np.zeros((1, 40, 60, 1), np.uint8)
    image[0, 0, 59] = 255  # the top right corner
    sensor = GlimpseSensor(1)
    assert sensor(image, np.array([[1, -1]], np.float32)) == 1
    assert sensor(image, np.array([[-1, 1]], np.float32)) == 0


def test_the_corners_of_the_square_are_the_centres_of_the_corner_pixels():
    assert fixation_to_pixel(np.array([-1, 0, 1], np.float32), 28).tolist() == [0, 14, 27]
    assert fixation_to_pixel(np.array([-1, 0, 1], np.float32), 29).tolist() == [0, 14, 28]


@given(length=st.integers(2, 500), data=st.data())
def test_pixels_and_fixations_turn_into_each_other(length, data):
    pixel = data.draw(st.integers(0, length - 1))
    fixation = pixel_to_fixation(pixel, length)
    assert -1 <= fixation <= 1
    assert fixation_to_pixel(np.array([fixation]), length) == [pixel]


def test_black_and_padding_look_alike():
    # A network must not be able to tell the edge of a black image from its inside.
    black = np.zeros((2, 9, 9, 1), np.uint8)
    seen = GlimpseSensor(5, 3)(black, np.array([[0, 0], [1, 1]], np.float32))
    assert np.array_equal(seen[0], seen[1])


@pytest.mark.parametrize("keywords", [{"size": 0}, {"scales": 0}, {"scales": 6}])
def test_a_sensor_that_cannot_be_says_why(keywords):
    with pytest.raises(ValueError, match=next(iter(keywords))):
        GlimpseSensor(**keywords)
