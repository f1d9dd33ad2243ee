"""Distorted images: against a slow reference written from the definitions, and what is drawn."""

from __future__ import annotations

import math
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from saccade.envs.draws import make_key, normal, uniform
from saccade.envs.scenes import DistortedScene, PlainScene
from saccade.envs.scenes.distorted import draw_corners, draw_moves
from saccade.envs.scenes.warping import (
    bent,
    homography,
    is_convex,
    middle,
    projected,
    read,
    turned_corners,
)

DISTORTIONS = ("rotation", "rts", "projective", "elastic")
NOISE = np.random.default_rng(0).integers(0, 256, (12, 22, 26, 3), dtype=np.uint8)


def keys(count: int, seed: int = 0) -> np.ndarray:
    return make_key(seed, np.arange(count))


# ------------------------------------------------------------------ the slow reference


def pixel(image: np.ndarray, x: float, y: float) -> list[int]:
    """Bilinear, 0 outside; (x, y) in box coordinates, so that pixel 0's centre is at 0.5."""
    column, row = math.floor(x - 0.5), math.floor(y - 0.5)
    total = np.zeros(image.shape[2])
    for i in (row, row + 1):
        for j in (column, column + 1):
            if 0 <= i < image.shape[0] and 0 <= j < image.shape[1]:
                total += (1 - abs(y - 0.5 - i)) * (1 - abs(x - 0.5 - j)) * image[i, j]
    return [int(value + 0.5) for value in total]


def slow_similarity(angle, scale, at, shape):
    """The map from the frame to an image that lies turned and scaled with its middle at `at`."""

    def look(x, y):
        x, y = (x - at[0]) / scale, (y - at[1]) / scale
        # A turn against the clock as seen, y being down, is undone by one with the clock.
        x, y = (
            x * math.cos(angle) - y * math.sin(angle),
            x * math.sin(angle) + y * math.cos(angle),
        )
        return x + shape[1] / 2, y + shape[0] / 2

    return look


def slow_projection(corners, shape):
    """The projective map from four points to an image's corners, from its eight equations."""
    height, width = shape
    rows, right = [], []
    for (x, y), (u, v) in zip(
        corners, [(0, 0), (width, 0), (width, height), (0, height)], strict=True
    ):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    a, b, c, d, e, f, g, h = np.linalg.solve(np.array(rows), np.array(right))
    sign = math.copysign(1, g * corners[0][0] + h * corners[0][1] + 1)

    def look(x, y):
        depth = g * x + h * y + 1
        if sign * depth <= 0:  # behind the horizon
            return -10.0, -10.0
        return (a * x + b * y + c) / depth, (d * x + e * y + f) / depth

    return look


def slow_spline(knots, moves, scale, at, shape):
    """p -> the scaled image at p + f(p), f the thin-plate spline with f(knot) = move."""

    def kernel(p, q):
        r = math.dist(p, q)
        return r * r * math.log(r) if r else 0.0

    count = len(knots)
    system, right = np.zeros((count + 3, count + 3)), np.zeros((count + 3, 2))
    for i, p in enumerate(knots):
        system[i, :count] = [kernel(p, q) for q in knots]
        system[i, count:] = system[count:, i] = [1, *p]
        right[i] = moves[i]
    solved = np.linalg.solve(system, right)

    def look(x, y):
        basis = [*(kernel((x, y), q) for q in knots), 1, x, y]
        shift = sum(value * row for value, row in zip(basis, solved, strict=True))
        return (
            (x + shift[0] - at[0]) / scale + shape[1] / 2,
            (y + shift[1] - at[1]) / scale + shape[0] / 2,
        )

    return look


def turns_alike(corners) -> bool:
    turns = []
    for i in range(4):
        (ax, ay), (bx, by), (cx, cy) = (corners[(i + k) % 4] for k in range(3))
        turns.append((bx - ax) * (cy - by) - (by - ay) * (cx - bx))
    return min(turns) > 0


