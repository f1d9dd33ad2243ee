"""Where attention lands: the measures against slow readings, priors worked out by hand, tables."""

import csv
import json
import math

import gymnasium
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from saccade.agents import attention
from saccade.agents.cli import main
from saccade.agents.compare import compare
from saccade.agents.comparison import comma_separated, markdown
from saccade.agents.evaluate import Evaluation, evaluate
from saccade.agents.rollout import rollout
from saccade.agents.row import Row
from saccade.agents.runs import RunFolder
from saccade.agents.soft.base import SoftNetwork
from saccade.agents.soft.classifier import classifier_of
from saccade.envs.sensors import fixation_to_pixel


def slow(grid, box):
    """Energy, IoU and pointing of one map, pixel by pixel."""
    height, width = grid.shape
    pixels = [(y, x) for y in range(height) for x in range(width)]
    values = {place: float(grid[place]) for place in pixels}
    if not any(values.values()):
        values = dict.fromkeys(pixels, 1.0)
    inside = {(y, x) for y, x in pixels if box[0] <= x < box[2] and box[1] <= y < box[3]}
    largest = max(values.values())
    region = {place for place in pixels if values[place] >= largest / 2}
    peaks = {place for place in pixels if values[place] == largest}
    return (
        sum(values[place] for place in inside) / sum(values.values()),
        len(region & inside) / len(region | inside),
        len(peaks & inside) / len(peaks),
    )


@st.composite
def looked_at(draw):
    """Maps with many ties, some of them empty, and boxes that may reach over the edge."""
    count, height, width = (
        draw(st.integers(1, 4)),
        draw(st.integers(2, 6)),
        draw(st.integers(2, 7)),
    )
    seed = draw(st.integers(0, 2**31))
    rng = np.random.default_rng(seed)
    maps = rng.integers(0, draw(st.integers(1, 5)), (count, height, width)) / 4
    low = rng.integers(-1, (width - 1, height - 1), (count, 2))
    high = np.maximum(low + rng.integers(1, 4, (count, 2)), 1)
    return maps.astype(np.float32), np.concatenate((low, high), 1).astype(np.float32)


@given(looked_at())
def test_the_measures_are_what_they_say(case):
    maps, boxes = case
    for n in range(len(maps)):
        found = [kind(maps, boxes)[n] for kind in (attention.energy, attention.iou)]
        found.append(attention.pointing(maps, boxes)[n])
        assert found == pytest.approx(slow(maps[n], boxes[n]))


def test_scenes_that_are_all_target_are_passed_over():
    maps = np.zeros((3, 4, 4), np.float32)
    maps[:, 0, 0] = 1
    boxes = np.array([[0, 0, 4, 4], [0, 0, 2, 2], [2, 2, 4, 4]], np.float32)
    tally = attention.Tally()
    tally.add(maps[:2], boxes[:2])
    tally.add(maps[2:], boxes[2:])
    assert tally.means() == {"energy": 0.5, "iou": (0.25 + 0) / 2, "pointing": 0.5}
    empty = attention.Tally()
    empty.add(maps[:1], boxes[:1])
    assert all(math.isnan(value) for value in empty.means().values())
    assert attention.priors(boxes[:1], 4, 4) == {}


def test_priors_of_boxes_made_by_hand():
    corner = np.array([[0, 0, 4, 4]], np.float32)  # the centred box is 3 to 7: it shares 1 pixel
    found = attention.priors(corner, 10, 10)
    assert found["centre"] == pytest.approx({"energy": 1 / 16, "iou": 1 / 31, "pointing": 0})
    assert found["uniform"] == pytest.approx({"energy": 0.16, "iou": 0.16, "pointing": 0.16})

    middle = np.array([[3, 3, 7, 7], [0, 0, 10, 10]], np.float32)  # the second does not count
    found = attention.priors(middle, 10, 10)
    assert found["centre"] == pytest.approx({"energy": 1, "iou": 1, "pointing": 1})

    wide = np.array([[6, 2, 10, 4]], np.float32)  # 4 x 2 in 12 x 6: centred 4 to 8, 2 to 4
    found = attention.priors(wide, 6, 12)
    assert found["centre"] == pytest.approx({"energy": 0.5, "iou": 4 / 12, "pointing": 1})
    assert found["uniform"]["energy"] == pytest.approx(8 / 72)


