"""Every sensor through a run: RAM and PPO train behind it, are evaluated, and are watched."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from saccade.agents.config import resolve
from saccade.agents.errors import UserError
from saccade.agents.evaluate import evaluate_run
from saccade.agents.gaze import Oracle
from saccade.agents.row import SCANPATH_MEASURES
from saccade.agents.runs import RunFolder
from saccade.agents.train import train
from saccade.agents.watch import watch
from saccade.envs.sensors import SENSORS, fixation_to_pixel

AGENTS = {
    "ram": {"num_envs": 16, "paths": 2, "hidden": 8},
    "dram": {"num_envs": 16, "paths": 2, "hidden": 8, "features": 8},
    "ppo": {"num_envs": 8, "n_steps": 24, "batch_size": 48, "n_epochs": 1},
}


def config_of(agent, env_id, **env):
    return resolve(
        {
            "env": {"id": env_id, **env},
            "agent": {"name": agent, **AGENTS[agent]},
            "train": {"total_timesteps": 200, "eval_freq": 200, "threads": 1},
        }
    )


@pytest.mark.parametrize(
    ("agent", "env_id", "sensor"),
    [
        *(("ram", "saccade/Digits-v0", name) for name in SENSORS),
        *(("ppo", "saccade/Digits-v0", name) for name in SENSORS),
        ("ram", "saccade/Catch-v0", "fovea"),
        ("ppo", "saccade/Catch-v0", "logpolar"),
        ("dram", "saccade/Digits-v0", "logpolar"),
    ],
)
def test_a_run_looks_through_it(agent, env_id, sensor, tmp_path):
    memory = {"memory": "canvas"} if agent == "ppo" else {}
    run = train(config_of(agent, env_id, sensor=sensor, **memory), tmp_path).run
    run = RunFolder.open(run.path)
    rows = evaluate_run(run).rows
    core = gym.make(env_id, sensor=sensor).unwrapped
    shape = core.sensor.shape(1)
    context = 12 * 12 if agent == "dram" else 0
    for row in rows:
        assert row.sensor_values == row.glimpses * np.prod(shape) + context
        assert set(row.scanpath) == set(SCANPATH_MEASURES)
        assert 0 < row.scanpath["distinct_pixels"] <= np.prod(core.image_shape)
        if sensor == "fovea":
            assert row.scanpath["distinct_pixels"] == np.prod(core.image_shape)
    picture, film = watch(run, images=[0, 1])
    with Image.open(picture) as drawn, Image.open(film) as frames:
        assert np.ptp(np.asarray(drawn)) > 100 and frames.n_frames >= 4


def test_a_config_knows_the_options_of_its_sensor():
    config = config_of("ram", "saccade/TranslatedDigits-v0", sensor="logpolar", rings=5)
    assert config.env.keywords["rings"] == 5 and config.env.keywords["wedges"] == 24
    assert "size" not in config.env.keywords
    assert resolve(config.to_dict()).to_yaml() == config.to_yaml()
    assert "rings" not in config_of("ram", "saccade/Digits-v0").env.keywords
    for wrong, said in (
        ({"sensor": "logpolar", "size": 8}, "unknown key 'env.size'"),
        ({"rings": 5}, "unknown key 'env.rings'"),
        ({"sensor": "logpoler"}, "'env.sensor': unknown 'logpoler'.*logpolar"),
    ):
        with pytest.raises(UserError, match=said):
            config_of("ram", "saccade/Digits-v0", **wrong)


@pytest.mark.parametrize("sensor", SENSORS)
def test_the_oracle_sets_the_middle_of_the_finest_part_on_the_target(sensor):
    env = gym.make_vec("saccade/TranslatedDigits-v0", num_envs=8, sensor=sensor, reveal="box")
    observation, _ = env.reset(seed=0)
    core = env.unwrapped
    fixation, _ = Oracle(env).look({**observation, "progress": np.full((8, 1), 1 / 6, np.float32)})
    (first, *_), box = core.sensor.outlines, observation["box"]
    for axis in range(2):
        pixel = fixation_to_pixel(fixation[:, axis], core.image_shape[1 - axis])
        middle = pixel + first.first + first.side / 2
        assert np.abs(middle - (box[:, axis] + box[:, 2 + axis]) / 2).max() <= 0.5
