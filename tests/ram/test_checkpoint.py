"""Checkpoints: what comes back, and what is said of files that are none."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from saccade.ram import RAM, CheckpointError
from saccade.ram import checkpoint as checkpoint_module

UPDATE = 4 * 8


@pytest.fixture
def saved(make_ram, tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "ram.pt"
    make_ram(location_hidden=8).learn(3 * UPDATE).save(path)
    return path


def test_it_predicts_as_before(make_ram, make_env, tmp_path) -> None:
    ram = make_ram().learn(3 * UPDATE)
    ram.save(tmp_path / "ram.pt")
    for loaded in (RAM.load(tmp_path / "ram.pt"), RAM.load(tmp_path / "ram.pt", make_env())):
        observation, _ = ram.env.reset()
        expected, _ = ram.predict(observation, deterministic=True)
        action, _ = loaded.predict(observation, deterministic=True)
        np.testing.assert_array_equal(action["fixation"], expected["fixation"])
        np.testing.assert_array_equal(action["answer"], expected["answer"])
        assert loaded.num_timesteps == 3 * UPDATE
        assert loaded.hyperparameters == ram.hyperparameters


def test_without_an_environment_it_does_not_learn(saved: Path) -> None:
    with pytest.raises(RuntimeError, match=r"RAM\.load\(path, env=env\)"):
        RAM.load(saved).learn(UPDATE)


def test_saved_before_and_after_loading_is_the_same(saved: Path, tmp_path: Path) -> None:
    RAM.load(saved).save(tmp_path / "again.pt")
    one, two = (torch.load(path, weights_only=True) for path in (saved, tmp_path / "again.pt"))
    assert str(one) == str(two)


def test_it_may_look_more_often_than_it_was_trained_to(saved: Path, make_env) -> None:
    assert RAM.load(saved, make_env(glimpses=6)).env.unwrapped.glimpses == 6


def test_a_write_that_fails_leaves_the_old_file(saved: Path, monkeypatch) -> None:
    before = saved.read_bytes()
    ram = RAM.load(saved)

    def fail(content: object, file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint_module.torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        ram.save(saved)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


class Payload:
    def __reduce__(self) -> tuple:
        return (os.mkdir, ("this-was-run",))


def hostile_files(path: Path, good: Path) -> None:
    content = torch.load(good, weights_only=True)
    size = good.stat().st_size
    other = content["network"] | {"answer.linear.bias": torch.zeros(7)}
    for name, change in {
        "other-kind": {"kind": "somebody-elses"},
        "other-version": {"version": 99},
        "other-weights": {"network": other},
        "no-generator": {"generator": torch.zeros(3)},
        "strange-option": {"hyperparameters": content["hyperparameters"] | {"wings": 2}},
        "bad-option": {"hyperparameters": content["hyperparameters"] | {"hidden": -1}},
        "strange-task": {"task": {"colour": "red"}},
        "no-task": {"task": None},
    }.items():
        torch.save({**content, **change}, path / name)
    del content["walk"]
    torch.save(content, path / "lacks-the-walk")
    torch.save([1, 2], path / "a-list")
    (path / "empty").write_bytes(b"")
    (path / "text").write_text("hello\n")
    (path / "cut").write_bytes(good.read_bytes()[: size // 2])
    (path / "pickle").write_bytes(pickle.dumps(Payload(), 2))
    torch.save(Payload(), path / "payload")
    (path / "folder").mkdir()


def test_files_that_are_no_checkpoints_are_named_in_one_line(
    saved: Path, tmp_path: Path, monkeypatch
) -> None:
    folder = tmp_path / "hostile"
    folder.mkdir()
    hostile_files(folder, saved)
    monkeypatch.chdir(tmp_path)
    for name in [*sorted(os.listdir(folder)), "missing"]:
        with pytest.raises(CheckpointError) as caught:
            RAM.load(folder / name)
        message = str(caught.value)
        assert name in message and "\n" not in message, message
    assert not (tmp_path / "this-was-run").exists()


def test_another_environment_is_named(saved: Path, make_env) -> None:
    with pytest.raises(CheckpointError, match=r"ram\.pt: trained with glimpse_shape \(1, 4, 4\)"):
        RAM.load(saved, make_env(size=6))


def test_another_number_of_lanes_cannot_go_on(saved: Path, make_env) -> None:
    loaded = RAM.load(saved, make_env(num_envs=4))
    with pytest.raises(ValueError, match="8 lanes"):
        loaded.learn(10 * UPDATE)


def test_arrays_come_back_as_arrays(tmp_path: Path) -> None:
    content = {
        "kind": "test",
        "version": 1,
        "deep": {"counts": np.arange(3, dtype=np.uint64), "pair": (np.int64(3), None)},
        "big": 2**100,
    }
    checkpoint_module.write(tmp_path / "x", content)
    back = checkpoint_module.from_plain(checkpoint_module.read(tmp_path / "x", "test", 1, {"deep"}))
    assert back["deep"]["counts"].dtype == np.uint64
    assert back["deep"]["counts"].tolist() == [0, 1, 2]
    assert back["deep"]["pair"] == (3, None)
    assert back["big"] == 2**100