def test_path_maps_count_the_finest_patches():
    rng = np.random.default_rng(0)
    fixations = rng.uniform(-1, 1, (3, 5, 2)).astype(np.float32)
    fixations[1, 3:] = np.nan
    height, width, size = 7, 11, 4
    expected = np.zeros((3, height, width))
    for n, path in enumerate(fixations):
        path = path[~np.isnan(path[:, 0])]
        lefts = fixation_to_pixel(path[:, 0], width) - size // 2
        tops = fixation_to_pixel(path[:, 1], height) - size // 2
        for left, top in zip(lefts, tops, strict=True):
            expected[n, max(top, 0) : top + size, max(left, 0) : left + size] += 1
    found = attention.path_maps(fixations, height, width, size)
    np.testing.assert_array_equal(found, expected)
    boxes = np.tile(np.array([[2, 1, 6, 5]], np.float32), (3, 1))
    means = attention.of_paths(fixations, boxes, height=height, width=width, size=size)
    reference = np.mean([slow(grid, boxes[0]) for grid in expected], axis=0)
    assert list(means.values()) == pytest.approx(list(reference))


def test_where_the_target_moves_maps_are_as_seen_from_it():
    rng = np.random.default_rng(1)
    height, width, size = 9, 12, 4
    fixations = rng.uniform(-1, 1, (4, 5, 2)).astype(np.float32)
    low = rng.integers(0, (8, 5), (4, 5, 2))
    boxes = np.concatenate([low, low + np.array([4, 3])], axis=2).astype(np.float32)
    fixations[1, 3:] = boxes[1, 3:] = np.nan
    around = 20
    expected = []
    for path, places in zip(fixations, boxes, strict=True):
        grid = np.zeros((height + 2 * around, width + 2 * around))
        x0, y0 = places[0, :2].astype(int)
        for t in np.flatnonzero(np.isfinite(path[:, 0])):
            seen = attention.path_maps(path[None, t : t + 1], height, width, size)[0]
            x, y = places[t, :2].astype(int)
            for row, column in np.argwhere(seen):
                grid[row - y + y0 + around, column - x + x0 + around] += 1
        expected.append(slow(grid, places[0] + around))
    found = attention.of_paths(fixations, boxes, height=height, width=width, size=size)
    np.testing.assert_allclose(list(found.values()), np.mean(expected, axis=0), rtol=1e-6)
    # One that stays where it is: as if it could not move.
    still = np.repeat(boxes[:, :1], 5, axis=1)
    sizes = {"height": height, "width": width, "size": size}
    assert attention.of_paths(fixations, still, **sizes) == attention.of_paths(
        fixations, still[:, 0], **sizes
    )
    assert attention.priors(still, height, width) == attention.priors(still[:, 0], height, width)
    moments = boxes[np.isfinite(boxes[..., 0])]
    assert attention.priors(boxes, height, width) == attention.priors(moments, height, width)


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_what_is_no_map_is_refused(bad):
    boxes = np.array([[0, 0, 1, 1]])
    with pytest.raises(ValueError, match="negative or not finite"):
        attention.energy(np.full((1, 2, 2), bad), boxes)
    with pytest.raises(ValueError, match="boxes"):
        attention.iou(np.ones((2, 2, 2)), boxes)