def slow_look(distortion, key, shape, frame):
    """The map from a frame's points to the image's, by the scene's definition."""
    (height, width), (tall, wide) = shape, frame
    draws = uniform(key, 0, 4)[0]
    at = ((wide - width) // 2 + width / 2, (tall - height) // 2 + height / 2)
    if distortion == "rotation":
        return slow_similarity(math.radians(-90 + 180 * draws[0]), 1, at, shape)
    if distortion == "rts":
        scale = 0.7 + 0.5 * draws[1]
        left, top = (
            (wide - scale * width) * draws[2],
            (tall - scale * height) * draws[3],
        )
        at = (left + scale * width / 2, top + scale * height / 2)
        return slow_similarity(math.radians(-45 + 90 * draws[0]), scale, at, shape)
    scale = 0.75 + 0.25 * draws[0]
    if distortion == "projective":
        square = [
            (at[0] + i * scale * width / 2, at[1] + j * scale * height / 2)
            for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]
        for attempt in range(1, 1000):
            moves = 5 * normal(key, attempt, 8)[0].reshape(4, 2)
            corners = [(x + dx, y + dy) for (x, y), (dx, dy) in zip(square, moves, strict=True)]
            if turns_alike(corners):
                return slow_projection(corners, shape)
    knots = [
        (at[0] - width / 2 + width * i / 3, at[1] - height / 2 + height * j / 3)
        for j in range(4)
        for i in range(4)
    ]
    return slow_spline(knots, 1.5 * normal(key, 1, 32)[0].reshape(16, 2), scale, at, shape)


@pytest.mark.parametrize("canvas", [None, (36, 33)])
@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_frames_equal_a_slow_reference(distortion, canvas):
    scene, index, key = DistortedScene(canvas, distortion), np.array([3, 0, 7]), keys(3, seed=4)
    frames, _ = scene.draw(NOISE, index, key)
    tall, wide, _ = scene.frame_shape(NOISE.shape[1:])
    assert frames.shape == (3, tall, wide, 3) and frames.dtype == np.uint8
    for frame, i, one in zip(frames, index, key, strict=True):
        look = slow_look(distortion, one[None], NOISE.shape[1:3], (tall, wide))
        expected = np.array(
            [[pixel(NOISE[i], *look(x + 0.5, y + 0.5)) for x in range(wide)] for y in range(tall)]
        )
        error = np.abs(frame.astype(int) - expected)
        assert error.max() <= 1 and (error > 0).mean() < 0.01  # roundings at the half
        assert (expected > 0).mean() > 0.2


# ------------------------------------------------------------------ maps with given parameters


def shown(images, corners, frame):
    return read(images, *projected(homography(corners, *images.shape[1:3]), *frame))


@pytest.mark.parametrize("quarters", [-1, 0, 1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_quarter_turns_are_exact(quarters, channels):
    images = NOISE[:2, :, :, :channels]
    frame = (26, 22) if quarters % 2 else (22, 26)
    corners = turned_corners(
        np.full(2, quarters * np.pi / 2),
        np.ones(2),
        np.tile((frame[1] / 2, frame[0] / 2), (2, 1)),
        22,
        26,
    )
    assert np.array_equal(shown(images, corners, frame), np.rot90(images, quarters, axes=(1, 2)))


def test_a_square_that_stays_is_the_plain_scene():
    frame = (31, 27)
    still = np.tile(middle((22, 26), frame), (12, 1))
    corners = turned_corners(np.zeros(12), np.ones(12), still, 22, 26)
    plain, boxes = PlainScene(canvas=frame).draw(NOISE, np.arange(12), keys(12))
    assert np.array_equal(shown(NOISE, corners, frame), plain)
    assert np.array_equal(corners[:, [0, 0, 2, 2], [0, 1, 0, 1]], boxes)
    x, y = bent(np.zeros((12, 16, 2)), np.ones(12), (22, 26), frame)
    assert np.array_equal(read(NOISE, x, y), plain)


@settings(max_examples=50, deadline=None)
@given(moves=st.lists(st.floats(-6, 6), min_size=8, max_size=8))
def test_corners_go_where_they_are_sent(moves):
    square = turned_corners(np.zeros(1), np.ones(1), np.full((1, 2), 14.0), 28, 28)
    corners = square + np.array(moves).reshape(1, 4, 2)
    assert is_convex(corners)[0] == turns_alike(corners[0])
    if is_convex(corners)[0]:
        points = (
            np.concatenate([corners[0], np.ones((4, 1))], axis=1) @ homography(corners, 28, 28)[0].T
        )
        assert (points[:, 2] > 0).all() and points[:, 2].mean() == pytest.approx(1)
        back = points[:, :2] / points[:, 2:]
        assert back == pytest.approx(np.array([(0, 0), (28, 0), (28, 28), (0, 28)]), abs=1e-5)


def test_a_spline_whose_points_all_move_alike_only_shifts():
    moves = np.tile((3.0, -2.0), (12, 16, 1))
    frame = read(NOISE, *bent(moves, np.ones(12), (22, 26), (22, 26)))
    assert np.array_equal(frame[:, 2:, :-3], NOISE[:, :-2, 3:])
    assert not frame[:, :2].any() and not frame[:, :, -3:].any()


def test_far_from_an_image_is_black():
    corners = turned_corners(np.zeros(1), np.ones(1), np.full((1, 2), 1e6), 22, 26)
    assert not shown(NOISE[:1], corners, (22, 26)).any()
    far = np.full((1, 2, 2), 1e30, np.float32)
    far[0, 0] *= -1
    assert not read(NOISE[:1], far, far.copy()).any()


# ------------------------------------------------------------------ draws


def test_angles_scales_and_places_are_uniform():
    shape, frame = (28, 20), (42, 50)
    turned = draw_corners("rotation", keys(4000), shape, frame)
    side = turned[:, 1] - turned[:, 0]
    angle = np.degrees(np.arctan2(-side[:, 1], side[:, 0]))
    assert -90 <= angle.min() < -89 and 89 < angle.max() <= 90
    assert stats.kstest(angle, "uniform", (-90, 180)).pvalue > 1e-3
    assert turned.mean(axis=1) == pytest.approx(np.tile((25, 21), (4000, 1)))

    corners = draw_corners("rts", keys(4000), shape, frame)
    side = corners[:, 1] - corners[:, 0]
    angle, scale = np.degrees(np.arctan2(-side[:, 1], side[:, 0])), np.hypot(*side.T) / 20
    room = (50, 42) - scale[:, None] * (20, 28)
    place = (corners.mean(axis=1) - scale[:, None] * (10, 14)) / room
    for values, low, high in (
        (angle, -45, 45),
        (scale, 0.7, 1.2),
        *((column, 0, 1) for column in place.T),
    ):
        assert low - 1e-4 <= values.min() and values.max() <= high + 1e-4
        assert stats.kstest(values, "uniform", (low, high - low)).pvalue > 1e-3


def test_corners_and_control_points_move_by_gaussian_noise():
    key = keys(3000)
    scale = 0.75 + 0.25 * uniform(key, 0, 1)[:, 0]
    square = turned_corners(np.zeros(3000), scale, np.full((3000, 2), 100.0), 200, 200)
    moves = draw_corners("projective", key, (200, 200), (200, 200)) - square  # convex at once
    assert stats.kstest(moves.ravel(), "norm", (0, 5)).pvalue > 1e-3
    moves, drawn = draw_moves(key)
    assert moves.shape == (3000, 16, 2) and np.array_equal(drawn, scale)
    assert stats.kstest(moves.ravel(), "norm", (0, 1.5)).pvalue > 1e-3
    together = np.corrcoef(moves.reshape(3000, 32).T) - np.eye(32)
    assert np.abs(together).max() < 0.09  # five deviations


def test_projected_squares_stay_convex():
    corners = draw_corners("projective", keys(3000), (28, 28), (28, 28))
    assert all(turns_alike(four) for four in corners)


# ------------------------------------------------------------------ boxes and the scene


@pytest.mark.parametrize("canvas", [None, (50, 44)])
@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_a_box_encloses_the_warped_square(distortion, canvas):
    white = np.full((1, 28, 24, 1), 255, np.uint8)
    scene = DistortedScene(canvas, distortion)
    frames, boxes = scene.draw(white, np.zeros(300, int), keys(300))
    assert boxes.dtype == np.float32 and boxes.shape == (300, 4)
    tall, wide = frames.shape[1:3]
    assert (boxes >= 0).all() and (boxes <= (wide, tall, wide, tall)).all()
    for frame, (x0, y0, x1, y1) in zip(frames[..., 0], boxes, strict=True):
        y, x = np.nonzero(frame >= 128)  # a pixel at the square's edge reads half of white
        assert x0 <= x.min() + 0.5 and x.max() + 0.5 <= x1
        assert y0 <= y.min() + 0.5 and y.max() + 0.5 <= y1
        if distortion == "elastic":  # pixels alone say where its sides are
            assert abs(x0 - x.min()) <= 1 and abs(x1 - x.max() - 1) <= 1
            assert abs(y0 - y.min()) <= 1 and abs(y1 - y.max() - 1) <= 1
    if distortion != "elastic":
        corners = draw_corners(distortion, keys(300), (28, 24), (tall, wide))
        corners = np.clip(corners, 0, (wide, tall))
        assert boxes[:, :2] == pytest.approx(corners.min(axis=1), abs=1e-5)
        assert boxes[:, 2:] == pytest.approx(corners.max(axis=1), abs=1e-5)


@pytest.mark.parametrize("distortion", DISTORTIONS)
@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(9)), cut=st.integers(1, 8))
def test_a_frame_depends_on_its_row_alone(distortion, order, cut):
    scene, index, key = DistortedScene(distortion=distortion), np.arange(9), keys(9)
    frames, boxes = scene.draw(NOISE, index, key)
    for rows in (np.array(order)[:cut], np.array(order)[cut:]):
        some, some_boxes = scene.draw(NOISE, index[rows], key[rows])
        assert np.array_equal(some, frames[rows]) and np.array_equal(some_boxes, boxes[rows])


@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_many_frames_equal_one_at_a_time(distortion):
    scene, index, key = DistortedScene(distortion=distortion), np.arange(400) % 12, keys(400)
    frames, boxes = scene.draw(NOISE, index, key)  # more than are warped together
    for i in (0, 1, 113, 114, 115, 399):
        one, box = scene.draw(NOISE, index[i : i + 1], key[i : i + 1])
        assert np.array_equal(one[0], frames[i]) and np.array_equal(box[0], boxes[i])
    assert len({frame.tobytes() for frame in frames}) == 400


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_evaluation_scenes_are_the_same_whoever_asks(split, distortion):
    keywords = {"split": split, "distortion": distortion}
    wide = gym.make_vec("saccade/DistortedDigits-v0", num_envs=12, **keywords)
    wide.reset(seed=1)
    single = gym.make("saccade/DistortedDigits-v0", **keywords)
    single.reset(seed=2)
    for index in (7, 0, 7):
        _, info = single.reset(options={"index": index})
        assert np.array_equal(single.unwrapped.images[0], wide.unwrapped.images[index])
        assert np.array_equal(info["box"], wide.unwrapped.truth["box"][index])


@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_gymnasiums_checker_has_no_complaint(distortion):
    env = gym.make("saccade/DistortedDigits-v0", distortion=distortion, action="dict")
    side = 42 if distortion == "rts" else 28
    assert env.unwrapped.image_shape == (side, side, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)


def test_the_canvas_is_the_images_own_or_half_as_much_again():
    assert DistortedScene().frame_shape((28, 20, 3)) == (28, 20, 3)
    assert DistortedScene(distortion="rts").frame_shape((28, 28, 1)) == (42, 42, 1)
    assert DistortedScene(distortion="rts").frame_shape((5, 8, 1)) == (8, 12, 1)
    assert DistortedScene(60, "rts").frame_shape((28, 28, 1)) == (60, 60, 1)


@pytest.mark.parametrize("distortion", DISTORTIONS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (2, 9)])
def test_images_of_a_few_pixels_are_no_trouble(distortion, shape):
    images = np.full((1, *shape, 1), 200, np.uint8)
    with np.errstate(all="raise"):
        frames, boxes = DistortedScene(9, distortion).draw(images, np.zeros(50, int), keys(50))
    assert frames.max() <= 200 and np.isfinite(boxes).all()
    none, empty = DistortedScene(9, distortion).draw(images, np.zeros(0, int), keys(0))
    assert none.shape == (0, 9, 9, 1) and empty.shape == (0, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DistortedScene(distortion="elastik"), "distortion='elastik': .*'elastic'.*rts"),
        (lambda: DistortedScene(27).frame_shape((28, 28, 1)), "canvas=27.*28x28"),
        (lambda: DistortedScene(27, "rts").frame_shape((28, 28, 1)), "canvas=27.*28x28"),
    ],
)
def test_a_scene_that_cannot_be_says_why(make, message):
    with pytest.raises(ValueError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
