"""TorchRL's PPO on a native vector environment.

    pip install 'saccade[torchrl]'
    python -m saccade.agents.examples.torchrl_ppo --total_timesteps 200000

`GymWrapper` takes the native environment with autoreset disabled and resets lanes by their mask.
(Next-step it refuses; same-step it takes, but then shows zeros for the last observation of an
episode where observations are dictionaries.) `GymEnv(id, action=...)` makes a single environment,
`GymEnv(id, num_envs=4, action=...)` one in each of 4 processes.
The policy has no memory: it looks at a cell, or answers from what it sees now and ends the episode.
"""

from __future__ import annotations

import math

import gymnasium as gym
import torch
from jsonargparse import auto_cli
from tensordict.nn import TensorDictModule, TensorDictSequential
from torch import Tensor, nn
from torchrl.collectors import Collector
from torchrl.envs.libs.gym import GymWrapper
from torchrl.modules import ProbabilisticActor
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from ...ram.networks import GlimpseNetwork


class Features(nn.Module):
    """What and where is seen, beside the share of glimpses used; any batch dimensions."""

    def __init__(self, pixels: int, features: int) -> None:
        super().__init__()
        self.glimpse = GlimpseNetwork(pixels, features=features)

    def forward(self, glimpse: Tensor, fixation: Tensor, progress: Tensor) -> Tensor:
        """(..., scales * C, size, size), (..., 2) and (..., 1) to (..., features + 1)."""
        batch = progress.shape[:-1]
        seen = self.glimpse(glimpse.flatten(-3).flatten(0, -2), fixation.flatten(0, -2))
        return torch.cat((seen.unflatten(0, batch), progress), -1)


def make_env(env_id: str, lanes: int, seed: int) -> GymWrapper:
    """The native vector environment as TorchRL's, actions as whole numbers."""
    env = gym.make_vec(env_id, num_envs=lanes, action="discrete", autoreset_mode="Disabled")
    wrapped = GymWrapper(env, categorical_action_encoding=True)
    wrapped.set_seed(seed)
    return wrapped


def train(
    total_timesteps: int = 200_000,
    env_id: str = "saccade/Digits-v0",
    lanes: int = 128,
    steps: int = 24,
    epochs: int = 4,
    minibatch: int = 512,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> float:
    """Train and return the mean reward of the last rollout's episodes.

    Args:
        total_timesteps: environment steps of all lanes together.
        env_id: the environment's id.
        lanes: of the native vector environment.
        steps: of each lane in a rollout.
        epochs: passes over a rollout.
        minibatch: steps in a step of the optimiser.
        learning_rate: of Adam.
        seed: of weights, draws and environment.
    """
    torch.manual_seed(seed)
    env = make_env(env_id, lanes, seed)
    pixels = math.prod(env.observation_spec["glimpse"].shape[1:])
    actions, features = int(env.action_spec.space.n), 128

    see = TensorDictModule(
        Features(pixels, features), ["glimpse", "fixation", "progress"], ["features"]
    )
    choose = TensorDictModule(nn.Linear(features + 1, actions), ["features"], ["logits"])
    expect = TensorDictModule(nn.Linear(features + 1, 1), ["features"], ["state_value"])
    actor = ProbabilisticActor(
        TensorDictSequential(see, choose),
        in_keys=["logits"],
        distribution_class=torch.distributions.Categorical,
        return_log_prob=True,
    )
    critic = TensorDictSequential(see, expect)
    advantage = GAE(gamma=1.0, lmbda=1.0, value_network=critic, average_gae=False)
    loss_module = ClipPPOLoss(actor, critic, entropy_coeff=0.01, normalize_advantage=True)
    optimizer = torch.optim.Adam(loss_module.parameters(), learning_rate)

    frames = lanes * steps
    collector = Collector(
        env,
        actor,
        frames_per_batch=frames,
        total_frames=max(1, total_timesteps // frames) * frames,
        auto_register_policy_transforms=True,
    )
    reward = 0.0
    for number, rollout in enumerate(collector):  # (lanes, steps)
        with torch.no_grad():
            advantage(rollout)
        ended = rollout["next", "done"]
        reward = float(rollout["next", "reward"][ended].mean())
        flat = rollout.reshape(-1)
        for _ in range(epochs):
            for part in torch.randperm(len(flat)).split(minibatch):
                losses = loss_module(flat[part])
                loss = losses["loss_objective"] + losses["loss_critic"] + losses["loss_entropy"]
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        if number % 10 == 0:
            print(f"{(number + 1) * frames:>10,} steps  reward {reward:.3f}", flush=True)
    collector.shutdown()
    return reward


if __name__ == "__main__":
    print(f"mean reward of the last rollout: {auto_cli(train, as_positional=False):.3f}")
