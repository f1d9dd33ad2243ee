"""Runs side by side: what is one row, which numbers stand in it, what is written and refused."""

import csv
import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

from saccade.agents import compare as module
from saccade.agents import stats
from saccade.agents.cli import main
from saccade.agents.compare import compare
from saccade.agents.comparison import comma_separated, markdown
from saccade.agents.evaluate import Row
from saccade.agents.groups import pool
from saccade.agents.runs import RunFolder


def variant(source, target, **changes):
    """A copy of a run whose config says something else of keys such as env__glimpses."""
    shutil.copytree(source, target)
    config = yaml.safe_load((target / "config.yaml").read_text())
    for dotted, value in changes.items():
        *parents, last = dotted.split("__")
        place = config
        for parent in parents:
            place = place[parent]
        place[last] = value
    (target / "config.yaml").write_text(yaml.safe_dump(config))
    return target


@pytest.fixture(scope="module")
def evaluated(trained, tmp_path_factory):
    """Two seeds, one run with fewer glimpses and one on another canvas, all evaluated; not to be
    changed."""
    root = tmp_path_factory.mktemp("compared")
    runs = [
        variant(trained, root / "seed-0"),
        variant(trained, root / "seed-1", seed=1, train__threads=2, name="other"),
        variant(trained, root / "short", env__glimpses=2),
        variant(trained, root / "wide", env__canvas=40),
    ]
    compare(runs)
    return root


@pytest.fixture
def runs(evaluated, tmp_path):
    """A copy of them in `runs`, to be changed."""
    return shutil.copytree(evaluated, tmp_path / "runs")


