"""DRAM: two layers, a context that moves the eye and tells no answer, and RAM's habits kept."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import VectorEnv

from saccade.agents.cost import cost
from saccade.envs.datasets import Dataset
from saccade.ram import DRAM, RAM, Callback, CheckpointError, DRAMNetwork
from saccade.ram.networks import LSTMCore
from saccade.ram.task import Task

SMALL = {"filters": (4,), "features": 12, "context_filters": (3,), "hidden": 16}
SHOWN = {"reveal": ("context",), "context_size": 5}
UPDATE = 4 * 8  # timesteps: T glimpses in 8 lanes


@pytest.fixture
def make_dram(make_env: Callable[..., VectorEnv]) -> Callable[..., DRAM]:
    """A small DRAM; keywords of the environment go in `env`."""

    def make(env: dict[str, Any] | None = None, **keywords: Any) -> DRAM:
        return DRAM(make_env(**SHOWN | (env or {})), **SMALL | keywords)

    return make


def network(**keywords: Any) -> DRAMNetwork:
    torch.manual_seed(0)
    return DRAMNetwork((2, 5, 5), (1, 6, 6), 3, **SMALL | keywords)


def glimpses(steps: int, lanes: int = 7) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.rand(lanes, 2, 5, 5, generator=generator),
            2 * torch.rand(lanes, 2, generator=generator) - 1,
        )
        for _ in range(steps)
    ]


def contexts(lanes: int = 7, seed: int = 2) -> dict[str, torch.Tensor]:
    return {"context": torch.rand(lanes, 1, 6, 6, generator=torch.Generator().manual_seed(seed))}


# ------------------------------------------------------------------ the network


def test_glimpse_features_are_what_times_where() -> None:
    net = network()
    (glimpse, fixation) = glimpses(1)[0]
    weight, bias = net.glimpse.filters[0].weight, net.glimpse.filters[0].bias
    padded = torch.nn.functional.pad(glimpse, (1, 1, 1, 1))
    maps = torch.zeros(7, 4, 3, 3)
    for row in range(3):
        for column in range(3):
            patch = padded[:, None, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            maps[:, :, row, column] = ((patch * weight).sum((2, 3, 4)) + bias).relu()
    what = (maps.flatten(1) @ net.glimpse.what.weight.T + net.glimpse.what.bias).relu()
    where = fixation @ net.glimpse.where.weight.T + net.glimpse.where.bias
    torch.testing.assert_close(net.glimpse(glimpse, fixation), what * where)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 12, 12), (2, 5, 7)])
@pytest.mark.parametrize("filters", [(4,), (4, 8), (4, 8, 2)])
def test_glimpses_and_contexts_of_any_size_are_taken(shape, filters) -> None:
    net = DRAMNetwork(shape, shape, 3, **SMALL | {"filters": filters, "context_filters": filters})
    state = net.see(
        torch.rand(2, *shape), torch.zeros(2, 2), net.begin({"context": torch.rand(2, *shape)})
    )
    assert [part.shape for part in state] == [(2, 16)] * 4


def test_the_upper_layer_reads_the_lower_and_the_lower_reads_glimpses_alone() -> None:
    net = network()
    assert isinstance(net.lower, LSTMCore) and isinstance(net.upper, LSTMCore)
    state = net.begin(contexts())
    lower, upper = state[:2], state[2:]
    assert not any(part.any() for part in lower)
    torch.testing.assert_close(upper[0], upper[1].tanh())
    for glimpse, fixation in glimpses(3):
        lower = net.lower(net.glimpse(glimpse, fixation), lower)
        upper = net.upper(lower[0], upper)
        state = net.see(glimpse, fixation, state)
        for part, expected in zip(state, (*lower, *upper), strict=True):
            torch.testing.assert_close(part, expected)
    assert net.answers_from(state) is state[0] and net.looks_from(state) is state[2]


def test_the_context_moves_the_eye_and_never_tells_the_answer() -> None:
    net = network(location_hidden=8)
    one, other = net.begin(contexts(seed=2)), net.begin(contexts(seed=3))
    for glimpse, fixation in glimpses(4):
        one, other = net.see(glimpse, fixation, one), net.see(glimpse, fixation, other)
        scores = [net.answer(net.answers_from(state)) for state in (one, other)]
        torch.testing.assert_close(*scores, rtol=0, atol=0)
        means = [net.location(net.looks_from(state)) for state in (one, other)]
        assert (means[0] != means[1]).all()


# ------------------------------------------------------------------ gradients


def gradients(dram: DRAM) -> dict[str, torch.Tensor]:
    dram.total_timesteps = 10**6
    dram._update(dram.env)
    return {
        name: torch.zeros_like(value) if value.grad is None else value.grad
        for name, value in dram.network.named_parameters()
    }


def of(boxes: str, grads: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: grad for name, grad in grads.items() if name.split(".")[0] in boxes.split()}


@pytest.mark.parametrize("through_core", [True, False])
def test_reinforce_and_nothing_else_reaches_what_looks(make_dram, through_core: bool) -> None:
    common = {"through_core": through_core, "max_grad_norm": 0.0}
    without = gradients(make_dram(location_weight=0.0, **common))
    with_it = gradients(make_dram(location_weight=1.0, **common))
    assert not any(grad.any() for grad in of("location upper context", without).values())
    assert all(grad.any() for grad in of("location upper context", with_it).values())
    assert all(grad.any() for grad in of("glimpse lower answer", without).values())


@pytest.mark.parametrize("through_core", [True, False])
def test_reinforce_enters_the_lower_layer_only_when_asked(make_dram, through_core: bool) -> None:
    common = {"through_core": through_core, "max_grad_norm": 0.0}
    without = gradients(make_dram(location_weight=0.0, **common))
    with_it = gradients(make_dram(location_weight=1.0, **common))
    for boxes, same in (("glimpse lower", not through_core), ("answer", True)):
        before, after = of(boxes, without), of(boxes, with_it)
        assert all(torch.equal(before[name], after[name]) for name in before) == same


def test_the_baseline_s_regression_stays_out_of_both_layers(make_dram) -> None:
    common = {"env": {"paths": 2}, "location_weight": 0.0, "max_grad_norm": 0.0}
    learned = gradients(make_dram(baseline="learned", **common))
    paths = gradients(make_dram(baseline="leave_one_out", **common))
    assert of("baseline", learned)["baseline.linear.bias"].any()
    boxes = "glimpse lower upper context location answer"
    expected = of(boxes, paths)
    assert all(torch.equal(grad, expected[name]) for name, grad in of(boxes, learned).items())


# ------------------------------------------------------------------ learning


class Stop(Callback):
    """Stops after some updates."""

    def __init__(self, after: int) -> None:
        self.left = after

    def on_step(self, learner: Any, metrics: dict[str, float]) -> bool:
        self.left -= 1
        return self.left > 0


def equal(one: DRAM, other: DRAM) -> bool:
    pairs = zip(one.network.state_dict().values(), other.network.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


RECIPES: list[dict[str, Any]] = [
    {"env": {"paths": 2}, "std_final": 0.05, "location_hidden": 8, "filters": (4, 6)},
    {"baseline": "learned", "through_core": False, "answer_every_step": False},
    {"env": {"action": "box", "stop": True, "glimpse_cost": 0.01}, "reward": "success"},
]


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_interrupted_and_resumed_is_uninterrupted(make_dram, make_env, tmp_path, recipe) -> None:
    whole = make_dram(**recipe).learn(9 * UPDATE)
    part = make_dram(**recipe).learn(9 * UPDATE, Stop(4))
    assert part.num_timesteps == 4 * UPDATE
    part.save(tmp_path / "dram.pt")
    loaded = DRAM.load(tmp_path / "dram.pt", make_env(**SHOWN | recipe.get("env", {})))
    assert loaded.hyperparameters == part.hyperparameters
    assert equal(whole, loaded.learn(9 * UPDATE))
    assert not equal(whole, make_dram(**recipe, seed=1).learn(9 * UPDATE))


def test_it_looks_where_the_context_shows_something(make_env) -> None:
    """A square in a corner, its bright quarter the class: the first glimpse misses all of it."""
    random = np.random.default_rng(0)
    labels = np.arange(200) % 4
    images = np.zeros((200, 24, 24, 1), np.uint8)
    for image, label in zip(images, labels, strict=True):
        y, x = random.integers(0, 2, 2) * 16
        image[y : y + 8, x : x + 8] = 60
        image[y + 4 * (label // 2) :, x + 4 * (label % 2) :][:4, :4] = 255
    shown = {
        "source": Dataset.from_arrays(images, labels),
        "size": 8,
        "glimpses": 2,
        "first_fixation": "center",
        **SHOWN,
    }
    env = make_env(**shown, num_envs=128, paths=4)
    sizes = {"filters": (8,), "features": 32, "context_filters": (8,), "hidden": 32}
    dram = DRAM(env, **sizes, std=0.3, learning_rate=5e-3).learn(128 * 2 * 400)
    found = dram.validate(make_env(**shown, split="validation"))
    assert found["eval/error"] < 0.2  # 0.75 without the context


# ------------------------------------------------------------------ as users hold it


@pytest.mark.parametrize("action_mode", ["dict", "box"])
def test_a_lane_alone_is_that_lane_of_the_batch(make_dram, action_mode: str) -> None:
    dram = make_dram(env={"action": action_mode}).learn(3 * UPDATE)
    observation, _ = dram.env.reset()
    state, alone_state = None, None
    for _ in range(4):
        action, state = dram.predict(observation, state, deterministic=True)
        assert [part.shape for part in state] == [(8, 16)] * 4
        assert action in dram.env.action_space
        lane = {name: values[5] for name, values in observation.items()}
        alone, alone_state = dram.predict(lane, alone_state, deterministic=True)
        assert alone in dram.env.single_action_space
        fixation, expected = (
            (alone["fixation"], action["fixation"][5])
            if action_mode == "dict"
            else (alone, action[5])
        )
        np.testing.assert_allclose(fixation, expected, atol=1e-5)
        observation, *_ = dram.env.step(action)


def test_episode_start_forgets(make_dram) -> None:
    dram = make_dram()
    observation, _ = dram.env.reset(seed=0)
    _, fresh = dram.predict(observation)
    _, state = dram.predict(observation, fresh)
    starts = np.arange(8) % 2 == 0
    _, mixed = dram.predict(observation, state, starts)
    _, on = dram.predict(observation, state, np.zeros(8, bool))
    for part, new, old in zip(mixed, fresh, on, strict=True):
        np.testing.assert_array_equal(part[starts], new[starts])
        np.testing.assert_array_equal(part[~starts], old[~starts])
        assert not np.array_equal(new[~starts], old[~starts])


def test_the_context_is_read_once(make_dram) -> None:
    dram = make_dram()
    observation, _ = dram.env.reset(seed=0)
    _, state = dram.predict(observation)
    other = {**observation, "context": 1 - observation["context"]}
    for now in (None, state):
        one, two = (dram.predict(seen, now)[1] for seen in (observation, other))
        assert all(map(np.array_equal, one[:2], two[:2]))  # the lower layer
        assert all(map(np.array_equal, one[2:], two[2:])) == (now is not None)


def test_an_id_is_enough_and_shows_the_context() -> None:
    dram = DRAM("saccade/PairDigits-v0", num_envs=8, paths=2, **SMALL)
    assert "context" in dram.env.single_observation_space.spaces
    assert dram.learn(1).num_timesteps == 8 * 8


def test_an_environment_without_a_context_is_refused(make_env) -> None:
    with pytest.raises(ValueError, match=r"reveal=\('context',\)"):
        DRAM(make_env())
    with pytest.raises(ValueError, match=r"reveal=\('context',\)"):
        DRAM(Task((1, 4, 4), 4, "dict", 5.0))


def test_observations_that_do_not_fit_are_refused(make_dram) -> None:
    dram = make_dram()
    observation, _ = dram.env.reset(seed=0)
    with pytest.raises(ValueError, match=r"a context of shape \(1, 4, 4\).*\(1, 5, 5\)"):
        dram.predict({**observation, "context": np.zeros((8, 1, 4, 4), np.float32)})
    del observation["context"]
    with pytest.raises(ValueError, match=r"no 'context'.*reveal=\('context',\)"):
        dram.predict(observation)


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"filters": ()}, r"filters=\(\): take one number or more"),
        ({"context_filters": (4, 0)}, r"context_filters=\(4, 0\): .* at least 1"),
        ({"features": 0}, "features=0: take a number of at least 1"),
    ],
)
def test_hyperparameters_are_checked(make_dram, keywords: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_dram(**keywords)


def test_hyperparameters_are_its_own_or_ram_s() -> None:
    own, shared = (inspect.signature(learner).parameters for learner in (DRAM, RAM))
    for name, parameter in own.items():
        if f"\n        {name}: " not in (DRAM.__doc__ or ""):
            assert parameter == shared[name], name


def test_checkpoints_are_of_their_own_kind(make_dram, make_ram, make_env, tmp_path: Path) -> None:
    make_dram().learn(UPDATE).save(tmp_path / "dram.pt")
    make_ram().learn(UPDATE).save(tmp_path / "ram.pt")
    for learner, file, other in ((RAM, "dram.pt", "DRAM"), (DRAM, "ram.pt", "RAM")):
        says = rf"{file}: a checkpoint of kind 'saccade.ram.{other}', where one of kind 'saccade"
        with pytest.raises(CheckpointError, match=says):
            learner.load(tmp_path / file)
    for keywords, says in (
        ({}, r"context_shape \(1, 5, 5\), not \(\)"),
        ({"reveal": "context"}, r"context_shape \(1, 5, 5\), not \(1, 12, 12\)"),
    ):
        with pytest.raises(CheckpointError, match=says):
            DRAM.load(tmp_path / "dram.pt", make_env(**keywords))
    assert isinstance(DRAM.load(tmp_path / "dram.pt").network, DRAMNetwork)


def test_it_costs_what_its_layers_say(make_env) -> None:
    keywords = SHOWN | {"size": 6, "split": "validation", "glimpses": 3}
    env = make_env(**keywords)
    dram = DRAM(env, **SMALL)
    found = cost(dram, env)
    boxes = dict(dram.network.named_modules())
    each, once = 0, 0
    for name, box in boxes.items():
        if isinstance(box, torch.nn.Linear) and not name.startswith("baseline"):
            spent = box.weight.numel()
        elif isinstance(box, torch.nn.Conv2d):
            spent = box.weight.numel() * 3 * 3  # maps of 3x3, of a glimpse and of the context
        else:
            continue
        each, once = (each, once + spent) if name.startswith("context") else (each + spent, once)
    assert found.multiply_adds == 3 * each + once  # three glimpses, one context
    assert found.parameters == sum(p.numel() for p in dram.network.parameters())
