"""A paper's tables filled in: what is found, trained, resumed, measured once and written."""

import json
import os
import re
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
import yaml

from killing import begin, interrupted
from saccade.agents import reproduce as module
from saccade.agents import stats
from saccade.agents.cells import INDEX, read_index
from saccade.agents.cli import main
from saccade.agents.errors import UserError
from saccade.agents.groups import read_seed
from saccade.agents.reproduction import lead, markdown
from saccade.agents.row import unpacked
from saccade.agents.runs import RunFolder
from saccade.agents.train import train

TINY = {
    "env": {"id": "saccade/Digits-v0", "glimpses": 3},
    "agent": {"name": "ram", "num_envs": 16, "paths": 2, "hidden": 16},
    "train": {"total_timesteps": 960, "eval_freq": 480, "threads": 1, "picture_images": 0},
}
CELLS = {
    "ram_3": TINY,
    "ram_3_random": {
        "base": "ram_3.yaml",
        "env": {"gaze": "random"},
        "agent": {"paths": 1, "location_weight": 0},
    },
    "fc": {
        "env": {"id": "saccade/Digits-v0"},
        "agent": {"name": "fc", "num_envs": 32},
        "train": {"total_timesteps": 640, "eval_freq": 320, "threads": 1, "picture_images": 0},
    },
}
TABLES = {
    "title": "Small digits",
    "source": "Nobody 2014",
    "about": "What is not reached, and why.",
    "published": ["proceedings", "preprint"],
    "tables": [
        {
            "name": "digits",
            "title": "Digits, 8x8",
            "about": "One scale.",
            "rows": [
                {"config": "fc", "label": "FC", "published": [0.01, "1.5?"], "note": "too small"},
                {"config": "ram_3", "label": "RAM, 3 glimpses", "published": [99.5, None]},
                {
                    "config": "ram_3_random",
                    "label": "RAM, 3 random glimpses",
                    "published": [None, None],
                    "control_of": "ram_3",
                },
            ],
            "claims": [
                {"error": 2.5},
                {"error": 0.5, "says": "chosen on test", "row": "ram_3"},
            ],
        }
    ],
}


def folder_of(path, tables=TABLES, cells=CELLS):
    path.mkdir()
    for name, document in cells.items():
        (path / f"{name}.yaml").write_text(yaml.safe_dump(document))
    text = tables if isinstance(tables, str) else yaml.safe_dump(tables)
    (path / INDEX).write_text(text)
    return path


@pytest.fixture
def folder(tmp_path):
    return folder_of(tmp_path / "paper")


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """All cells trained by the command, two seeds each; not to be changed."""
    root = tmp_path_factory.mktemp("filled")
    folder = folder_of(root / "paper")
    command = ["reproduce", str(folder), "--runs", str(root / "runs"), "--seeds", "2"]
    assert main([*command, "--jobs", "2", "--to", str(root / "page.md")]) == 0
    return root


def stages(folder, runs, seeds=1):
    index = read_index(folder)
    found = module.runs_of(index, runs)
    return {place.label: place.stage for place in module.places(index, found, seeds)}


def test_the_page_has_every_row_beside_the_published_figures(filled):
    page = (filled / "page.md").read_text()
    assert "3 of 3 rows are filled" in page and "\nWhat is not reached, and why.\n" in page
    assert f"saccade reproduce {filled / 'paper'} --seeds 2 --to {filled / 'page.md'}" in page
    rows = {
        cells[0]: cells[1:]
        for line in page.split("## Digits")[1].splitlines()
        if line.startswith("| ")
        for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
        if len(cells) == 7 and cells[2] == "2"
    }
    assert rows["FC"][1:] == ["2", "-", "0.01", "1.5?", "-"]  # it has no paths to average
    assert rows["RAM, 3 glimpses"][3:] == ["99.50", "-", "0.5 (chosen on test)"]
    assert rows["RAM, 3 random glimpses"][2:] == ["-", "-", "-", "-"]
    metrics = [json.loads(file.read_text()) for file in filled.glob("runs/ram_3-*/metrics.json")]
    for column, read in (
        (0, lambda entry: entry["rows"][0]["error"]),
        (2, lambda entry: entry["averaged"]["error"]),
    ):
        errors = [100 * read(one["evaluations"]["test"])[0] for one in metrics]
        estimate, low, high = map(float, re.findall(r"[\d.]+", rows["RAM, 3 glimpses"][column]))
        told = stats.student_t(errors)
        assert (estimate, low, high) == pytest.approx(
            (told.estimate, max(told.low, 0), min(told.high, 100)), abs=0.006
        )


