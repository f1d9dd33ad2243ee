"""Run folders: made once, read with clear errors, written whole."""

import json

import numpy as np
import pytest

from saccade.agents.errors import UserError
from saccade.agents.runs import RunFolder
from saccade.envs.files import write_text


def test_a_folder_is_never_used_twice(tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda _: "20260102-030405")
    made = [RunFolder.create(tmp_path, "a b/c", 3, "seed: 3\n").path.name for _ in range(3)]
    assert made[0] == "a-b-c-3-20260102-030405"
    assert len(set(made)) == 3


def test_a_new_folder_opens_as_a_run(tmp_path):
    made = RunFolder.create(tmp_path / "deep" / "runs", "x", 0, "seed: 0\n")
    run = RunFolder.open(made.path)
    assert run.config.read_text() == "seed: 0\n"
    assert run.metrics() == {}


def test_where_no_folder_can_be_made_it_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file"):
        RunFolder.create(tmp_path / "file", "x", 0, "")


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such run folder"):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(UserError, match=r"no config\.yaml"):
        RunFolder.open(tmp_path)


def test_metrics_keep_what_is_not_changed(tmp_path):
    run = RunFolder.create(tmp_path, "x", 0, "")
    run.update_metrics({"a": 1, "b": [1, 2]})
    run.update_metrics({"a": np.float32(0.5), "c": np.arange(2)})
    assert run.metrics() == {"a": 0.5, "b": [1, 2], "c": [0, 1]}


def test_a_failed_write_leaves_the_old_file(tmp_path):
    run = RunFolder.create(tmp_path, "x", 0, "")
    run.update_metrics({"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        run.update_metrics({"a": float("nan")})
    with pytest.raises(TypeError, match="object"):
        run.update_metrics({"a": object()})
    assert run.metrics() == {"a": 1}
    with pytest.raises(UnicodeEncodeError):
        write_text(run.path / "metrics.json", "\ud800")
    assert json.loads((run.path / "metrics.json").read_text()) == {"a": 1}
    assert not list(run.path.glob(".*"))


@pytest.mark.parametrize("text", ['{"a": 1', "[1]", "\x00", '{"time": 3}'])
def test_cut_short_metrics_are_named(tmp_path, text):
    run = RunFolder.create(tmp_path, "x", 0, "")
    (run.path / "metrics.json").write_text(text)
    with pytest.raises(UserError, match=r"metrics\.json"):
        run.metrics()


def test_the_best_checkpoint_comes_first(tmp_path):
    run = RunFolder.create(tmp_path, "x", 0, "")
    with pytest.raises(UserError, match=r"best\.pt nor checkpoints/last\.pt"):
        run.checkpoint()
    (run.checkpoints / "last.pt").touch()
    assert run.checkpoint().name == "last.pt"
    with pytest.raises(UserError, match=r"no checkpoints/best\.pt"):
        run.checkpoint("best")
    (run.checkpoints / "best.pt").touch()
    assert run.checkpoint().name == "best.pt"
    assert run.checkpoint("last").name == "last.pt"
    with pytest.raises(UserError, match="'newest'"):
        run.checkpoint("newest")
