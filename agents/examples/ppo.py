"""PPO (Schulman et al. 2017) in one file, from top to bottom, for an agent that must remember.

    python -m saccade.agents.examples.ppo --seed 1

Nothing of Saccade's own learning is used but the glimpse network: copy the file and change it.

What is special to glimpses, beside what every PPO does:
- Every lane plays whole episodes of T steps and all begin together, so a rollout is one episode of
  each. The recurrent state starts at zero, and no mask is needed anywhere.
- Each step has one decision that counts: where to look before the last step, the answer at the
  last. The other half of the action is not looked at by the environment, so it is left out of
  log-probabilities and entropies, where it would be noise.
- Nothing is discounted, and the advantage is the return less its expectation: the only reward is
  that of the answer, at most T steps away.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from jsonargparse import auto_cli
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn import functional
from torch.utils.tensorboard import SummaryWriter

from ...ram.networks import GlimpseNetwork
from ..errors import UserError


@dataclass(frozen=True)
class Arguments:
    """PPO with a recurrent core on a glimpse environment.

    Args:
        env: the environment's id.
        seed: of weights, draws and the order of images.
        total_timesteps: environment steps of all lanes together.
        num_envs: lanes; a rollout is an episode of each.
        learning_rate: at first; it falls linearly to 0.
        epochs: passes over a rollout.
        minibatches: parts of a rollout; each is a step of the optimiser. Lanes stay whole.
        clip: how far the ratio of probabilities may leave 1.
        entropy: weight of the entropy bonus.
        value: weight of the value's squared error.
        max_grad_norm: longest gradient.
        hidden: size of the recurrent core.
        runs: where the folder with the curves goes.
        threads: of PyTorch; matrices this small gain nothing from more.
    """

    env: str = "saccade/Digits-v0"
    seed: int = 0
    total_timesteps: int = 1_000_000
    num_envs: int = 512
    learning_rate: float = 1e-3
    epochs: int = 4
    minibatches: int = 4
    clip: float = 0.2
    entropy: float = 0.01
    value: float = 0.5
    max_grad_norm: float = 0.5
    hidden: int = 128
    runs: str = "runs"
    threads: int = 1


class Agent(nn.Module):
    """What and where is seen, a GRU that remembers it, and three heads that read the GRU.

    Args:
        pixels: values in a glimpse.
        cells: cells that can be looked at.
        answers: answers to choose from.
        hidden: size of the GRU.
    """

    def __init__(self, pixels: int, cells: int, answers: int, hidden: int) -> None:
        super().__init__()
        self.glimpse = GlimpseNetwork(pixels, what=64, where=64, features=hidden)
        self.core = nn.GRU(hidden + 1, hidden)  # the share of glimpses used goes in too
        self.cell = nn.Linear(hidden, cells)
        self.answer = nn.Linear(hidden, answers)
        self.value = nn.Linear(hidden, 1)
        for head in (self.cell, self.answer):  # at first, every choice is as good as any other
            nn.init.orthogonal_(head.weight, gain=0.01)
            nn.init.zeros_(head.bias)

    def forward(
        self, seen: dict[str, Tensor], state: Tensor | None = None
    ) -> tuple[Categorical, Categorical, Tensor, Tensor]:
        """Observations (T, n, ...) to cells and answers (T, n), values (T, n) and the state."""
        glimpse = seen["glimpse"].flatten(2)  # (T, n, pixels)
        features = self.glimpse(glimpse.flatten(0, 1), seen["fixation"].flatten(0, 1))
        features = features.unflatten(0, glimpse.shape[:2])  # (T, n, hidden)
        remembered, state = self.core(torch.cat((features, seen["progress"]), 2), state)
        cells = Categorical(logits=self.cell(remembered), validate_args=False)
        answers = Categorical(logits=self.answer(remembered), validate_args=False)
        return cells, answers, self.value(remembered).squeeze(-1), state


def train(arguments: Arguments) -> float:
    """Train, write curves, and return the share of wrong answers on `validation`."""
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    env = make(arguments.env, arguments.num_envs, "train")
    glimpses, lanes = env.unwrapped.glimpses, arguments.num_envs  # T, n
    rollout_steps = glimpses * lanes
    updates = max(1, arguments.total_timesteps // rollout_steps)
    agent = make_agent(env, arguments.hidden)
    optimizer = torch.optim.Adam(agent.parameters(), arguments.learning_rate, eps=1e-5)
    folder = Path(arguments.runs) / f"ppo-{arguments.seed}-{time.strftime('%Y%m%d-%H%M%S')}"
    writer = SummaryWriter(str(folder))
    writer.add_text("config", "\n".join(f"    {k}: {v}" for k, v in asdict(arguments).items()))
    began = time.perf_counter()

    for update in range(updates):
        # The learning rate falls to 0.
        rate = arguments.learning_rate * (1 - update / updates)
        optimizer.param_groups[0]["lr"] = rate

        # Play an episode in every lane.
        observation, _ = env.reset(seed=arguments.seed if update == 0 else None)
        state = None
        observations, actions, rewards = [], [], []
        for _ in range(glimpses):
            seen = as_tensors(observation)  # (1, n, ...)
            with torch.no_grad():
                cells, answers, _, state = agent(seen, state)
                cell, answer = cells.sample()[0], answers.sample()[0]  # (n,)
            observation, reward, *_ = env.step(as_actions(cell, answer, env))
            observations.append(seen)
            actions.append((cell, answer))
            rewards.append(torch.from_numpy(reward).float())
        seen = {name: torch.cat([step[name] for step in observations]) for name in observations[0]}
        chosen_cells = torch.stack([cell for cell, _ in actions])  # (T, n)
        chosen_answers = torch.stack([answer for _, answer in actions])  # (T, n)
        returns = torch.stack(rewards).flip(0).cumsum(0).flip(0)  # (T, n), what is still to come

        # The probability of what was decided, and what was expected of it.
        with torch.no_grad():
            cells, answers, old_values, _ = agent(seen)
            old_log_prob = decided(
                cells.log_prob(chosen_cells), answers.log_prob(chosen_answers)
            )  # (T, n)
        advantages = returns - old_values  # (T, n)

        # Learn from it a few times over, in parts: some of the lanes, all of their steps.
        for _ in range(arguments.epochs):
            for part in torch.randperm(lanes).chunk(arguments.minibatches):
                cells, answers, values, _ = agent({k: v[:, part] for k, v in seen.items()})
                log_prob = decided(
                    cells.log_prob(chosen_cells[:, part]),
                    answers.log_prob(chosen_answers[:, part]),
                )  # (T, m)
                entropy = decided(cells.entropy(), answers.entropy()).mean()

                advantage = advantages[:, part]
                advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
                log_ratio = log_prob - old_log_prob[:, part]
                ratio = log_ratio.exp()
                clipped = ratio.clamp(1 - arguments.clip, 1 + arguments.clip)
                policy_loss = -torch.minimum(ratio * advantage, clipped * advantage).mean()
                value_loss = functional.mse_loss(values, returns[:, part])
                loss = policy_loss + arguments.value * value_loss - arguments.entropy * entropy

                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), arguments.max_grad_norm)
                optimizer.step()

        # Say how it goes, under the names that stable-baselines3 uses.
        steps = (update + 1) * rollout_steps
        curves = {
            "rollout/ep_rew_mean": returns[0].mean(),
            "rollout/ep_len_mean": glimpses,
            "time/fps": steps / (time.perf_counter() - began),
            "train/learning_rate": rate,
            "train/loss": loss,
            "train/policy_gradient_loss": policy_loss,
            "train/value_loss": value_loss,
            "train/entropy_loss": -entropy,
            "train/approx_kl": (ratio - 1 - log_ratio).mean(),
            "train/clip_fraction": ((ratio - 1).abs() > arguments.clip).float().mean(),
            "train/explained_variance": 1 - advantages.var() / (returns.var() + 1e-8),
        }
        for name, value in curves.items():
            writer.add_scalar(name, torch.as_tensor(value).item(), steps)
        if (update + 1) % max(1, updates // 20) == 0:
            reward, fps = curves["rollout/ep_rew_mean"], curves["time/fps"]
            print(f"{steps:>12,} steps  reward {reward:.3f}  {fps:,.0f} steps/s", flush=True)

    error = validate(agent, arguments.env)
    writer.add_scalar("eval/error", error, steps)
    writer.close()
    env.close()
    print(f"validation error {100 * error:.2f}%; curves in {folder}")
    return error


def validate(agent: Agent, env_id: str) -> float:
    """The share of wrong answers on `validation`, each scene once, the likeliest choices."""
    scenes = make(env_id, 1, "validation").unwrapped.split_length
    env = make(env_id, scenes, "validation")  # the split is walked in order: a lane a scene
    observation, _ = env.reset()
    state, success = None, np.zeros(scenes, np.bool_)
    for _ in range(env.unwrapped.glimpses):
        with torch.no_grad():
            cells, answers, _, state = agent(as_tensors(observation), state)
        action = as_actions(cells.logits[0].argmax(-1), answers.logits[0].argmax(-1), env)
        observation, _, _, _, info = env.step(action)
        success |= info.get("is_success", False)
    env.close()
    return 1 - float(success.mean())


def decided(of_cell: Tensor, of_answer: Tensor) -> Tensor:
    """Of two values (T, n), that of the decision which counts: the answer's at the last step."""
    return torch.cat((of_cell[:-1], of_answer[-1:]))


