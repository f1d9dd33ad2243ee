"""SB3's algorithms as learners of a run: what they are asked, what they keep, what they refuse."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import zipfile

import gymnasium as gym
import numpy as np
import pytest
import torch
import yaml
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.evaluation import evaluate_policy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from killing import begin, interrupted
from saccade.agents import config
from saccade.agents.baselines import DQN, PPO, SAC, MaskablePPO, RecurrentPPO
from saccade.agents.cli import main
from saccade.agents.errors import UserError
from saccade.agents.evaluate import load_policy
from saccade.agents.runs import RunFolder
from saccade.agents.sb3 import make_vec_env
from saccade.agents.train import resume, train
from saccade.ram import Callback
from saccade.ram.checkpoint import CheckpointError

ID = "saccade/Digits-v0"
AGENTS = {
    "ppo": {"n_steps": 6, "batch_size": 48, "n_epochs": 1},
    "a2c": {"n_steps": 6},
    "dqn": {"buffer_size": 500, "learning_starts": 64, "batch_size": 16},
    "sac": {"buffer_size": 500, "learning_starts": 64, "batch_size": 16},
    "recurrent_ppo": {"n_steps": 6, "batch_size": 48, "n_epochs": 1},
    "maskable_ppo": {"n_steps": 6, "batch_size": 48, "n_epochs": 1},
}
CONTRIB = ("recurrent_ppo", "maskable_ppo")


def names(*chosen: str) -> list:
    """These agents; those of sb3-contrib are skipped where it is missing."""
    missing = pytest.mark.skipif(
        not any(map(os.path.isdir, [f"{path}/sb3_contrib" for path in sys.path])),
        reason="needs sb3-contrib",
    )
    return [
        pytest.param(name, marks=missing if name in CONTRIB else ()) for name in chosen or AGENTS
    ]


def small(name: str, env: dict | None = None, **agent) -> config.Config:
    """A config of seconds."""
    return config.resolve(
        {
            "name": name,
            "env": {"id": ID, "grid": [3, 3], "glimpses": 3, **(env or {})},
            "agent": {"name": name, "num_envs": 16, "log_interval": 96, **AGENTS[name], **agent},
            "train": {
                "total_timesteps": 480,
                "eval_freq": 240,
                "checkpoint_freq": 240,
                "picture_images": 2,
                "threads": 1,
            },
        }
    )


def native(lanes: int = 4, **keywords):
    """A native environment that resets in the same step."""
    keywords = {"action": "grid", "grid": (3, 3), "glimpses": 3, **keywords}
    return gym.make_vec(ID, num_envs=lanes, autoreset_mode=AutoresetMode.SAME_STEP, **keywords)


@pytest.mark.parametrize("name", names())
def test_a_run_leaves_curves_checkpoints_and_an_evaluation(name, tmp_path, capsys):
    finished = train(small(name), tmp_path)
    assert not finished.interrupted and finished.timesteps >= 480
    found = EventAccumulator(str(finished.run.path))
    found.Reload()
    curves = set(found.Tags()["scalars"])
    assert {"rollout/ep_rew_mean", "rollout/success_rate", "eval/error"} <= curves
    assert {"eval/mean_reward", "eval/mean_ep_length", "train/learning_rate"} <= curves
    metrics = json.loads((finished.run.path / "metrics.json").read_text())
    assert metrics["finished"] and 0 <= metrics["best"]["error"] <= 1
    assert main(["evaluate", str(finished.run.path)]) == 0
    assert "| random" in capsys.readouterr().out


@pytest.mark.parametrize("name", names("ppo", "dqn", "recurrent_ppo"))
def test_a_seed_fixes_the_training(name, tmp_path):
    weights = []
    for folder in ("a", "b"):
        run = train(small(name), tmp_path / folder).run
        weights.append(load_policy(run, "last")[1].network.state_dict())
    for key, value in weights[0].items():
        assert torch.equal(value, weights[1][key])


def test_validation_equals_sb3s_own_evaluation(tmp_path):
    run = train(small("ppo"), tmp_path).run
    learner = load_policy(run, "last")[1]
    keywords = {"split": "validation", "action": "grid", "grid": (3, 3), "glimpses": 3}
    env = gym.make_vec(ID, num_envs=7, autoreset_mode=AutoresetMode.DISABLED, **keywords)
    ours = learner.validate(env)
    theirs = make_vec_env(ID, 7, **keywords)
    scenes = theirs.get_attr("split_length")[0]
    mean, _ = evaluate_policy(learner.model, theirs, scenes, deterministic=True, warn=False)
    assert ours["eval/mean_reward"] == pytest.approx(mean)
    assert ours["eval/error"] == pytest.approx(1 - mean)


@pytest.mark.parametrize("name", names("ppo", "dqn", "sac", "recurrent_ppo"))
def test_an_interrupted_run_goes_on_with_its_weights(name, tmp_path):
    run = train(small(name), tmp_path).run
    before = load_policy(run, "last")[1]
    text = yaml.safe_load(run.config.read_text())
    text["train"]["total_timesteps"] = 960
    run.config.write_text(yaml.safe_dump(text))
    run.update_metrics({"finished": False})
    after = resume(run.path)
    assert after.timesteps >= 960 and not after.interrupted
    last = load_policy(run, "last")[1]
    assert last.num_timesteps >= 960 > before.num_timesteps
    best = RunFolder.open(run.path).metrics()["best"]
    assert best["timesteps"] in {240, 480} | {*range(288, 1200, 48)} | {*range(496, 1200, 16)}


def test_the_learning_rate_never_turns_round():
    """The last rollout goes past the end; climbing the loss there would undo what was learned."""
    learner = PPO(native(), n_steps=60, batch_size=24, n_epochs=1, schedule="linear")
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    learner.learn(100)
    assert learner.num_timesteps == 240
    for name, value in learner.network.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [("agent", "gamma", 0.5), ("agent", "num_envs", 8), (None, "seed", 3), ("train", None, None)],
)
def test_a_run_goes_on_only_as_it_began(part, key, value, tmp_path):
    run = train(small("ppo"), tmp_path).run
    run.update_metrics({"finished": False})
    text = yaml.safe_load(run.config.read_text())
    if key is None:
        del text[part]
    else:
        (text if part is None else text[part])[key] = value
    run.config.write_text(yaml.safe_dump(text))
    before = (run.checkpoints / "last.pt").read_bytes()
    with pytest.raises(UserError, match=key or "cut short"):
        resume(run.path)
    assert (run.checkpoints / "last.pt").read_bytes() == before


def test_what_was_saved_is_what_is_loaded(tmp_path):
    learner = SAC(native(action="box"), buffer_size=100, learning_starts=8, batch_size=8)
    learner.learn(48)
    learner.save(tmp_path / "a.pt")
    again = SAC.load(tmp_path / "a.pt", env=native(action="box"))
    for name, values in learner.model.get_parameters().items():
        assert str(values) == str(again.model.get_parameters()[name])
    assert torch.equal(learner.model.log_ent_coef, again.model.log_ent_coef)
    assert again.num_timesteps == learner.num_timesteps


def test_ctrl_c_leaves_a_run_to_resume(tmp_path):
    text = small("ppo").to_dict()
    text["train"]["total_timesteps"] = 10_000_000
    (tmp_path / "long.yaml").write_text(yaml.safe_dump(text))
    process = begin("train", str(tmp_path / "long.yaml"), "--runs", str(tmp_path / "runs"))
    ended, said = interrupted(process, signal.SIGINT)
    assert ended == 130 and "Go on with:" in said and "Traceback" not in said
    (folder,) = (tmp_path / "runs").iterdir()
    stopped = load_policy(RunFolder.open(folder), "last")[1].num_timesteps
    assert stopped > 0 and stopped % (6 * 16) == 0  # between two updates
    text = yaml.safe_load((folder / "config.yaml").read_text())
    text["train"]["total_timesteps"] = stopped + 96
    (folder / "config.yaml").write_text(yaml.safe_dump(text))
    assert resume(folder).timesteps == stopped + 96


def test_a_stop_just_before_the_end_is_no_end():
    """The step at which SB3 can be stopped reaches the budget, without an update."""

    class Stop(Callback):
        def on_step(self, learner, metrics):
            return False

    learner = PPO(native(), n_steps=6, batch_size=24)
    learner.learn(25, Stop())
    assert learner.num_timesteps == 24 and not learner.finished
    learner.learn(25)
    assert learner.num_timesteps == 48 and learner.finished


def test_filling_the_replay_buffer_again_is_not_counted(tmp_path):
    keywords = {"buffer_size": 100, "learning_starts": 40, "batch_size": 8}
    learner = DQN(native(action="discrete"), **keywords).learn(60)
    learner.save(tmp_path / "a.pt")
    again = DQN.load(tmp_path / "a.pt", env=native(action="discrete"))
    updates = again.model._n_updates
    again.learn(80)
    assert again.num_timesteps == 80 and again.model._n_updates > updates


def test_a_masked_policy_looks_before_it_answers():
    pytest.importorskip("sb3_contrib")
    keywords = {"action": "discrete", "glimpses": 5, "min_glimpses": 4}
    learner = MaskablePPO(native(**keywords), n_steps=6, batch_size=24)
    env = gym.make_vec(
        ID, num_envs=8, autoreset_mode=AutoresetMode.DISABLED, **keywords, grid=(3, 3)
    )
    observation, _ = env.reset(seed=0)
    for _ in range(3):
        action, _ = learner.predict(observation)
        assert (action < 9).all()
        observation, *_ = env.step(action)
    for _ in range(2):
        assert learner.predict(observation)[0].shape == (8,)
        allowed = env.unwrapped.action_masks()
        action, _ = learner.predict(observation)
        assert allowed[np.arange(8), action].all()
        observation, *_ = env.step(np.minimum(action, 8))
    single = {name: values[0] for name, values in env.reset(seed=0)[0].items()}
    assert 0 <= int(learner.predict(single)[0]) < 9


def test_a_recurrent_policy_forgets_where_an_episode_begins():
    pytest.importorskip("sb3_contrib")
    learner = RecurrentPPO(native(), n_steps=6, batch_size=24)
    observation, _ = gym.make_vec(ID, num_envs=4, action="grid").reset(seed=0)
    _, state = learner.predict(observation, deterministic=True)
    begun = np.array([True, False, True, False])
    _, mixed = learner.predict(observation, state, begun, deterministic=True)
    _, fresh = learner.predict(observation, deterministic=True)
    assert np.allclose(mixed[0][:, begun], fresh[0][:, begun])
    assert not np.allclose(mixed[0][:, ~begun], fresh[0][:, ~begun])


@pytest.mark.parametrize(
    ("learner", "action"), [(DQN, "grid"), (SAC, "discrete"), (PPO, "dict"), (DQN, "box")]
)
def test_an_action_mode_that_does_not_fit_is_named(learner, action, tmp_path, capsys):
    with pytest.raises(ValueError, match=f"{learner.__name__} acts by .*not '{action}'"):
        learner(native(action=action))
    name = learner.__name__.lower()
    text = {"env": {"id": ID, "action": action}, "agent": {"name": name}}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(text))
    code = main(["train", str(tmp_path / "wrong.yaml"), "--runs", str(tmp_path / "runs")])
    said = capsys.readouterr().err
    assert code == 2 and said.count("\n") == 1 and "env.action" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ({"learning_rat": 1}, "did you mean 'agent.learning_rate'"),
        ({"n_steps": "many"}, "'agent.n_steps' must be a whole number"),
        ({"policy_kwargs": {"net_arc": [3]}}, "net_arc"),
        ({"policy_kwargs": {"activation_fn": "Relu"}}, "torch.nn has no such class"),
        ({"batch_size": 1}, "batch_size"),
    ],
)
def test_a_wrong_keyword_is_one_line(agent, said, tmp_path):
    with pytest.raises(UserError, match=said) as caught:
        train(small("ppo", **agent), tmp_path)
    assert "\n" not in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_a_checkpoint_of_sb3s_own_is_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    learner = PPO(native(), n_steps=6, batch_size=24)
    learner.model.save(tmp_path / "sb3.zip")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Bomb(), protocol=2))
    with zipfile.ZipFile(tmp_path / "zipped.pt", "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(Bomb(), protocol=2))
    for name in ("sb3.zip", "pickle.pt", "zipped.pt"):
        with pytest.raises(CheckpointError):
            PPO.load(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_that_does_not_fit_says_so(tmp_path):
    PPO(native(), n_steps=6, batch_size=24).save(tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="stable_baselines3:PPO"):
        DQN.load(tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="trained with"):
        PPO.load(tmp_path / "a.pt", env=native(size=5))
    with pytest.raises(CheckpointError, match="trained with"):
        PPO.load(tmp_path / "a.pt", env=native(grid=(4, 4)))