class Centre:
    """Looks at the middle and answers 0."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        lanes = len(observation["fixation"])
        return {"fixation": np.zeros((lanes, 2), np.float32), "answer": np.zeros(lanes, int)}, None


@pytest.mark.parametrize("env_id", ["saccade/TranslatedDigits-v0", "saccade/Digits-v0"])
def test_every_gaze_is_measured_unless_the_target_is_the_whole_image(env_id):
    def make(split):
        return gymnasium.make_vec(
            env_id, num_envs=64, split=split, action="dict", size=8, autoreset_mode="Disabled"
        )

    rows = evaluate(Centre(), make, "validation")
    measured = env_id != "saccade/Digits-v0"
    for row in rows:
        assert row.attention_map == "glimpses"
        assert all(math.isfinite(value) == measured for value in row.attention.values())
        assert json.dumps(row.as_dict(), allow_nan=False)
    if measured:
        by_name = {row.name: row.attention for row in rows}
        assert by_name["centre"]["energy"] > by_name["random"]["energy"]
        assert Row.from_dict(rows[0].as_dict()) == rows[0]


class Marked(SoftNetwork):
    """Blind, and says that it looked at the first pixel."""

    mapped = True

    def __init__(self, image_shape, classes):
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(classes))

    def forward(self, images):
        return self.scores.expand(len(images), -1)

    def attention(self, images):
        first = torch.zeros(len(images), *images.shape[2:])
        first[:, 0, 0] = 1
        return {"first pixel": first} if self.mapped else {}


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("env_id", ["saccade/TranslatedDigits-v0", "saccade/Digits-v0"])
def test_a_classifier_is_measured_by_its_map(env_id, mapped, monkeypatch):
    monkeypatch.setattr(Marked, "mapped", mapped)
    env = gymnasium.make_vec(
        env_id,
        num_envs=100,
        split="validation",
        action="dict",
        glimpses=1,
        reveal=("image",),
        autoreset_mode="Disabled",
    )
    learner = classifier_of(Marked)(env)
    boxes = rollout(learner, env).boxes[:, 0]
    height, width, _ = env.unwrapped.image_shape
    (row,) = evaluate(learner, lambda split: env, "validation")
    found = Evaluation(
        env_id, "validation", 180, 180, "best", (row,), attention.priors(boxes, height, width)
    )
    page = found.markdown()
    if env_id == "saccade/Digits-v0":
        assert "not measured, as the target's box is the whole image" in page
        assert math.isnan(row.attention["energy"])
        return
    assert "### Where attention lands" in page and "| centre prior" in page
    if mapped:
        hit = ((boxes[:, 0] <= 0) & (boxes[:, 1] <= 0)).mean()
        assert row.attention["energy"] == row.attention["pointing"] == pytest.approx(hit)
        assert row.attention_map == "first pixel" and "first pixel" in page
    else:
        assert row.attention_map == "" and math.isnan(row.attention["iou"])


def forget(run):
    """Make a run's evaluation one from before attention was measured."""
    folder = RunFolder.open(run)
    stored = folder.metrics()["evaluations"]
    for entry in stored.values():
        del entry["priors"]
        for row in entry["rows"]:
            del row["attention"], row["attention_map"]
    folder.update_metrics({"evaluations": stored})


def test_the_comparison_shows_it_beside_the_priors(run):
    found = compare([run])
    (section,) = found.sections
    row = section.groups[0].learned
    page = markdown(found)
    for name, line in (
        ("ram", row.attention),
        *((f"{n} prior", p) for n, p in section.priors.items()),
    ):
        shown = [f"{100 * line[measure]:.1f}%" for measure in attention.MEASURES]
        (cells,) = [
            [cell.strip() for cell in text.strip("|").split("|")]
            for text in page.splitlines()
            if text.startswith(f"| {name} ") and shown[0] in text and "%" in text.split("|")[-2]
        ]
        assert cells[2:] == shown
    for line in csv.DictReader(comma_separated(found).splitlines()):
        gaze = section.groups[0].rows[line["gaze"]]
        assert float(line["energy"]) == gaze.attention["energy"]
        assert line["attention_map"] == "glimpses"
        assert float(line["centre_iou"]) == section.priors["centre"]["iou"]
        assert float(line["uniform_pointing"]) == section.priors["uniform"]["pointing"]


def test_an_evaluation_from_before_is_compared_as_it_is(run, capsys):
    first = compare([run])
    forget(run)
    capsys.readouterr()
    found = compare([run])
    assert "evaluating" not in capsys.readouterr().err
    row = found.groups[0].learned
    assert row.error == first.groups[0].learned.error
    assert all(math.isnan(value) for value in row.attention.values())
    page = markdown(found)
    assert "was not yet measured when run was evaluated" in page
    assert "*centre prior*: a box" not in page and "| IoU" not in page
    assert next(csv.DictReader(comma_separated(found).splitlines()))["energy"] == ""
    assert main(["evaluate", str(run), "--placements", "2"]) == 0
    assert compare([run]).groups[0].learned.attention == first.groups[0].learned.attention
