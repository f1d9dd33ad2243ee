"""Sweeps: what a space means and refuses, who is best, and that a killed sweep goes on."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import yaml

from saccade.agents import space, sweep
from saccade.agents.cli import main
from saccade.agents.errors import UserError
from saccade.agents.runs import RunFolder

TINY = {
    "env": {"id": "saccade/Digits-v0", "glimpses": 3},
    "agent": {"name": "ram", "num_envs": 16, "paths": 2, "hidden": 16},
    "train": {
        **{"total_timesteps": 600, "eval_freq": 300, "checkpoint_freq": 300},
        **{"threads": 1, "picture_images": 0},
    },
    "seed": 5,
}
RATE = "agent.learning_rate=loguniform(1e-4, 1e-2)"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return str(path)


def lists(*words):
    """A space of lists alone, which needs no Ray, as what each trial sets."""
    return space.parse(words)


def made(file, root, *settings):
    """A sweep of these settings that nothing has trained yet."""
    from saccade.agents.config import load

    trials = [sweep.Trial(i, given, load(file, given)) for i, given in enumerate(settings)]
    return sweep.Sweep.create(root, trials, "saccade sweep tiny")


def read(*words):
    return [(item.key, item.kind, item.arguments) for item in space.parse(words)]


def test_a_space_is_read_as_the_command_line_reads_values(tmp_path):
    assert read(RATE) == [("agent.learning_rate", "loguniform", (1e-4, 1e-2))]
    assert read("agent.core=choice(rnn, lstm)") == [("agent.core", "choice", ("rnn", "lstm"))]
    assert read("a.b=[1, 2]") == read("a.b=choice([1, 2])") == read("a.b=choice(1, 2)")
    assert read("a.b=choice([1, 2], [3])") == [("a.b", "choice", ([1, 2], [3]))]
    assert read("a.b=null") == [("a.b", "choice", (None,))]
    assert read("a.b=grid_search([true, 1e-3])") == [("a.b", "grid_search", (True, 1e-3))]
    file = tmp_path / "space.yaml"
    file.write_text("a.b: [1, 2]\na.c: uniform(0, 1)\n")
    assert read(str(file), "a.d=3") == read("a.b=[1,2]", "a.c=uniform(0,1)", "a.d=3")


MISTAKES = {
    "agent.learning_rat=[1e-3]": "unknown key 'agent.learning_rat', did you mean 'agent.learning_",
    "agnt.std=[1]": "unknown key 'agnt', did you mean 'agent'?",
    "agent.std=unifrm(0, 1)": "unknown distribution 'unifrm', did you mean 'uniform'?",
    "agent.std=sample_from(0)": "unknown distribution 'sample_from'",
    "agent.std=uniform(1)": "uniform(low, high) takes 2 numbers, got 1",
    "agent.std=uniform(2, 1)": "low must be below high, got 2 and 1",
    "agent.std=uniform(0, .inf)": "high must be a number, got inf",
    "agent.std=loguniform(0, 1)": "low must be above 0, got 0",
    "agent.std=quniform(0, 1, 0)": "step must be above 0, got 0",
    "agent.hidden=randint(0.5, 3)": "low must be a whole number, got 0.5",
    "agent.hidden=[8, wide]": "'agent.hidden' must be a whole number, got 'wide'",
    "agent.std=choice()": "choice has nothing to take from",
    "agent.std=choice(!!python/name:os.system x)": "not valid YAML",
    "agent.std=__import__('os').system('id')": "unknown distribution '__import__'",
    "name=[a, b]": "names the trials; give --name instead",
    "nowhere.yaml": "--space nowhere.yaml: No such file",
}


@pytest.mark.parametrize("word", MISTAKES)
def test_a_mistake_in_a_space_is_one_line_before_anything_starts(word, file, tmp_path, capsys):
    runs = tmp_path / "runs"
    assert main(["sweep", file, "--space", word, "--runs", str(runs)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("saccade: ") and said.count("\n") == 1 and MISTAKES[word] in said
    assert not runs.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give a config and --space, or --resume DIR"),
        (["FILE", "--space", "agent.std=[1]", "agent.std=[2]"], "stands twice in the space"),
        (["FILE", "--agent.std=1", "--space", "agent.std=[2]"], "is drawn from the space"),
        (["--resume", "DIR", "--samples", "3"], "goes on with the sweep's own trials"),
        (["--resume", "DIR"], "not a sweep's folder"),
    ],
)
def test_a_mistake_in_the_command_is_one_line(words, message, file, tmp_path, capsys):
    named = {"FILE": file, "DIR": str(tmp_path)}
    assert main(["sweep", *(named.get(word, word) for word in words)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and message in said


def test_without_ray_a_line_says_what_to_install(file, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["sweep", file, "--space", RATE]) == 2
    said = capsys.readouterr().err
    assert said == "saccade: a sweep needs Ray Tune: pip install 'saccade[ray]'\n"


def test_a_grid_takes_every_combination_once_a_sample():
    drawn = space.draw(lists("a.b=grid_search(1, 2)", "a.c=grid_search(x, y, z)"), 2, seed=0)
    pairs = [(given["a.b"], given["a.c"]) for given in drawn]
    assert pairs == 2 * [(b, c) for b in (1, 2) for c in "xyz"]
    with pytest.raises(UserError, match="20,000 trials; take at most 10,000"):
        space.draw(lists("a.b=grid_search(1, 2)"), 10_000, seed=0)


def test_trials_are_ranked_by_what_the_best_checkpoint_is_chosen_by(file, tmp_path):
    """Equal errors by cross-entropy; trials without a validation last; none by a test figure."""
    rates = [{"agent.learning_rate": 10.0**-i} for i in range(2, 7)]
    found = made(file, tmp_path, *rates)
    ranks = {0: (0.5, 1.0), 1: (0.25, 2.0), 2: (0.25, 1.5), 4: (0.75, None)}
    for number, (error, second) in ranks.items():
        config = found.trials[number].config
        run = RunFolder.create(found.path, config.name, config.seed, config.to_yaml())
        (run.checkpoints / "best.pt").write_bytes(b"")
        best = {"error": error, "timesteps": 300, "rank": [error, second]}
        evaluations = {"test": {"error": 1 - error}}
        run.update_metrics({"best": best, "finished": number != 4, "evaluations": evaluations})
    assert [item.trial.number for item in found.outcomes()] == [2, 1, 0, 4, 3]
    assert [trial.number for trial in found.waiting()] == [3, 4]
    page = sweep.markdown(found, found.outcomes({3: "no room"}))
    rows = re.findall(r"^\| (\d) +\| +(\S+) \| +(\S+) \| +(\S+) \| +(.*?) \|$", page, re.MULTILINE)
    assert rows == [
        ("2", "0.0001", "25.00", "300", "finished"),
        ("1", "0.001", "25.00", "300", "finished"),
        ("0", "0.01", "50.00", "300", "finished"),
        ("4", "1e-06", "75.00", "300", "unfinished"),
        ("3", "1e-05", "-", "-", "failed: no room"),
    ]
    assert "Best on validation: trial 2, --agent.learning_rate 0.0001\n" in page
    assert re.search(r"saccade evaluate \S+/tiny-2-5-\S+ --split test\n", page)
    found.note_stopped(found.trials[4])
    assert [trial.number for trial in sweep.Sweep.open(found.path).waiting()] == [3]


def test_a_trial_is_the_run_that_its_words_train_and_goes_on_from_its_folder(file, tmp_path):
    found = made(file, tmp_path / "runs", {"agent.learning_rate": 3e-3, "agent.core": "rnn"})
    trial = sweep.Sweep.open(found.path).trials[0]
    assert trial.settings == found.trials[0].settings
    assert trial.config.to_yaml() == found.trials[0].config.to_yaml()

    class Killed(Exception):
        pass

    def kill(score, timesteps):
        raise Killed

    with pytest.raises(Killed):
        sweep.train_trial(found, trial, kill)
    assert found.outcome(trial).state == "unfinished"
    told = []
    sweep.train_trial(found, trial, lambda *point: told.append(point))
    sweep.train_trial(found, trial, lambda *point: told.append(point))  # is through: nothing to do
    outcome = found.outcome(trial)
    assert outcome.state == "finished" and all(steps < 600 for _, steps in told)
    assert [item.path for item in map(RunFolder, found.path.glob("tiny-*"))] == [outcome.run.path]

    words = trial.words.split()
    assert main(["train", file, *words, "--runs", str(tmp_path), "--name", "alone"]) == 0
    (alone,) = tmp_path.glob("alone-*")
    assert RunFolder(alone).metrics()["best"] == outcome.best


@pytest.mark.parametrize(
    "damage", [lambda text: text[:-40], lambda _: "[]", lambda t: t.replace('"ram"', '"rm"')]
)
def test_a_damaged_sweep_is_one_line(damage, file, tmp_path, capsys):
    found = made(file, tmp_path, {"agent.std": 0.1})
    kept = found.path / "sweep.json"
    kept.write_text(damage(kept.read_text()))
    assert main(["sweep", "--resume", str(found.path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "sweep.json" in said


# From here on with Ray, in processes of their own: Ray listens to signals and stays in a process.


def start(*words):
    """The command, in a session of its own, so that all its processes can be killed at once."""
    return subprocess.Popen(
        [sys.executable, "-m", "saccade.agents.cli", "sweep", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # Where the tests run in the background Ctrl-C may be turned off; here it is meant to come.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def finish(*words):
    process = start(*words)
    out, err = process.communicate()
    return process.returncode, out, err


@pytest.fixture
def ray():
    return pytest.importorskip("ray.tune", reason="the extra ray is not installed")


def test_the_same_seed_draws_the_same_and_each_by_its_distribution(ray):
    words = [
        RATE,
        "a.b=[1, x, [2, 3], null]",
        "a.c=randint(3, 6)",
        "a.d=quniform(0, 1, 0.25)",
        "a.e=grid_search(1, 2)",
    ]
    drawn = space.draw(space.parse(words), 200, seed=1)
    assert drawn == space.draw(space.parse(words), 200, seed=1)
    assert drawn != space.draw(space.parse(words), 200, seed=2)
    rates = sorted(given["agent.learning_rate"] for given in drawn)
    assert rates[0] >= 1e-4 and rates[-1] <= 1e-2 and 5e-4 < rates[200] < 2e-3  # even in logarithm
    assert {json.dumps(given["a.b"]) for given in drawn} == {"1", '"x"', "[2, 3]", "null"}
    assert {given["a.c"] for given in drawn} == {3, 4, 5}
    assert {given["a.d"] for given in drawn} == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert [given["a.e"] for given in drawn] == 200 * [1, 2]


def test_nothing_in_a_space_is_evaluated(ray):
    """Ray itself would call Python's eval on {"eval": ...}."""
    (drawn,) = space.draw(space.parse(['a.b=choice({eval: "1 + 1"})']), 1, seed=0)
    assert drawn == {"a.b": {"eval": "1 + 1"}}


