"""Configs: what resolves, and what is refused in one line with nothing written."""

import dataclasses
from pathlib import Path

import pytest

from saccade.agents import config
from saccade.agents.cells import INDEX
from saccade.agents.cli import main
from saccade.agents.errors import UserError

PACKAGED = sorted(
    file
    for file in (Path(config.__file__).parent.parent / "configs").rglob("*.yaml")
    if file.name != INDEX
)
MINIMAL = "env: {id: saccade/Digits-v0}\nagent: {name: ram}\n"


def write(tmp_path, text):
    file = tmp_path / "x.yaml"
    file.write_text(text)
    return file


def test_there_are_packaged_configs():
    assert {file.stem for file in PACKAGED} >= {"ram_digits", "ram_translated_digits", "ram_mnist"}


@pytest.mark.parametrize("file", PACKAGED, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_packaged_configs_resolve_and_survive_their_own_yaml(file, tmp_path):
    resolved = config.load(file)
    assert resolved.name == file.stem
    again = config.load(write(tmp_path, resolved.to_yaml()))
    assert again.to_yaml() == resolved.to_yaml()


def test_a_bare_name_and_a_path_from_anywhere_find_the_packaged_copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config.load("ram_mnist") == config.load("configs/ram_mnist.yaml")
    assert config.load("soft/stn_digits") == config.load("configs/soft/stn_digits.yaml")
    with pytest.raises(UserError, match="no such config file"):
        config.load("soft/../ram_mnist")


def test_what_the_config_leaves_out_comes_from_the_signatures(tmp_path):
    resolved = config.load(write(tmp_path, MINIMAL))
    assert resolved.env.keywords["glimpses"] == 6
    assert resolved.env.keywords["action"] == "dict"  # the learner's own
    assert resolved.agent.keywords["core"] == "rnn"
    assert resolved.train == config.TrainConfig()
    assert (resolved.seed, resolved.device, resolved.name) == (0, "cpu", "x")


def test_a_base_is_changed_key_by_key_and_found_beside_the_file_or_among_the_packaged(tmp_path):
    (tmp_path / "base.yaml").write_text(
        "name: other\nseed: 3\nenv: {id: saccade/Digits-v0, glimpses: 4, size: 6}\n"
        "agent: {name: ram, hidden: 32}\n"
    )
    (tmp_path / "middle.yaml").write_text("base: base.yaml\nenv: {glimpses: 5}\nagent:\n")
    resolved = config.load(write(tmp_path, "base: middle.yaml\ntrain: {threads: 1}\n"))
    whole = "env: {id: saccade/Digits-v0, glimpses: 5, size: 6}\nagent: {name: ram, hidden: 32}\n"
    (tmp_path / "whole").mkdir()
    told = config.load(write(tmp_path / "whole", whole + "train: {threads: 1}\nseed: 3\n"))
    assert resolved == told and resolved.name == "x"
    packaged = config.load(write(tmp_path, "base: ram_mnist\nname: ram_mnist\n"))
    assert packaged == config.load("ram_mnist")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: 3", "x.yaml: 'base' must name a config file, got 3"),
        ("base: [ram_mnist]", "'base' must name a config file"),
        ("base: ram_mnits", "base ram_mnits: no such config file, did you mean 'ram_mnist'?"),
        ("base: other.yaml", "other.yaml: base x.yaml: leads back"),
        ("base: x.yaml", "base x.yaml: leads back to this file"),
        ("base: text.yaml", "x.yaml: base text.yaml: should hold keys and values"),
        ('base: "a\\0b"', "base"),
    ],
)
def test_a_base_that_is_none_is_one_line(tmp_path, text, message):
    (tmp_path / "other.yaml").write_text("base: x.yaml\n")
    (tmp_path / "text.yaml").write_text("- 1\n")
    with pytest.raises(UserError) as caught:
        config.load(write(tmp_path, text))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_configs_are_frozen(tmp_path):
    resolved = config.load(write(tmp_path, MINIMAL))
    with pytest.raises(dataclasses.FrozenInstanceError):
        resolved.seed = 3


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1.0e-3", "0.001", ".001", "+1e-3"])
def test_scientific_notation_is_a_number(tmp_path, text):
    resolved = config.load(write(tmp_path, MINIMAL + f"# {text}\n"), {})
    file = write(tmp_path, MINIMAL.replace("ram}", f"ram, learning_rate: {text}}}"))
    assert config.load(file).agent.keywords["learning_rate"] == 0.001
    assert resolved.agent.keywords["learning_rate"] != 0.001


@pytest.mark.parametrize("text", ["2000000", "2_000_000", "2e6", "2.0e+6"])
def test_whole_numbers_may_be_written_long(tmp_path, text):
    file = write(tmp_path, MINIMAL + f"train: {{total_timesteps: {text}}}\n")
    total = config.load(file).train.total_timesteps
    assert total == 2_000_000 and isinstance(total, int)


