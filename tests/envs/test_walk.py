"""Which image comes when: shuffled epochs without replacement, evaluation in order, shards."""

from __future__ import annotations

from collections import Counter

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from saccade.envs.draws import integers, make_key, normal, permutation, uniform
from saccade.envs.walk import Order


@given(
    length=st.integers(1, 40), groups=st.integers(1, 50), seed=st.integers(0, 9), epochs=st.just(3)
)
def test_every_epoch_shows_every_image_once(length, groups, seed, epochs):
    walk = Order(length, groups, shuffled=True)
    rounds = -(-epochs * length // groups)
    line = np.concatenate(
        [walk.index(seed, np.arange(groups), np.full(groups, v)) for v in range(rounds)]
    )
    for epoch in range(epochs):
        assert sorted(line[epoch * length : (epoch + 1) * length]) == list(range(length))


def test_epochs_and_seeds_shuffle_differently():
    orders = {tuple(permutation(seed, epoch, 100)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_evaluation_walks_in_order_and_each_image_once():
    env = gym.make_vec(
        "saccade/Digits-v0", num_envs=7, split="validation", autoreset_mode="Disabled"
    )
    length = env.unwrapped.split_length
    shown = [env.reset(seed=0)[1]["index"]]
    while 7 * len(shown) < length:
        shown.append(env.reset()[1]["index"])
    assert np.concatenate(shown)[:length].tolist() == list(range(length))


def test_restart_begins_the_walk_again_and_plain_reset_goes_on():
    env = gym.make("saccade/Digits-v0", split="test")
    indices = [env.reset(seed=0)[1]["index"], env.reset()[1]["index"]]
    indices.append(env.reset(options={"restart": True})[1]["index"])
    assert indices == [0, 1, 0]


def test_picking_an_image_does_not_move_the_walk():
    env = gym.make("saccade/Digits-v0", split="test")
    env.reset(seed=0)
    assert env.reset(options={"index": 200})[1]["index"] == 200
    assert env.reset()[1]["index"] == 1


def test_a_split_walked_by_single_shards_is_seen_once():
    counts: Counter = Counter()
    for part in range(4):
        env = gym.make("saccade/Digits-v0", split="validation", shard=(part, 4))
        for visit in range(-(-(env.unwrapped.split_length - part) // 4)):
            counts[env.reset(seed=0 if visit == 0 else None)[1]["index"]] += 1
    assert set(counts.values()) == {1} and len(counts) == env.unwrapped.split_length


def test_a_stored_walk_goes_on_where_it_stood():
    def make():
        return gym.make_vec("saccade/TranslatedDigits-v0", num_envs=3, autoreset_mode="Disabled")

    env, again = make(), make()
    env.reset(seed=4)
    env.reset()
    again.unwrapped.restore_walk(env.unwrapped.walk_state())
    for _ in range(3):
        (observation, info), (other, other_info) = env.reset(), again.reset()
        assert np.array_equal(info["index"], other_info["index"])
        assert all(np.array_equal(observation[name], other[name]) for name in observation)


def test_a_walk_of_other_lanes_is_refused():
    two, three = (gym.make_vec("saccade/Digits-v0", num_envs=n) for n in (2, 3))
    two.reset(seed=0)
    with pytest.raises(ValueError, match=r"2 lanes .* 3 lanes"):
        three.unwrapped.restore_walk(two.unwrapped.walk_state())


def test_draws_are_uniform_and_independent_of_the_batch():
    key = make_key(1, np.arange(20000))
    draws = uniform(key, 0, 2)
    assert draws.min() >= 0 and draws.max() < 1
    counts = np.histogram2d(*draws.T, bins=8, range=[[0, 1], [0, 1]])[0]
    expected = 20000 / 64
    assert ((counts - expected) ** 2 / expected).sum() < 110  # chi-square, 63 degrees: p > 1e-4
    assert np.array_equal(uniform(key[7:9], 0, 2), draws[7:9])
    assert not np.array_equal(uniform(key, 1, 2), draws)


@pytest.mark.parametrize("count", [1, 5, 8])
def test_normal_draws_are_gaussian_and_independent_of_the_batch(count):
    key = make_key(2, np.arange(40000 // count))
    draws = normal(key, 0, count)
    assert draws.shape == (len(key), count) and np.isfinite(draws).all()
    assert stats.kstest(draws.ravel(), "norm").pvalue > 1e-3
    if count > 1:
        together = np.corrcoef(draws.T) - np.eye(count)
        assert np.abs(together).max() < 5 / np.sqrt(len(key))
    assert np.allclose(normal(key[7:9], 0, count), draws[7:9], rtol=0, atol=1e-12)
    assert not np.array_equal(normal(key, 1, count), draws)


def test_keys_of_small_tuples_do_not_meet():
    parts = np.array(np.meshgrid(*[np.arange(40)] * 3)).reshape(3, -1)
    keys = {int(k) for order in (parts, parts[::-1]) for k in make_key(*order)}
    assert len(keys) == 40**3  # the same tuples either way round
    assert len(set(make_key(0, parts[0], parts[1]).tolist())) == 40 * 40


def test_integers_stay_below_their_bound():
    draws = integers(make_key(np.arange(1000)), 0, (3, 1, 60000), 3)
    assert (draws >= 0).all() and (draws < [3, 1, 60000]).all()
    assert set(draws[:, 0]) == {0, 1, 2}
