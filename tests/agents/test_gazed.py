"""Environments whose eye is a gaze's: what the agent says of fixations counts for nothing."""

import json

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from saccade.agents import config, gaze
from saccade.agents.cli import main
from saccade.agents.environments import make_env
from saccade.agents.errors import UserError
from saccade.agents.evaluate import evaluate
from saccade.agents.gazed import GazedVectorEnv
from saccade.agents.rollout import rollout
from saccade.ram.learner import RAM


def make(lanes=8, split="train", reveal=("image", "box"), **keywords):
    return gymnasium.make_vec(
        "saccade/ClutteredDigits-v0",
        num_envs=lanes,
        split=split,
        glimpses=4,
        action="dict",
        reveal=reveal,
        autoreset_mode=AutoresetMode.DISABLED,
        **keywords,
    )


def play(env, seed=None, options=None, says=0.5):
    """The fixations (n, T, 2) of one episode in which the agent always says the same place."""
    observation, _ = env.reset(seed=seed, options=options)
    action = {
        "fixation": np.full((env.num_envs, 2), says, np.float32),
        "answer": np.zeros(env.num_envs, np.int64),
    }
    seen = [observation["fixation"]]
    for _ in range(4):
        observation, _, ended, _, _ = env.step(action)
        seen.append(observation["fixation"])
    assert ended.all()
    return np.stack(seen[:4], axis=1)