def listed(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def row(error, behind=None, first=1.0):
    interval = stats.Interval(error, error / 2, error * 2)
    path = {"on_target": error, "first_on_target": first}
    gap = None if behind is None else stats.Interval(behind, 0, 1)
    return Row("learned", interval, interval, 6, 384, path, gap)


def test_seeds_of_one_config_are_one_row_and_each_environment_has_its_own(runs):
    found = compare(sorted(runs.iterdir()))
    assert [section.title for section in found.sections] == [
        "saccade/TranslatedDigits-v0, canvas=36",
        "saccade/TranslatedDigits-v0, canvas=40",
    ]
    first, second = found.sections
    assert [(group.label, len(group.seeds)) for group in first.groups] == [
        ("ram, env.glimpses=3", 2),
        ("ram, env.glimpses=2", 1),
    ]
    assert [group.label for group in second.groups] == ["ram"]
    assert first.groups[1].learned.sensor_values < first.groups[0].learned.sensor_values


def test_where_much_differs_the_runs_names_tell_rows_apart(runs):
    renamed = {"env__glimpses": 2, "env__first_fixation": "center", "train__eval_freq": 7}
    variant(runs / "seed-0", runs / "far", name="far", **renamed)
    found = compare([runs / "seed-0", runs / "far"])
    name = yaml.safe_load((runs / "seed-0" / "config.yaml").read_text())["name"]
    assert [group.label for group in found.groups] == [f"ram ({name})", "ram (far)"]


def test_over_seeds_intervals_are_students():
    errors = [0.22, 0.25, 0.23]
    pooled = pool("ram", [row(error, behind=error + 0.1) for error in errors])
    assert pooled.error == pytest.approx(stats.student_t(errors))
    assert pooled.behind == pytest.approx(stats.student_t(np.add(errors, 0.1)))
    assert pooled.scanpath["on_target"] == pytest.approx(np.mean(errors))
    assert pool("ram", [row(0.0), row(0.3)]).error.low == 0  # no share is below it


def test_what_a_task_reports_is_pooled_as_its_error_is():
    told = [{"share": stats.Interval(value, 0, 1)} for value in (0.4, 0.6, 0.5)]
    rows = [dataclasses.replace(row(0.2), reports=one) for one in told]
    assert pool("ram", rows).reports["share"] == pytest.approx(stats.student_t([0.4, 0.6, 0.5]))
    assert pool("ram", rows[:1]).reports == told[0]
    assert pool("ram", [rows[0], row(0.2)]).reports == {}  # of a run evaluated before


def test_one_seed_keeps_its_own_interval_and_a_measure_may_be_missing():
    assert pool("ram", [row(0.02)]).error == row(0.02).error
    some = pool("ram", [row(0.02, first=float("nan")), row(0.02, first=2.0)])
    assert some.scanpath["first_on_target"] == 2.0


def test_a_stored_evaluation_is_used_while_it_is_of_the_best_checkpoint(runs, monkeypatch):
    asked = []
    plain = module.evaluate_run
    monkeypatch.setattr(
        module,
        "evaluate_run",
        lambda run, *a, **k: (asked.append(run.path.name), plain(run, *a, **k))[1],
    )
    paths = [runs / "seed-0", runs / "seed-1"]
    stored = json.loads((runs / "seed-0" / "metrics.json").read_text())["evaluations"]
    found = compare(paths)
    assert not asked
    assert found.groups[0].seeds[0].rows["random"].error == pytest.approx(
        stored["validation"]["rows"][1]["error"]
    )
    compare(paths, placements=1)
    assert asked == ["seed-0", "seed-1"]
    (runs / "seed-1" / "checkpoints" / "best.pt").unlink()
    compare(paths, placements=1)
    assert asked == ["seed-0", "seed-1", "seed-1"]
    compare(paths, "test", placements=1)
    assert asked[3:] == ["seed-0", "seed-1"]
    assert set(RunFolder.open(runs / "seed-0").metrics()["evaluations"]) == {"validation", "test"}


def test_all_runs_of_an_environment_are_measured_on_the_same_scenes(runs):
    variant(runs / "seed-0", runs / "many", train__eval_placements=3, env__glimpses=4)
    found = compare([runs / "seed-0", runs / "many"])
    assert {seed.scenes for group in found.groups for seed in group.seeds} == {540}


def test_the_csv_holds_every_number_of_the_tables(runs):
    found = compare([runs / "seed-0", runs / "seed-1", runs / "short"])
    lines = list(csv.DictReader(comma_separated(found).splitlines()))
    assert [(line["agent"], line["gaze"]) for line in lines] == [
        (group.label, gaze) for group in found.groups for gaze in group.rows
    ]
    first = found.groups[0]
    assert float(lines[0]["error_high"]) == first.learned.error.high
    assert float(lines[1]["behind"]) == first.rows["random"].behind.estimate
    assert lines[0]["seeds"] == "0 1" and lines[0]["behind"] == ""
    assert int(lines[0]["parameters"]) == first.cost.parameters
    page = markdown(found)
    for line in lines[::4]:
        assert f"{100 * float(line['error']):.2f} (" in page
        assert f"{float(line['multiply_adds']):,.0f}" in page


def test_tables_fit_a_terminal(runs):
    page = markdown(compare([runs / "seed-0", runs / "seed-1", runs / "short"]))
    assert max(len(line) for line in page.splitlines() if line.startswith("|")) <= 110


def test_what_sees_more_than_glimpses_is_marked(runs):
    variant(runs / "seed-0", runs / "shown", env__reveal=["box"])
    page = markdown(compare([runs / "seed-0", runs / "shown"]))
    assert re.search(r"^\| ram, env.reveal=\('box',\) † ", page, re.MULTILINE)
    assert "**is shown the target's box** beside its glimpses" in page


def test_a_run_that_has_not_finished_is_named(runs):
    folder = RunFolder.open(runs / "seed-1")
    folder.update_metrics({"finished": False})
    page = markdown(compare([runs / "seed-0", runs / "seed-1"]))
    assert "training has not finished in seed-1" in page


def test_the_command_writes_beside_the_runs_and_may_be_repeated(runs, capsys):
    pytest.importorskip("matplotlib")
    for _ in range(2):  # the second time over its own files
        assert main(["compare", *map(str, sorted(runs.iterdir()))]) == 0
        out, err = capsys.readouterr()
        assert out.startswith("# Comparison on validation") and "Written: " in err
    assert "compare: a comparison, not a run: passed over" in err
    folder = runs / "compare"
    names = {"compare.md", "compare.csv", "error-vs-pixels.png", "curves.png"}
    assert {file.name for file in folder.iterdir()} == names
    assert out.strip().split("*ms*")[0] in (folder / "compare.md").read_text()
    for name in ("error-vs-pixels.png", "curves.png"):
        with Image.open(folder / name) as picture:
            assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 20


def test_without_events_the_curves_leave_a_run_out_and_say_so(runs, capsys):
    pytest.importorskip("matplotlib")
    for file in runs.glob("seed-*/events*"):
        file.unlink()
    both = ["compare", str(runs / "seed-0"), str(runs / "seed-1")]
    assert main(both) == 0
    assert capsys.readouterr().err.count("no learning curves in it") == 2
    assert not (runs / "compare" / "curves.png").exists()
    assert main([*both, str(runs / "short")]) == 0
    assert (runs / "compare" / "curves.png").exists()


def test_files_of_others_are_not_overwritten(runs, tmp_path, capsys):
    output = tmp_path / "mine"
    output.mkdir()
    (output / "compare.csv").write_text("precious")
    assert main(["compare", str(runs / "seed-0"), "--output", str(output)]) == 2
    assert "did not write" in capsys.readouterr().err
    assert [file.name for file in output.iterdir()] == ["compare.csv"]
    assert (output / "compare.csv").read_text() == "precious"
    page = tmp_path / "page.html"
    page.write_text("<html>mine</html>")
    pytest.importorskip("matplotlib")
    assert main(["report", str(runs / "seed-0"), "--output", str(page)]) == 2
    assert "no report" in capsys.readouterr().err and page.read_text() == "<html>mine</html>"


def test_without_matplotlib_there_are_tables_and_a_line_that_says_what_to_install(
    runs, monkeypatch, capsys
):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    assert main(["compare", str(runs / "seed-0")]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("# Comparison") and 'pip install "saccade[report]"' in err
    assert {file.name for file in (runs / "compare").iterdir()} == {"compare.md", "compare.csv"}
    assert main(["report", str(runs / "seed-0")]) == 2
    err = capsys.readouterr().err
    assert 'pip install "saccade[report]"' in err and err.count("\n") == 1


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def spoil_evaluations(run):
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["evaluations"]["validation"]["rows"] = [{"name": "learned"}]
    (run / "metrics.json").write_text(json.dumps(metrics))


SPOILT = {
    "no folder": (lambda run: shutil.rmtree(run), "no such run folder"),
    "no config": (lambda run: (run / "config.yaml").unlink(), "config.yaml"),
    "a config cut short": (lambda run: cut(run / "config.yaml"), "config.yaml"),
    "no metrics": (lambda run: (run / "metrics.json").unlink(), "no metrics.json"),
    "metrics cut short": (lambda run: cut(run / "metrics.json"), "metrics.json"),
    "an empty evaluation": (spoil_evaluations, "evaluations.validation is damaged"),
    "no checkpoint": (lambda run: shutil.rmtree(run / "checkpoints"), "best.pt nor"),
    "a checkpoint cut short": (lambda run: cut(run / "checkpoints" / "best.pt"), "best.pt"),
    "an empty checkpoint": (lambda run: cut(run / "checkpoints" / "best.pt", 0), "best.pt"),
}


@pytest.mark.parametrize("command", ["compare", "report"])
@pytest.mark.parametrize(("spoil", "message"), SPOILT.values(), ids=SPOILT.keys())
def test_a_spoilt_run_is_one_line_and_nothing_is_written(runs, capsys, command, spoil, message):
    if command == "report":
        pytest.importorskip("matplotlib")
    spoil(runs / "seed-1")
    before = listed(runs)
    assert main([command, str(runs / "seed-0"), str(runs / "seed-1")]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("saccade: ") and message in err and err.count("\n") == 1 and not out
    assert listed(runs) == before


def test_a_config_cut_between_two_lines_is_noticed(runs, capsys):
    config = runs / "seed-1" / "config.yaml"
    text = yaml.safe_dump({**yaml.safe_load(config.read_text())}, sort_keys=False)
    config.write_text(text[: text.index("seed:")])
    assert main(["compare", str(runs / "seed-1")]) == 2
    assert "is cut short" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["seed-0", "seed-0"], "given twice"),
        (["seed-0", "copy"], "the same config and seed 0"),
        (["compare"], "no run to compare"),
    ],
)
def test_what_cannot_be_compared(runs, capsys, names, message):
    shutil.copytree(runs / "seed-0", runs / "copy")
    (runs / "compare").mkdir()
    (runs / "compare" / "compare.md").write_text(module.OWN)
    assert main(["compare", *(str(runs / name) for name in names)]) == 2
    assert message in capsys.readouterr().err


