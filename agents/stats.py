"""Intervals for what a run measured: proportions, means, seeds, paired differences.

Pure functions of arrays, at 95% unless told otherwise. `clusters` names the unit that was drawn at
random, usually the image: several scenes of one image do not count as independent.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats


class Interval(NamedTuple):
    """An estimate and the ends of its confidence interval."""

    estimate: float
    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Whether `value` lies outside the interval."""
        return not self.low <= value <= self.high

    def scaled(self, factor: float) -> Interval:
        """The same interval in other units; a negative factor swaps the ends."""
        ends = sorted((self.low * factor, self.high * factor))
        return Interval(self.estimate * factor, *ends)


def wilson(successes: float, trials: float, confidence: float = 0.95) -> Interval:
    """Wilson's score interval (1927) for a proportion of independent trials.

    `trials` may be fractional (an effective sample size). Raises ValueError unless
    0 <= successes <= trials and trials > 0.
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"needs 0 <= successes <= trials, got {successes} of {trials}")
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    p = successes / trials
    middle = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = (z2 * (p * (1 - p) / trials + z2 / (4 * trials**2))) ** 0.5 / (1 + z2 / trials)
    # Rounding must not push the ends past the estimate at 0 and at 1.
    return Interval(p, min(max(middle - half, 0.0), p), max(min(middle + half, 1.0), p))


def proportion_interval(
    hits: ArrayLike, clusters: ArrayLike | None = None, confidence: float = 0.95
) -> Interval:
    """Wilson's interval for a mean of 0s and 1s, (N,), with `clusters` (N,) where they repeat.

    With clusters, Wilson's formula gets the effective sample size, that is the number of
    independent trials that would vary as much as the clustered mean does (Korn and Graubard 1998);
    it is never taken as more than N. Where all hits agree nothing is known about the variation
    within clusters, and each counts once.
    """
    values = _vector(hits)
    p = float(values.mean())
    if clusters is None:
        return wilson(float(values.sum()), len(values), confidence)
    sums, sizes = _by_cluster(values, clusters)
    spread = float(((sums - p * sizes) ** 2).sum()) / len(values) ** 2  # variance of the mean
    effective = float(len(sums)) if spread == 0 else min(p * (1 - p) / spread, len(values))
    return wilson(p * effective, effective, confidence)


def mean_interval(
    values: ArrayLike, clusters: ArrayLike | None = None, confidence: float = 0.95
) -> Interval:
    """Student's t interval for a mean, (N,); with `clusters`, by the variation between them.

    The clustered form is the usual ratio estimator: sum of cluster sums over sum of sizes, with
    one degree of freedom less than there are clusters. One value alone gives an endless interval.
    """
    values = _vector(values)
    if clusters is None:
        clusters = np.arange(len(values))
    sums, sizes = _by_cluster(values, clusters)
    count, mean = len(sums), float(values.mean())
    if count < 2:
        return Interval(mean, -np.inf, np.inf)
    residual = float(((sums - mean * sizes) ** 2).sum())
    error = (residual * count / (count - 1)) ** 0.5 / len(values)
    half = float(scipy_stats.t.ppf(0.5 + confidence / 2, count - 1)) * error
    return Interval(mean, mean - half, mean + half)


def student_t(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Student's t interval for the mean over seeds, one value each, (S,)."""
    return mean_interval(values, confidence=confidence)


def paired_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap of mean(first - second), both (N,) over the same scenes.

    Images (`clusters`) are drawn with replacement, each with all its scenes. A function of its
    arguments: the seed is fixed. Where the two never differ the interval is [0, 0].
    """
    first, second = _vector(first), _vector(second)
    if first.shape != second.shape:
        raise ValueError(f"paired values differ in number: {len(first)} and {len(second)}")
    difference = first - second
    sums, sizes = _by_cluster(difference, np.arange(len(first)) if clusters is None else clusters)
    # Drawing clusters one by one is drawing how often each distinct (sum, size) occurs.
    kinds, counts = np.unique(np.stack([sums, sizes], axis=1), axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    chunk = max(1, 2_000_000 // len(kinds))
    for start in range(0, resamples, chunk):
        drawn = rng.multinomial(
            len(sums), counts / len(sums), size=min(chunk, resamples - start)
        )  # (chunk, kinds)
        total = drawn @ kinds  # (chunk, 2): sums, sizes
        means[start : start + len(drawn)] = total[:, 0] / total[:, 1]
    low, high = np.quantile(means, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(difference.mean()), float(low), float(high))


def _vector(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"needs a vector with at least one value, got shape {array.shape}")
    return array


def _by_cluster(
    values: NDArray[np.float64], clusters: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum of values and number of values in each cluster."""
    names = np.asarray(clusters)
    if names.shape != values.shape:
        raise ValueError(f"one cluster a value: got {names.shape} for {values.shape}")
    _, place = np.unique(names, return_inverse=True)
    sums = np.bincount(place, weights=values).astype(np.float64)
    return sums, np.bincount(place).astype(np.float64)