def test_a_bound_that_ray_refuses_is_one_line(ray, file, capsys):
    assert main(["sweep", file, "--space", "agent.std=quniform(0.1, 1, 0.25)"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "agent.std: " in said and "not divisible" in said


def test_a_sweep_trains_its_trials_and_tells_the_best(ray, file, tmp_path, capsys):
    space_file = tmp_path / "space.yaml"
    space_file.write_text("agent.learning_rate: loguniform(1e-4, 1e-2)\n")
    words = ["--space", str(space_file), "agent.hidden=grid_search(8, 12)", "--jobs", "2"]
    runs = tmp_path / "runs"
    code, out, err = finish(file, *words, "--agent.core=rnn", "--runs", str(runs))
    assert code == 0, err
    assert "Traceback" not in err and "Best on validation: trial " in out
    (folder,) = runs.iterdir()
    assert out == (folder / "sweep.md").read_text()
    found = sweep.Sweep.open(folder)
    configs = [RunFolder(run).config.read_text() for run in folder.glob("tiny-*")]
    assert len(configs) == 2 and sorted(map(yaml.safe_load, configs), key=lambda c: c["name"]) == [
        yaml.safe_load(trial.config.to_yaml()) for trial in found.trials
    ]
    assert [trial.config.agent.keywords["core"] for trial in found.trials] == ["rnn", "rnn"]
    best = min(RunFolder(run).metrics()["best"]["rank"] for run in folder.glob("tiny-*"))
    assert list(found.outcomes()[0].rank[:2]) == best

    inside = [str(path) for path in folder.iterdir()]  # what a shell makes of DIR/*
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    assert main(["compare", *inside, "--output", str(tmp_path / "compared")]) == 0
    told = capsys.readouterr()
    assert told.err.count("a sweep's own file, not a run: passed over") == 2
    assert told.out.count("| ram, agent.hidden=") >= 2
    assert main(["sweep", "--resume", str(folder)]) == 0  # nothing is left: the table alone
    assert capsys.readouterr().out == out


def test_a_trial_that_fails_is_told_and_the_others_go_on(ray, file, tmp_path):
    words = ["--space", "agent.learning_rate=grid_search(1e-3, 1e30)", "--runs", str(tmp_path)]
    code, out, err = finish(file, *words)
    assert code == 0 and "Traceback" not in err
    assert re.search(r"^trial 1 \| .*failed: .*training diverged", err, re.MULTILINE)
    assert "Best on validation: trial 0, " in out and "failed: " in out


def folders(root):
    return [path for path in root.glob("sweep-*/tiny-*") if not path.name.startswith(".")]


def begun(process, root, trials):
    """Wait until so many trials have a checkpoint."""
    until = time.monotonic() + 120
    while sum((run / "checkpoints" / "last.pt").is_file() for run in folders(root)) < trials:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.1)


LONG = ["--train.total_timesteps=30000", "--train.eval_freq=10000"]


def test_a_killed_sweep_goes_on_where_its_trials_were(ray, file, tmp_path):
    words = ["--space", "agent.learning_rate=grid_search(1e-3, 2e-3)", "--jobs", "1"]
    runs = tmp_path / "runs"
    process = start(file, *LONG, *words, "--runs", str(runs))
    begun(process, runs, 1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (folder,) = runs.iterdir()
    (first,) = folders(runs)
    assert not RunFolder(first).metrics()["finished"]
    code, _, err = finish("--resume", str(folder), "--jobs", "1")
    assert code == 0, err
    assert "trial 0 | goes on with" in err and "trial 1 | begins with" in err
    found = sweep.Sweep.open(folder)
    assert {item.state for item in found.outcomes()} == {"finished"}
    assert len(folders(runs)) == 2 and first in folders(runs)
    for trial in found.trials:  # the same as if nothing had happened
        alone = tmp_path / f"alone-{trial.number}"
        assert main(["train", file, *LONG, *trial.words.split(), "--runs", str(alone)]) == 0
        (run,) = alone.iterdir()
        assert RunFolder(run).metrics()["best"] == found.outcome(trial).best


def test_a_killed_trial_is_tried_again_and_a_signal_stops_the_sweep(ray, file, tmp_path):
    words = ["--space", "agent.std=[0.1]", "--train.total_timesteps=10000000"]
    process = start(file, *words, "--train.eval_freq=20000", "--runs", str(tmp_path))
    begun(process, tmp_path, 1)
    done = subprocess.run(["ps", "-eo", "pid,sid,args"], capture_output=True, text=True).stdout
    lines = [line.split(None, 2) for line in done.splitlines()]
    (worker,) = [
        int(pid)
        for pid, session, name in lines[1:]
        if session == str(process.pid) and name.startswith("ray::ImplicitFunc")
    ]
    os.kill(worker, signal.SIGKILL)
    said = []
    for line in process.stderr:
        said.append(line)
        if "goes on with" in line:
            break
    assert "trial 0 | its process died: tried again\n" in said
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130 and out == ""
    assert re.fullmatch(
        r"Stopped. Go on with:\n  saccade sweep --resume \S+/sweep-tiny-5-\S+\n", err
    )


def test_early_stopping_ends_what_falls_behind(ray, file, tmp_path):
    """A rate at which nothing is learned, told after the others."""
    rates = "agent.learning_rate=grid_search(3e-3, 2e-3, 1e-9, 1e-9)"
    settings = ["--train.total_timesteps=40000", "--train.eval_freq=8000", "--agent.hidden=64"]
    words = [*settings, "--space", rates, "--jobs", "1", "--early-stop", "--runs", str(tmp_path)]
    code, out, err = finish(file, *words)
    assert code == 0, err
    (folder,) = tmp_path.glob("sweep-*")
    found = sweep.Sweep.open(folder)
    states = {item.trial.number: item.state for item in found.outcomes()}
    assert states[0] == "finished" and states[2] == states[3] == "stopped early"
    assert found.waiting() == [] and "stopped early" in out
