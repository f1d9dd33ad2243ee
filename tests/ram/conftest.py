"""A small glimpse environment over made-up images, and a RAM that learns in it in no time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv

import saccade  # noqa: F401  (registers the environments)
from saccade.envs.datasets import Dataset
from saccade.ram import RAM

SMALL = {"what": 8, "where": 8, "glimpse_features": 16, "hidden": 16}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """100 images of 10x10 in 4 classes: a bright quarter says which."""
    random = np.random.default_rng(0)
    labels = np.arange(100) % 4
    images = random.integers(0, 60, (100, 10, 10, 1), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        y, x = 5 * (label // 2), 5 * (label % 2)
        image[y : y + 5, x : x + 5] += 150
    return Dataset.from_arrays(images, labels)


@pytest.fixture
def make_env(dataset: Dataset) -> Callable[..., VectorEnv]:
    def make(**keywords: Any) -> VectorEnv:
        defaults = {
            "num_envs": 8,
            "source": dataset,
            "size": 4,
            "scales": 1,
            "glimpses": 4,
            "action": "dict",
            "autoreset_mode": AutoresetMode.DISABLED,
        }
        return gymnasium.make_vec("saccade/Digits-v0", **{**defaults, **keywords})

    return make


@pytest.fixture
def make_ram(make_env: Callable[..., VectorEnv]) -> Callable[..., RAM]:
    """A small RAM; keywords of the environment go in `env`."""

    def make(env: dict[str, Any] | VectorEnv | None = None, **keywords: Any) -> RAM:
        made = env if isinstance(env, VectorEnv) else make_env(**(env or {}))
        return RAM(made, **{**SMALL, **keywords})

    return make
