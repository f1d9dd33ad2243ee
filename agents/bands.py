"""Curves of several seeds as one line with a band, on a common grid of timesteps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats

POINTS = 200  # of the common grid
MANY = 5  # seeds from which on the middle is the interquartile mean
RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Band:
    """A line and what lies about it, float64 (P,) each; `means` says what they are."""

    steps: NDArray[np.float64]
    middle: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    means: str


def band(curves: Sequence[NDArray[np.float64]]) -> Band:
    """Join the curves of seeds, (points, 2) each, timesteps rising: one seed is its own line.

    Two to four seeds give their mean between the least and the greatest. Five or more give the
    interquartile mean (the middle half of the seeds, as in Agarwal et al. 2021) and its 95%
    bootstrap interval over seeds. The grid spans the timesteps that all seeds have, values between
    points are interpolated linearly. Raises ValueError where the seeds have none in common.
    """
    if len(curves) == 1:
        steps, values = curves[0].T
        return Band(steps, values, values, values, "one seed")
    start = max(curve[0, 0] for curve in curves)
    end = min(curve[-1, 0] for curve in curves)
    if start > end:
        raise ValueError("the curves have no timesteps in common")
    most = max(len(curve) for curve in curves)
    steps = np.linspace(start, end, min(POINTS, most))
    values = np.stack([np.interp(steps, *curve.T) for curve in curves])  # (S, P)
    if len(curves) < MANY:
        low, high = values.min(axis=0), values.max(axis=0)
        return Band(
            steps, values.mean(axis=0), low, high, f"mean of {len(curves)} seeds, min to max"
        )
    means = f"interquartile mean of {len(curves)} seeds, 95% bootstrap"
    return Band(steps, interquartile_mean(values), *_bootstrap(values), means)


def interquartile_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the first axis without its lowest and its highest quarter, (S, ...) -> (...)."""
    return np.asarray(scipy_stats.trim_mean(values, 0.25, axis=0))


def _bootstrap(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ends of the percentile interval of the interquartile mean, (S, P) -> (P,) twice.

    A function of its argument: the seed is fixed, and the same seeds are drawn for all timesteps.
    """
    seeds = len(values)
    drawn = np.random.default_rng(0).integers(seeds, size=(seeds, RESAMPLES))
    means = np.stack([interquartile_mean(column[drawn]) for column in values.T])  # (P, RESAMPLES)
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    return low, high
