"""The examples train. Those for other libraries run where the library is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import saccade  # noqa: F401  (registers the ids)
from saccade.agents.examples import ppo
from saccade.envs import Dataset

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "agents" / "examples"
PAGE = (ROOT / "docs" / "clients.md").read_text()
ID = "saccade/Digits-v0"


def run_ppo(folder, **changed):
    """A short training; its error and its curves as {name: values}, without the clock's."""
    sizes = {"num_envs": 128, "hidden": 16, "total_timesteps": 3_072, "runs": str(folder)}
    error = ppo.train(ppo.Arguments(**{**sizes, **changed}))
    (run,) = folder.glob("ppo-*")
    events = EventAccumulator(str(run)).Reload()
    names = [name for name in events.Tags()["scalars"] if name != "time/fps"]
    return error, {name: [point.value for point in events.Scalars(name)] for name in names}


def test_ppo_is_the_same_for_the_same_seed_and_draws_curves(tmp_path):
    first = run_ppo(tmp_path / "a", seed=3)
    assert first == run_ppo(tmp_path / "b", seed=3)
    assert first != run_ppo(tmp_path / "c", seed=4)
    error, curves = first
    assert curves.pop("eval/error") == [pytest.approx(error)]
    assert {"rollout/ep_rew_mean", "rollout/ep_len_mean", "train/approx_kl"} <= set(curves)
    assert {len(values) for values in curves.values()} == {3_072 // (128 * 6)}
    assert np.isfinite(list(curves.values())).all()


@pytest.fixture
def easy_id():
    """Black or white: the id of an environment that a few seconds suffice for."""
    shades = np.array([40, 220] * 20, np.uint8)
    images = np.broadcast_to(shades[:, None, None], (40, 12, 12)).copy()
    easy = images, np.array([0, 1] * 20)
    name = "saccade_tests/Shades-v0"
    gym.register(
        name,
        entry_point="saccade.envs.single:GlimpseEnv",
        vector_entry_point="saccade.envs.core:GlimpseVectorEnv",
        kwargs={
            "source": Dataset.from_splits({"train": easy, "validation": easy}),
            "glimpses": 3,
            "size": 4,
        },
    )
    yield name
    del gym.registry[name]


def test_ppo_learns_what_is_easy(easy_id, tmp_path):
    error, curves = run_ppo(tmp_path, env=easy_id, total_timesteps=15_000, learning_rate=3e-3)
    rewards = curves["rollout/ep_rew_mean"]
    assert 0.2 < rewards[0] < 0.8 and np.mean(rewards[-5:]) > 0.9
    assert error == 0


def test_ppo_says_what_it_cannot_train_on(capsys):
    assert ppo.main(["--env", "saccade/Digitz-v0"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("ppo: saccade/Digitz-v0: ") and said.count("\n") == 1


def test_torchrl_takes_single_environments():
    pytest.importorskip("torchrl", reason="the extra torchrl is not installed")
    from torchrl.envs.libs.gym import GymEnv
    from torchrl.envs.utils import check_env_specs

    for action in ("box", "dict", "grid"):
        env = GymEnv(ID, action=action)
        check_env_specs(env)
        assert env.rollout(20)["next", "done"].flatten().tolist() == [False] * 5 + [True]
    check_env_specs(GymEnv(ID, action="discrete"))


def test_torchrl_takes_native_environments_and_trains():
    pytest.importorskip("torchrl", reason="the extra torchrl is not installed")
    from torchrl.envs.utils import check_env_specs

    from saccade.agents.examples import torchrl_ppo

    env = torchrl_ppo.make_env(ID, lanes=5, seed=0)
    check_env_specs(env)
    rollout = env.rollout(30, break_when_any_done=False)
    opens = np.isclose(rollout["progress"].squeeze(-1), 1 / 6)  # (lanes, steps)
    ended = rollout["next", "done"].squeeze(-1).numpy()
    assert opens[:, 0].all() and (opens[:, 1:] == ended[:, :-1]).all()
    assert 0 <= torchrl_ppo.train(2_000, lanes=16, minibatch=128) <= 1


@pytest.mark.filterwarnings("ignore")
def test_tianshou_trains():
    pytest.importorskip("tianshou", reason="the extra tianshou is not installed")
    from saccade.agents.examples import tianshou_dqn

    assert 0 <= tianshou_dqn.train(1_000, lanes=4, buffer=2_000, batch_size=32, episodes=9) <= 1


@pytest.mark.filterwarnings("ignore")
def test_rllib_takes_the_native_environment_and_trains():
    pytest.importorskip("ray.rllib", reason="the extra rllib is not installed")
    from saccade.agents.examples import rllib_ppo
    from saccade.envs.core import GlimpseVectorEnv

    algorithm = rllib_ppo.configure(ID, lanes=8, seed=0).build_algo()
    env = algorithm.env_runner.env.unwrapped
    assert isinstance(env, GlimpseVectorEnv) and env.num_envs == 8
    algorithm.stop()
    assert 0 <= rllib_ppo.train(iterations=2, lanes=8) <= 1


@pytest.mark.filterwarnings("ignore")
def test_rllibs_remote_runners_share_an_epoch_and_train():
    pytest.importorskip("ray.rllib", reason="the extra rllib is not installed")
    from saccade.agents.examples import rllib_ppo

    def walked(runner):
        """What a runner's lanes show on their way through the epoch, and where it runs."""
        _, info = runner.env.reset(seed=runner._seed)
        seen = [one["index"] for one in info]
        core = runner.env.unwrapped
        while len(seen) + core.num_envs <= core.split_length // 2:
            seen += core.reset()[1]["index"].tolist()
        return os.getpid(), seen

    rllib_ppo.ray.init(num_cpus=2, include_dashboard=False, ignore_reinit_error=True)
    algorithm = rllib_ppo.configure(ID, lanes=8, seed=0, runners=2).build_algo()
    (here, first), (there, second) = algorithm.env_runner_group.foreach_env_runner(
        walked, local_env_runner=False
    )
    algorithm.stop()
    rllib_ppo.ray.shutdown()
    assert len({os.getpid(), here, there}) == 3
    assert len(first) == len(second) > 500
    assert len({*first, *second}) == len(first) + len(second)
    assert 0 <= rllib_ppo.train(iterations=2, lanes=8, runners=2) <= 1
    with pytest.raises(ValueError, match="lanes=7: does not part evenly among runners=2"):
        rllib_ppo.configure(ID, lanes=7, seed=0, runners=2)


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_rl_zoo3_trains_from_its_hyperparameter_file(algorithm, tmp_path):
    pytest.importorskip("rl_zoo3", reason="the extra zoo is not installed")
    command = f"""-m rl_zoo3.train --algo {algorithm} --env {ID} --gym-packages saccade
        --conf-file {EXAMPLES}/rl_zoo3/{algorithm}.yml --env-kwargs action:'discrete'
        --eval-env-kwargs action:'discrete' split:'validation' --eval-episodes 5
        --eval-freq 2000 -n 3000 -f {tmp_path} --seed 1 --device cpu --num-threads 1"""
    run = subprocess.run(
        [sys.executable, *command.split()], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    (folder,) = (tmp_path / algorithm).glob("saccade-Digits-v0_1")
    assert (folder / "saccade-Digits-v0.zip").exists() and (folder / "best_model.zip").exists()


@pytest.mark.parametrize("file", sorted((EXAMPLES / "rl_zoo3").glob("*.yml")), ids=lambda f: f.stem)
def test_hyperparameter_files_are_for_ids_and_keywords_that_exist(file):
    import stable_baselines3 as sb3

    learner = getattr(sb3, file.stem.upper())
    own = {"n_timesteps", "n_envs"}  # rl_zoo3's
    for env_id, options in yaml.safe_load(file.read_text()).items():
        assert env_id in gym.registry
        assert set(options) - own <= set(learner.__init__.__annotations__)


def test_the_page_of_clients_names_every_example_and_quotes_it():
    modules = {path.stem for path in EXAMPLES.glob("*.py")} - {"__init__"}
    assert set(re.findall(r"saccade\.agents\.examples\.(\w+)", PAGE)) == modules
    code = "\n".join(path.read_text() for path in EXAMPLES.glob("*.py"))
    written = {line.strip() for line in code.splitlines()}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        for line in filter(None, map(str.strip, block.splitlines())):
            assert line in written, line
