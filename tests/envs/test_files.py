"""Files are there whole or not at all, whatever goes wrong while they are written."""

from __future__ import annotations

import errno
import os
import stat
import threading

import pytest

from saccade.envs.files import remove_leftovers, replace_file, write_bytes, write_text


def test_a_file_is_replaced_and_its_folder_made(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    assert write_text(path, "één") == path and path.read_text(encoding="utf-8") == "één"
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two" and os.listdir(path.parent) == ["a.txt"]


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    happened = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *a, name=name, real=real: (happened.append(name), real(*a))
        )
    write_text(tmp_path / "a", "x")
    assert happened == ["fsync", "replace", "fsync"]  # the file, its name, the folder


@pytest.mark.skipif(os.name != "posix", reason="modes")
def test_others_may_read_it_as_any_file_of_the_user_s(tmp_path):
    (tmp_path / "plain").touch()
    write_text(tmp_path / "a", "x")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "a")}
    assert len(modes) == 1


@pytest.mark.parametrize("broken", ["write", "fsync", "replace"])
def test_whatever_fails_the_old_file_stays_and_the_error_names_it(tmp_path, monkeypatch, broken):
    path = write_text(tmp_path / "a", "old")

    def full(*_):
        raise OSError(errno.ENOSPC, "no room")

    def write(target):
        target.write_text("new")
        if broken == "write":
            full()

    if broken != "write":
        monkeypatch.setattr(os, broken, full)
    with pytest.raises(OSError) as caught:
        replace_file(path, write)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a"]


def test_an_interruption_leaves_nothing_either(tmp_path):
    def write(target):
        target.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(tmp_path / "a", write)
    assert os.listdir(tmp_path) == []


def test_threads_that_write_one_file_do_not_meet(tmp_path):
    texts = [str(n) * 10_000 for n in range(8)]
    threads = [threading.Thread(target=write_text, args=(tmp_path / "a", t)) for t in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a").read_text() in texts and os.listdir(tmp_path) == ["a"]


def test_what_killed_processes_left_can_be_removed(tmp_path):
    for name in ("a", ".hidden", ".a.123.tmp"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".hidden", "a"]
