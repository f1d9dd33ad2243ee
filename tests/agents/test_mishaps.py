"""A stop that is asked for, a full disk, a folder that may not be written, data that are gone: one
clear message, and what was saved before is whole."""

import contextlib
import errno
import json
import os
import shutil
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from killing import begin, finished, interrupted, nothing_half_written, same_run, words
from saccade.agents.cli import main
from saccade.agents.runs import RunFolder
from saccade.ram import RAM, callbacks

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals and limits")
NAME = "ram_translated_digits"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run; not to be changed."""
    return finished(NAME, tmp_path_factory.mktemp("whole"))


@pytest.fixture
def cut(tmp_path, monkeypatch):
    """A run that Ctrl-C ended after ten updates."""
    update = RAM._update

    def interrupting(ram, env):
        measured = update(ram, env)
        if ram.num_timesteps == 960:
            os.kill(os.getpid(), signal.SIGINT)
        return measured

    with monkeypatch.context() as patch:
        patch.setattr(RAM, "_update", interrupting)
        assert main(words(NAME, tmp_path / "runs")) == 130
    (folder,) = (tmp_path / "runs").iterdir()
    return folder


def one_line(text):
    (line,) = text.strip().splitlines()
    return line


@posix
@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_to_end_saves_first_also_where_it_comes_twice(number, code, tmp_path):
    process = begin(*words(NAME, tmp_path, **{"train.total_timesteps": 10_000_000}))
    ended, said = interrupted(process, *2 * [getattr(signal, number)])
    assert ended == code and "Traceback" not in said, said
    (folder,) = tmp_path.iterdir()
    assert f"Go on with:\n  saccade train --resume {folder}" in said
    metrics = RunFolder.open(folder).metrics()
    saved = RAM.load(folder / "checkpoints" / "last.pt").num_timesteps
    assert metrics["timesteps"] == saved > 0 and not metrics["finished"]


@posix
def test_a_second_ctrl_c_ends_at_once(whole, tmp_path, monkeypatch, capsys):
    update = RAM._update

    def interrupted_twice(ram, env):
        if ram.num_timesteps == 4800:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("it should be over")
        return update(ram, env)

    before = [signal.getsignal(number) for number in callbacks.STOPS]
    with monkeypatch.context() as patch:
        patch.setattr(RAM, "_update", interrupted_twice)
        assert main(words(NAME, tmp_path)) == 130
    assert [signal.getsignal(number) for number in callbacks.STOPS] == before
    (folder,) = tmp_path.iterdir()
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"saccade: ended at once; go on with saccade train --resume {folder}"
    assert main(["train", "--resume", str(folder)]) == 0
    same_run(folder, whole)


@posix
def test_a_run_that_is_being_trained_is_left_alone(cut, capsys):
    with RunFolder.open(cut).claimed():
        assert main(["train", "--resume", str(cut)]) == 2
    assert (
        one_line(capsys.readouterr().err) == f"saccade: {cut}: is being trained by another process"
    )


@posix
@pytest.mark.parametrize("room", [0.5, 0.0])
def test_a_checkpoint_that_does_not_fit_on_the_disk(room, cut, whole):
    """The system refuses longer files than so much of a checkpoint, as a full disk would."""
    import resource

    last = cut / "checkpoints" / "last.pt"
    before = last.read_bytes()
    limit = int(len(before) * room)
    process = begin(
        *("train", "--resume", str(cut)),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    said = process.communicate()[1]
    assert process.returncode == 2 and "Traceback" not in said, said
    told = said.splitlines()[-1]
    assert os.strerror(errno.EFBIG) in told and f"saccade train --resume {cut}" in told
    assert "the last checkpoint is whole" in told and str(cut) in told
    assert last.read_bytes() == before and nothing_half_written(cut)
    assert main(["train", "--resume", str(cut)]) == 0
    same_run(cut, whole)


def test_a_disk_that_is_full_at_any_file(cut, monkeypatch, capsys):
    """Whichever write of a training, an evaluation or a drawing fails first."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    sync = os.fsync

    def filling(handle):
        left[0] -= 1
        if left[0] < 0:
            raise full
        sync(handle)

    monkeypatch.setattr(os, "fsync", filling)
    kept = {file: file.read_bytes() for file in cut.rglob("*.pt")}
    for command, rooms in (
        (["evaluate", str(cut)], (0, 2)),  # a file and its folder's names are two
        (["watch", str(cut), "--format", "png"], (0,)),
        (["train", "--resume", str(cut)], (0,)),
        (words(NAME, cut.parent / "more"), (0, 2, 4, 8)),
    ):
        for room in rooms:
            left = [room]
            assert main(command) == 2
            said = capsys.readouterr().err.splitlines()[-1]
            assert said.startswith("saccade: ") and full.strerror in said
            assert nothing_half_written(cut)
    assert {file: file.read_bytes() for file in kept} == kept
    assert json.loads((cut / "metrics.json").read_text())["timesteps"] >= 960