def test_the_page_says_what_looking_is_worth_and_where_it_is_not(filled):
    page = (filled / "page.md").read_text()
    assert "What looking is worth here: RAM, 3 glimpses is wrong on" in page
    assert "RAM, 3 random glimpses, trained so from the beginning, is wrong on" in page
    assert "Against proceedings: below its figure in 1 of 2 rows filled here; not in FC (" in page
    assert "say of themselves: 0.5 (chosen on test) at best; others 2.5" in page
    assert "- FC: too small" in page and "No finished run" not in page
    # Two barely trained seeds tell nothing apart, which the page has to say.
    assert re.search(r"RAM, 3 glimpses: \*\*.* not told apart from the learned gaze here", page)


def test_seeds_pair_and_of_one_pair_the_images_do(filled):
    index = read_index(filled / "paper")
    groups = module.groups_of(index, module.runs_of(index, filled / "runs"))
    learned, control = groups["ram_3"], groups["ram_3_random"]
    rights = [
        [unpacked(seed.rows[group.own].right, seed.scenes) for seed in group.seeds]
        for group in (control, learned)
    ]
    behind = [np.mean(~one) - np.mean(~other) for one, other in zip(*rights, strict=True)]
    assert lead(control, learned) == pytest.approx(stats.student_t(behind))
    alone = module.group_of("alone", control.seeds[1:], control.cost)
    scenes = ~rights[0][1], ~rights[1][1]
    assert lead(alone, learned) == pytest.approx(stats.paired_bootstrap(*scenes))
    other = module.group_of("other", learned.seeds[:1], learned.cost)
    assert lead(alone, other) is None  # no seed in common


def test_what_is_done_is_done_once(filled, monkeypatch, tmp_path):
    runs = shutil.copytree(filled / "runs", tmp_path / "runs")
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}

    def never(*args, **keywords):
        raise AssertionError("nothing is left to do")

    monkeypatch.setattr(module, "evaluate_run", never)
    monkeypatch.setattr(module, "side_by_side", never)
    command = ["reproduce", str(filled / "paper"), "--runs", str(runs), "--seeds", "2"]
    assert main([*command, "--to", str(tmp_path / "page.md")]) == 0
    after = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    assert before == after
    pages = [root / "page.md" for root in (tmp_path, filled)]
    one, other = (page.read_text().replace(str(page), "") for page in pages)
    assert one == other


def test_a_run_is_known_by_its_recipe_and_seed(filled, folder, tmp_path):
    """Names, devices and threads do not matter; another hyperparameter does."""
    (source,) = filled.glob("runs/ram_3-0-*")
    runs = tmp_path / "runs"
    for name, key, value in (("threads", "threads", 2), ("steps", "total_timesteps", 961)):
        config = yaml.safe_load((source / "config.yaml").read_text())
        config["name"], config["train"][key] = name, value
        shutil.copytree(source, runs / name)
        (runs / name / "config.yaml").write_text(yaml.safe_dump(config))
    (runs / "broken").mkdir()
    (runs / "broken" / "config.yaml").write_text("env: [")
    index = read_index(folder)
    found = module.runs_of(index, runs)
    assert [one.run.path.name for one in found["ram_3"].values()] == ["threads"]
    assert found["fc"] == found["ram_3_random"] == {}
    assert stages(folder, runs)["ram_3-0"] == "measured"
    (runs / "threads" / "metrics.json").write_text('{"finished": true, "timesteps": 960}')
    assert stages(folder, runs)["ram_3-0"] == "trained"


