"""The whole image in a few pixels, against averages taken pixel by pixel."""

from __future__ import annotations

from fractions import Fraction

import gymnasium as gym
import numpy as np
import pytest

from saccade.envs.context import Context


def averaged(image, size):
    """Each pixel is cut at the borders of the boxes; its parts count by their areas."""
    height, width, channels = image.shape
    picture = np.zeros((channels, size, size))

    def share(pixel, box, length):
        first, last = Fraction(box * length, size), Fraction((box + 1) * length, size)
        return float(max(min(last, pixel + 1) - max(first, pixel), 0))

    for row in range(size):
        for column in range(size):
            weights = np.array(
                [
                    [share(y, row, height) * share(x, column, width) for x in range(width)]
                    for y in range(height)
                ]
            )
            picture[:, row, column] = np.average(
                image.reshape(-1, channels), axis=0, weights=weights.ravel()
            )
    return picture / 255


@pytest.mark.parametrize(
    ("shape", "size"), [((12, 12, 1), 4), ((9, 14, 3), 5), ((7, 5, 1), 1), ((4, 6, 1), 8)]
)
def test_equals_an_average_taken_pixel_by_pixel(shape, size):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    context = Context(3, shape, size)
    context.update(np.array([2, 0, 1]), images[[2, 0, 1]])
    picture = context.picture()
    assert picture.shape == (3, shape[2], size, size) and picture.dtype == np.float32
    for lane in range(3):
        np.testing.assert_allclose(picture[lane], averaged(images[lane], size), atol=1e-6)


@pytest.mark.parametrize("side", [64, 300])  # sums that float32 holds, and such as it does not
def test_white_is_exactly_one(side):
    context = Context(2, (side, side, 1), 7)
    context.update(slice(None), np.full((2, side, side, 1), 255, np.uint8))
    assert (context.picture() == 1).all()


@pytest.mark.parametrize("env_id", ["saccade/PairDigits-v0", "saccade/MovingDigits-v0"])
def test_it_is_there_when_asked_for_and_of_the_present_frame(env_id):
    assert "context" not in gym.make(env_id).observation_space.spaces
    env = gym.make_vec(
        env_id, num_envs=40, reveal=("context", "image"), context_size=20, autoreset_mode="SameStep"
    )
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    for _ in range(10):  # beyond the end of the episode
        context, image = observation["context"], observation["image"]
        assert context in env.observation_space["context"]
        side = image.shape[2] // 20
        boxes = image.reshape(40, 1, 20, side, 20, side).mean((3, 5))
        np.testing.assert_allclose(context, boxes, atol=1e-6)
        observation, *_ = env.step(env.action_space.sample())
