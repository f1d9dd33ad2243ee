"""Gaze overrides: the eye goes where the path says, in every action mode."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import saccade  # noqa: F401  registers the environments
from saccade.agents import gaze
from saccade.agents.rollout import rollout


class Same:
    """Answers 3 and looks at the corner, in one action mode; counts its calls in its state."""

    def __init__(self, env):
        self.mode = env.unwrapped.action_mode
        self.classes = env.unwrapped.num_classes

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        n = len(observation["fixation"])
        state = 1 if state is None else state + 1
        if self.mode == "dict":
            fixation = np.full((n, 2), 1.0, np.float32)
            return {"fixation": fixation, "answer": np.full(n, 3)}, state
        if self.mode == "box":
            action = np.full((n, 2 + self.classes), -1.0, np.float32)
            action[:, :2], action[:, 2 + 3] = 1.0, 1.0
            return action, state
        if self.mode == "grid":
            return np.tile([6, 6, 3], (n, 1)), state
        return np.where(observation["progress"][:, 0] < 1, 48, 49 + 3), state


def make(mode="dict", **keywords):
    return gymnasium.make_vec(
        "saccade/Digits-v0",
        num_envs=4,
        split="validation",
        action=mode,
        glimpses=4,
        autoreset_mode=AutoresetMode.DISABLED,
        **keywords,
    )


SCENES = [5, 0, 2, 7, 11, 3]


@pytest.mark.parametrize("mode", ["dict", "box"])
def test_the_eye_follows_one_path_a_scene(mode):
    env = make(mode)
    paths = gaze.random_paths(12, 4, seed=3)
    seen = rollout(gaze.FixedPath(Same(env), env, paths), env, SCENES)
    np.testing.assert_array_equal(seen.fixations, paths[SCENES])
    assert (seen.answer == 3).all()


@pytest.mark.parametrize("mode", ["dict", "box"])
def test_the_eye_follows_one_path_for_all(mode):
    env = make(mode)
    path = np.array([[0.5, -0.5], [-1, 1], [0, 0.25], [1, 1]], np.float32)
    seen = rollout(gaze.FixedPath(Same(env), env, path), env, SCENES)
    np.testing.assert_array_equal(seen.fixations, np.broadcast_to(path, (6, 4, 2)))


@pytest.mark.parametrize("mode", ["grid", "discrete"])
def test_cells_are_the_ones_that_hold_the_place(mode):
    env = make(mode, grid=(3, 5))
    path = np.array([[0, 0], [-0.9, 0.9], [1, -1], [0.1, -0.1]], np.float32)

    class Small(Same):
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            n = len(observation["fixation"])
            if self.mode == "grid":
                return np.tile([2, 4, 3], (n, 1)), None
            return np.where(observation["progress"][:, 0] < 1, 14, 15 + 3), None

    seen = rollout(gaze.FixedPath(Small(env), env, path), env, SCENES)
    cells = np.array([[-0.8, 2 / 3], [0.8, -2 / 3], [0, 0]])
    np.testing.assert_allclose(seen.fixations[0, 1:], cells, atol=1e-6)
    assert (seen.answer == 3).all() and (seen.length == 4).all()


def test_a_relative_eye_goes_as_far_as_it_reaches():
    env = make("dict", moves="relative", reach=0.5)
    path = np.array([[0, 0], [0.25, -0.5], [1, -0.5], [1, 1]], np.float32)
    seen = rollout(gaze.FixedPath(Same(env), env, path), env, SCENES)
    expected = [[0, 0], [0.25, -0.5], [0.75, -0.5], [1, 0]]
    np.testing.assert_allclose(seen.fixations[0], expected, atol=1e-6)


def test_the_policys_action_is_not_changed_in_place():
    env = make("box")
    observation, _ = env.reset(seed=0)
    kept = np.zeros((4, 12), np.float32)

    class Keeps:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return kept, None

    override = gaze.FixedPath(Keeps(), env, gaze.center_path(4) + 0.5)
    action, _ = override.predict(observation)
    assert (action[:, :2] == 0.5).all() and not kept.any()


def test_random_paths_do_not_depend_on_their_number():
    few, many = gaze.random_paths(3, 4, seed=1), gaze.random_paths(9, 4, seed=1)
    np.testing.assert_array_equal(few, many[:3])
    assert np.abs(many).max() <= 1 and few.dtype == np.float32


def test_the_mean_path_leaves_out_what_was_not_looked_at():
    fixations = np.array(
        [[[0, 0], [1, 1], [np.nan] * 2], [[1, 0], [np.nan] * 2, [np.nan] * 2]], np.float32
    )
    np.testing.assert_array_equal(gaze.mean_path(fixations), [[0.5, 0], [1, 1], [1, 1]])


def test_what_cannot_be_followed_is_refused():
    env = make()
    with pytest.raises(ValueError, match="paths must be"):
        gaze.FixedPath(Same(env), env, np.zeros((4, 3)))
    with pytest.raises(ValueError, match="3 fixations, the environment 4"):
        gaze.FixedPath(Same(env), env, gaze.center_path(3))
    observation, _ = env.reset(seed=0)
    with pytest.raises(RuntimeError, match="start"):
        gaze.FixedPath(Same(env), env, gaze.random_paths(9, 4)).predict(observation)
