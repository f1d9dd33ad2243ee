"""Curves of seeds as one: on a grid that all have, with the middle and the band that are said."""

import numpy as np
import pytest

from saccade.agents.bands import band, interquartile_mean


def lines(*slopes, start=0, end=100, points=11):
    steps = np.linspace(start, end, points)
    return [np.stack([steps, slope * steps], axis=1) for slope in slopes]


def test_one_seed_is_its_own_line():
    (curve,) = lines(2.0)
    shown = band([curve])
    np.testing.assert_array_equal(shown.middle, curve[:, 1])
    np.testing.assert_array_equal(shown.low, shown.high)
    assert shown.means == "one seed"


def test_few_seeds_give_their_mean_between_the_least_and_the_greatest():
    shown = band(lines(1.0, 2.0, 6.0))
    np.testing.assert_allclose(shown.middle, 3 * shown.steps)
    np.testing.assert_allclose(shown.low, shown.steps)
    np.testing.assert_allclose(shown.high, 6 * shown.steps)
    assert shown.means == "mean of 3 seeds, min to max"


def test_five_seeds_give_the_mean_of_the_middle_ones_and_an_outlier_changes_nothing():
    shown = band(lines(1.0, 2.0, 3.0, 4.0, 1000.0))
    np.testing.assert_allclose(shown.middle, 3 * shown.steps)
    assert "interquartile mean of 5 seeds" in shown.means
    assert (shown.low <= shown.middle).all() and (shown.middle <= shown.high).all()
    assert shown.low[-1] >= 100  # no resample goes below the least seed


def test_the_interquartile_mean_is_that_of_the_middle_half():
    values = np.random.default_rng(0).normal(size=(12, 7))
    slow = [np.mean(sorted(column)[3:9]) for column in values.T]
    np.testing.assert_allclose(interquartile_mean(values), slow)


def test_the_grid_spans_what_all_seeds_have():
    early, late = lines(1.0, end=60), lines(1.0, start=20)
    shown = band([*early, *late])
    assert (shown.steps[0], shown.steps[-1]) == (20, 60)
    np.testing.assert_allclose(shown.middle, shown.steps)
    with pytest.raises(ValueError, match="no timesteps in common"):
        band([*lines(1.0, end=10), *lines(1.0, start=20)])


def test_the_same_curves_give_the_same_band():
    curves = lines(1.0, 2.0, 3.0, 4.0, 7.0, 9.0)
    one, other = band(curves), band(curves)
    np.testing.assert_array_equal(one.low, other.low)
    np.testing.assert_array_equal(one.high, other.high)
