"""Every sensor: against a slow, obvious reference, and behind the environments' one interface.

The retina and the bilinear one have files of their own: `test_sensor.py`, `test_differentiable.py`.
"""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import warnings
from dataclasses import dataclass, replace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from saccade.agents.scanpath import distinct_pixels
from saccade.envs import FoveaSensor, GlimpseSensor, LogPolarSensor, Sensor
from saccade.envs.canvas import Canvas
from saccade.envs.registration import keywords
from saccade.envs.render import SCALE_COLOURS, draw, layout
from saccade.envs.sensors import OUTSIDE, SENSORS, Layer, Outline, Prepared, fixation_to_pixel
from support import assert_same, make_shards, walk_together

IDS = ["saccade/Digits-v0", "saccade/Catch-v0"]
SMALL = [
    GlimpseSensor(4, 2),
    FoveaSensor(5),
    LogPolarSensor(rings=4, wedges=6, inner=1.2, radius=6),
    SENSORS["bilinear"](3, 3),
]
coordinates = st.one_of(
    st.sampled_from([-1.0, 0.0, 1.0]),
    st.floats(-1, 1, width=32),
    st.floats(-3, 3, width=32),  # beyond the corners
)
images_and_fixations = {
    "height": st.integers(1, 13),
    "width": st.integers(1, 13),
    "channels": st.sampled_from([1, 2, 3]),
    "fixations": st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=3),
    "seed": st.integers(0, 99),
}


def drawn(count, height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(
        0, 256, (count, height, width, channels), dtype=np.uint8
    )


def pixel_of(fixation, height, width):
    x, y = (np.array([c], np.float32) for c in fixation)
    return int(fixation_to_pixel(x, width)[0]), int(fixation_to_pixel(y, height)[0])


def slow_periphery(image, size):
    """Every box, pixel by pixel, each counted by how much of it lies in the box."""
    height, width, channels = image.shape
    boxes = np.zeros((channels, size, size))
    for i in range(size):
        for j in range(size):
            top, bottom = i * height / size, (i + 1) * height / size
            left, right = j * width / size, (j + 1) * width / size
            for row in range(height):
                for column in range(width):
                    tall = max(0, min(bottom, row + 1) - max(top, row))
                    wide = max(0, min(right, column + 1) - max(left, column))
                    boxes[:, i, j] += tall * wide * image[row, column]
    return boxes / (255 * height / size * width / size)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 6), **images_and_fixations)
def test_a_fovea_is_a_patch_and_the_whole_image(size, height, width, channels, fixations, seed):
    images = drawn(len(fixations), height, width, channels, seed)
    fixations = np.array(fixations, np.float32)
    seen = FoveaSensor(size)(images, fixations)
    assert seen.shape == (len(fixations), 2 * channels, size, size) and seen.dtype == np.float32
    assert np.array_equal(seen[:, :channels], GlimpseSensor(size)(images, fixations))
    for image, glimpse in zip(images, seen, strict=True):
        np.testing.assert_allclose(glimpse[channels:], slow_periphery(image, size), atol=1e-6)


def slow_cells(image, x, y, sensor):
    """Mean of the points in every cell, one point after the other."""
    height, width, channels = image.shape
    growth = (sensor.radius / sensor.inner) ** (1 / (sensor.rings - 1))
    ends = [sensor.inner * growth**i for i in range(sensor.rings - 1)] + [sensor.radius]
    sums = np.zeros((channels, sensor.rings, sensor.wedges))
    counts = np.zeros((sensor.rings, sensor.wedges))
    reach = math.ceil(sensor.radius)
    for row in range(y - reach, y + reach + 1):
        for column in range(x - reach, x + reach + 1):
            inside = 0 <= row < height and 0 <= column < width
            for i in range(8):
                for j in range(8):
                    right, down = column + (j + 0.5) / 8 - x - 0.5, row + (i + 0.5) / 8 - y - 0.5
                    ring = sum(right**2 + down**2 >= end**2 for end in ends)
                    if ring == sensor.rings:
                        continue
                    turn = math.atan2(down, right) / (2 * math.pi) % 1
                    wedge = int(turn * sensor.wedges + 1e-9) % sensor.wedges
                    counts[ring, wedge] += 1
                    if inside:
                        sums[:, ring, wedge] += image[row, column]
    return sums / counts / 255


