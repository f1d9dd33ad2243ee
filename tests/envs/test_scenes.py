"""Scenes: where things land, what they are made of, and that they are pure functions."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from saccade.envs.draws import make_key
from saccade.envs.scenes import (
    ClutteredScene,
    PlainScene,
    TranslatedScene,
)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (30, 10, 8, 1), dtype=np.uint8)


def keys(count: int, seed: int = 0) -> np.ndarray:
    return make_key(seed, np.arange(count))


def test_plain_is_the_image_in_the_middle(images):
    index = np.array([3, 7])
    frames, boxes = PlainScene().draw(images, index, keys(2))
    assert np.array_equal(frames, images[index])
    assert boxes.tolist() == [[0, 0, 8, 10]] * 2
    frames, boxes = PlainScene(canvas=(20, 18)).draw(images, index, keys(2))
    assert frames.shape == (2, 20, 18, 1) and boxes.tolist() == [[5, 5, 13, 15]] * 2
    assert np.array_equal(frames[:, 5:15, 5:13], images[index])
    assert frames.sum() == images[index].sum()


def test_translated_shows_the_whole_image_in_its_box(images):
    index = np.arange(30)
    frames, boxes = TranslatedScene(canvas=(25, 31)).draw(images, index, keys(30))
    assert boxes.dtype == np.float32
    for i, (x0, y0, x1, y1) in enumerate(boxes.astype(int)):
        assert np.array_equal(frames[i, y0:y1, x0:x1], images[i])
        assert frames[i].sum() == images[i].sum()


def test_places_are_uniform_over_all_that_fit(images):
    scene = TranslatedScene(canvas=(14, 12))  # 5 x 5 places
    _, boxes = scene.draw(images, np.zeros(5000, int), keys(5000))
    counts = np.histogram2d(boxes[:, 0], boxes[:, 1], bins=[np.arange(6)] * 2)[0]
    assert counts.sum() == 5000
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_clutter_is_crops_added_and_clamped(images):
    scene = ClutteredScene(canvas=30, pieces=3, piece_size=4)
    bare = ClutteredScene(canvas=30, pieces=0, piece_size=4)
    index = np.arange(30)
    frames, boxes = scene.draw(images, index, keys(30))
    alone, same_boxes = bare.draw(images, index, keys(30))
    assert np.array_equal(boxes, same_boxes)  # the target lands where it did
    assert (frames >= alone).all()
    pixels = (frames > alone).sum(axis=(1, 2, 3))
    assert pixels.max() <= 3 * 16 and pixels.mean() > 16
    translated, _ = TranslatedScene(canvas=30).draw(images, index, keys(30))
    assert np.array_equal(alone, translated)


def test_clutter_by_the_slow_recipe():
    # One white pixel an image makes every crop readable: its place tells what was added where.
    images = np.full((4, 6, 6, 1), 200, np.uint8)
    frames, boxes = ClutteredScene(canvas=12, pieces=1, piece_size=6).draw(
        images, np.zeros(200, int), keys(200)
    )
    for frame, (x0, y0, x1, y1) in zip(frames[..., 0], boxes.astype(int), strict=True):
        target = np.zeros((12, 12), bool)
        target[y0:y1, x0:x1] = True
        assert set(np.unique(frame[target])) <= {200, 255}  # 200 + 200 clamps at 255
        assert set(np.unique(frame[~target])) <= {0, 200}
        assert (frame[target] == 255).sum() + (frame[~target] == 200).sum() == 36


def test_clutter_comes_from_the_split_alone():
    dark, bright = np.full((50, 9, 9, 1), 10, np.uint8), np.full((50, 9, 9, 1), 250, np.uint8)
    scene = ClutteredScene(canvas=40, pieces=6, piece_size=5)
    assert scene.draw(dark, np.arange(50), keys(50))[0].max() <= 7 * 10
    frames, _ = scene.draw(bright, np.arange(50), keys(50))
    assert set(np.unique(frames)) <= {0, 250, 255}


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(8)), cut=st.integers(1, 7))
def test_a_frame_depends_on_its_row_alone(order, cut):
    images = np.random.default_rng(3).integers(0, 256, (9, 12, 12, 3), dtype=np.uint8)
    scene, index, key = ClutteredScene(canvas=30), np.arange(8), keys(8)
    frames, boxes = scene.draw(images, index, key)
    for rows in (np.array(order)[:cut], np.array(order)[cut:]):
        some, some_boxes = scene.draw(images, index[rows], key[rows])
        assert np.array_equal(some, frames[rows]) and np.array_equal(some_boxes, boxes[rows])


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("env_id", ["saccade/TranslatedDigits-v0", "saccade/ClutteredDigits-v0"])
def test_evaluation_scenes_are_the_same_whoever_asks(split, env_id):
    wide = gym.make_vec(env_id, num_envs=20, split=split)
    observation, info = wide.reset(seed=1)
    shown = dict(zip(info["index"].tolist(), wide.unwrapped.images, strict=True))
    first = dict(zip(info["index"].tolist(), observation["fixation"], strict=True))
    narrow = gym.make_vec(env_id, num_envs=3, split=split)
    narrow.reset(seed=2)
    for index in ([7, 0, 19], [3, 3, 3]):
        observation, _ = narrow.reset(options={"index": np.array(index)})
        for lane, place in enumerate(index):
            assert np.array_equal(narrow.unwrapped.images[lane], shown[place])
            assert np.array_equal(observation["fixation"][lane], first[place])


def test_training_scenes_are_fresh_every_time():
    env = gym.make_vec("saccade/TranslatedDigits-v0", num_envs=8)
    env.reset(seed=0)
    seen = [env.reset(options={"index": 5})[1]["box"].copy() for _ in range(4)]
    places = {tuple(box) for boxes in seen for box in boxes}
    assert len(places) > 25


def test_placements_multiply_the_evaluation_split():
    env = gym.make_vec("saccade/TranslatedDigits-v0", num_envs=2, split="test", placements=3)
    count = env.unwrapped.split_length // 3
    _, info = env.reset(seed=0, options={"index": np.array([4, 4 + count])})
    assert info["label"][0] == info["label"][1]
    assert not np.array_equal(info["box"][0], info["box"][1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TranslatedScene(canvas=20).frame_shape((28, 28, 1)), "canvas=20.*28x28"),
        (lambda: ClutteredScene(pieces=-1), "pieces=-1"),
        (lambda: ClutteredScene(piece_size=0), "piece_size=0"),
        (lambda: ClutteredScene(piece_size=40).frame_shape((28, 28, 1)), "piece_size=40.*28x28"),
    ],
)
def test_a_scene_that_cannot_be_says_why(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
