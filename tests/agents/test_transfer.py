"""Trained runs on other values of one keyword: what is measured, written and refused."""

import csv
import io
import shutil

import numpy as np
import pytest
from PIL import Image

from saccade.agents import transfer as module
from saccade.agents.cli import main
from saccade.agents.config import load_resolved
from saccade.agents.environments import make_env
from saccade.agents.evaluate import load_policy
from saccade.agents.rollout import rollout
from saccade.agents.runs import RunFolder


@pytest.fixture(scope="module")
def found(trained):
    return module.transfer([trained], "canvas", [36, 44])


def test_the_value_trained_on_gives_the_evaluation_again(trained, found):
    (line,) = found.lines
    assert [point.trained for point in line.points] == [True, False]
    run = RunFolder.open(trained)
    config, policy, _ = load_policy(run)
    env = make_env(config, "validation", placements=2)
    assert line.points[0].error.estimate == pytest.approx(1 - rollout(policy, env).success.mean())
    wide = load_resolved(run.config)
    env = make_env(wide, "validation", placements=2, canvas=44)
    assert line.points[1].error.estimate == pytest.approx(1 - rollout(policy, env).success.mean())


def test_a_glimpse_model_costs_the_same_on_any_canvas(found):
    first, second = found.lines[0].points
    assert first.cost.multiply_adds == second.cost.multiply_adds > 0


def test_seeds_of_one_config_are_one_line(trained, found, tmp_path):
    other = shutil.copytree(trained, tmp_path / "other")
    text = (other / "config.yaml").read_text().replace("seed: 0", "seed: 1")
    (other / "config.yaml").write_text(text)
    (line,) = module.transfer([trained, other], "canvas", [44]).lines
    assert line.seeds == 2
    alone = found.lines[0].points[1].error.estimate
    assert line.points[0].error.estimate == pytest.approx(alone)


def test_the_command_writes_page_numbers_and_figure_and_replaces_its_own(trained, tmp_path, capsys):
    output = tmp_path / "out"
    command = ["transfer", str(trained), "--vary", "canvas", "36", "44", "--output", str(output)]
    assert main(command) == 0
    assert "canvas 44" in capsys.readouterr().out
    assert main(command) == 0
    rows = list(csv.DictReader(io.StringIO((output / "transfer.csv").read_text())))
    assert [row["canvas"] for row in rows] == ["36", "44"]
    assert (output / "transfer.md").read_text().startswith(module.OWN)
    picture = np.asarray(Image.open(output / "transfer.png").convert("L"))
    assert picture.std() > 10


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["canvas"], "--vary canvas: give values"),
        (["canvass", "60"], "has no keyword 'canvass'; did you mean 'canvas'?"),
        (["canvas", "wide"], "'env.canvas' must be"),
        (["canvas", "8"], "take a canvas at least as large"),
    ],
)
def test_mistakes_are_one_line(trained, capsys, tmp_path, words, message):
    output = tmp_path / "out"
    assert main(["transfer", str(trained), "--output", str(output), "--vary", *words]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.split(";")[0] in said
    assert not output.exists()


def test_files_of_others_are_not_overwritten(trained, tmp_path, capsys):
    (tmp_path / "transfer.csv").write_text("mine")
    command = ["transfer", str(trained), "--vary", "canvas", "44", "--output", str(tmp_path)]
    assert main(command) == 2
    assert "did not write" in capsys.readouterr().err
    assert (tmp_path / "transfer.csv").read_text() == "mine"
