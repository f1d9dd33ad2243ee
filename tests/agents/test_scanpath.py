"""Scanpath measures against paths whose figures are plain to see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.agents import scanpath
from saccade.envs import GlimpseSensor


def to_fixation(pixel, extent):
    return 2 * pixel / (extent - 1) - 1


def path(*pixels, height=21, width=41):
    points = [(to_fixation(x, width), to_fixation(y, height)) for x, y in pixels]
    return np.array([points], np.float32)


def measure(fixations, box, size=8, scales=1):
    boxes = np.array([box] * len(fixations), np.float32)
    return scanpath.measures(
        fixations, boxes, height=21, width=41, sensor=GlimpseSensor(size, scales)
    )


def test_pixels_are_those_of_the_design():
    corners = np.array([[[-1, -1], [1, 1], [0, 0]]], np.float32)
    assert scanpath.pixels_of(corners, 21, 41).tolist() == [[[0, 0], [40, 20], [20, 10]]]


def test_the_box_is_half_open():
    looked = path((9, 5), (10, 5), (19, 14), (20, 5), (15, 15))
    found = measure(looked, (10, 5, 20, 15))
    assert found["on_target"] == pytest.approx(2 / 5)
    assert found["ever_on_target"] == 1
    assert found["first_on_target"] == 2


def test_a_target_never_looked_at_has_no_first_glimpse():
    found = measure(path((0, 0), (1, 1)), (10, 5, 20, 15))
    assert found["ever_on_target"] == 0 and np.isnan(found["first_on_target"])


def test_amplitude_is_in_pixels_along_both_axes():
    assert measure(path((3, 3), (6, 7), (6, 7)), (0, 0, 1, 1))["amplitude"] == pytest.approx(2.5)


def test_revisits_are_places_within_half_a_glimpse():
    looked = path((0, 0), (20, 10), (3, 0), (24, 10))
    assert measure(looked, (0, 0, 1, 1))["revisits"] == pytest.approx(1 / 3)


def test_entropy_is_that_of_places_across_images():
    same = np.repeat(path((0, 0), (20, 10), (3, 3)), 64, axis=0)
    assert measure(same, (0, 0, 1, 1))["entropy"] == 0
    centres = (2 * np.arange(8) + 1) / 8 - 1
    spread = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(64, 1, 2).astype(np.float32)
    fixations = np.concatenate([np.zeros_like(spread), spread], axis=1)
    assert measure(fixations, (0, 0, 1, 1))["entropy"] == pytest.approx(6)


def test_an_early_end_counts_only_what_was_looked_at():
    looked = path((10, 5), (13, 9), (0, 0))
    looked[0, 2] = np.nan
    found = measure(looked, (10, 5, 20, 15))
    assert found["on_target"] == 1 and found["amplitude"] == 5
    assert found["distinct_pixels"] == measure(looked[:, :2], (10, 5, 20, 15))["distinct_pixels"]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20)), min_size=1, max_size=4),
    st.integers(1, 9),
    st.integers(1, 3),
)
def test_distinct_pixels_agree_with_painting(points, size, scales):
    painted = np.zeros((21, 41), bool)
    for x, y in points:
        for scale in range(scales):
            extent = size * 2**scale
            left, top = x - extent // 2, y - extent // 2
            painted[max(top, 0) : top + extent, max(left, 0) : left + extent] = True
    pixels = np.array([points], np.float32)
    assert scanpath.distinct_pixels(pixels, 21, 41, GlimpseSensor(size, scales)) == [painted.sum()]


def test_a_target_that_moves_is_held_against_the_box_of_the_moment():
    rng = np.random.default_rng(2)
    low = rng.integers(0, 20, (7, 5, 2))
    boxes = np.concatenate([low, low + 6], axis=2).astype(np.float32)
    pixels = (low + rng.integers(-3, 9, (7, 5, 2))).astype(np.float32)
    boxes[3, 4:] = pixels[3, 4:] = np.nan
    found = scanpath.on_target(pixels, boxes)
    for n in range(7):
        for t in range(5):
            (x, y), (x0, y0, x1, y1) = pixels[n, t], boxes[n, t]
            assert found[n, t] == (x0 <= x < x1 and y0 <= y < y1)