def test_only_some_cells_and_the_rest_is_shown_empty(folder, tmp_path, capsys):
    runs = tmp_path / "runs"
    command = ["reproduce", str(folder), "--runs", str(runs)]
    assert main([*command, "--only", "f?", "--list"]) == 0
    assert capsys.readouterr().out.count("missing") == 1 and not runs.exists()
    assert main([*command, "--only", "f?"]) == 0
    assert stages(folder, runs) == {
        "fc-0": "measured",
        "ram_3-0": "missing",
        "ram_3_random-0": "missing",
    }
    page = (runs / "paper.md").read_text()
    assert "1 of 3 rows are filled" in page
    assert "empty here: RAM, 3 glimpses; RAM, 3 random glimpses." in page
    capsys.readouterr()
    assert main([*command, "--only", "ram_4"]) == 2
    assert "--only ram_4: fits no cell, did you mean 'ram_3'?" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_stopped_in_the_middle_it_goes_on_to_the_same_figures(tmp_path, filled):
    cells = {"ram_3": {**TINY, "train": {**TINY["train"], "total_timesteps": 48_000}}}
    tables = {"title": "x", "tables": [{**TABLES["tables"][0], "claims": []}]}
    tables["tables"][0]["rows"] = [{"config": "ram_3", "label": "RAM"}]
    folder, runs = folder_of(tmp_path / "paper", tables, cells), tmp_path / "runs"
    command = ["reproduce", str(folder), "--runs", str(runs), "--seeds", "2", "--jobs", "1"]
    ended, rest = interrupted(begin(*command), signal.SIGTERM)
    assert ended == 143, rest
    assert "Not begun: ram_3-1" in rest and "The same command goes on." in rest
    assert not (runs / "paper.md").exists()
    now = stages(folder, runs, seeds=2)
    assert now["ram_3-0"].endswith("% trained") and now["ram_3-1"] == "missing"
    assert main(command) == 0
    assert set(stages(folder, runs, seeds=2).values()) == {"measured"}
    assert len(list(runs.glob("ram_3-*"))) == 2  # it went on in the folder that was there
    whole = train(read_index(folder).cells[0].config, tmp_path / "whole").run
    (stopped,) = runs.glob("ram_3-0-*")
    best = json.loads((stopped / "metrics.json").read_text())["best"]
    assert whole.metrics()["best"] == best


def test_a_cell_that_fails_is_told_and_the_others_are_filled(folder, tmp_path, capfd):
    config = yaml.safe_load((folder / "ram_3.yaml").read_text())
    config["agent"]["learning_rate"] = 1e30
    (folder / "ram_3.yaml").write_text(yaml.safe_dump(config))
    command = ["reproduce", str(folder), "--runs", str(tmp_path / "runs")]
    assert main([*command, "--only", "fc", "ram_3"]) == 2
    assert "saccade: ram_3-0 failed: " in capfd.readouterr().err
    assert stages(folder, tmp_path / "runs")["fc-0"] == "measured"


def beginning(path):
    """A folder with one row, "last", that begins with "then", and that with "first"."""
    cells = {
        "first": {**TINY, "train": {**TINY["train"], "total_timesteps": 480}},
        "then": {"base": "first.yaml", "train": {"init": "first", "total_timesteps": 96}},
        "last": {"base": "then.yaml", "train": {"init": "then"}},
    }
    rows = [{"config": "last", "label": "RAM"}]
    tables = {"title": "x", "tables": [{"name": "digits", "title": "Digits", "rows": rows}]}
    return folder_of(path, tables, cells)


