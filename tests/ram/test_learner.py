"""RAM as users hold it: what it takes, how it predicts, that it repeats itself exactly."""

from __future__ import annotations

import inspect
import math
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from saccade.ram import RAM, Callback

UPDATE = 4 * 8  # timesteps: T glimpses in 8 lanes


class Numbers(Callback):
    """Keeps what was measured, and stops after `stop` updates."""

    def __init__(self, stop: float = math.inf) -> None:
        self.stop, self.updates, self.measured = stop, 0, []

    def on_step(self, learner: RAM, metrics: dict[str, float]) -> bool:
        self.updates += 1
        if metrics:
            self.measured.append(dict(metrics))
        return self.updates < self.stop


def weights(ram: RAM) -> list[torch.Tensor]:
    return [value.clone() for value in ram.network.state_dict().values()]


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# ------------------------------------------------------------------ learning


RECIPES: list[dict[str, Any]] = [
    {"core": "rnn", "baseline": "learned", "reward": "success", "through_core": False},
    {
        "core": "lstm",
        "env": {"paths": 2},
        "std_final": 0.05,
        "location_hidden": 8,
        "filters": (3, 4),
    },
    {"optimizer": "sgd", "schedule": "linear", "learning_rate": 0.01, "answer_every_step": False},
    {"env": {"action": "box", "reward": "dense"}, "reward": "success", "schedule": "cosine"},
    {"env": {"moves": "relative"}, "weight_decay": 0.01, "label_smoothing": 0.1},
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_learns_and_repeats_itself(make_ram, recipe: dict[str, Any]) -> None:
    first, again = (make_ram(**recipe).learn(5 * UPDATE) for _ in range(2))
    other = make_ram(**recipe, seed=1).learn(5 * UPDATE)
    assert first.num_timesteps == 5 * UPDATE and first.finished
    assert equal(weights(first), weights(again))
    assert not equal(weights(first), weights(other))
    assert not equal(weights(first), weights(make_ram(**recipe)))


@pytest.mark.parametrize("recipe", RECIPES)
def test_interrupted_and_resumed_is_uninterrupted(make_ram, make_env, tmp_path, recipe) -> None:
    whole = make_ram(**recipe).learn(9 * UPDATE)
    part = make_ram(**recipe).learn(9 * UPDATE, Numbers(stop=4))
    assert part.num_timesteps == 4 * UPDATE and not part.finished
    part.save(tmp_path / "ram.pt")
    part.learn(9 * UPDATE)
    loaded = RAM.load(tmp_path / "ram.pt", make_env(**recipe.get("env", {})))
    assert loaded.std == part.hyperparameters["std"] or recipe.get("std_final")
    loaded.learn(9 * UPDATE)
    assert equal(weights(whole), weights(loaded))
    assert equal(weights(whole), weights(part))


def test_it_learns_to_answer(make_ram) -> None:
    ram = make_ram(env={"num_envs": 32, "paths": 4}, core="rnn", learning_rate=0.01)
    numbers = Numbers()
    ram.learn(150 * 4 * 32, numbers)
    assert numbers.measured[0]["train/accuracy"] < 0.6
    assert numbers.measured[-1]["train/accuracy"] > 0.9


@pytest.mark.parametrize("filters", [None, (3, 4)])
def test_bfloat16_learns_too_and_predicts_in_float32(make_ram, filters) -> None:
    shown = {"num_envs": 32, "paths": 4}
    how = {"filters": filters, "core": "lstm", "learning_rate": 0.01}
    ram = make_ram(env=shown, precision="bfloat16", **how)
    numbers = Numbers()
    ram.learn(150 * 4 * 32, numbers)
    assert numbers.measured[-1]["train/accuracy"] > 0.9
    assert {values.dtype for values in ram.network.state_dict().values()} == {torch.float32}
    exact = make_ram(env=shown, **how)
    exact.network.load_state_dict(ram.network.state_dict())
    observation, _ = ram.env.reset(seed=0)
    (action, state), (same, other) = (
        each.predict(observation, deterministic=True) for each in (ram, exact)
    )
    assert np.array_equal(action["fixation"], same["fixation"])
    assert all(np.array_equal(*parts) for parts in zip(state, other, strict=True))


def test_bfloat16_is_for_what_sees_alone(make_ram) -> None:
    ram = make_ram(precision="bfloat16")
    seen = {}
    for name, box in ram.network.named_modules():
        box.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    ram.total_timesteps = UPDATE
    ram._update(ram.env)
    half = {name for name, out in seen.items() if getattr(out, "dtype", None) == torch.bfloat16}
    assert half == {"glimpse", "glimpse.what", "glimpse.both", "core.linear"}
    for name in ("glimpse.where", "location.mean", "answer.linear", "baseline.linear"):
        assert seen[name].dtype == torch.float32


def test_what_is_measured(make_ram) -> None:
    numbers = Numbers()
    ram = make_ram(log_interval=2, std=0.2).learn(5 * UPDATE, numbers)
    assert [row["time/total_timesteps"] / UPDATE for row in numbers.measured] == [2, 4, 5]
    assert numbers.measured[-1] == ram.metrics
    wanted = "rollout/ep_rew_mean rollout/ep_len_mean time/fps time/total_timesteps train/loss"
    wanted += " train/answer_loss train/location_loss train/baseline_loss train/location_std"
    wanted += " train/location_entropy train/fixation_spread train/grad_norm train/learning_rate"
    assert set(ram.metrics) == {*wanted.split(), "train/accuracy"}
    assert ram.metrics["rollout/ep_len_mean"] == 4
    normal = torch.distributions.Normal(0.0, 0.2).entropy().item()
    assert ram.metrics["train/location_entropy"] == pytest.approx(2 * normal, abs=1e-5)


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("one-cycle", [0.04, 1.0, 0.5, 0.0]),
        ("cosine", [1.0, 0.9045, 0.3455, 0.0]),
        ("linear", [1.0, 0.8, 0.4, 0.0]),
        ("constant", [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_schedules_run_over_all_timesteps(make_ram, schedule: str, shares: list[float]) -> None:
    ram = make_ram(schedule=schedule, learning_rate=2.0, std=0.4, std_final=0.2)
    ram.total_timesteps = 1000
    for done, share in zip((0, 200, 600, 1000), shares, strict=True):
        ram.num_timesteps = done
        assert ram.learning_rate == pytest.approx(2 * share, abs=1e-3)
        assert ram.std == pytest.approx(0.4 - 0.2 * done / 1000)


def test_a_loss_that_is_no_number_is_said(make_ram) -> None:
    ram = make_ram(log_interval=1)
    with torch.no_grad():
        ram.network.answer.linear.bias[0] = math.nan
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        ram.learn(UPDATE)


def test_the_global_generators_are_left_alone(make_ram) -> None:
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    ram = make_ram().learn(2 * UPDATE)
    ram.predict(ram.env.reset()[0])
    assert torch.equal(before, torch.get_rng_state())
    assert (numpy_before == np.random.get_state()[1]).all()  # noqa: NPY002


# ------------------------------------------------------------------ what it takes


def test_an_id_is_enough() -> None:
    ram = RAM("saccade/Digits-v0", num_envs=8, paths=2, hidden=8)
    assert ram.env.num_envs == 8
    assert ram.env.unwrapped.paths == 2
    assert ram.learn(1).num_timesteps == 8 * 6


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_other_autoreset_modes_are_refused(make_env, mode: AutoresetMode) -> None:
    with pytest.raises(ValueError, match=r"autoreset_mode=gymnasium\.vector\.AutoresetMode\.DIS"):
        RAM(make_env(autoreset_mode=mode))


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"action": "grid"}, "use action='dict'"),
        ({"glimpses": 1}, "take at least 2"),
    ],
)
def test_other_tasks_are_refused(make_env, keywords: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        RAM(make_env(**keywords))


def test_other_environments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"gymnasium\.make_vec"):
        RAM(gymnasium.make("CartPole-v1"))
    with pytest.raises(ValueError, match=r"gymnasium\.make_vec"):
        RAM(gymnasium.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync"))


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"core": "gru"}, "core='gru': take one of 'rnn', 'lstm'"),
        ({"std": 0.0}, "std=0.0: take a number of at least"),
        ({"learning_rate": math.nan}, "learning_rate=nan: take a number of at least"),
        ({"hidden": 0}, "hidden=0: take a number of at least 1"),
        ({"baseline": "leave_one_out"}, "paths=4"),
    ],
)
def test_hyperparameters_are_checked(make_ram, keywords: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_ram(**keywords)


def test_every_hyperparameter_has_its_line() -> None:
    described = RAM.__doc__ or ""
    for name in inspect.signature(RAM).parameters:
        assert f"\n        {name}: " in described, name


# ------------------------------------------------------------------ predict


@pytest.mark.parametrize("core", ["rnn", "lstm"])
@pytest.mark.parametrize("action_mode", ["dict", "box"])
def test_predicted_actions_are_the_environment_s(make_ram, core: str, action_mode: str) -> None:
    ram = make_ram(env={"action": action_mode}, core=core, std=0.5)
    observation, _ = ram.env.reset(seed=3)
    state = None
    for _ in range(4):
        action, state = ram.predict(observation, state)
        assert action in ram.env.action_space
        assert [part.shape for part in state] == [(8, 16)] * (2 if core == "lstm" else 1)
        assert all(isinstance(part, np.ndarray) for part in state)
        observation, *_ = ram.env.step(action)


@pytest.mark.parametrize("action_mode", ["dict", "box"])
def test_a_lane_alone_is_that_lane_of_the_batch(make_ram, action_mode: str) -> None:
    ram = make_ram(env={"action": action_mode}).learn(3 * UPDATE)
    observation, _ = ram.env.reset()
    state, alone_state = None, None
    for _ in range(4):
        action, state = ram.predict(observation, state, deterministic=True)
        alone, alone_state = ram.predict(
            {name: values[5] for name, values in observation.items()},
            alone_state,
            deterministic=True,
        )
        assert alone in ram.env.single_action_space
        if action_mode == "dict":
            assert alone["answer"] == action["answer"][5]
            np.testing.assert_allclose(alone["fixation"], action["fixation"][5], atol=1e-5)
        else:
            np.testing.assert_allclose(alone, action[5], atol=1e-5)
        observation, *_ = ram.env.step(action)


def test_episode_start_forgets(make_ram) -> None:
    ram = make_ram()
    observation, _ = ram.env.reset(seed=0)
    _, fresh = ram.predict(observation)
    _, state = ram.predict(observation, fresh)
    starts = np.arange(8) % 2 == 0
    _, mixed = ram.predict(observation, state, starts)
    _, on = ram.predict(observation, state, np.zeros(8, bool))
    for part, new, old in zip(mixed, fresh, on, strict=True):
        np.testing.assert_array_equal(part[starts], new[starts])
        np.testing.assert_array_equal(part[~starts], old[~starts])
        assert not np.array_equal(new[~starts], old[~starts])


def test_deterministic_means_the_mean(make_ram) -> None:
    ram = make_ram(std=0.1)
    observation, _ = ram.env.reset(seed=0)
    means = [ram.predict(observation, deterministic=True)[0]["fixation"] for _ in range(2)]
    np.testing.assert_array_equal(*means)
    drawn = np.stack([ram.predict(observation)[0]["fixation"] for _ in range(500)])
    np.testing.assert_allclose(drawn.mean(0), means[0], atol=0.03)
    np.testing.assert_allclose(drawn.std(0), 0.1, atol=0.02)


def test_scores_are_what_is_answered(make_ram) -> None:
    ram = make_ram()
    action, state = ram.predict(ram.env.reset(seed=0)[0])
    scores = ram.scores(state)
    assert scores.shape == (8, 4)
    np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(scores.argmax(1), action["answer"])


def test_box_scores_carry_the_probabilities(make_ram) -> None:
    ram = make_ram(env={"action": "box"})
    action, state = ram.predict(ram.env.reset(seed=0)[0])
    scaled = torch.tensor(action[:, 2:]) * ram.task.score_scale
    torch.testing.assert_close(scaled.log_softmax(-1), torch.tensor(ram.scores(state)))


def test_a_glimpse_of_another_shape_is_refused(make_ram) -> None:
    with pytest.raises(ValueError, match=r"\(1, 5, 5\).*\(1, 4, 4\)"):
        make_ram().predict({"glimpse": np.zeros((1, 5, 5), np.float32), "fixation": np.zeros(2)})


def test_read_only_observations_are_taken(make_ram) -> None:
    ram = make_ram()
    observation, _ = ram.env.reset(seed=0)
    for values in observation.values():
        values.flags.writeable = False
    ram.predict(observation)
