"""What the eye remembers: the canvas against one painted pixel by pixel from the glimpses."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from saccade.envs.canvas import Canvas
from saccade.envs.sensors import GlimpseSensor, fixation_to_pixel


def painted(glimpses, fixations, size, scales, channels, height, width):
    """Coarse before fine, earlier before later, one pixel at a time."""
    picture = np.zeros((channels + 1, height, width), np.float32)
    for scale in reversed(range(scales)):
        side = size * 2**scale
        for glimpse, (x, y) in zip(glimpses, fixations, strict=True):
            left = int(fixation_to_pixel(np.array([x]), width)[0]) - side // 2
            top = int(fixation_to_pixel(np.array([y]), height)[0]) - side // 2
            for row in range(max(top, 0), min(top + side, height)):
                for column in range(max(left, 0), min(left + side, width)):
                    i, j = (row - top) >> scale, (column - left) >> scale
                    planes = slice(scale * channels, (scale + 1) * channels)
                    picture[:channels, row, column] = glimpse[planes, i, j]
                    picture[channels, row, column] = scale == 0
    return picture


@pytest.mark.parametrize(
    ("shape", "size", "scales"),
    [((9, 13, 1), 4, 1), ((20, 14, 3), 3, 3), ((12, 12, 1), 5, 2), ((6, 6, 1), 8, 2)],
)
def test_equals_a_picture_painted_pixel_by_pixel(shape, size, scales):
    rng = np.random.default_rng(0)
    sensor, lanes, steps = GlimpseSensor(size, scales), 3, 5
    images = rng.integers(0, 256, (lanes, *shape), np.uint8)
    fixations = rng.uniform(-1, 1, (steps, lanes, 2)).astype(np.float32)
    glimpses = [sensor(images, fixation) for fixation in fixations]
    canvas = Canvas(sensor, lanes, shape)
    for step in range(steps):
        canvas.paint(glimpses[step], fixations[step])
        canvas.paint(glimpses[step], fixations[step])  # painting twice changes nothing
        for lane in range(lanes):
            seen = [glimpse[lane] for glimpse in glimpses[: step + 1]]
            expected = painted(
                seen, fixations[: step + 1, lane], size, scales, shape[2], *shape[:2]
            )
            assert np.array_equal(canvas.picture()[lane], expected)


def test_full_resolution_shows_the_image_itself():
    env = gym.make_vec(
        "saccade/ClutteredDigits-v0", num_envs=5, memory="canvas", reveal="image", action="dict"
    )
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    for _ in range(5):
        canvas, image = observation["canvas"], observation["image"]
        assert canvas.shape == (5, 2, 60, 60) and canvas in env.observation_space["canvas"]
        sharp = canvas[:, -1] == 1
        assert np.allclose(canvas[:, 0][sharp], image[:, 0][sharp], atol=1e-6)
        assert (sharp.sum((1, 2)) >= 6 * 6).all()  # a quarter of a patch in a corner, at least
        observation, *_ = env.step(env.action_space.sample())


@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_an_episode_begins_with_its_first_glimpse_alone(mode):
    env = gym.make_vec(
        "saccade/Digits-v0", num_envs=4, memory="canvas", autoreset_mode=mode, glimpses=3
    )
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    for _ in range(8):
        sharp = observation["canvas"][:, -1].sum((1, 2))
        first = np.isclose(observation["progress"][:, 0], 1 / 3)
        assert (sharp[first] <= 64).all()
        observation, *_ = env.step(env.action_space.sample())


def test_observations_given_out_do_not_change_afterwards():
    env = gym.make_vec("saccade/Digits-v0", num_envs=2, memory="canvas")
    observation, _ = env.reset(seed=0)
    kept = observation["canvas"].copy()
    env.step(env.action_space.sample())
    assert np.array_equal(observation["canvas"], kept)


def test_masks_wait_until_enough_is_seen():
    env = gym.make("saccade/Digits-v0", action="discrete", glimpses=4, min_glimpses=3)
    env.reset(seed=0)
    for seen in range(1, 5):
        masks = env.unwrapped.action_masks()
        assert masks[49:].all() == (seen >= 3) and masks[49:].any() == (seen >= 3)
        assert masks[:49].all() == (seen < 4) and masks[:49].any() == (seen < 4)
        if seen < 4:
            env.step(7 * seen)
