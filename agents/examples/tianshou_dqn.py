"""Tianshou's DQN on single environments, stepped in turns by Tianshou's own vector environment.

    pip install 'saccade[tianshou]'
    python -m saccade.agents.examples.tianshou_dqn --total_timesteps 60000

Tianshou's `DummyVectorEnv` and `SubprocVectorEnv` reset lanes by themselves, so each lane is a
single environment: `shard=(lane, lanes)` parts the images among them. DQN takes
`action="discrete"`: look at a cell, or answer and end the episode. The policy has no memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from jsonargparse import auto_cli
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, CollectStats, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OffPolicyTrainerParams
from torch import Tensor, nn

from ...ram.networks import GlimpseNetwork


class Values(nn.Module):
    """What each action is worth: the glimpse network and a linear layer."""

    def __init__(self, pixels: int, actions: int, features: int = 128) -> None:
        super().__init__()
        self.glimpse = GlimpseNetwork(pixels, features=features)
        self.linear = nn.Linear(features + 1, actions)

    def forward(self, obs: Any, state: Any = None, info: Any = None) -> tuple[Tensor, Any]:
        """Observations (n, ...), as Tianshou's batch of arrays, to values (n, actions)."""
        glimpse, fixation, progress = (
            torch.as_tensor(obs[name]) for name in ("glimpse", "fixation", "progress")
        )
        seen = self.glimpse(glimpse.flatten(1), fixation)  # (n, features)
        return self.linear(torch.cat((seen, progress), 1)), state


def make_envs(env_id: str, lanes: int, **keywords: Any) -> DummyVectorEnv:
    """Single environments in turns, one a shard."""

    def make(lane: int) -> Callable[[], gym.Env]:
        return lambda: gym.make(env_id, action="discrete", shard=(lane, lanes), **keywords)

    return DummyVectorEnv([make(lane) for lane in range(lanes)])


def train(
    total_timesteps: int = 60_000,
    env_id: str = "saccade/Digits-v0",
    lanes: int = 16,
    learning_rate: float = 1e-3,
    buffer: int = 20_000,
    batch_size: int = 256,
    episodes: int = 179,
    seed: int = 0,
) -> float:
    """Train and return the best mean reward on `validation`.

    Args:
        total_timesteps: environment steps of all lanes together.
        env_id: the environment's id.
        lanes: environments to collect from.
        learning_rate: of Adam.
        buffer: steps that are kept to learn from.
        batch_size: steps in a step of the optimiser.
        episodes: of a test, each the next scene of the split; Digits-v0 has 179.
        seed: of weights, draws and environments.
    """
    np.random.seed(seed)  # noqa: NPY002 (Tianshou draws from the global generators)
    torch.manual_seed(seed)
    envs = make_envs(env_id, lanes)
    unseen = make_envs(env_id, 1, split="validation")
    envs.seed(seed)
    space, seen = envs.action_space[0], envs.observation_space[0]

    policy = DiscreteQLearningPolicy(
        model=Values(math.prod(seen["glimpse"].shape), int(space.n)),
        action_space=space,
        observation_space=seen,
        eps_training=0.1,
    )
    algorithm: DQN = DQN(
        policy=policy,
        optim=AdamOptimizerFactory(lr=learning_rate),
        gamma=1.0,
        target_update_freq=200,
    )
    collector = Collector[CollectStats](
        algorithm, envs, VectorReplayBuffer(buffer, lanes), exploration_noise=True
    )
    collector.reset()
    collector.collect(n_step=max(lanes, batch_size), random=True)
    tester = Collector[CollectStats](algorithm, unseen)
    epoch = min(10_000, total_timesteps)
    result = algorithm.run_training(
        OffPolicyTrainerParams(
            training_collector=collector,
            test_collector=tester,
            max_epochs=max(1, total_timesteps // epoch),
            epoch_num_steps=epoch,
            collection_step_num_env_steps=10 * lanes,
            update_step_num_gradient_steps_per_sample=0.1,
            batch_size=batch_size,
            test_step_num_episodes=episodes,
        )
    )
    return float(result.best_reward)


if __name__ == "__main__":
    print(f"best mean reward on validation: {auto_cli(train, as_positional=False):.3f}")