def make(env_id: str, lanes: int, split: str) -> Any:
    """The native vector environment; lanes begin together, when `reset` is called."""
    try:
        return gym.make_vec(
            env_id,
            num_envs=lanes,
            split=split,
            action="grid",
            autoreset_mode=AutoresetMode.DISABLED,
        )
    except (ValueError, TypeError, OSError, gym.error.Error) as error:
        raise UserError(f"{env_id}: {error}") from error


def make_agent(env: Any, hidden: int) -> Agent:
    """An agent with the sizes that the environment asks for."""
    pixels = int(np.prod(env.single_observation_space["glimpse"].shape))
    rows, columns, answers = env.single_action_space.nvec.tolist()
    return Agent(pixels, rows * columns, answers, hidden)


def as_tensors(observation: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """An observation (n, ...) as a sequence of one step, (1, n, ...)."""
    return {name: torch.from_numpy(values)[None] for name, values in observation.items()}


def as_actions(cell: Tensor, answer: Tensor, env: Any) -> np.ndarray:
    """Cells and answers (n,) as `action="grid"` takes them: (row, column, answer)."""
    columns = int(env.single_action_space.nvec[1])
    return torch.stack((cell // columns, cell % columns, answer), 1).numpy()


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line and train; returns the exit code."""
    arguments = auto_cli(Arguments, args=None if argv is None else list(argv), as_positional=False)
    try:
        train(arguments)
    except UserError as error:
        print(f"ppo: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
