"""The command line: help, the environments, watching, and mistakes said in one line."""

import subprocess
import sys

import pytest
from PIL import Image

from saccade.agents.cli import main

MISTAKES = {
    "no command": ([], "COMMAND"),
    "unknown command": (["evalute"], "did you mean 'evaluate'?"),
    "unknown option": (["train", "ram_digits", "--evaluat"], "did you mean '--evaluate'?"),
    "another command's option": (["evaluate", "x", "--resume", "y"], "--resume: not understood"),
    "unknown split": (["train", "ram_digits", "--evaluate", "tset"], "did you mean 'test'?"),
    "no config": (["train"], "give a config, or --resume RUN"),
    "an override without a value": (["train", "ram_digits", "--env.glimpses"], "needs a value"),
    "an override elsewhere": (["evaluate", "x", "--env.glimpses", "3"], "only 'saccade train'"),
    "no run": (["evaluate", "nowhere"], "no such run folder"),
    "no run to watch": (["watch", "nowhere"], "no such run folder"),
    "no run to resume": (["train", "--resume", "nowhere"], "no such run folder"),
    "nothing to compare": (["compare"], "RUN"),
    "no run to compare": (["compare", "nowhere"], "no such run folder"),
    "no run to report": (["report", "nowhere", "--output", "x.html"], "no such run folder"),
    "no seeds": (["train", "ram_digits", "--seeds", "0"], "above 0"),
    "jobs without seeds": (["train", "ram_digits", "--jobs", "2"], "give both"),
    "seeds of a resumed run": (["train", "--resume", "x", "--seeds", "2"], "by itself"),
    "unknown environment": (["envs", "Digit-v0"], "did you mean 'saccade/Digits-v0'?"),
    "a number that is none": (["watch", "x", "--images", "one"], "'one'"),
    "too few": (["evaluate", "x", "--placements", "0"], "above 0"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_are_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith("saccade: ") and message in err and err.count("\n") == 1
    assert not out and not list(tmp_path.iterdir())


def test_help_and_version(capsys):
    for arguments, expected in ((["--help"], "evaluate"), (["--version"], "saccade 0")):
        with pytest.raises(SystemExit) as left:
            main(arguments)
        assert left.value.code == 0 and expected in capsys.readouterr().out


def test_overrides_may_stand_before_the_config(capsys):
    assert main(["train", "--env.glimpses", "4", "nowhere.yaml"]) == 2
    assert "nowhere.yaml" in capsys.readouterr().err


def test_the_environments_are_listed_without_torch_or_data():
    code = (
        "import sys\n"
        "from saccade.agents.cli import main\n"
        "assert main(['envs']) == 0\n"
        "assert not {'torch', 'sklearn', 'matplotlib', 'tensorboard'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if "ClutteredMNIST100-v0" in line)
    assert all(word in line for word in ("mnist", "8 pieces", "100x100", "4 x 12x12"))
    (line,) = (line for line in done.stdout.splitlines() if "TrackDigits-v0" in line)
    assert all(word in line for word in (" track ", "drifting, 4 pieces", " 12 "))
    (line,) = (line for line in done.stdout.splitlines() if "DistortedMNIST-v0" in line)
    assert all(word in line for word in ("mnist", "distorted, rotation", "2 x 8x8"))


def test_an_environment_has_a_page(capsys):
    assert main(["envs", "TranslatedDigits-v0"]) == 0
    out = capsys.readouterr().out
    assert "## Action Space" in out and "scales = 3" in out


PAGES = {
    "Digits-v0": (
        "Asks for the target's class",
        "due at step 6 of 6; earlier",
        "each image in the",
    ),
    "PairDigits-v0": ("`answers`", "due at step 4 and 8 of 8", "one to the left of the other"),
    "AdditionMNIST-v0": ("sum of the two", "the right sum", "The first target is the left one"),
    "LocateDigits-v0": ("`distance`", "the last action sends the eye", "0.25 of the target"),
    "TrackDigits-v0": ("`share`", "every action sends the eye", "there is no stop", "80% of steps"),
    "MovingMNIST-v0": ("bounce off the edges", "after the last move", "speed = 2.0"),
    "Catch-v0": ("0 left, 1 stay, 2 right", "an act", "box, dict, grid, fixation.", "paddle = 2"),
    "Video-v0": ("its last frame stays", "from_clips", "frames = 1"),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_its_task_asks_and_what_its_scene_shows(name, capsys):
    assert main(["envs", name]) == 0
    out = capsys.readouterr().out
    assert all(words in out for words in PAGES[name])
    assert ("It moves:" in out) == (name.startswith(("Track", "Moving", "Catch", "Video")))
    assert out.index("## Task") < out.index("## Scene") < out.index("## Action Space")
    assert max(map(len, out.splitlines())) <= 110


def test_watch_draws_a_picture_and_a_film(run, capsys):
    assert main(["watch", str(run)]) == 0
    files = capsys.readouterr().out.split()
    assert files == [str(run / "pictures" / f"paths-validation.{end}") for end in ("png", "gif")]
    with Image.open(files[1]) as film:
        assert film.n_frames > 8


def test_watch_draws_chosen_images_elsewhere(run, capsys, tmp_path):
    output = tmp_path / "out"
    command = ["watch", str(run), "--images", "3", "17", "--split", "test", "--format", "png"]
    assert main([*command, "--output", str(output)]) == 0
    assert [file.name for file in output.iterdir()] == ["paths-test-3-17.png"]


def test_watch_names_an_image_that_is_not_there(run, capsys):
    before = sorted(run.rglob("*"))
    assert main(["watch", str(run), "--images", "3", "99999"]) == 2
    assert "--images 99999" in capsys.readouterr().err
    assert sorted(run.rglob("*")) == before


def test_ctrl_c_elsewhere_is_no_traceback(monkeypatch, capsys):
    from saccade.agents import cli

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli._COMMANDS, "envs", interrupted)
    assert main(["envs"]) == 130
    assert capsys.readouterr().err == "saccade: interrupted\n"
