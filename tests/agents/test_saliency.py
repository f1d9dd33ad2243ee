"""Saliency: what stands out is looked at first, steps equal slow references, places come once."""

import gymnasium
import numpy as np
import pytest
import torch

import saccade  # noqa: F401  registers the environments
from saccade.agents import saliency
from saccade.agents.saliency import Saliency, saliency_map
from saccade.envs.sensors import fixation_to_pixel

SIZES = [(28, 28), (60, 60), (100, 100), (48, 90)]


def winner(image):
    """The image's pixel (x, y) that the map's maximum belongs to."""
    (found,) = saliency_map(image[None].astype(np.float32))
    row, column = np.unravel_index(found.argmax(), found.shape)
    step = saliency.map_step(*image.shape[1:])
    return column * step, row * step


def bar(image, x, y, horizontal, value=1.0):
    """Paint a bar of 3 x 9 pixels round (x, y) into the channels of `image` that `value` names."""
    half_width, half_height = (4, 1) if horizontal else (1, 4)
    patch = image[:, y - half_height : y + half_height + 1, x - half_width : x + half_width + 1]
    patch[:] = np.reshape(value, (-1, 1, 1))


def grid(side, count):
    """The centres (x, y) of count x count cells."""
    places = [(2 * place + 1) * side // (2 * count) for place in range(count)]
    return [(x, y) for y in places for x in places]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_bright_disc_pops_out(size, channels):
    height, width = size
    y, x = np.ogrid[:height, :width]
    for place in [(width // 4, height // 3), (2 * width // 3, height // 2)]:
        disc = (x - place[0]) ** 2 + (y - place[1]) ** 2 <= 9
        found = winner(np.repeat(disc[None], channels, 0))
        assert np.hypot(*np.subtract(found, place)) <= 4


@pytest.mark.parametrize(("side", "count"), [(60, 4), (100, 5)])
@pytest.mark.parametrize("turned", [False, True])
def test_an_odd_orientation_pops_out(side, count, turned):
    places = grid(side, count)
    for odd in range(len(places)):
        image = np.zeros((1, side, side))
        for place, (x, y) in enumerate(places):
            bar(image, x, y, horizontal=(place == odd) ^ turned)
        assert np.abs(np.subtract(winner(image), places[odd])).max() <= 5


@pytest.mark.parametrize(
    ("usual", "unusual"),
    [
        ((0, 1, 0), (1, 0, 0)),
        ((1, 0, 0), (0, 1, 0)),
        ((0, 1, 0), (0, 0, 1)),
        ((0, 0, 1), (1, 0, 0)),
    ],
    ids=["red", "green", "blue", "red among blue"],
)
@pytest.mark.parametrize("odd", [6, 13, 18])
def test_an_odd_colour_of_the_same_intensity_pops_out(usual, unusual, odd):
    places = grid(100, 5)
    image = np.zeros((3, 100, 100))
    for place, (x, y) in enumerate(places):
        bar(image, x, y, False, unusual if place == odd else usual)
    assert np.abs(np.subtract(winner(image), places[odd])).max() <= 5
    assert np.abs(np.subtract(winner(image.mean(0, keepdims=True)), places[odd])).max() > 5


def test_a_blank_image_is_nowhere_salient():
    for value in (0.0, 0.3, 1.0):
        assert not saliency_map(np.full((2, 3, 60, 60), value, np.float32)).any()


def test_one_peak_is_promoted_and_many_equal_ones_fade():
    one, many = np.zeros((2, 20, 20), np.float32)
    one[7, 12] = 0.5
    many[4:18:4, 4:18:4] = 0.5
    promoted = saliency.promote(torch.as_tensor(np.stack([one, many]))).numpy()
    assert promoted[0].max() == 1 and promoted[1].max() == 0


def slow_promote(map_):
    """N as the paper words it: a fixed range, then (M - m)**2, m the mean of the other maxima."""
    height, width = map_.shape
    span = map_.max() - map_.min()
    if span < saliency.FLAT:
        return np.zeros_like(map_)
    map_ = (map_ - map_.min()) / span
    peaks = []
    for y in range(height):
        for x in range(width):
            around = map_[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            if map_[y, x] == around.max() and map_[y, x] >= saliency.RIPPLE:
                peaks.append(map_[y, x])
    peaks.remove(1.0)
    return map_ * (1 - (np.mean(peaks) if peaks else 0)) ** 2


def test_promotion_equals_the_slow_one():
    maps = np.random.default_rng(0).random((4, 2, 11, 17)) ** 6
    maps[1] *= 1e-6
    maps[2] += 5
    fast = saliency.promote(torch.as_tensor(maps)).numpy()
    slow = np.array([[slow_promote(one) for one in pair] for pair in maps])
    np.testing.assert_allclose(fast, slow, atol=1e-9)


def test_a_peak_of_several_equal_pixels_is_one():
    map_ = torch.zeros(1, 12, 12)
    map_[0, 3:5, 3:6] = 1.0
    assert saliency.local_maxima(map_, torch.tensor([0.1])).nonzero().tolist() == [[0, 3, 3]]


def slow_level(image, level):
    """Level of a pyramid by loops: smoothed with 1 4 6 4 1 down and across, every other kept."""
    for _ in range(level):
        height, width = image.shape
        out = np.zeros((-(-height // 2), -(-width // 2)))
        for y in range(out.shape[0]):
            for x in range(out.shape[1]):
                for j, a in enumerate((1, 4, 6, 4, 1)):
                    for i, b in enumerate((1, 4, 6, 4, 1)):
                        row = min(max(2 * y + j - 2, 0), height - 1)
                        column = min(max(2 * x + i - 2, 0), width - 1)
                        out[y, x] += a * b / 256 * image[row, column]
        image = out
    return image


def test_centre_surround_equals_the_slow_one():
    image = np.random.default_rng(1).random((37, 50))
    levels = saliency.pyramid(torch.as_tensor(image, dtype=torch.float32)[None, None], 4)
    centre, surround = slow_level(image, 1), slow_level(image, 4)
    np.testing.assert_allclose(levels[4][0, 0].numpy(), surround, atol=1e-5)
    expected = np.empty_like(centre)
    for y in range(centre.shape[0]):
        for x in range(centre.shape[1]):
            v, u = (min(y / 8, surround.shape[0] - 1), min(x / 8, surround.shape[1] - 1))
            j, i = int(v), int(u)
            k, m = min(j + 1, surround.shape[0] - 1), min(i + 1, surround.shape[1] - 1)
            top = surround[j, i] * (1 - u + i) + surround[j, m] * (u - i)
            bottom = surround[k, i] * (1 - u + i) + surround[k, m] * (u - i)
            expected[y, x] = abs(centre[y, x] - top * (1 - v + j) - bottom * (v - j))
    found = saliency.difference(levels[1], levels[4])[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_each_angle_answers_to_its_own_bars():
    y, x = np.mgrid[:32, :32]
    waves = [np.cos(2 * np.pi / 7 * t) for t in (x, (x + y) / 2**0.5, y, (y - x) / 2**0.5)]
    found = saliency.orientations(torch.as_tensor(np.stack(waves)[:, None], dtype=torch.float32))
    middle = found[:, :, 8:-8, 8:-8].mean((2, 3))
    assert middle.argmax(1).tolist() == [0, 1, 2, 3]
    assert (middle.diagonal() > 3 * (middle.sum(1) - middle.diagonal()) / 3).all()


def test_the_papers_image_has_the_papers_scales():
    pairs = [(2, 5), (2, 6), (3, 6), (3, 7), (4, 7), (4, 8)]
    assert saliency.scale_pairs(480, 640) == pairs
    assert saliency.map_step(480, 640) == 16
    assert saliency.scale_pairs(100, 100) == [(c - 2, s - 2) for c, s in pairs]
    assert saliency.scale_pairs(60, 60) == [(0, 3), (0, 4), (1, 4), (1, 5)]
    assert saliency.scale_pairs(28, 28) == [(0, 3), (0, 4)]
    with pytest.raises(ValueError, match="11x60"):
        saliency.scale_pairs(11, 60)


def test_a_map_does_not_depend_on_its_batch():
    images = np.random.default_rng(2).random((37, 1, 60, 60)).astype(np.float32)
    together = saliency_map(images)
    np.testing.assert_allclose(together[[5, 36]], saliency_map(images[[5, 36]]), atol=1e-5)


# ------------------------------------------------------------------ the gaze


def scan(glimpses, images, gaze, first):
    """The places (n, T, 2) that a gaze visits on images, glimpse 1 at `first`."""
    fixation, state, path = np.tile(np.float32(first), (len(images), 1)), None, []
    for t in range(glimpses):
        path.append(fixation)
        progress = np.full((len(images), 1), (t + 1) / glimpses, np.float32)
        sight = {"image": images, "fixation": fixation, "progress": progress}
        fixation, state = gaze.look(sight, state, np.full(len(images), t == 0))
    return np.stack(path, axis=1)


def make(glimpses=6):
    return gymnasium.make_vec(
        "saccade/ClutteredDigits-v0",
        num_envs=8,
        glimpses=glimpses,
        reveal=("image",),
        autoreset_mode="Disabled",
    )


def test_the_gaze_visits_the_objects_by_brightness_and_none_twice():
    image = np.zeros((1, 1, 60, 60), np.float32)
    places = [(10, 12), (45, 14), (30, 44)]
    for (x, y), value in zip(places, (0.5, 1.0, 0.75), strict=True):
        image[0, 0, y - 2 : y + 3, x - 2 : x + 3] = value
    (path,) = scan(4, image, Saliency(make()), first=(-1, -1))
    pixels = np.stack([fixation_to_pixel(path[:, axis], 60) for axis in (0, 1)], axis=1)
    assert np.abs(pixels[1:] - np.array([places[1], places[2], places[0]])).max() <= 3


def test_inhibition_keeps_places_apart_until_all_is_seen():
    env = make()
    observation, _ = env.reset(seed=0)
    path = scan(8, observation["image"], Saliency(env), first=(0, 0))
    pixels = (path + 1) / 2 * 59
    apart = np.linalg.norm(pixels[:, :, None] - pixels[:, None], axis=-1)
    assert (apart[:, ~np.eye(8, dtype=bool)] > 9.5).all()  # a sixth of 60, to half a pixel
    long = scan(60, observation["image"], Saliency(env), first=(0, 0))
    assert (np.linalg.norm(np.diff(long, axis=1), axis=-1) > 0).all()  # and then goes on


def test_lanes_that_begin_anew_see_their_new_image():
    env = make()
    one, _ = env.reset(seed=0)
    other, _ = env.reset(seed=1)
    gaze = Saliency(env)
    _, state = gaze.look(one, None, np.ones(8, bool))
    kept = [part.copy() for part in state]
    anew = np.arange(8) < 3
    mixed = {name: np.where(anew.reshape(-1, *[1] * (one[name].ndim - 1)), other[name], one[name])
             for name in one}  # fmt: skip
    fixation, _ = gaze.look(mixed, state, anew)
    np.testing.assert_array_equal(fixation[:3], gaze.look(other)[0][:3])
    np.testing.assert_array_equal(fixation[3:], gaze.look(one, state)[0][3:])
    for part, before in zip(state, kept, strict=True):  # the state given is not changed
        np.testing.assert_array_equal(part, before)
