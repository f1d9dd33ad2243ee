"""Pictures of soft attention: colours mean what they say, and frames lie where they should."""

from __future__ import annotations

import numpy as np
import pytest

from saccade.agents.soft.pictures import (
    LINE,
    PANEL,
    Frame,
    bars,
    cut_out,
    gate_charts,
    heat,
    key,
    margin_for,
    outlined,
    plain,
    sheet,
    sheet_width,
    side_by_side,
    weighed,
    wrapped,
)
from saccade.envs.render import OUTSIDE, RIGHT, SCALE_COLOURS, WRONG, font


def black(height=48, width=48):
    return np.zeros((height, width, 1), np.uint8)


def where(picture, colour):
    """Rows and columns of a colour's pixels: first and last of each."""
    rows, columns = np.nonzero((np.asarray(picture) == colour).all(2))
    return rows.min(), rows.max(), columns.min(), columns.max()


def has(picture, colour):
    return (np.asarray(picture) == colour).all(2).any()


def lightness(colours):
    """CIE L* of sRGB colours (n, 3)."""
    linear = colours / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return np.where(luminance > 216 / 24389, 116 * np.cbrt(luminance) - 16, luminance * 24389 / 27)


def test_colours_grow_lighter_evenly():
    light = lightness(heat(np.linspace(0, 1, 65)).astype(float))
    steps = np.diff(light)
    assert light[0] < 1 and light[-1] > 97
    assert steps.min() > 0.5 and steps.max() < 3  # 98 of lightness in 64 steps


def test_colours_are_matplotlibs_magma():
    matplotlib = pytest.importorskip("matplotlib")
    values = np.linspace(0, 1, 256)
    theirs = matplotlib.colormaps["magma"](values)[:, :3] * 255
    assert np.abs(heat(values) - theirs).max() < 12


def test_panels_have_the_size_of_their_frame():
    image = black(30, 60)
    frame = Frame.of(image[None], margin=3)
    assert PANEL <= max(frame.size) < PANEL + 66
    assert frame.size == (66 * frame.zoom, 36 * frame.zoom)
    around = np.full((4, 2), 0.5)
    panels = [
        plain(image, frame),
        weighed(image, np.ones((30, 60)), frame),
        outlined(image, around, frame),
        cut_out(np.ones((1, 7, 9)), frame),
    ]
    assert {panel.size for panel in panels} == {frame.size}
    assert has(panels[0], OUTSIDE) and not has(plain(image, Frame.of(image[None])), OUTSIDE)


def test_a_map_is_lightest_at_its_maximum_and_dark_where_it_is_0():
    image, frame = black(), Frame.of(black()[None])
    weights = np.zeros((48, 48))
    weights[10, 30] = 0.02  # whatever its scale
    weights[40, 5] = 0.01
    panel = np.asarray(weighed(image, weights, frame)).astype(int).sum(2)
    centre = frame.zoom // 2
    brightest = panel[10 * frame.zoom + centre, 30 * frame.zoom + centre]
    half = panel[40 * frame.zoom + centre, 5 * frame.zoom + centre]
    assert brightest == panel.max() > half + 200 > panel[0, 0] + 400
    assert panel[0, 0] < 10
    assert np.array_equal(weighed(image, weights, frame), weighed(image, 1000 * weights, frame))
    empty = np.asarray(weighed(image, np.zeros((48, 48)), frame))
    assert empty.max() < 10


def test_strokes_stay_visible_under_every_weight():
    image = black()
    image[20:30] = 255
    for weight in (0.0, 0.5, 1.0):
        weights = np.full((48, 48), weight)
        weights[0, 0] = 1
        panel = np.asarray(weighed(image, weights, Frame.of(image[None]))).astype(int)
        stroke, ground = panel[75].sum(1)[60], panel[120].sum(1)[60]
        assert stroke > ground + 100


def test_the_frames_colour_lies_where_the_frame_is():
    image = black(40, 60)
    frame = Frame.of(image[None], margin=2)
    low, high = np.array([10, 5]), np.array([50, 30])  # pixels (x, y) whose centres are corners
    extent = np.array([59, 39])
    a, b = low / extent * 2 - 1, high / extent * 2 - 1
    corners = np.array([a, (b[0], a[1]), b, (a[0], b[1])])
    panel = outlined(image, corners, frame)
    top, bottom, left, right = where(panel, SCALE_COLOURS[0])
    expected = (np.array([5, 30, 10, 50]) + 2.5) * frame.zoom
    assert np.abs(np.array([top, bottom, left, right]) - expected).max() <= 2
    inside = np.asarray(panel)[top + 4 : bottom - 3, left + 4 : right - 3]
    assert not has(inside, SCALE_COLOURS[0])


def test_a_margin_shows_frames_that_leave_the_image_but_not_those_far_away():
    within = np.array([[[-1, -1], [1, 1]]], float)
    assert margin_for(within, 60, 60) == 1
    assert margin_for(within * 1.09, 61, 61) == 3
    assert margin_for(within * 50, 60, 60) == 12