def test_overrides_win_and_may_add_parts(tmp_path):
    overrides = {"env.canvas": [40, 50], "train.threads": 1, "seed": 7, "name": "other"}
    resolved = config.load(write(tmp_path, MINIMAL), overrides)
    assert resolved.env.keywords["canvas"] == (40, 50)
    assert (resolved.train.threads, resolved.seed, resolved.name) == (1, 7, "other")


WRONG = {
    "unknown part": ("trian: {}\n" + MINIMAL, "'trian', did you mean 'train'?"),
    "unknown env key": (
        "env: {id: saccade/Digits-v0, glimpse: 3}\nagent: {name: ram}",
        "unknown key 'env.glimpse', did you mean 'env.glimpses'?",
    ),
    "unknown agent key": (
        "env: {id: saccade/Digits-v0}\nagent: {name: ram, lerning_rate: 1e-3}",
        "unknown key 'agent.lerning_rate', did you mean 'agent.learning_rate'?",
    ),
    "unknown train key": (
        MINIMAL + "train: {total_timestep: 3}",
        "did you mean 'train.total_timesteps'?",
    ),
    "a key that the run sets": (
        "env: {id: saccade/Digits-v0, split: test}\nagent: {name: ram}",
        "unknown key 'env.split'",
    ),
    "unknown id": (
        "env: {id: saccade/Digit-v0}\nagent: {name: ram}",
        "did you mean 'saccade/Digits-v0'?",
    ),
    "unknown agent": (
        "env: {id: saccade/Digits-v0}\nagent: {name: rramm}",
        "did you mean 'ram'?",
    ),
    "no id": ("agent: {name: ram}", "'env.id' is missing"),
    "no agent": ("env: {id: saccade/Digits-v0}", "'agent.name' is missing"),
    "text for a number": (
        "env: {id: saccade/Digits-v0, glimpses: six}\nagent: {name: ram}",
        "'env.glimpses' must be a whole number, got 'six'",
    ),
    "a fraction for a whole number": (
        MINIMAL + "train: {total_timesteps: 1.5}",
        "'train.total_timesteps' must be a whole number, got 1.5",
    ),
    "a truth value for a number": (
        "env: {id: saccade/Digits-v0}\nagent: {name: ram, learning_rate: yes}",
        "'agent.learning_rate' must be a number, got True",
    ),
    "no such choice": (
        "env: {id: saccade/Digits-v0}\nagent: {name: ram, core: ltsm}",
        "did you mean 'lstm'?",
    ),
    "no such choice of the scene": (
        "env: {id: saccade/DistortedDigits-v0, distortion: elastik}\nagent: {name: ram}",
        "did you mean 'elastic'?",
    ),
    "a number out of range": (MINIMAL + "train: {threads: 0}", "'train.threads' must be at least"),
    "a negative seed": (MINIMAL + "seed: -1", "'seed' must be at least 0"),
    "a part that is no mapping": ("env: [1]\nagent: {name: ram}", "'env' must hold keys"),
    "no mapping at all": ("- 1", "should hold keys and values"),
    "not YAML": ("env:\n  id: a\n   b: c\n", "line 3: not valid YAML"),
    "a key twice": (MINIMAL + "seed: 1\nseed: 2\n", "line 4: not valid YAML: the key 'seed'"),
    "not text": ("\x00", "not valid YAML"),
    "an unknown dataset": (
        "env: {id: saccade/Digits-v0, source: digit}\nagent: {name: ram}",
        "'digit'",
    ),
    "what the environment refuses": (
        "env: {id: saccade/Digits-v0, glimpses: -1}\nagent: {name: ram}",
        "glimpses=-1",
    ),
    "what the learner refuses": (
        "env: {id: saccade/Digits-v0, action: grid}\nagent: {name: ram}",
        "grid",
    ),
    "an unknown device": (MINIMAL + "device: cpuu", "'cpuu'"),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_one_line_and_write_nothing(tmp_path, capsys, text, message):
    file = write(tmp_path, text)
    runs = tmp_path / "runs"
    assert main(["train", str(file), "--runs", str(runs)]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("saccade: ") and message in err
    assert err.count("\n") == 1 and not out
    assert not runs.exists()


@pytest.mark.parametrize("path", ["nowhere.yaml", "ram_mnits", "."])
def test_missing_files_are_named(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=path):
        config.load(path)


def test_the_nearest_packaged_config_is_named():
    with pytest.raises(UserError, match="did you mean 'ram_mnist'"):
        config.load("ram_mnits")
    with pytest.raises(UserError, match="did you mean 'soft/ran_digits'"):
        config.load("soft/ran_digit")


def test_an_override_is_named_as_it_was_typed(tmp_path, capsys):
    file = write(tmp_path, MINIMAL)
    assert main(["train", str(file), "--env.glimpses", "x"]) == 2
    assert capsys.readouterr().err.startswith("saccade: --env.glimpses: 'env.glimpses' must be")
