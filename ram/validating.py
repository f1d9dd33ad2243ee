"""How well RAM does on an evaluation split: one deterministic path a scene."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium.vector import VectorEnv

from .callbacks import Metrics
from .halting import halted

if TYPE_CHECKING:
    from .learner import RAM


def validate(learner: RAM, env: VectorEnv) -> Metrics:
    """Error, mean reward and cross-entropy (nats) of one deterministic path a scene of `env`.

    The cross-entropy is of the answers that were due; there is none in other tasks.

    `env` has autoreset disabled; each scene of its split is walked once, whatever the number
    of lanes.
    """
    core: Any = env.unwrapped
    scenes, lanes = core.split_length, env.num_envs
    due = learner.task.due(core.glimpses) if learner.task.judged == "answer" else []
    right = reward_sum = nats = glimpses = 0.0
    for first in range(0, scenes, lanes):
        index = np.minimum(np.arange(first, first + lanes), scenes - 1)
        real = slice(0, min(lanes, scenes - first))  # the rest of the last batch only fills it
        observation, info = env.reset(options={"index": index})
        state: Any = None
        stops, hits = [], []
        for t in range(core.glimpses):
            label = info["label"]
            action, state = learner.predict(observation, state, deterministic=True)
            if learner.task.stop:  # played to the end, and cut where it would have stopped
                action, stopped = learner.task.go_on(action)
                stops.append(stopped)
                hits.append(learner.scores(state).argmax(-1) == label)
            observation, reward, _, _, info = env.step(action)
            reward_sum += 0.0 if stops else float(reward[real].sum())
            if t in due:
                truth = learner.scores(state)[np.arange(lanes), label]
                nats -= float(truth[real].sum(dtype=np.float64))
        success, length = info["is_success"], np.full(lanes, core.glimpses)
        if stops:
            cost = learner.task.glimpse_cost
            when, right_then = torch.tensor(np.stack(stops)), torch.tensor(np.stack(hits))
            episodes = halted(when, right_then, cost)
            reward_sum += float(episodes.rewards[:, real].sum())
            success, length = episodes.right.numpy(), episodes.length.numpy()
        right += float(success[real].sum())
        glimpses += float(length[real].sum())
    found = {
        "eval/error": 1 - right / scenes,
        "eval/mean_reward": reward_sum / scenes,
        "eval/mean_ep_length": glimpses / scenes,
    }
    if due:
        found["eval/cross_entropy"] = nats / scenes / len(due)
    return found
