"""The PyTorch path against NumPy's on the CPU device: the same scenes, glimpses and infos."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from saccade.agents.gazed import GazedVectorEnv
from saccade.agents.sb3 import make_vec_env
from saccade.envs import GlimpseSensor, TranslatedScene
from saccade.envs.device import scenes as twins
from saccade.envs.scenes import warping
from saccade.envs.scenes.base import add_patches, crop_patches
from saccade.envs.sensors import SENSORS
from support import ACTION_MODES, RandomAnswerer, assert_same, ids

ID = "saccade/Digits-v0"
ALL = {"memory": "canvas", "reveal": ("image", "box", "context")}


def on_host(values):
    """What the PyTorch path says, as the NumPy path says it."""
    if isinstance(values, dict):
        return {name: on_host(value) for name, value in values.items()}
    if isinstance(values, np.ndarray) and values.dtype == object:
        found = np.full(len(values), None, dtype=object)
        for place, value in enumerate(values):
            found[place] = on_host(value)
        return found
    return values.numpy() if isinstance(values, Tensor) else values


def assert_equal(numpy_says, torch_says):
    """Equal: what is seen to float tolerance, all else to the last bit."""
    seen, *rest = numpy_says
    seen_too, *rest_too = torch_says
    assert set(seen) == set(seen_too)
    for name, values in seen.items():
        other = seen_too[name]
        assert isinstance(other, Tensor) and other.dtype == torch.float32, name
        np.testing.assert_allclose(other.numpy(), values, atol=1e-6, err_msg=name)
    for infos in (rest[-1], rest_too[-1]):
        infos.pop("final_obs", None)
    assert_same(tuple(rest), on_host_all(rest_too))


def on_host_all(values):
    return tuple(on_host(value) for value in values)


def walk_both(env_id, steps, **keywords):
    mode = keywords.setdefault("autoreset_mode", "NextStep")
    keywords.setdefault("num_envs", 4)
    ours = gym.make_vec(env_id, **keywords)
    theirs = gym.make_vec(env_id, device="cpu", **keywords)
    assert ours.observation_space == theirs.observation_space
    ours.action_space.seed(2)
    assert_equal(ours.reset(seed=3), theirs.reset(seed=3))
    for _ in range(steps):
        action = ours.action_space.sample()
        found, other = ours.step(action), theirs.step(action)
        ended = found[2].copy()
        if mode == "SameStep" and ended.any():
            left, right = (said[-1]["final_obs"] for said in (found, other))
            for lane in ended.nonzero()[0]:
                for name, values in left[lane].items():
                    np.testing.assert_allclose(right[lane][name].numpy(), values, atol=1e-6)
        assert_equal(found, other)
        if mode == "Disabled" and ended.any():
            again = {"options": {"reset_mask": ended}}
            assert_equal(ours.reset(**again), theirs.reset(**again))
    return ours, theirs


@pytest.mark.parametrize("env_id", ids())
def test_every_id_is_the_same(env_id):
    walk_both(env_id, 14, **ALL)


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize(
    "env_id", ["saccade/ClutteredDigits-v0", "saccade/Images-v0", "saccade/Catch-v0"]
)
def test_every_sensor_is_the_same(env_id, sensor):
    walk_both(env_id, 8, sensor=sensor, **ALL)


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"action": "discrete", "scene": "translated", "canvas": (33, 40)},
        {"scene": "drifting", "canvas": 40, "pieces": 2, "speed": 5.0, "sensor": "logpolar"},
    ],
    ids=str,
)
def test_every_autoreset_mode_is_the_same(keywords, mode):
    walk_both(ID, 20, autoreset_mode=mode, **{**ALL, **keywords})


@pytest.mark.parametrize(
    "keywords",
    [
        *({"action": action} for action in ACTION_MODES if action != "fixation"),
        *({"scene": "distorted", "distortion": d} for d in ("rts", "projective", "elastic")),
        {"scene": "plain", "canvas": (30, 41), "size": 5, "scales": 4},
        {"scene": "pair", "task": "pair", "augment": {"rotate": 30, "zoom": 0.3, "elastic": 1}},
        {"scene": "drifting", "pieces": 0},
        {"moves": "relative", "stop": True},
        {"split": "validation", "placements": 2, "scene": "cluttered", "pieces": 0},
        {"split": "test", "first_fixation": "center", "paths": 2},
        {"task": "locate", "reward": "overlap", "say_box": True, "scene": "translated"},
        {"reward": "dense", "shard": (1, 3)},
    ],
    ids=str,
)
def test_every_option_is_the_same(keywords):
    walk_both(ID, 14, **{**ALL, **keywords})


def test_pictures_are_the_same():
    envs = walk_both("saccade/TrackDigits-v0", 5, render_mode="rgb_array", num_envs=2)
    for one, other in zip(*(env.render() for env in envs), strict=True):
        assert np.array_equal(one, other)


# ---------------------------------------------------------------------- twins


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    room=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 99),
)
def test_pasting_and_cutting_are_the_same(height, width, room, channels, seed):
    rng = np.random.default_rng(seed)
    tall, wide = height + room[0], width + room[1]
    frames = rng.integers(0, 256, (5, tall, wide, channels), np.uint8)
    patches = rng.integers(0, 256, (3, height, width, channels), np.uint8)
    top, left = rng.integers(0, room[0] + 1, 3), rng.integers(0, room[1] + 1, 3)
    index = rng.integers(0, 5, 3)
    cut = (index, top, left, height, width)
    tensors = torch.from_numpy(frames.copy())
    assert np.array_equal(crop_patches(frames, *cut), crop_patches(tensors, *cut).numpy())
    add_patches(frames[:3], patches, top, left)
    add_patches(tensors[:3], torch.from_numpy(patches), top, left)
    assert np.array_equal(frames, tensors.numpy())


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.sampled_from([1, 3]),
    reach=st.floats(0, 30),
    seed=st.integers(0, 99),
)
def test_reading_between_pixels_is_the_same(height, width, channels, reach, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (4, height, width, channels), np.uint8)
    x, y = rng.uniform(-reach, reach, (2, 4, 7, 5)).astype(np.float32)
    device = twins.Warping(torch.device("cpu"))
    told = torch.from_numpy(x.copy()), torch.from_numpy(y.copy())
    box = warping.box_of_readers(x, y, (height, width))
    assert np.array_equal(device.box_of_readers(*told, (height, width)), box)
    seen = device.read(torch.from_numpy(images), *told)
    assert np.array_equal(warping.read(images, x, y), seen.numpy())


# ---------------------------------------------------------------------- what crosses


@pytest.mark.parametrize(
    "keywords",
    [
        {"scene": "cluttered", "canvas": 60, **ALL},
        {"scene": "distorted", "distortion": "elastic"},
        {"scene": "drifting", "canvas": 60, "sensor": "fovea"},
        {"scene": "pair", "task": "pair", "sensor": "logpolar"},
        {"sensor": "bilinear", "scene": "translated"},
    ],
    ids=str,
)
def test_pixels_never_cross(keywords, monkeypatch):
    lanes, most = 16, 64  # numbers a lane
    env = gym.make_vec(ID, num_envs=lanes, device="cpu", autoreset_mode="SameStep", **keywords)
    env.action_space.seed(0)
    env.reset(seed=0)
    env.unwrapped.reset()
    crossed = []

    def watch(owner, name, size_of):
        real = getattr(owner, name)

        def watched(*arguments, **options):
            crossed.append(size_of(arguments[0]))
            return real(*arguments, **options)

        monkeypatch.setattr(owner, name, watched)

    for name in ("cpu", "numpy", "tolist", "__array__"):
        watch(Tensor, name, Tensor.numel)
    for name in ("tensor", "as_tensor", "from_numpy"):
        watch(torch, name, np.size)
    for _ in range(14):
        env.step(env.action_space.sample())
    assert crossed and max(crossed) <= most * lanes


def test_observations_are_fresh_tensors():
    env = gym.make_vec(ID, num_envs=2, device="cpu", **ALL)
    observation, _ = env.reset(seed=0)
    kept = []
    for _ in range(12):
        kept.append((observation, {name: values.clone() for name, values in observation.items()}))
        observation = env.step(env.action_space.sample())[0]
        for old, copies in kept:
            assert all(torch.equal(old[name], copies[name]) for name in old)
    for values in observation.values():
        values.fill_(7)
    seen = env.step(env.action_space.sample())[0]
    assert all(values.max() <= 56 for values in seen.values())
    assert all(seen[name].max() <= 1 for name in seen if name != "box")


@pytest.mark.parametrize("action", ["box", "dict", "grid"])
def test_actions_may_be_tensors(action):
    ours, theirs = (gym.make_vec(ID, 3, action=action, device=d) for d in (None, "cpu"))
    ours.reset(seed=0), theirs.reset(seed=0)
    for _ in range(8):
        told = ours.action_space.sample()
        if action == "dict":
            tensors = {name: torch.tensor(values) for name, values in told.items()}
        else:
            tensors = torch.tensor(told, requires_grad=action == "box")
        assert_equal(ours.step(told), theirs.step(tensors))


def test_an_answerer_sees_tensors_and_may_answer_in_them():
    def answerer(observation, episode_start):
        assert isinstance(observation["glimpse"], Tensor)
        host = {"glimpse": observation["glimpse"].numpy()}
        return torch.tensor(RandomAnswerer(10)(host, episode_start))

    how = {"num_envs": 4, "action": "fixation"}
    ours = gym.make_vec(ID, answerer=RandomAnswerer(10), **how)
    theirs = gym.make_vec(ID, answerer=answerer, device="cpu", **how)
    ours.action_space.seed(0)
    assert_equal(ours.reset(seed=0), theirs.reset(seed=0))
    for _ in range(8):
        action = ours.action_space.sample()
        assert_equal(ours.step(action), theirs.step(action))


def test_it_is_pickled_where_it_stands():
    env = gym.make_vec(ID, num_envs=3, device="cpu", scene="cluttered", canvas=40, **ALL)
    env.action_space.seed(0)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    again = pickle.loads(pickle.dumps(env.unwrapped))
    for _ in range(8):
        action = env.action_space.sample()
        one, other = env.step(action)[0], again.step(action)[0]
        assert all(torch.equal(one[name], other[name]) for name in one)


# ---------------------------------------------------------------------- refusals


@dataclass(frozen=True)
class Mine(TranslatedScene):
    """A scene of one's own, which nobody said draws on a device."""


