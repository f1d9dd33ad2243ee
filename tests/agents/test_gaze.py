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
    assert (seen.answers == 3).all()


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
    assert (seen.answers == 3).all() and (seen.length == 4).all()


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


# ------------------------------------------------------------------ where looks are judged


class Aims:
    """Sends the eye to one corner, and when it is over to another; says 2 where it may."""

    LOOK, LAST = (-0.9, -0.9), (0.9, -0.9)

    def __init__(self, env, stop_at=2.0):
        self.core = env.unwrapped
        self.stop_at = stop_at

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        progress = observation["progress"][:, 0]
        over = progress >= min(self.stop_at, 1)
        fixation = np.where(over[:, None], self.LAST, self.LOOK).astype(np.float32)
        mode, core = self.core.action_mode, self.core
        cells = np.floor((fixation[:, ::-1] + 1) / 2 * 3).astype(np.int64)
        answers = np.full((len(over), core.answers), -1, np.float32)
        if mode == "dict":
            said = {"answer": np.full(len(over), 2)} if core.answers else {}
            stop = {"stop": over.astype(np.int64)} if core.stop else {}
            return {"fixation": fixation, **said, **stop}, None
        if mode == "discrete":
            return cells[:, 0] * 3 + cells[:, 1], None
        if mode == "grid":
            parts = [cells, np.full((len(over), int(core.answers > 0)), 2)]
            return np.concatenate([*parts, over[:, None]] if core.stop else parts, axis=1), None
        answers[:, 2:3] = 1
        parts = [fixation, answers]
        return np.concatenate([*parts, 2 * over[:, None] - 1.0] if core.stop else parts, 1), None


def task_env(env_id, mode, **keywords):
    return gymnasium.make_vec(
        env_id, num_envs=3, split="validation", action=mode, grid=(3, 3),
        autoreset_mode="Disabled", **keywords,
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["dict", "box", "grid", "discrete", "fixation"])
@pytest.mark.parametrize("stop", [False, True])
def test_a_control_takes_the_looks_and_leaves_the_aim_that_answers(mode, stop):
    stop = stop and mode != "discrete"  # there, to stop is to say: here
    env = task_env("saccade/LocateDigits-v0", mode, glimpses=4, canvas=40, stop=stop)
    policy = Aims(env, 0.75 if stop else 2.0)
    seen = rollout(gaze.FixedPath(policy, env, gaze.center_path(4)), env, range(5))
    looks = 3 if stop else 4
    assert (seen.length == looks).all()
    np.testing.assert_allclose(seen.fixations[:, :looks], 0, atol=1e-6)
    away = 0.25 if mode in ("grid", "discrete") else 0.01  # cells' centres are at 2/3
    assert (np.abs(seen.aim - Aims.LAST) < away).all()


def test_a_move_that_answers_starts_from_where_the_control_put_the_eye():
    env = task_env(
        "saccade/LocateDigits-v0", "dict", glimpses=4, canvas=40, moves="relative", reach=0.5
    )
    seen = rollout(gaze.FixedPath(Aims(env), env, gaze.center_path(4)), env, range(3))
    np.testing.assert_allclose(seen.aim, np.tile(np.multiply(Aims.LAST, 0.5), (3, 1)), atol=1e-6)


def test_where_every_aim_is_judged_the_control_takes_all():
    env = task_env("saccade/TrackDigits-v0", "dict", canvas=40, glimpses=4)
    seen = rollout(gaze.FixedPath(Aims(env), env, gaze.center_path(4)), env, range(5))
    np.testing.assert_array_equal(seen.aim, np.zeros((5, 2)))
    assert not seen.fixations.any()


@pytest.mark.parametrize("mode", ["dict", "box", "grid"])
def test_acts_stay_the_policys(mode):
    env = task_env("saccade/Catch-v0", mode)
    seen = rollout(gaze.FixedPath(Aims(env), env, gaze.center_path(23)), env, range(5))
    np.testing.assert_allclose(seen.fixations, 0, atol=1e-6)
    assert (seen.answers == 2).all()


def test_the_oracle_goes_where_the_target_is_now():
    env = task_env(
        "saccade/MovingDigits-v0", "dict", glimpses=10, reveal=("box",), speed=6, canvas=60
    )
    kind = gaze.gaze_class("oracle")
    seen = rollout(gaze.Follow(Aims(env), env, kind(env)), env, range(9))
    pixels = (seen.fixations + 1) / 2 * 59
    before = seen.boxes[:, :-1]  # what it could know when it chose
    assert ((pixels[:, 1:] >= before[..., :2]) & (pixels[:, 1:] < before[..., 2:])).all()
    assert (seen.boxes[:, 0] != seen.boxes[:, -1]).any(axis=1).all()


def test_saliency_sees_the_frame_of_the_moment():
    env = task_env("saccade/Catch-v0", "dict", reveal=("image",))
    look = gaze.gaze_class("saliency")(env)
    observation, _ = env.reset(options={"index": np.arange(3)})
    _, state = look.look(gaze.see(env, observation), None, np.ones(3, bool))
    later, *_ = env.step(Aims(env).predict(observation)[0])
    _, (maps, _) = look.look(gaze.see(env, later), state, np.zeros(3, bool))
    fresh, _ = look.look(gaze.see(env, later))[1]
    np.testing.assert_array_equal(maps, fresh)
    assert (maps != state[0]).any()


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
    assert (seen.length == 4).all() and (seen.answers == 3).all()
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
    box = seen.boxes[:, 0]
    middle = (box[:, :2] + box[:, 2:]) / 2
    np.testing.assert_allclose(pixels[:, 0], middle, atol=1e-4)
    inside = (pixels >= box[:, None, :2]) & (pixels < box[:, None, 2:])
    assert inside.all()
    assert len(np.unique(np.round(pixels[0], 3), axis=0)) == 9  # nine places, then anew


def test_an_unknown_gaze_is_named():
    with pytest.raises(ValueError, match="gaze='saliencey': choose from random, center"):
        gaze.gaze_class("saliencey")
