"""Fixations as a problem of their own: what the wrapper shows, and what learns beside it."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from saccade.agents import config
from saccade.agents.evaluate import load_policy
from saccade.agents.location import CoreVecEnv, PPOLocation, SACLocation
from saccade.agents.train import train

ID = "saccade/Digits-v0"
SIZES = {"what": 16, "where": 8, "glimpse_features": 32, "hidden": 24}
PPO = {**SIZES, "n_steps": 6, "batch_size": 24, "n_epochs": 1}


def native(lanes: int = 4, **keywords):
    """A native environment that resets in the same step."""
    keywords = {"action": "box", "glimpses": 3, **keywords}
    return gym.make_vec(ID, num_envs=lanes, autoreset_mode=AutoresetMode.SAME_STEP, **keywords)


@pytest.mark.parametrize("core", ["rnn", "lstm"])
def test_the_wrapper_shows_what_the_core_makes_of_the_glimpses(core):
    """Its observations equal those of `predict` along the same fixations, episode after episode."""
    learner = PPOLocation(native(), core=core, seed=3, **PPO)
    wrapped: CoreVecEnv = learner._core_env
    wrapped.seed(0)
    known = wrapped.reset()
    plain = native()
    seen, _ = plain.reset(seed=0)
    rng, state, began = np.random.default_rng(0), None, np.ones(4, bool)
    for _ in range(7):
        action, state = learner.predict(seen, state, began, deterministic=True)
        assert np.allclose(known[:, :24], state[0], atol=1e-6)
        assert np.allclose(known[:, 24:26], seen["fixation"])
        fixation = rng.uniform(-1, 1, (4, 2)).astype(np.float32)
        action[:, :2] = fixation
        seen, reward, ended, _, _ = plain.step(action)
        known, ours, done, infos = wrapped.step(fixation)
        assert np.allclose(ours, reward) and (done == ended).all()
        began = ended
        if ended.any():
            assert all("terminal_observation" in info for info in infos)
    assert [batch[0].shape for batch in wrapped.episodes] == [(3, 4, 64)] * 2


def test_core_and_answer_learn_from_the_labels():
    """Cross-entropy falls below that of a guess, log 10, and goes on falling."""
    sizes = {"what": 64, "where": 32, "glimpse_features": 64, "hidden": 64}
    learner = PPOLocation(native(64), answer_learning_rate=5e-3, **{**PPO, **sizes})
    losses = []
    learn = learner.sight.loss

    def watched(batch):
        loss = learn(batch)
        losses.append(loss.item())
        return loss

    learner.sight.loss = watched
    learner.learn(64 * 3 * 200)
    assert len(losses) == 200
    assert np.mean(losses[-20:]) < np.mean(losses[80:100]) < np.log(10)


@pytest.mark.parametrize(
    ("name", "agent"),
    [
        ("ppo_location", PPO),
        (
            "sac_location",
            {**SIZES, "buffer_size": 300, "learning_starts": 32, "batch_size": 16},
        ),
    ],
)
def test_a_run_is_kept_whole(name, agent, tmp_path):
    found = config.resolve(
        {
            "name": name,
            "env": {"id": ID, "glimpses": 3, "reward": "dense"},
            "agent": {"name": name, "num_envs": 8, "log_interval": 48, **agent},
            "train": {"total_timesteps": 240, "eval_freq": 120, "threads": 1, "picture_images": 0},
        }
    )
    run = train(found, tmp_path).run
    _, last, file = load_policy(run, "last")
    env = gym.make_vec(
        ID, num_envs=5, action="box", glimpses=3, reward="dense", split="validation",
        autoreset_mode=AutoresetMode.DISABLED,
    )  # fmt: skip
    measured = run.metrics()["metrics"]
    assert measured["eval/error"] == pytest.approx(last.validate(env)["eval/error"])
    assert "train/answer_loss" in measured
    again = type(last).load(file, env=native(8, reward="dense"))
    for one, other in zip(
        last.network.state_dict().items(), again.network.state_dict().items(), strict=True
    ):
        assert one[0] == other[0] and torch.equal(one[1], other[1])
    assert again._optimizer.state_dict()["state"]


def test_a_loaded_learner_goes_on_in_the_walk(tmp_path):
    """Its first scenes are those that come next, not those that the training began with."""
    learner = PPOLocation(native(), **PPO)
    learner.learn(24)
    learner.save(tmp_path / "a.pt")
    plain, env = native(), native()
    plain.reset(seed=0)
    plain.unwrapped.restore_walk(learner._core.walk_state())
    _, following = plain.reset()
    shown = []
    reset = env.reset

    def watched(**keywords):
        observation, info = reset(**keywords)
        shown.append(info["index"].tolist())
        return observation, info

    env.reset = watched
    PPOLocation.load(tmp_path / "a.pt", env=env).learn(48)
    assert shown == [following["index"].tolist()]


def test_lanes_that_may_end_apart_are_refused():
    with pytest.raises(ValueError, match=r"env\.stop"):
        SACLocation(native(stop=True), **SIZES)
    with pytest.raises(ValueError, match="acts by 'box'"):
        SACLocation(native(action="grid"), **SIZES)


def test_one_observation_is_a_batch_of_one():
    learner = PPOLocation(native(), **PPO)
    seen, _ = native().reset(seed=1)
    batch, _ = learner.predict(seen, deterministic=True)
    single, state = learner.predict({k: v[2] for k, v in seen.items()}, deterministic=True)
    assert np.allclose(single, batch[2], atol=1e-6) and state[0].shape == (1, 24)
