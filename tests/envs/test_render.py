"""Frames show the glimpse where it was taken, and have one size for an environment."""

import sys

import gymnasium
import numpy as np
import pytest

from saccade.envs.render import (
    OUTSIDE,
    PATH_NEW,
    RIGHT,
    SCALE_COLOURS,
    WRONG,
    Window,
    draw,
    layout,
)
from saccade.envs.sensors import GlimpseSensor

SHAPES = [
    # height, width, channels, size, scales
    (8, 8, 1, 4, 1),
    (28, 28, 1, 8, 1),
    (60, 60, 1, 12, 3),
    (60, 60, 3, 12, 3),
    (40, 100, 1, 8, 3),
    (100, 40, 3, 8, 2),
    (9, 31, 2, 5, 2),
    (100, 100, 1, 12, 4),
    (16, 200, 4, 7, 5),
    (333, 250, 1, 64, 2),
    (1, 1, 1, 1, 1),
]


def picture(image, path, size, scales, **options):
    path = np.asarray(path, np.float32)
    sensor = GlimpseSensor(size, scales)
    return draw(image, path, sensor, sensor(image[None], path[-1:])[0], **options)


def noise(height, width, channels, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), np.uint8)


def extent_of(frame, colour):
    """The half-open box (x0, y0, x1, y1) of all pixels of exactly this colour."""
    y, x = np.nonzero((frame == colour).all(axis=2))
    return x.min(), y.min(), x.max() + 1, y.max() + 1


def left_panel(frame, place):
    """The frame with everything but the left panel blacked out."""
    x, y = place.corner(-place.margin, -place.margin)
    kept = np.zeros_like(frame)
    width, height = place.panel
    kept[y : y + height, x : x + width] = frame[y : y + height, x : x + width]
    return kept


@pytest.mark.parametrize("height, width, channels, size, scales", SHAPES)
def test_frames_of_an_episode_have_one_even_size(height, width, channels, size, scales):
    rng = np.random.default_rng(1)
    path = rng.uniform(-1, 1, (12, 2)).astype(np.float32)
    path[3:7] = [[-1, -1], [1, -1], [1, 1], [-1, 1]]
    shapes = set()
    for t in range(1, len(path) + 1):
        options = {"caption": "glimpse " * t, "good": (None, True, False)[t % 3]}
        box = (t - 3, -2, t + 5.5, 4) if t % 2 else None
        image = noise(height, width, channels, seed=t)
        frame = picture(image, path[:t], size, scales, box=box, **options)
        assert frame.dtype == np.uint8
        shapes.add(frame.shape)
    (shape,) = shapes
    assert shape[2] == 3 and shape[0] % 2 == 0 and shape[1] % 2 == 0


@pytest.mark.parametrize("size, scales", [(12, 3), (9, 2), (8, 1)])
@pytest.mark.parametrize("fixation", [(0.2, -0.1), (0.0, 0.0), (-0.13, 0.07)])
def test_outlines_enclose_the_patches_that_the_sensor_cuts(size, scales, fixation):
    height, width = 60, 74
    frame = picture(np.zeros((height, width, 1), np.uint8), [fixation], size, scales)
    place = layout(height, width, GlimpseSensor(size, scales))
    panel = left_panel(frame, place)
    x, y = np.float32(fixation)
    column = int(np.floor((x + 1) / 2 * np.float32(width - 1) + np.float32(0.5)))
    row = int(np.floor((y + 1) / 2 * np.float32(height - 1) + np.float32(0.5)))
    for s in range(scales):
        extent = size * 2**s
        x0, y0 = column - extent // 2, row - extent // 2
        expected = (*place.corner(x0, y0), *place.corner(x0 + extent, y0 + extent))
        assert extent_of(panel, SCALE_COLOURS[s]) == expected


def test_the_outlined_pixels_are_those_that_the_agent_sees():
    image = np.zeros((28, 28, 1), np.uint8)
    image[10:18, 4:12] = 200  # exactly the patch of 8 round pixel (8, 14)
    fixation = (2 * 8 / 27 - 1, 2 * 14 / 27 - 1)
    frame = picture(image, [fixation], 8, 1)
    place = layout(28, 28, GlimpseSensor(8, 1))
    (x, y), side = place.tiles[0], place.tile
    assert (frame[y : y + side, x : x + side] == 200).all()
    box = (*place.corner(4, 10), *place.corner(12, 18))
    assert extent_of(left_panel(frame, place), SCALE_COLOURS[0]) == box


def test_the_right_column_shows_every_scale_enlarged():
    image, path = noise(60, 60, 3), np.array([[0.3, -0.4]], np.float32)
    glimpse = GlimpseSensor(12, 3)(image[None], path)[0]
    frame = draw(image, path, GlimpseSensor(12, 3), glimpse)
    place = layout(60, 60, GlimpseSensor(12, 3))
    zoom = place.tile // 12
    for s, (x, y) in enumerate(place.tiles):
        tile = frame[y : y + place.tile, x : x + place.tile]
        patch = np.rint(glimpse[3 * s : 3 * s + 3].transpose(1, 2, 0) * 255)
        np.testing.assert_array_equal(tile, patch.repeat(zoom, 0).repeat(zoom, 1))
        assert tuple(frame[y - 1, x - 1]) == SCALE_COLOURS[s]


