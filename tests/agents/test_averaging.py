"""Several paths a scene that answer together, and what is kept of which scenes were right."""

import json

import numpy as np
import pytest

from saccade.agents import stats
from saccade.agents.averaging import averages, right_on_average
from saccade.agents.cli import main
from saccade.agents.config import load_resolved
from saccade.agents.environments import make_env
from saccade.agents.evaluate import load_policy
from saccade.agents.row import packed, unpacked
from saccade.agents.runs import RunFolder


class Still:
    """A policy that does not draw, so that what it does depends on no order of calls."""

    def __init__(self, policy):
        self.policy, self.task, self.scores = policy, policy.task, policy.scores

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        return self.policy.predict(observation, state, episode_start, deterministic=True)


@pytest.fixture(scope="module")
def policy(trained):
    return Still(load_policy(RunFolder.open(trained))[1])


def test_the_mean_over_paths_is_that_of_one_scene_at_a_time(trained, policy):
    config = load_resolved(trained / "config.yaml")
    right = right_on_average(policy, make_env(config, "validation", num_envs=28, paths=4))
    one = make_env(config, "validation", num_envs=4, paths=4)
    assert len(right) == one.unwrapped.split_length and len(right) % 7  # the last batch is not full
    firsts = set()
    for scene in (0, 1, 50, len(right) - 1):
        observation, info = one.reset(options={"index": scene})
        firsts |= set(map(tuple, observation["fixation"]))
        state = None
        for _ in range(config.env.keywords["glimpses"]):
            action, state = policy.predict(observation, state)
            observation, *_ = one.step(action)
        mean = policy.scores(state).mean(axis=0)
        assert right[scene] == (mean.argmax() == info["label"][0])
    assert len(firsts) == 16  # each path of each scene begins elsewhere


def test_one_path_is_the_answer_that_the_environment_heard(trained, policy):
    config = load_resolved(trained / "config.yaml")
    right = right_on_average(policy, make_env(config, "validation", num_envs=60))
    env = make_env(config, "validation", num_envs=len(right))
    observation, _ = env.reset(options={"index": np.arange(len(right))})
    state = None
    for _ in range(config.env.keywords["glimpses"]):
        action, state = policy.predict(observation, state)
        observation, _, _, _, info = env.step(action)
    np.testing.assert_array_equal(right, info["is_success"])


def test_the_command_stores_both_protocols_and_which_scenes_were_right(run, capsys):
    assert main(["evaluate", str(run), "--average", "3"]) == 0
    assert "3 sampled paths a scene that answer together: error % " in capsys.readouterr().out
    entry = json.loads((run / "metrics.json").read_text())["evaluations"]["validation"]
    assert entry["averaged"]["paths"] == 3
    estimate, low, high = entry["averaged"]["error"]
    assert 0 <= low <= estimate <= high <= 1
    first, *controls = entry["rows"]
    right = unpacked(first["right"], entry["scenes"])
    images = np.arange(entry["scenes"]) % entry["images"]
    assert first["error"] == pytest.approx(list(stats.proportion_interval(~right, images)))
    assert not any(row["right"] for row in controls)
    assert main(["evaluate", str(run)]) == 0
    entry = json.loads((run / "metrics.json").read_text())["evaluations"]["validation"]
    assert entry["averaged"] is None


def test_where_nothing_is_drawn_nothing_is_averaged(trained, policy, small_config):
    env = make_env(small_config, "validation", num_envs=4)
    assert averages(policy, env)
    assert not averages(object(), env)  # gives no scores


@pytest.mark.parametrize("count", [0, 1, 8, 9, 1000])
def test_truth_values_come_back_from_text(count):
    values = np.random.default_rng(count).random(count) < 0.5
    np.testing.assert_array_equal(unpacked(packed(values), count), values)
    with pytest.raises(ValueError, match="truth values"):
        unpacked(packed(values), count + 9)