def test_an_event_file_cut_short_still_gives_its_beginning(runs):
    from saccade.agents.curves import read_scalars

    whole = read_scalars(runs / "seed-0", ["eval/error", "rollout/ep_rew_mean", "no/such"])
    assert set(whole) == {"eval/error", "rollout/ep_rew_mean"}
    np.testing.assert_array_equal(whole["eval/error"][:, 0], [1200, 2400])
    (file,) = (runs / "seed-0").glob("events*")
    cut(file, 0.6)
    part = read_scalars(runs / "seed-0", ["eval/error"])
    np.testing.assert_array_equal(part["eval/error"], whole["eval/error"][:1])
    file.write_bytes(b"nothing that TensorBoard knows" * 10)
    assert read_scalars(runs / "seed-0", ["eval/error"]) == {}


def test_a_gaze_that_moved_the_eye_in_training_is_the_row_and_is_named(run, tmp_path, capsys):
    """The first row of such a run is its gaze's, and one that is told more is marked."""
    gazes = []
    for name in ("raster", "oracle"):
        folder = variant(run, tmp_path / name, env__gaze=name, agent__location_weight=0)
        metrics = json.loads((folder / "metrics.json").read_text())
        metrics.pop("evaluations", None)
        (folder / "metrics.json").write_text(json.dumps(metrics))
        gazes.append(folder)
    found = compare([*gazes, run])
    assert [(group.label, group.own, group.sees) for group in found.groups] == [
        ("ram, raster gaze", "raster", ""),
        ("ram, oracle gaze", "oracle", "the target's box"),
        ("ram", "learned", ""),
    ]
    assert found.groups[0].learned.error == found.groups[0].rows["raster"].error
    page = markdown(found)
    assert "the raster gaze" in page and "| ram, oracle gaze †" in page
    assert main(["compare", *map(str, gazes), "--output", str(tmp_path / "out")]) == 0
    assert main(["report", *map(str, gazes), "--output", str(tmp_path / "a.html")]) == 0