class Brightness:
    """Answers from the brightness of all glimpses so far; looks at the corner."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        bright = observation["glimpse"].sum((1, 2, 3))
        if state is not None:
            bright = bright + state * ~np.asarray(episode_start)
        corner = np.ones((len(bright), 2), np.float32)
        return {"fixation": corner, "answer": bright.astype(np.int64) % 10}, bright


@pytest.mark.parametrize("name", gaze.GAZES)
def test_the_agents_fixations_change_nothing(name):
    one, other = (GazedVectorEnv(make(), name) for _ in range(2))
    np.testing.assert_array_equal(play(one, 3, says=1.0), play(other, 3, says=-1.0))


@pytest.mark.parametrize("name", gaze.GAZES)
def test_it_shows_what_a_policy_that_follows_the_gaze_sees(name):
    env = make(split="validation")
    kind = gaze.gaze_class(name)
    followed = rollout(gaze.Follow(Brightness(), env, kind(env)), env, range(20))
    gazed = rollout(Brightness(), GazedVectorEnv(env, name), range(20))
    for field in ("fixations", "answers", "reward"):
        np.testing.assert_array_equal(getattr(gazed, field), getattr(followed, field))


def test_the_first_glimpse_follows_a_gaze_that_need_not_see_the_scene():
    path = gaze.raster_path(4, 60, 60)
    env = GazedVectorEnv(make(), "raster")
    np.testing.assert_array_equal(play(env, 0), np.broadcast_to(path, (8, 4, 2)))
    told = play(env, options={"fixation": [0.25, 0.5]})
    np.testing.assert_array_equal(told[:, 0], [[0.25, 0.5]] * 8)
    np.testing.assert_array_equal(told[:, 1:], np.broadcast_to(path[1:], (8, 3, 2)))
    plain, seeing = make(), GazedVectorEnv(make(), "saliency")
    np.testing.assert_array_equal(play(seeing, 0)[:, 0], play(plain, 0)[:, 0])


def test_only_the_gaze_sees_what_only_it_needs():
    env = GazedVectorEnv(make(), "saliency", keep=("box",))
    observation, _ = env.reset(seed=0)
    assert list(observation) == ["glimpse", "fixation", "progress", "box"]
    assert env.observation_space.contains(observation)
    stepped, *_ = env.step(env.action_space.sample())
    assert env.observation_space.contains(stepped)
    shown, _ = GazedVectorEnv(make(), "saliency", keep=("image", "box")).reset(seed=0)
    assert "image" in shown


@pytest.mark.parametrize("name", ["random", "saliency"])
def test_lanes_that_share_a_scene_are_looked_at_differently(name):
    env = GazedVectorEnv(make(paths=4), name)
    paths = play(env, 0).reshape(2, 4, 4, 2)
    assert (env.unwrapped.images[:4] == env.unwrapped.images[0]).all()
    for scene in paths:
        looks = scene if name == "random" else scene[:, :1]  # the first is the environment's
        assert len(np.unique(looks.reshape(-1, 2), axis=0)) == looks.size // 2


@pytest.mark.parametrize("name", gaze.GAZES)
def test_lanes_reset_alone_leave_the_others_on_their_way(name):
    first, second = np.arange(8), np.arange(8, 16)
    whole, parted = (GazedVectorEnv(make(split="validation"), name) for _ in range(2))
    action = whole.action_space.sample()
    late = np.arange(8) % 2 == 0
    for env in (whole, parted):
        env.reset(options={"index": first})
        env.step(action)
    parted.reset(options={"index": second, "reset_mask": late})
    went, *_ = whole.step(action)
    mixed, *_ = parted.step(action)
    np.testing.assert_array_equal(mixed["fixation"][~late], went["fixation"][~late])
    whole.reset(options={"index": second})
    began, *_ = whole.step(action)
    np.testing.assert_array_equal(mixed["fixation"][late], began["fixation"][late])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"looks at 'image'.*reveal=\('image',\)"):
        GazedVectorEnv(make(reveal=()), "saliency")
    with pytest.raises(ValueError, match="choose from random"):
        GazedVectorEnv(make(), "nowhere")
    env = gymnasium.make_vec("saccade/Digits-v0", num_envs=2)
    with pytest.raises(ValueError, match="autoreset_mode='Disabled'"):
        GazedVectorEnv(env, "center")
    with pytest.raises(gymnasium.error.ResetNeeded):
        GazedVectorEnv(make(), "center").step(None)


# ------------------------------------------------------------------ in runs

SMALL = {
    "agent.num_envs": 16,
    "agent.hidden": 32,
    "agent.what": 32,
    "train.total_timesteps": 960,
    "train.eval_freq": 480,
    "train.eval_placements": 1,
    "train.checkpoint_freq": 480,
    "train.picture_images": 2,
}


def test_a_config_reveals_to_the_gaze_and_not_to_the_agent():
    small = config.load("gaze_saliency_cluttered_digits", {"env.reveal": ["box"]})
    env = make_env(small, "train", num_envs=4)
    observation, _ = env.reset(seed=0)
    assert env.name == "saliency" and "image" not in observation and "box" in observation
    assert config.resolve(small.to_dict()).env.gaze == "saliency"
    plain = config.load("ram_cluttered_digits")
    assert plain.env.gaze is None and not isinstance(make_env(plain, "train"), GazedVectorEnv)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"env.gaze": "saliency"}, "agent.location_weight 0"),
        ({"env.gaze": "salience"}, "did you mean 'saliency'"),
        ({"env.gaze": 3}, "'env.gaze' must be 'random' or"),
    ],
)
def test_a_gaze_that_does_not_fit_is_one_line(overrides, message):
    with pytest.raises(UserError, match=message):
        config.load("ram_cluttered_digits", overrides)


def test_a_run_of_a_gaze_is_named_after_it(tmp_path, capsys):
    flags = [f"--{key}={value}" for key, value in SMALL.items()]
    config_name = "gaze_saliency_cluttered_digits"
    command = ["train", config_name, *flags, "--runs", str(tmp_path), "--evaluate"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "behind saliency" in out and "learned" not in out
    assert "The saliency gaze sees the whole image before it looks" in out
    (folder,) = tmp_path.iterdir()
    stored = json.loads((folder / "metrics.json").read_text())["evaluations"]["validation"]
    rows = [row["name"] for row in stored["rows"]]
    assert rows == ["saliency", "random", "centre", "fixed path"]
    assert main(["watch", str(folder), "--format", "png"]) == 0


def test_training_with_a_gaze_is_the_same_again():
    small = config.load("gaze_saliency_cluttered_digits", SMALL)
    weights = []
    for _ in range(2):
        env = make_env(small, "train", num_envs=16)
        learner = RAM(env, location_weight=0.0, hidden=16).learn(192)
        weights.append(learner.network.state_dict())
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


@pytest.mark.parametrize(
    ("name", "controls"),
    [("random", ["centre", "fixed path"]), ("center", ["random"]), ("raster", ["random", "centre"]),
     ("oracle", ["random", "centre", "fixed path"])],
)  # fmt: skip
def test_controls_that_are_the_gaze_itself_are_left_out(name, controls):
    def make_gazed(split):
        return GazedVectorEnv(make(60, split), name)

    rows = evaluate(Brightness(), make_gazed, "validation")
    assert [row.name for row in rows] == [name, *controls]
    by_name = {row.name: row for row in rows}
    if "centre" in controls:  # the controls do not follow the gaze
        assert by_name["centre"].scanpath["amplitude"] == 0
    if name == "oracle":
        assert rows[0].scanpath["on_target"] > 0.75