@pytest.fixture
def five():
    """Panels of five scenes, and how each ended: the second badly."""
    verdicts = [(n != 1, "answer 3" if n != 1 else "answer 7   label 1") for n in range(5)]
    images = np.random.default_rng(0).integers(0, 200, (5, 48, 48, 1), np.uint8)
    frame = Frame.of(images)
    return [plain(image, frame) for image in images], verdicts


def test_a_sheet_has_a_strip_a_scene_with_its_answer(five):
    panels, verdicts = five
    width, height = panels[0].size
    page = sheet({"input": panels, "again": panels}, verdicts)
    assert page.dtype == np.uint8 and page.shape[2] == 3
    assert page.shape[0] > 3 * height and page.shape[1] > 4 * width  # two strips side by side
    wrong = where(page, WRONG)  # the second scene's answer: in the first row, on the right
    assert wrong[1] < 1.5 * height and wrong[2] > page.shape[1] / 2
    assert not has(page[-height:, page.shape[1] // 2 :], RIGHT)  # there is no sixth scene
    rows = [line.tobytes() for line in page]
    for panel in panels:
        top = np.asarray(panel)[0].tobytes()
        counts = [line.count(top) for line in rows]
        assert max(counts) == 2
    plainer = sheet({"input": panels}, verdicts)
    assert plainer.shape[0] < page.shape[0]


def test_what_stands_below_a_sheet_is_all_there(five):
    panels, verdicts = five
    bare = sheet({"input": panels}, verdicts)
    width = sheet_width(1, panels[0].size[0], 5)
    chart = bars("stage 1", np.full((3, 8), 0.5), width)
    page = sheet({"input": panels}, verdicts, [key(), chart], "a note " * 40)
    assert page.shape[1] == bare.shape[1]
    assert page.shape[0] > bare.shape[0] + chart.height + key().height + 2 * LINE
    assert np.array_equal(page[: bare.shape[0]], bare)
    assert has(page, SCALE_COLOURS[1]) and not has(bare, SCALE_COLOURS[1])


def test_side_by_side_every_agent_has_its_own_answers(five):
    panels, verdicts = five
    columns = {"ram": panels, "an agent with a long name": panels}
    page = side_by_side(columns, {"ram": [(True, "answer 3")] * 5, [*columns][1]: verdicts})
    middle = page.shape[1] // 2
    assert has(page[:, :middle], RIGHT) and not has(page[:, :middle], WRONG)
    assert has(page[:, middle:], RIGHT) and has(page[:, middle:], WRONG)
    assert page.shape[0] > 5 * panels[0].size[1]


def test_bars_reach_the_mean_and_lines_the_quantiles():
    gates = np.zeros((101, 4))
    gates[:, 0] = 1
    gates[:, 1] = 0.5
    gates[:, 2] = np.linspace(0, 1, 101)
    chart = np.asarray(bars("stage 1", gates, 400, height=101))
    top = chart.shape[0] - 101
    heights = []
    for n in range(4):
        left, right = (28 + 372 * (n + share) / 4 for share in (0.1, 0.4))
        part = chart[:, round(left) : round(right)]
        rows = np.flatnonzero((part == SCALE_COLOURS[1]).all(2).any(1))
        heights.append(100 - (rows.min() - top))
    assert heights == [100, 50, 50, 0]
    third = chart[:, 28 + 186 : 28 + 278]
    rows = np.flatnonzero((third == (16, 18, 24)).all(2).any(1)) - top
    assert abs(rows.min() - 5) <= 1 and abs(rows.max() - 95) <= 1


def test_of_many_stages_some_are_shown_the_first_and_last_among_them():
    few = {f"stage {n}": np.ones((2, 4)) for n in range(3)}
    many = {f"stage {n}": np.ones((2, 4)) for n in range(54)}
    assert len(gate_charts(few, 300)) == 3
    charts = gate_charts(many, 300)
    assert len(charts) == 6
    assert np.array_equal(charts[0], bars("stage 0", many["stage 0"], 300))
    assert np.array_equal(charts[-1], bars("stage 53", many["stage 53"], 300))


def test_lines_are_broken_between_words():
    assert wrapped("input", 100) == ["input"]
    lines = wrapped("stn, agent.kind=affine", 110)
    assert lines == ["stn,", "agent.kind=affine"]
    assert wrapped("resnet, agent.attention=mixed", 110) == ["resnet,", "agent.attention=", "mixed"]
    pieces = wrapped("a" + 50 * "b", 60)
    assert "".join(pieces) == "a" + 50 * "b" and len(pieces) > 4
    assert all(font(13).getlength(piece) <= 60 for piece in pieces)
    assert " ".join(wrapped("one two three four five six", 60)) == "one two three four five six"
