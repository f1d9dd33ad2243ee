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


# ------------------------------------------------------------------ gazes


def look(name, env, observation):
    return gaze.gaze_class(name)(env).look(gaze.see(env, observation))[0]


def path_of(name, env, scenes=SCENES):
    return rollout(gaze.Follow(Same(env), env, gaze.gaze_class(name)(env)), env, scenes).fixations


@pytest.mark.parametrize("name", gaze.GAZES)
@pytest.mark.parametrize("mode", ["dict", "box", "grid", "discrete"])
def test_every_gaze_drives_every_action_mode(name, mode):
    env = make(mode, reveal=("image", "box"))
    seen = rollout(gaze.Follow(Same(env), env, gaze.gaze_class(name)(env)), env, SCENES)
    assert (seen.length == 4).all() and (seen.answer == 3).all()
    assert np.abs(seen.fixations).max() <= 1


@pytest.mark.parametrize("name", gaze.GAZES)
def test_a_scene_is_looked_at_alike_in_any_lane(name):
    env = make(reveal=("image", "box"))
    turned = path_of(name, env, SCENES[::-1])[::-1]
    np.testing.assert_array_equal(path_of(name, env), turned)


@pytest.mark.parametrize("name", gaze.GAZES)
def test_every_gaze_drives_a_single_environment(name):
    env = gymnasium.make("saccade/Digits-v0", action="fixation", reveal=("image", "box"),
                         answerer=lambda observation, start: np.zeros((1, 10)))  # fmt: skip

    class Nothing:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.zeros(2, np.float32), None

    policy = gaze.Follow(Nothing(), env, gaze.gaze_class(name)(env))
    observation, _ = env.reset(seed=0)
    state, done = None, False
    while not done:
        action, state = policy.predict(observation, state)
        observation, _, done, _, _ = env.step(action)
        if not done:
            np.testing.assert_allclose(observation["fixation"], action)


def test_random_looks_are_uniform_and_differ_between_glimpses_lanes_and_episodes():
    env = gymnasium.make_vec("saccade/Digits-v0", num_envs=512, paths=4)
    drawn = []
    for seed in (0, 0, 1):
        observation, _ = env.reset(seed=seed)
        first = look("random", env, observation)
        observation, *_ = env.step(env.action_space.sample())
        drawn.append(np.stack([first, look("random", env, observation)], axis=1))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    places = np.concatenate([drawn[0], drawn[2]]).reshape(-1, 2)
    assert len(np.unique(places, axis=0)) == len(places) == 2 * 2 * 512
    assert np.abs(places.mean(0)).max() < 0.06 and np.abs(places.var(0) - 1 / 3).max() < 0.03


@pytest.mark.parametrize(
    ("glimpses", "shape", "rows"),
    [(6, (60, 60), [3, 3]), (8, (100, 100), [3, 3, 2]), (1, (28, 28), [1]), (4, (10, 90), [4]),
     (4, (90, 10), [1, 1, 1, 1])],
)  # fmt: skip
def test_a_raster_is_a_serpentine_of_even_rows(glimpses, shape, rows):
    path = gaze.raster_path(glimpses, *shape)
    heights, counts = np.unique(path[:, 1], return_counts=True)
    assert counts.tolist() == rows and (np.diff(path[:, 1]) >= 0).all()
    np.testing.assert_allclose(heights, -heights[::-1], atol=1e-6)
    for number, y in enumerate(heights):
        x = path[path[:, 1] == y, 0]
        assert (np.diff(x) * (-1) ** number > 0).all()
        np.testing.assert_allclose(np.sort(x), -np.sort(x)[::-1], atol=1e-6)


def test_the_oracle_looks_at_the_targets_centre_and_stays_on_it():
    env = gymnasium.make_vec(
        "saccade/ClutteredDigits-v0", num_envs=64, split="validation", reveal=("box",), glimpses=12,
        action="dict", autoreset_mode=AutoresetMode.DISABLED,
    )  # fmt: skip
    seen = rollout(gaze.Follow(Same(env), env, gaze.gaze_class("oracle")(env)), env, range(64))
    pixels = (seen.fixations[:, 1:] + 1) / 2 * 59
    middle = (seen.box[:, :2] + seen.box[:, 2:]) / 2
    np.testing.assert_allclose(pixels[:, 0], middle, atol=1e-4)
    inside = (pixels >= seen.box[:, None, :2]) & (pixels < seen.box[:, None, 2:])
    assert inside.all()
    assert len(np.unique(np.round(pixels[0], 3), axis=0)) == 9  # nine places, then anew


def test_an_unknown_gaze_is_named():
    with pytest.raises(ValueError, match="gaze='saliencey': choose from random, center"):
        gaze.gaze_class("saliencey")
