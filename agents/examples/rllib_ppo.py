"""RLlib's PPO on a native vector environment.

    pip install 'saccade[rllib]'
    python -m saccade.agents.examples.rllib_ppo
    python -m saccade.agents.examples.rllib_ppo --runners 2

RLlib (its new API stack) makes environments by id. `gym_env_vectorize_mode="vector_entry_point"`
has it take the native vector environment; its default steps single ones in turns, which works too.
It expects autoreset in the next step, our default. `env_config` holds the environment's keywords.
The module has an LSTM, so that glimpses are remembered. Runners are processes, here or on other
machines of a Ray cluster; each walks its own shard of the one epoch.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import ray
from jsonargparse import auto_cli
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors.env_to_module import FlattenObservations
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner


class ShardRunner(SingleAgentEnvRunner):
    """A runner whose lanes are its part of all runners' lanes: no image twice in an epoch."""

    config: Any

    def make_env(self) -> None:
        if self.worker_index:  # 0 is in the process that learns, and samples where it is alone
            shard = (self.worker_index - 1, self.num_workers)
            self.config = self.config.copy(copy_frozen=False)
            self.config.env_config = {**self.config.env_config, "shard": shard}
            # RLlib seeds each runner's environment by itself; one epoch has one seed. What
            # the policy draws stays each runner's own.
            self._seed = self.config.seed
        super().make_env()


def configure(env_id: str, lanes: int, seed: int, runners: int = 0) -> PPOConfig:
    """PPO over `lanes` lanes of the id, shared by the runners; with none, in this process.

    Raises ValueError where the lanes do not part evenly among the runners.
    """
    if lanes % max(1, runners):
        raise ValueError(f"lanes={lanes}: does not part evenly among runners={runners}")
    return (
        PPOConfig()
        .environment(f"saccade:{env_id}", env_config={"action": "discrete"})
        .env_runners(
            env_runner_cls=ShardRunner,
            num_env_runners=runners,
            num_envs_per_env_runner=lanes // max(1, runners),
            gym_env_vectorize_mode=gym.VectorizeMode.VECTOR_ENTRY_POINT,
            env_to_module_connector=lambda env, spaces, device: FlattenObservations(),
        )
        .learners(num_learners=0)
        .rl_module(
            model_config=DefaultModelConfig(
                fcnet_hiddens=[128], use_lstm=True, lstm_cell_size=128, max_seq_len=6
            )
        )
        .training(
            train_batch_size_per_learner=6 * lanes,
            minibatch_size=6 * max(1, lanes // 4),
            num_epochs=4,
            lr=1e-3,
            gamma=1.0,
            lambda_=1.0,
            entropy_coeff=0.01,
        )
        .debugging(seed=seed, log_level="ERROR")
    )


def train(
    iterations: int = 100,
    env_id: str = "saccade/Digits-v0",
    lanes: int = 128,
    seed: int = 0,
    runners: int = 0,
) -> float:
    """Train and return the mean return of the last iteration's episodes.

    Args:
        iterations: rollouts, of at least 6 steps in each lane.
        env_id: the environment's id.
        lanes: of the native vector environments, all runners' together.
        seed: of weights, draws and environment.
        runners: processes that play; 0: this one plays and learns.
    """
    ray.init(num_cpus=max(1, runners), include_dashboard=False, ignore_reinit_error=True)
    algorithm = configure(env_id, lanes, seed, runners).build_algo()
    result: dict[str, Any] = {}
    for iteration in range(iterations):
        result = algorithm.train()["env_runners"]
        steps = int(result["num_env_steps_sampled_lifetime"])
        print(
            f"{iteration + 1:>4}: {steps:,} steps, mean return "
            f"{result['episode_return_mean']:.3f}, mean length {result['episode_len_mean']:.2f}",
            flush=True,
        )
    algorithm.stop()
    ray.shutdown()
    return float(result["episode_return_mean"])


if __name__ == "__main__":
    print(f"mean return of the last iteration: {auto_cli(train, as_positional=False):.3f}")