@settings(max_examples=40, deadline=None)
@given(
    rings=st.integers(2, 4),
    wedges=st.integers(1, 9),
    inner=st.floats(0.6, 2),
    further=st.floats(0.5, 3),
    **images_and_fixations,
)
def test_a_log_polar_retina_averages_the_points_of_each_cell(
    rings, wedges, inner, further, height, width, channels, fixations, seed
):
    try:
        sensor = LogPolarSensor(rings, wedges, inner, inner + further)
    except ValueError as error:
        assert "smaller than an eighth of a pixel" in str(error)
        assume(False)
    images = drawn(len(fixations), height, width, channels, seed)
    seen = sensor(images, np.array(fixations, np.float32))
    assert seen.shape == (len(fixations), channels, rings, wedges) and seen.dtype == np.float32
    for image, fixation, glimpse in zip(images, fixations, seen, strict=True):
        expected = slow_cells(image, *pixel_of(fixation, height, width), sensor)
        np.testing.assert_allclose(glimpse, expected, atol=1e-6)


def test_rings_go_outwards_and_wedges_from_the_right_downwards():
    image = np.zeros((1, 41, 41, 1), np.uint8)
    image[0, 20, 34] = 255  # to the right
    image[0, 34, 20] = 255  # below
    image[0, 20, 20] = 255  # the fixated pixel itself
    seen = LogPolarSensor(rings=4, wedges=4, radius=20)(image, np.zeros((1, 2), np.float32))[0, 0]
    assert (seen[0] > 0).all() and not seen[1:3].any()
    # Each lies on the edge between two wedges, half of it in either.
    first, second, third, last = seen[3]
    assert second > 0 and third == 0 and last > 0 and first == pytest.approx(second + last)


def test_fine_detail_reads_gray_where_cells_are_coarse():
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[None, :, :, None]
    seen = LogPolarSensor()(board, np.zeros((1, 2), np.float32))[0, 0]
    assert np.ptp(seen[0]) > 0.4
    np.testing.assert_allclose(seen[-1], 0.5, atol=0.03)


@pytest.mark.parametrize("sensor", SMALL, ids=lambda sensor: type(sensor).__name__)
def test_many_lanes_equal_one_at_a_time(sensor):
    images = drawn(70, 20, 30, 3)
    fixations = np.random.default_rng(1).uniform(-1, 1, (70, 2)).astype(np.float32)
    apart = [sensor(images[i : i + 1], fixations[i : i + 1])[0] for i in range(70)]
    assert np.array_equal(sensor(images, fixations), np.array(apart))


@pytest.mark.parametrize("sensor", SMALL, ids=lambda sensor: type(sensor).__name__)
def test_updating_some_lanes_leaves_the_others(sensor):
    images = drawn(6, 15, 12, 2)
    fixations = np.random.default_rng(1).uniform(-1, 1, (6, 2)).astype(np.float32)
    prepared = sensor.prepare(images)
    first = prepared.look(fixations)
    kept = first.copy()
    images[[1, 4]] = 255 - images[[1, 4]]
    prepared.update(np.array([1, 4]), images[[1, 4]])
    again = pickle.loads(pickle.dumps(prepared))
    for one in (prepared, again):
        assert np.array_equal(one.look(fixations), sensor(images, fixations))
    assert np.array_equal(first, kept)


@pytest.mark.parametrize("sensor", SMALL, ids=lambda sensor: type(sensor).__name__)
def test_floats_are_rounded_to_bytes(sensor):
    images = drawn(4, 9, 14, 3)
    fixations = np.random.default_rng(1).uniform(-1, 1, (4, 2)).astype(np.float32)
    assert np.array_equal(sensor(images / 255, fixations), sensor(images, fixations))
    for wrong, said in ((images.astype(np.int32), "int32"), (images / 100, "from 0 to 2.55")):
        with pytest.raises(ValueError, match=said):
            sensor(wrong, fixations)