@contextlib.contextmanager
def unprivileged():
    """Whoever may write everywhere is nobody for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@posix
def test_a_folder_that_may_not_be_written(cut, capsys):
    with tempfile.TemporaryDirectory() as open_to_all:  # pytest's own folders are not
        run = shutil.copytree(cut, Path(open_to_all) / "run")
        for path in (Path(open_to_all), *run.rglob("*"), run):
            path.chmod(0o555 if path.is_dir() else 0o444)
        before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
        refused = os.strerror(errno.EACCES)
        with unprivileged():
            assert main(["train", "--resume", str(run)]) == 2
            said = capsys.readouterr().err.splitlines()[-1]
            assert refused in said and str(run) in said and "the last checkpoint is whole" in said
            assert main(words(NAME, run)) == 2
            assert one_line(capsys.readouterr().err).startswith(f"saccade: {run}: no run can be")
            assert main(["evaluate", str(run)]) == 2
            assert one_line(capsys.readouterr().err).endswith(refused)
        assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file()} == before
        for path in (Path(open_to_all), *run.rglob("*"), run):
            path.chmod(0o755)


def test_data_that_are_gone_or_others_now(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    photos = tmp_path / "photos"
    for label in ("cat", "dog"):
        (photos / label).mkdir(parents=True)
        for n in range(20):
            grey = np.full((12, 12), 10 * n + 50 * (label == "dog"), np.uint8)
            Image.fromarray(grey).save(photos / label / f"{n}.png")
    runs = tmp_path / "runs"
    settings = [f"--env.source={photos}", "--env.image_size=12", "--agent.num_envs=4"]
    settings += ["--agent.hidden=8", "--train.total_timesteps=240", "--train.picture_images=0"]
    settings += ["--train.threads=1"]
    command = ["train", "ram_digits", "--env.id=saccade/Images-v0", *settings]
    assert main([*command, f"--runs={runs}"]) == 0
    (folder,) = runs.iterdir()
    run = RunFolder.open(folder)
    before = run.checkpoint("last").read_bytes()
    longer = run.config.read_text().replace("total_timesteps: 240", "total_timesteps: 480")
    run.config.write_text(longer)
    run.update_metrics({"finished": False})

    def go_on():
        """The exit code, and the last line said."""
        process = begin("train", "--resume", str(folder))
        said = process.communicate()[1]
        assert "Traceback" not in said, said
        return process.returncode, said.splitlines()[-1]

    hidden = photos / "cat" / "3.png"
    hidden.rename(photos / "dog" / "x.png")
    code, said = go_on()
    assert code == 2 and "other images now" in said
    (photos / "dog" / "x.png").rename(hidden)

    photos.rename(tmp_path / "elsewhere")
    code, said = go_on()
    assert code == 2 and str(photos) in said
    assert run.checkpoint("last").read_bytes() == before
    (tmp_path / "elsewhere").rename(photos)

    (kept,) = (tmp_path / "cache").rglob("images.npy")
    kept.unlink()
    assert go_on()[0] == 0  # the pictures are read anew