def test_the_image_is_enlarged_in_place_and_the_surround_is_told_apart():
    image = noise(20, 30, 3)
    frame = picture(image, [(1, 1)], 4, 1)
    place = layout(20, 30, GlimpseSensor(4, 1))
    for row, column in [(0, 0), (0, 29), (7, 12), (19, 0)]:
        x, y = place.corner(column, row)
        block = frame[y : y + place.zoom, x : x + place.zoom]
        assert (block == image[row, column]).all()
    x, y = place.corner(0, 0)
    assert tuple(frame[y - 1, x - 1]) == OUTSIDE
    assert 320 <= max(place.panel) <= 420


@pytest.mark.parametrize("fixation", [(-1, -1), (1, 1), (1, -1), (-1.2, 0)])
def test_patches_that_reach_out_of_the_image_stay_in_the_panel(fixation):
    image = np.zeros((60, 60, 1), np.uint8)
    frame = picture(image, [fixation], 12, 3)
    place = layout(60, 60, GlimpseSensor(12, 3))
    outside = left_panel(frame, place)
    x, y = place.corner(0, 0)
    outside[y : y + 60 * place.zoom, x : x + 60 * place.zoom] = 0
    assert (outside == SCALE_COLOURS[0]).all(axis=2).any()  # seen on the surround


def test_the_newest_fixation_stands_out_at_its_pixel():
    path = [(-0.5, -0.5), (0.6, -0.2), (0.1, 0.5)]
    frame = picture(np.zeros((60, 60, 1), np.uint8), path, 12, 1)
    place = layout(60, 60, GlimpseSensor(12, 1))
    x0, y0, x1, y1 = extent_of(frame, PATH_NEW)
    column, row = np.floor((np.float32(path[-1]) + 1) / 2 * 59 + 0.5)
    x, y = place.corner(column + 0.5, row + 0.5)
    assert abs((x0 + x1) / 2 - x) <= 1 and abs((y0 + y1) / 2 - y) <= 1


def test_gray_is_drawn_as_the_colour_image_with_equal_channels():
    gray = noise(28, 28, 1)
    path = [(0.5, 0.5), (-0.2, 0.9)]
    options = {"caption": "glimpse 2/6   label 7", "box": (3, 4, 20, 21), "good": True}
    one = picture(gray, path, 8, 2, **options)
    three = picture(gray.repeat(3, axis=2), path, 8, 2, **options)
    np.testing.assert_array_equal(one, three)


def test_good_colours_the_caption():
    image = np.zeros((28, 28, 1), np.uint8)

    def has(frame, colour):
        return (frame == colour).all(axis=2).any()

    right, wrong, open_ = (
        picture(image, [(0, 0)], 8, 1, caption="answer 7", good=good)
        for good in (True, False, None)
    )
    assert has(right, RIGHT) and not has(right, WRONG)
    assert has(wrong, WRONG) and not has(wrong, RIGHT)
    assert not has(open_, RIGHT) and not has(open_, WRONG)


def test_the_box_is_drawn_over_its_half_open_pixels():
    image = np.zeros((40, 40, 1), np.uint8)
    plain = picture(image, [(-1, -1)], 4, 1)
    boxed = picture(image, [(-1, -1)], 4, 1, box=np.float32([12, 20, 30, 33]))
    place = layout(40, 40, GlimpseSensor(4, 1))
    y, x = np.nonzero((plain != boxed).any(axis=2))
    found = (x.min(), y.min(), x.max() + 1, y.max() + 1)
    expected = (*place.corner(12, 20), *place.corner(30, 33))
    assert found == expected


def test_drawing_changes_nothing_that_it_was_given():
    image, path = noise(28, 28, 1), np.zeros((2, 2), np.float32)
    glimpse = GlimpseSensor(8, 1)(image[None], path[:1])[0]
    for array in (image, path, glimpse):
        array.flags.writeable = False
    first, second = (draw(image, path, GlimpseSensor(8), glimpse) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"image": np.zeros((28, 28), np.uint8)}, "image must be"),
        ({"image": np.zeros((28, 28, 1), np.float32)}, "image must be"),
        ({"path": np.zeros((0, 2), np.float32)}, "path must be"),
        ({"path": np.zeros(2, np.float32)}, "path must be"),
        ({"glimpse": np.zeros((2, 8, 8), np.float32)}, "glimpse must be"),
    ],
)
def test_shapes_that_do_not_fit_are_named(change, message):
    fitting = {
        "image": np.zeros((28, 28, 1), np.uint8),
        "path": np.zeros((1, 2), np.float32),
        "glimpse": np.zeros((1, 8, 8), np.float32),
    }
    with pytest.raises(ValueError, match=message):
        draw(sensor=GlimpseSensor(8), **(fitting | change))


def test_the_window_shows_frames_and_closes(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame = pytest.importorskip("pygame")
    window = Window(fps=1000)
    window.close()  # nothing is open yet
    frame = noise(40, 60, 3)
    window.show(frame)
    window.show(frame)
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
    np.testing.assert_array_equal(shown, frame)
    window.show(noise(50, 70, 3))  # another environment's size
    assert pygame.display.get_surface().get_size() == (70, 50)
    window.close()
    window.close()
    assert not pygame.display.get_init()


def test_without_pygame_the_window_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(gymnasium.error.DependencyNotInstalled, match=r"saccade\[human\]"):
        Window()
