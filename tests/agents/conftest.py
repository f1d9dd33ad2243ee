"""A small run that the tests of this folder share: seconds of training on two-scale glimpses."""

import shutil

import pytest

from saccade.agents import config
from saccade.agents.cli import main

SMALL = {
    "env.canvas": 36,
    "env.glimpses": 3,
    "agent.num_envs": 16,
    "agent.hidden": 32,
    "agent.log_interval": 5,
    "train.total_timesteps": 2400,
    "train.eval_freq": 1200,
    "train.eval_placements": 2,
    "train.checkpoint_freq": 1200,
    "train.picture_images": 3,
    "train.threads": 1,
}


@pytest.fixture(scope="session")
def flags():
    """The small config's settings as the command line takes them."""
    return [f"--{key}={value}" for key, value in SMALL.items()]


@pytest.fixture(scope="session")
def small_config():
    """The small config, resolved."""
    return config.load("ram_translated_digits", SMALL)


@pytest.fixture(scope="session")
def trained(flags, tmp_path_factory):
    """The folder of a finished small run, made by the command; not to be changed."""
    root = tmp_path_factory.mktemp("runs")
    assert main(["train", "ram_translated_digits", *flags, "--runs", str(root)]) == 0
    (folder,) = root.iterdir()
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the small run, to be changed."""
    return shutil.copytree(trained, tmp_path / "run")
