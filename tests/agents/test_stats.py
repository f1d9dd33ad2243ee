"""Intervals against published values, other programs, and simulated coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from saccade.agents import stats


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe 1998, table I, method 3 (Wilson's score without continuity correction).
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_published_values(successes, trials, low, high):
    found = stats.wilson(successes, trials)
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(pair):
    successes, trials = pair
    expected = scipy_stats.binomtest(successes, trials).proportion_ci(method="wilson")
    found = stats.wilson(successes, trials)
    assert found.low == pytest.approx(expected.low, abs=1e-12)
    assert found.high == pytest.approx(expected.high, abs=1e-12)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_what_is_no_proportion(successes, trials):
    with pytest.raises(ValueError, match="successes"):
        stats.wilson(successes, trials)


def test_student_t_agrees_with_scipy():
    values = [1.1, 1.4, 0.9, 1.2, 1.6]
    expected = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = stats.student_t(values)
    assert found.estimate == pytest.approx(np.mean(values))
    assert found[1:] == pytest.approx((expected.low, expected.high))


def test_one_seed_says_nothing_about_the_next():
    assert stats.student_t([0.3]) == (0.3, -np.inf, np.inf)


def test_a_clustered_interval_of_single_scenes_is_wilson():
    hits = np.random.default_rng(0).random(200) < 0.1
    assert stats.proportion_interval(hits, np.arange(200)) == pytest.approx(
        stats.wilson(hits.sum(), 200)
    )


def test_scenes_that_repeat_their_image_add_nothing():
    hits = np.random.default_rng(0).random(200) < 0.1
    repeated = stats.proportion_interval(np.repeat(hits, 5), np.repeat(np.arange(200), 5))
    assert repeated == pytest.approx(stats.wilson(hits.sum(), 200))
    mean = stats.mean_interval(np.repeat(hits, 5), np.repeat(np.arange(200), 5))
    assert mean == pytest.approx(stats.mean_interval(hits))


def test_without_an_error_each_image_counts_once():
    found = stats.proportion_interval(np.zeros(500), np.repeat(np.arange(100), 5))
    assert found == pytest.approx(stats.wilson(0, 100))


def _clustered(rng, images, scenes):
    """Errors whose chance belongs to the image: a few hard images make most of them."""
    chance = rng.beta(0.3, 2.0, images)
    return rng.random((images, scenes)) < chance[:, None]


def test_the_clustered_interval_covers():
    rng = np.random.default_rng(1)
    images, scenes, truth = 150, 4, 0.3 / 2.3
    clusters = np.repeat(np.arange(images), scenes)
    hit = naive = 0
    for _ in range(400):
        wrong = _clustered(rng, images, scenes).ravel()
        hit += not stats.proportion_interval(wrong, clusters).excludes(truth)
        naive += not stats.proportion_interval(wrong).excludes(truth)
    assert 0.92 <= hit / 400 <= 0.98
    assert naive / 400 < 0.9  # what forgetting the images would give


def test_the_paired_bootstrap_covers():
    rng = np.random.default_rng(2)
    images, scenes = 120, 3
    clusters = np.repeat(np.arange(images), scenes)
    hit = 0
    for _ in range(300):
        hard = rng.beta(0.5, 2.0, images)[:, None]
        first = rng.random((images, scenes)) < hard
        second = rng.random((images, scenes)) < hard * 0.6
        found = stats.paired_bootstrap(
            first.ravel(), second.ravel(), clusters, resamples=500, seed=int(rng.integers(1000))
        )
        hit += not found.excludes(0.2 * 0.4)
    assert 0.91 <= hit / 300 <= 0.99


def test_the_paired_bootstrap_agrees_with_scipy():
    rng = np.random.default_rng(3)
    first, second = rng.random(300) < 0.3, rng.random(300) < 0.2
    found = stats.paired_bootstrap(first, second)
    expected = scipy_stats.bootstrap(
        (first.astype(float) - second,), np.mean, method="percentile", rng=0
    ).confidence_interval
    assert found.estimate == pytest.approx(first.mean() - second.mean())
    assert found[1:] == pytest.approx((expected.low, expected.high), abs=0.007)


def test_the_paired_bootstrap_is_a_function_of_its_arguments():
    rng = np.random.default_rng(4)
    first, second = rng.random(100), rng.random(100)
    assert stats.paired_bootstrap(first, second) == stats.paired_bootstrap(first, second)


def test_policies_that_never_differ_are_not_told_apart():
    same = np.array([0, 1, 1, 0])
    found = stats.paired_bootstrap(same, same)
    assert found == (0, 0, 0)
    assert not found.excludes(0)


def test_pairs_must_pair():
    with pytest.raises(ValueError, match="differ in number"):
        stats.paired_bootstrap([1, 0], [1])
    with pytest.raises(ValueError, match="one cluster a value"):
        stats.mean_interval([1, 0], [1])
    with pytest.raises(ValueError, match="at least one"):
        stats.mean_interval([])


def test_scaling_keeps_the_ends_in_order():
    assert stats.Interval(1, 0, 3).scaled(-2) == (-2, -6, 0)
