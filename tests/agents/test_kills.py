"""Real processes, killed: what they leave behind goes on, and RAM's and classifiers' to the bit.

`pytest -m slow tests/agents/test_kills.py -s` kills twenty times and tells its figures.
"""

import os
import random
import signal
import subprocess
import time

import pytest

from killing import begin, finished, killed, nothing_half_written, same_run, words
from saccade.agents.cli import main
from saccade.agents.runs import RunFolder

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills with SIGKILL")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The uninterrupted run of a config, made once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = finished(name, tmp_path_factory.mktemp("whole"))
        return made[name]

    return get


def test_ram_killed_before_within_and_after_its_checkpoints(whole, tmp_path):
    """Three kills of one training, the first before there is anything to go on from."""
    killed(words("ram_translated_digits", tmp_path), 3, "before")
    (folder,) = tmp_path.iterdir()
    run = RunFolder.open(folder)
    assert not run.has_checkpoint("last")
    on = ["train", "--resume", str(folder)]
    killed(on, 8, "before")  # the last thing it does is to fill a file that never gets its name
    assert run.has_checkpoint("last") and not nothing_half_written(folder)
    killed(on, 7, "after")
    assert main(on) == 0
    same_run(folder, whole("ram_translated_digits"))
    assert nothing_half_written(folder)


@pytest.mark.parametrize("name", ["ram_translated_digits", "ppo_digits"])
def test_a_kill_between_the_last_checkpoint_and_the_end_changes_nothing(name, tmp_path):
    """Also where patience has run out: a run that had stopped does not go on."""
    changes = {"train.patience": 1, "train.total_timesteps": 960_000, "agent.learning_rate": 1e-9}
    stopped = RunFolder.open(finished(name, tmp_path / "whole", **changes))
    assert stopped.metrics()["timesteps"] < 960_000
    stopped.update_metrics({"finished": False})
    before = stopped.checkpoint("last").read_bytes()
    assert main(["train", "--resume", str(stopped.path)]) == 0
    assert stopped.checkpoint("last").read_bytes() == before and stopped.metrics()["finished"]


def test_a_soft_classifier_killed_at_a_random_moment(whole, tmp_path):
    place = random.randint(3, 14)
    print(f"killed at file {place}")
    killed(words("soft/stn_digits", tmp_path), place, "after")
    (folder,) = tmp_path.iterdir()
    assert main(["train", "--resume", str(folder)]) == 0
    same_run(folder, whole("soft/stn_digits"))


def test_an_agent_of_sb3_goes_on_and_begins_again_to_the_bit(whole, tmp_path):
    """Killed before its first checkpoint it is the same run; after one, the same weights go on."""
    killed(words("ppo_digits", tmp_path), 3, "before")
    (folder,) = tmp_path.iterdir()
    on = ["train", "--resume", str(folder)]
    assert main(on) == 0
    same_run(folder, whole("ppo_digits"))

    later = tmp_path / "later"
    killed(words("ppo_digits", later), 8, "after")
    (folder,) = later.iterdir()
    assert main(["train", "--resume", str(folder)]) == 0
    assert RunFolder.open(folder).metrics()["timesteps"] == 2560


@pytest.mark.slow
def test_ram_killed_twenty_times_at_random_moments(tmp_path):
    """A training is killed and resumed until it ends, then the next one is, up to twenty kills."""
    changes = {"train.total_timesteps": 240_000, "train.eval_freq": 20_000}
    changes |= {"agent.num_envs": 256, "agent.hidden": 256, "train.checkpoint_freq": 12_000}
    began = time.monotonic()
    process = begin(*words("ram_translated_digits", tmp_path / "whole", **changes))
    assert process.wait() == 0, process.stderr.read()
    span = time.monotonic() - began
    (reference,) = (tmp_path / "whole").iterdir()
    moments = random.Random(0)
    kills, ends, anew = 0, 0, 0
    while kills < 20 or ends == 0:
        root = tmp_path / f"cut-{ends}"
        while True:
            folder = next(root.glob("[!.]*"), None)
            if folder is not None and RunFolder.open(folder).metrics().get("finished"):
                break  # it was killed on its way out
            if folder is not None:
                arguments = ["train", "--resume", str(folder)]
                anew += not RunFolder.open(folder).has_checkpoint("last")
            else:
                arguments = words("ram_translated_digits", root, **changes)
            process = begin(*arguments)
            try:
                process.wait(moments.uniform(0, span) if kills < 20 else None)
            except subprocess.TimeoutExpired:
                process.kill()
            said = process.communicate()[1]
            if process.returncode == 0:
                break
            assert process.returncode == -signal.SIGKILL, said
            kills += 1
        same_run(folder or next(root.glob("[!.]*")), reference)
        ends += 1
    print(f"\n{kills} kills, {ends} trainings of {span:.0f} s, {anew} begun again from nothing")
