"""Attention for any pixel environment: the eye beside its action; rewards and ends as they were."""

from __future__ import annotations

import warnings
from importlib.util import find_spec

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from saccade.envs import GlimpseObservation, GlimpseSensor, GlimpseVectorObservation
from saccade.envs.sensors import SENSORS
from support import assert_same

SENSOR = GlimpseSensor(6, 2)


class Corridor(gym.Env):
    """Walk a bright spot to the right end of a dark picture; ends by truncation after 12 steps."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(self, action="discrete", frames="bytes", render_mode=None):
        self.render_mode = render_mode
        self.frames = frames
        shape = (12, 20) if frames == "flat" else (12, 20, 3)
        kind = {"floats": (-1, 1, np.float32)}.get(frames, (0, 255, np.uint8))
        self.observation_space = spaces.Box(kind[0], kind[1], shape, kind[2])
        if frames == "dict":
            self.observation_space = spaces.Dict(
                {"image": self.observation_space, "direction": spaces.Discrete(4)}
            )
        self.action_space = {
            "discrete": spaces.Discrete(3, start=1),
            "multi": spaces.MultiDiscrete([3, 2]),
            "box": spaces.Box(-1, 1, (2,), np.float32),
        }[action]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.time = int(self.np_random.integers(3, 8)), 0
        return self._look(), {"place": self.place}

    def step(self, action):
        first = np.ravel(action)[0]
        if isinstance(self.action_space, spaces.Box):
            move = int(np.sign(first))
        else:
            move = int(first) - (2 if isinstance(self.action_space, spaces.Discrete) else 1)
        assert move in (-1, 0, 1) and self.action_space.contains(action), action
        self.place, self.time = int(np.clip(self.place + move, 0, 19)), self.time + 1
        done = self.place == 19
        return self._look(), float(done) - 0.1, done, self.time == 12, {"place": self.place}

    def render(self):
        return np.full((12, 20, 3), 7, np.uint8)

    def _look(self):
        frame = np.zeros((12, 20, 3), np.uint8)
        frame[5:8, self.place] = (250, 100, 50)
        if self.frames == "floats":
            return (frame / 127.5 - 1).astype(np.float32)
        if self.frames == "dict":
            return {"image": frame, "direction": np.int64(self.time % 4)}
        return frame[..., 0].copy() if self.frames == "flat" else frame


CASES = [
    ({"action": "discrete"}, {}),
    ({"action": "multi"}, {"moves": "relative", "grid": (3, 5)}),
    ({"action": "box"}, {"context_size": 4}),
    ({"frames": "floats"}, {"first_fixation": "random"}),
    ({"frames": "flat"}, {"context_size": 3, "grid": (1, 4)}),
    ({"frames": "dict"}, {"key": "image", "keep": ("direction",)}),
]


@pytest.mark.parametrize(("made", "keywords"), CASES, ids=str)
def test_checkers_have_no_complaint(made, keywords):
    env = GlimpseObservation(Corridor(**made, render_mode="rgb_array"), SENSOR, **keywords)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*different from the unwrapped.*")
        check_env(env, skip_render_check=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sb3_check_env(env)


@pytest.mark.parametrize(
    ("action", "space", "given", "motor"),
    [
        ("discrete", spaces.MultiDiscrete([3, 3, 5]), [2, 0, 4], 3),
        ("multi", spaces.MultiDiscrete([3, 2, 3, 5]), [2, 1, 0, 4], [2, 1]),
        (
            "box",
            spaces.Box(-1, 1, (4,)),
            np.float32([0.5, -0.5, 0.8, -2 / 3]),
            [0.5, -0.5],
        ),
    ],
)
def test_the_eye_is_added_to_the_environment_s_action(action, space, given, motor):
    inner, told = Corridor(action), []
    step = inner.step
    inner.step = lambda act: told.append(act) or step(act)
    env = GlimpseObservation(inner, SENSOR, grid=(3, 5))
    assert env.action_space == space
    env.reset(seed=0)
    observation = env.step(np.array(given, dtype=space.dtype))[0]
    assert np.allclose(told[0], motor) and inner.action_space.contains(told[0])
    assert observation["fixation"] == pytest.approx([0.8, -2 / 3])  # the upper right cell of 3 x 5


@pytest.mark.parametrize("frames", ["bytes", "floats", "flat"])
def test_a_glimpse_is_of_the_new_frame_from_the_new_fixation(frames):
    env = GlimpseObservation(Corridor(frames=frames), SENSOR, grid=(5, 9))
    env.action_space.seed(0)
    env.reset(seed=1)
    for _ in range(11):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        frame = np.zeros((1, 12, 20, 3), np.uint8)
        frame[0, 5:8, info["place"]] = (250, 100, 50)
        frame = frame[..., :1] if frames == "flat" else frame
        expected = SENSOR(frame, observation["fixation"][None])[0]
        np.testing.assert_allclose(observation["glimpse"], expected, atol=1e-6)
        assert reward in (-0.1, 0.9) and not truncated
        if terminated:
            break


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize(("made", "keywords"), CASES, ids=str)
def test_the_vector_wrapper_is_the_single_one_in_every_lane(made, keywords, mode):
    def single():
        return GlimpseObservation(Corridor(**made), SENSOR, **keywords)

    wrapped = GlimpseVectorObservation(
        SyncVectorEnv([lambda: Corridor(**made)] * 3, autoreset_mode=mode), SENSOR, **keywords
    )
    reference = SyncVectorEnv([single] * 3, autoreset_mode=mode)
    assert wrapped.single_action_space == reference.single_action_space
    wrapped.action_space.seed(0)
    assert_same(wrapped.reset(seed=4), reference.reset(seed=4))
    for _ in range(40):
        actions = wrapped.action_space.sample()
        ours, theirs = wrapped.step(actions), reference.step(actions)
        assert_same(ours, theirs)
        ended = ours[2] | ours[3]
        if mode == AutoresetMode.DISABLED and ended.any():
            masks = [{"reset_mask": ended.copy()} for _ in range(2)]
            again = [e.reset(options=m) for e, m in zip((wrapped, reference), masks, strict=True)]
            for lane in ended.nonzero()[0]:
                for name, values in again[0][0].items():
                    assert np.array_equal(values[lane], again[1][0][name][lane])


def test_a_spec_makes_it_again():
    gym.register("Corridor-v0", entry_point=Corridor)
    env = GlimpseObservation(gym.make("Corridor-v0"), SENSOR, grid=(2, 3), context_size=4)
    again = gym.make(env.spec)
    assert again.observation_space == env.observation_space
    assert again.action_space == env.action_space == spaces.MultiDiscrete([3, 2, 3])


def test_the_picture_shows_the_eye_or_the_environment_s_own():
    env = GlimpseObservation(Corridor(render_mode="rgb_array"), SENSOR)
    env.reset(seed=0)
    assert env.render().shape != (12, 20, 3) and env.render().dtype == np.uint8
    plain = GlimpseObservation(Corridor(render_mode="rgb_array"), SENSOR, show_eye=False)
    plain.reset(seed=0)
    assert (plain.render() == 7).all()


@pytest.mark.parametrize(
    ("made", "keywords", "message"),
    [
        ({"frames": "dict"}, {}, "say where its frame is, .*key='image'"),
        ({"frames": "dict"}, {"key": "picture"}, "'picture': the observation has"),
        ({"frames": "dict"}, {"key": "direction"}, r"frames \(H, W, C\) or \(H, W\)"),
        ({}, {"key": "image"}, "no dictionary; leave it out"),
        ({}, {"fixation": "continuous"}, "use fixation='grid'"),
        ({"action": "box"}, {"fixation": "grid"}, "make no one space"),
        ({}, {"grid": (0, 3)}, "grid="),
        ({}, {"first_fixation": "left"}, "first_fixation='left'"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(made, keywords, message):
    with pytest.raises(ValueError, match=message) as error:
        GlimpseObservation(Corridor(**made), SENSOR, **keywords)
    assert "\n" not in str(error.value)


def test_ppo_trains_through_it():
    env = GlimpseObservation(Corridor(), SENSOR, grid=(1, 5), context_size=4)
    model = PPO("MultiInputPolicy", env, n_steps=32, batch_size=32, n_epochs=1, seed=0)
    model.learn(64)
    action, _ = model.predict(env.reset(seed=0)[0], deterministic=True)
    assert env.action_space.contains(action)


@pytest.mark.skipif(find_spec("minigrid") is None, reason="needs minigrid, the extra minigrid")
def test_minigrid():
    import minigrid  # noqa: F401  (registers its ids)
    from minigrid.wrappers import RGBImgObsWrapper

    inner = RGBImgObsWrapper(gym.make("MiniGrid-Empty-5x5-v0", render_mode="rgb_array"))
    inner.unwrapped.spec = None  # MiniGrid's wrapper cannot be made from one
    env = GlimpseObservation(inner, GlimpseSensor(8, 2), key="image")
    assert env.observation_space["glimpse"].shape == (6, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sb3_check_env(env)
        check_env(env, skip_render_check=True)
    PPO("MultiInputPolicy", env, n_steps=32, batch_size=32, n_epochs=1, seed=0).learn(64)


@pytest.mark.skipif(find_spec("ale_py") is None, reason="needs ale-py, the extra atari")
def test_atari():
    import ale_py

    gym.register_envs(ale_py)
    env = GlimpseObservation(gym.make("ALE/Pong-v5"), GlimpseSensor(16, 3), context_size=12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sb3_check_env(env)
        check_env(env, skip_render_check=True)
    model = PPO("MultiInputPolicy", env, n_steps=128, batch_size=64, n_epochs=1, seed=0)
    model.learn(2_000)


@pytest.mark.parametrize("name", SENSORS)
def test_it_looks_through_every_sensor(name):
    single = GlimpseObservation(Corridor(render_mode="rgb_array"), name)
    assert single.sight.picture(0).dtype == np.uint8
    observation, _ = single.reset(seed=0)
    assert observation in single.observation_space
    frame = Corridor()
    frame.reset(seed=0)
    center = np.zeros((1, 2), np.float32)
    assert np.array_equal(observation["glimpse"], SENSORS[name]()(frame._look()[None], center)[0])
    lanes = GlimpseVectorObservation(gym.vector.SyncVectorEnv([Corridor] * 2), name)
    assert np.array_equal(lanes.reset(seed=0)[0]["glimpse"][0], observation["glimpse"])