@pytest.mark.parametrize("sensor", SMALL, ids=lambda sensor: type(sensor).__name__)
def test_black_and_outside_look_alike_and_white_reads_one(sensor):
    fixations = np.array([[0, 0], [1, 1], [-1, 0.3]], np.float32)
    assert not sensor(np.zeros((3, 9, 9, 1), np.uint8), fixations).any()
    seen = sensor(np.full((3, 41, 41, 1), 255, np.uint8), fixations)
    np.testing.assert_allclose(seen[0], 1, atol=1e-6)
    assert seen.max() <= 1 + 1e-6 and (isinstance(sensor, FoveaSensor) or seen[1].min() == 0)


# ---------------------------------------------------------------------- layers


def slow_canvas(sensor, glimpses, fixations, shape):
    """What the layers say, pixel by pixel; a later look replaces one as coarse."""
    height, width, channels = shape
    picture = np.zeros((channels + 1, height, width), np.float32)
    finest = np.full((height, width), OUTSIDE)
    for glimpse, fixation in zip(glimpses, fixations, strict=True):
        planes = glimpse.reshape(-1, channels, *glimpse.shape[1:]).swapaxes(0, 1)
        values = planes.reshape(channels, -1)
        x, y = pixel_of(fixation, height, width)
        for layer in sensor.layers(height, width)[::-1]:
            top, left = (0, 0) if layer.first is None else (y + layer.first, x + layer.first)
            for i, j in np.ndindex(layer.rank.shape):
                row, column, rank = top + i, left + j, layer.rank[i, j]
                inside = 0 <= row < height and 0 <= column < width
                if inside and rank < OUTSIDE and rank <= finest[row, column]:
                    finest[row, column] = rank
                    picture[:channels, row, column] = values[:, layer.value[i, j]]
    picture[-1] = finest == 0
    return picture, (finest < OUTSIDE).sum()


@pytest.mark.parametrize("shape", [(17, 12, 1), (9, 20, 3)], ids=str)
@pytest.mark.parametrize("sensor", SMALL, ids=lambda sensor: type(sensor).__name__)
def test_the_canvas_shows_what_the_layers_say(sensor, shape):
    images = drawn(3, *shape)
    fixations = np.random.default_rng(2).uniform(-1, 1, (4, 3, 2)).astype(np.float32)
    canvas, glimpses = Canvas(sensor, 3, shape), []
    for fixation in fixations:
        glimpses.append(sensor(images, fixation))
        canvas.paint(glimpses[-1], fixation)
        canvas.paint(glimpses[-1], fixation)  # painting twice changes nothing
    pixels = np.array(
        [[pixel_of(f, *shape[:2]) for f in fixations[:, lane]] for lane in range(3)], np.float32
    )
    counts = distinct_pixels(pixels, *shape[:2], sensor)
    for lane in range(3):
        seen = [glimpse[lane] for glimpse in glimpses]
        expected, count = slow_canvas(sensor, seen, fixations[:, lane], shape)
        assert np.array_equal(canvas.picture()[lane], expected)
        assert counts[lane] == count