@dataclass(frozen=True)
class Own(GlimpseSensor):
    """A sensor of one's own, which looks on the host alone."""

    def allocate_on(self, device, lanes, height, width, channels):
        return super(GlimpseSensor, self).allocate_on(device, lanes, height, width, channels)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"device": "gpu"}, "device='gpu': not here; 'cpu' always is"),
        ({"device": "cuda:99"}, "device='cuda:99': not here"),
        ({"device": "meta"}, "device='meta': not here"),
        ({"device": 1.5}, "device=1.5: not here"),
        ({"device": "cpu", "scene": Mine()}, "device='cpu': Mine draws on the host alone"),
        ({"device": "cpu", "sensor": Own()}, "device='cpu': Own looks on the host alone"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_said_in_one_line(keywords, said):
    with pytest.raises(ValueError, match=said) as caught:
        gym.make_vec(ID, num_envs=2, **keywords)
    assert "\n" not in str(caught.value)


def test_who_takes_arrays_says_so():
    with pytest.raises(ValueError, match="device belongs to vector environments"):
        gym.make(ID, device="cpu")
    with pytest.raises(ValueError, match="stable-baselines3 takes NumPy's arrays"):
        make_vec_env(ID, 2, action="grid", device="cpu")
    env = gym.make_vec(ID, num_envs=2, device="cpu", autoreset_mode="Disabled")
    with pytest.raises(ValueError, match="gazes look at NumPy arrays"):
        GazedVectorEnv(env, "center")


def test_without_a_device_pytorch_stays_out():
    code = (
        "import sys, gymnasium, saccade; env = gymnasium.make_vec('saccade/Digits-v0', 2); "
        "env.reset(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
