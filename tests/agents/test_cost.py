"""What an agent costs: sums that can be done by hand."""

import numpy as np
import pytest
import torch

from saccade.agents.cost import cost
from saccade.agents.environments import make_env
from saccade.ram import RAM


@pytest.fixture
def env(small_config):
    env = make_env(small_config, "validation", num_envs=32)
    yield env
    env.close()


@pytest.mark.parametrize("core", ["rnn", "lstm"])
def test_ram_costs_what_its_layers_say(env, core):
    policy = RAM(env, core=core, what=7, where=5, glimpse_features=11, hidden=13)
    found = cost(policy, env)
    looked_at = dict(policy.network.named_modules())
    products = [
        module.weight.numel()
        for name, module in looked_at.items()
        if isinstance(module, torch.nn.Linear) and not name.startswith("baseline")
    ]
    assert found.multiply_adds == 3 * sum(products)  # three glimpses, every layer once in each
    assert found.parameters == sum(p.numel() for p in policy.network.parameters())
    assert found.milliseconds > 0


class Recurrent:
    """A policy around a layer of PyTorch's own, which looks at the centre and answers 0."""

    def __init__(self, pixels):
        self.network = torch.nn.LSTM(pixels, 6)

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        glimpse = torch.as_tensor(observation["glimpse"]).flatten(1)
        with torch.no_grad():
            _, state = self.network(glimpse[None], state)
        lanes = len(glimpse)
        fixation = np.zeros((lanes, 2), np.float32)
        return {"fixation": fixation, "answer": np.zeros(lanes, np.int64)}, state


def test_recurrent_layers_count(env):
    pixels = int(np.prod(env.single_observation_space["glimpse"].shape))
    found = cost(Recurrent(pixels), env)
    assert found.multiply_adds == 3 * 4 * 6 * (pixels + 6)


def test_threads_are_as_before(env):
    before = torch.get_num_threads()
    cost(RAM(env, hidden=8), env)
    assert torch.get_num_threads() == before