def test_layers_show_each_pixel_the_value_that_holds_most_of_it():
    sensor = LogPolarSensor(rings=5, wedges=8, inner=1.5, radius=9)
    (layer,) = sensor.layers(31, 31)
    side = len(layer.rank)
    for row, column in ((side // 2 + 5, side // 2 + 2), (side // 2, side // 2 - 7)):
        image = np.zeros((1, 31, 31, 1), np.uint8)
        image[0, 15 + layer.first + row, 15 + layer.first + column] = 255
        seen = sensor(image, np.zeros((1, 2), np.float32)).reshape(-1)
        area = np.bincount(layer.value.ravel(), minlength=seen.size)
        assert (seen * area).argmax() == layer.value[row, column]
    away = np.hypot(*(np.indices((side, side)) - side // 2))
    assert (layer.rank[away > 9.8] == OUTSIDE).all() and (layer.rank[away < 8.2] < OUTSIDE).all()
    assert layer.rank[side // 2, side // 2] == 0  # cells of about a pixel
    assert (np.diff(layer.rank[side // 2, side // 2 : side // 2 + 9].astype(int)) >= 0).all()


# ---------------------------------------------------------------------- environments


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
@pytest.mark.parametrize("name", SENSORS)
@pytest.mark.parametrize("env_id", IDS)
def test_native_equals_the_shards(env_id, name, mode):
    options = {"sensor": name, "memory": "canvas"}
    native = gym.make_vec(env_id, num_envs=3, autoreset_mode=mode, **options)
    walk_together(native, make_shards(env_id, 3, mode, **options), 20, mode)


@pytest.mark.parametrize("name", SENSORS)
@pytest.mark.parametrize("env_id", IDS)
def test_checkers_have_no_complaint(env_id, name):
    env = gym.make(env_id, sensor=name, render_mode="rgb_array", action="grid").unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)
        warnings.simplefilter("ignore")  # its advice on float images
        sb3_check_env(env)


def test_the_retina_is_the_default():
    for options in ({}, {"sensor": "retina"}, {"sensor": GlimpseSensor(8)}):
        assert gym.make("saccade/Digits-v0", **options).unwrapped.sensor == GlimpseSensor(8)


def test_options_go_by_keyword_and_an_id_s_own_where_a_sensor_has_them():
    env_id = "saccade/TranslatedDigits-v0"  # size 12, 3 scales

    def sensor(**options):
        return gym.make(env_id, **options).unwrapped.sensor

    assert sensor(sensor="fovea") == FoveaSensor(12) and sensor(sensor="fovea", size=5).size == 5
    assert sensor(sensor="bilinear", scales=2) == SENSORS["bilinear"](12, 2)
    assert sensor(sensor="logpolar", rings=5) == LogPolarSensor(rings=5)
    mine = LogPolarSensor(rings=4, radius=9)
    assert sensor(sensor=mine) == mine and sensor(sensor=mine, wedges=6) == replace(mine, wedges=6)
    assert sensor(sensor=GlimpseSensor(3, 2)) == GlimpseSensor(3, 2)


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"sensor": "logpoler"}, ValueError, "did you mean 'logpolar'"),
        ({"sensor": "logpolar", "rings": 1}, ValueError, "rings=1"),
        ({"sensor": "logpolar", "inner": 0}, ValueError, "inner=0"),
        ({"sensor": "logpolar", "radius": 2}, ValueError, "radius=2"),
        ({"sensor": "logpolar", "wedges": 500}, ValueError, "wedges=500.*take fewer"),
        ({"sensor": "fovea", "size": 0}, ValueError, "size=0"),
        ({"sensor": "fovea", "ringss": 3}, TypeError, "ringss"),
        ({"rings": 3}, TypeError, "unexpected keyword argument 'rings'"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(options, kind, said):
    with pytest.raises(kind, match=said) as caught:
        gym.make("saccade/Digits-v0", **options)
    assert "\n" not in str(caught.value)


def test_an_id_s_keywords_are_those_of_its_sensor():
    plain = keywords("saccade/Digits-v0")
    assert plain["sensor"].default == "retina" and {"size", "scales"} < set(plain)
    polar = keywords("saccade/Digits-v0", "logpolar")
    assert {"rings", "wedges", "inner", "radius"} == set(polar) - set(plain)
    assert {"size", "scales"} == set(plain) - set(polar)
    assert set(plain) - {"scales"} == set(keywords("saccade/Digits-v0", "fovea"))


@dataclass(frozen=True)
class Point(Sensor):
    """One pixel, as simple as a sensor can be: a user's own."""

    size = 1

    def shape(self, channels):
        return channels, 1, 1

    def allocate(self, lanes, height, width, channels):
        return _Points(np.zeros((lanes, height, width, channels), np.uint8))

    def layers(self, height, width):
        return (Layer(0, np.zeros((1, 1), np.int64), np.zeros((1, 1), np.uint8)),)

    @property
    def outlines(self):
        return (Outline(0, 1),)

    @property
    def labels(self):
        return ("a pixel",)


class _Points(Prepared):
    def __init__(self, images):
        self.images = images

    def update(self, lanes, images):
        self.images[lanes] = images

    def look(self, fixations):
        n, height, width, _ = self.images.shape
        x = fixation_to_pixel(fixations[:, 0], width)
        y = fixation_to_pixel(fixations[:, 1], height)
        seen = self.images[np.arange(n), y, x] * np.float32(1 / 255)
        return seen[:, :, None, None]


def test_a_sensor_of_one_s_own_is_the_retina_s_equal():
    one, other = (
        gym.make_vec(
            "saccade/Digits-v0", num_envs=3, sensor=sensor, memory="canvas", render_mode="rgb_array"
        )
        for sensor in (Point(), GlimpseSensor(1))
    )
    one.action_space.seed(0)
    assert_same(one.reset(seed=0), other.reset(seed=0))
    for _ in range(8):
        action = one.action_space.sample()
        assert_same(one.step(action), other.step(action))
        assert one.render()[0].dtype == np.uint8


# ---------------------------------------------------------------------- pictures


@pytest.mark.parametrize("sensor", [*SMALL, LogPolarSensor()], ids=str)
def test_frames_show_every_view_and_have_one_even_size(sensor):
    images = drawn(1, 40, 52, 3)
    place = layout(40, 52, sensor)
    shapes = set()
    for path in ([(0, 0)], [(-1, -1), (1, 0.4)]):
        path = np.array(path, np.float32)
        glimpse = sensor(images, path[-1:])[0]
        frame = draw(images[0], path, sensor, glimpse)
        shapes.add(frame.shape)
        assert len(place.tiles) == len(sensor.labels) == len(sensor.views(glimpse))
        for s, (x, y) in enumerate(place.tiles):
            tile = frame[y : y + place.tile, x : x + place.tile]
            assert tuple(frame[y - 1, x - 1]) == SCALE_COLOURS[s]
            middle = np.rint(sensor.views(glimpse)[s] * 255)[0, 0]
            assert np.array_equal(tile[0, 0], middle)
    ((height, width, _),) = shapes
    assert height % 2 == width % 2 == 0


def test_a_round_part_is_outlined_by_its_circle():
    image, sensor = np.zeros((60, 60, 1), np.uint8), LogPolarSensor(radius=20)
    path = np.zeros((1, 2), np.float32)  # pixel (30, 30)
    frame = draw(image, path, sensor, sensor(image[None], path)[0])
    place = layout(60, 60, sensor)
    panel = frame[: 14 + place.panel[1], : 14 + place.panel[0]]
    y, x = np.nonzero((panel == SCALE_COLOURS[1]).all(axis=2))
    left, top = place.corner(30.5 - 20, 30.5 - 20)
    right, bottom = place.corner(30.5 + 20, 30.5 + 20)
    ends = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
    assert np.abs(ends - [left, top, right, bottom]).max() <= 1
    away = np.hypot(x + 0.5 - (left + right) / 2, y + 0.5 - (top + bottom) / 2)
    assert np.ptp(away) < 4


def test_the_cells_are_drawn_where_they_lie():
    sensor = LogPolarSensor(rings=3, wedges=4, inner=2, radius=8)
    glimpse = np.arange(12, dtype=np.float32).reshape(1, 3, 4) / 12
    plain, placed = sensor.views(glimpse)
    assert np.array_equal(plain[..., 0], glimpse[0])
    middle, step = len(placed) // 2, len(placed) / 17
    at = int(middle + 6 * step / math.sqrt(2))
    assert placed[at, at, 0] == glimpse[0, 2, 0]  # to the right and below
    assert placed[at, 2 * middle - at, 0] == glimpse[0, 2, 1]
    assert placed[0, 0, 0] == 0


def test_naming_a_sensor_stays_light():
    code = "import sys, saccade.envs.sensors; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