def test_what_a_row_begins_with_is_trained_before_it(tmp_path):
    folder, runs = beginning(tmp_path / "paper"), tmp_path / "runs"
    assert list(stages(folder, runs, seeds=2)) == [
        f"{name}-{seed}" for seed in (0, 1) for name in ("first", "then", "last")
    ]
    assert main(["reproduce", str(folder), "--runs", str(runs), "--jobs", "4"]) == 0
    assert stages(folder, runs) == {"last-0": "measured"}  # no more is asked for
    first, last, then = sorted(runs.glob("*-0-*"))
    for run, before in ((last, then), (then, first)):
        noted = json.loads((run / "metrics.json").read_text())["init"]
        assert noted["run"] == before.name and not (before / "evaluation-test.md").exists()
    assert "1 of 1 rows" in (runs / "paper.md").read_text()
    seed = read_seed(RunFolder(last), read_index(folder).cells[0].config, "test")
    assert seed.training_scenes == (480 + 96 + 96) / (3 * 2)  # all that it took
    assert seed.earlier_timesteps == 480 + 96
    took = [json.loads((run / "metrics.json").read_text())["time"] for run in (first, then, last)]
    assert seed.cpu_seconds == pytest.approx(sum(one["cpu_seconds"] for one in took))


def test_without_training_only_what_is_there_is_measured(folder, tmp_path):
    runs = tmp_path / "runs"
    train(read_index(folder).cells[0].config, runs)
    assert main(["reproduce", str(folder), "--runs", str(runs), "--no-train"]) == 0
    assert stages(folder, runs)["fc-0"] == "measured" and len(list(runs.glob("*/config.yaml"))) == 1


def test_a_page_that_is_not_its_own_is_left_alone(folder, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("# Mine\n")
    command = ["reproduce", str(folder), "--runs", str(tmp_path / "runs"), "--to"]
    assert main([*command, str(page)]) == 2
    assert main([*command, str(tmp_path / "page.txt")]) == 2
    assert page.read_text() == "# Mine\n" and not (tmp_path / "runs").exists()
    err = capsys.readouterr().err
    assert "was not written by 'saccade reproduce'" in err and "ends in .md" in err


def changed(**changes):
    """The index with something else in its first row, or in its table or at its top."""
    document = json.loads(json.dumps(TABLES))
    for key, value in changes.items():
        place, name = key.split("__")
        inner = {"top": document, "table": document["tables"][0]}
        inner["row"] = inner["table"]["rows"][0]
        inner[place][name] = value
    return document


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ("- 1", "should hold keys and values"),
        ("title: [", "not valid YAML"),
        ("title: x", "'tables' is missing"),
        ("title: x\ntables: []", "tables: have no rows"),
        (changed(top__titel="x"), "unknown key 'titel', did you mean 'title'?"),
        (changed(top__title=3), "title: takes text, got 3"),
        (changed(top__published="both"), "published: takes a list"),
        (changed(table__rows={}), "tables[0].rows: takes a list, got {}"),
        (changed(table__name="a/b"), "'a/b' names files"),
        (changed(row__config="ram3"), "no ram3.yaml beside it, did you mean 'ram_3'?"),
        (changed(row__config="ram_3"), "the config 'ram_3' stands twice"),
        (changed(row__lable="x"), "tables[0].rows[0]: unknown key 'lable', did you mean 'label'?"),
        (changed(row__published=[1.0]), "takes 2 figures, for proceedings, preprint"),
        (changed(row__published=[1.0, "about 2"]), "got 'about 2'"),
        (changed(row__published=[True, 2]), "got True"),
        (changed(row__control_of="ram3"), "control_of: no row 'ram3' in it, did you mean 'ram_3'?"),
        (changed(table__claims=[{"says": "x"}]), "tables[0].claims[0]: 'error' is missing"),
        (changed(table__claims=[{"error": -1}]), "from 0 to 100, got -1"),
        (changed(table__claims=[{"error": 1, "row": "x"}]), "row: no row 'x'"),
    ],
)
def test_a_wrong_index_is_one_line_that_names_the_place(tmp_path, tables, message, capsys):
    folder = folder_of(tmp_path / "paper", tables)
    assert main(["reproduce", str(folder), "--list", "--runs", str(tmp_path / "runs")]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and INDEX in err


def test_folders_that_have_no_tables(tmp_path, folder):
    with pytest.raises(UserError, match=r"no such folder, did you mean 'paper'\?"):
        read_index("configs/papr")
    with pytest.raises(UserError, match=r"has no tables\.yaml"):
        read_index(tmp_path)
    (folder / "twin.yaml").write_text("base: fc.yaml\nname: twin\ndevice: cpu\n")
    twin = changed()
    twin["tables"][0]["rows"][1]["config"] = "twin"
    del twin["tables"][0]["rows"][2], twin["tables"][0]["claims"][1]
    (folder / INDEX).write_text(yaml.safe_dump(twin))
    with pytest.raises(UserError, match=r"twin.yaml: asks for the same as 'fc'"):
        module.runs_of(read_index(folder), tmp_path)


def test_the_paper_s_cells_differ_only_in_what_their_names_say():
    """28x28, 60x60 and 100x100 as the paper has them; "ram" is the paper's network everywhere."""
    index = read_index("paper")
    scenes = {"mnist": (8, 1), "translated": (12, 3), "cluttered60": (12, 3)}
    scenes["cluttered100"] = (12, 4)
    networks, others = set(), set()
    for table in index.tables:
        recipes = []
        for cell in table.cells:
            env, agent = dict(cell.config.env.keywords), dict(cell.config.agent.keywords)
            kind, rest = cell.name.split("_", 1)
            assert rest.startswith(table.name)
            if kind not in ("ram", "lstm", "filters"):
                assert cell.config.agent.name == ("cnn" if kind == "conv" else "fc")
                continue
            assert (env["size"], env["scales"]) == scenes[table.name]
            assert env.get("canvas") == {"cluttered100": 100, "mnist": None}.get(table.name, 60)
            assert env.get("pieces") == {"cluttered60": 4, "cluttered100": 8}.get(table.name)
            glimpses = rest.split("_")[1]
            assert env.pop("glimpses") == int(glimpses) and f"{glimpses} " in cell.label
            shape = ("core", "what", "where", "glimpse_features", "hidden", "location_hidden")
            if kind == "lstm":  # the paper's network and recipe but for these
                assert (agent["core"], agent["precision"]) == ("lstm", "bfloat16")
                agent |= {"core": "rnn", "precision": "float32"}
            size = tuple(agent[name] for name in shape)
            if kind == "filters":
                others.add((*agent["filters"], *size))
                assert bool(env["augment"]) != cell.name.endswith("_plain")
                for first in index.before(cell):
                    assert cell.name == f"{first.name}_plain"
                    scene = {**first.config.env.keywords, "augment": None}
                    assert scene == {**env, "glimpses": int(glimpses)}
                continue
            assert agent["filters"] is None
            networks.add(size)
            assert cell.config.env.gaze == ("random" if rest.endswith("random") else None)
            if cell.name.startswith("ram_cluttered100_8"):
                assert agent["learning_rate"] == 1.5e-3  # said in its config, and in the table
                agent["learning_rate"] = recipes[0][1]["learning_rate"]
            settings = cell.config.train
            assert settings.total_timesteps == 8_000 * agent["num_envs"] * int(glimpses)
            assert settings.eval_freq == settings.total_timesteps // 12
            settings = replace(settings, total_timesteps=1, eval_freq=1)
            if cell.config.env.gaze:
                assert (agent.pop("paths"), agent.pop("location_weight")) == (1, 0)
                agent |= {name: recipes[0][1][name] for name in ("paths", "location_weight")}
            recipes.append((env, agent, settings))
        assert all(one == recipes[0] for one in recipes)
    assert networks == {("rnn", 128, 128, 256, 256, 0)}
    assert others == {(32, 64, "lstm", 256, 128, 384, 384, 0)}
    empty = markdown(index, {}, "saccade reproduce configs/paper", {})
    assert empty.count("No row has a finished run yet.") == 4 and "0 of 33 rows" in empty
