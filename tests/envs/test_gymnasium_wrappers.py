"""Gymnasium's own wrappers over the ids: videos, and stacks of glimpses."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import FrameStackObservation, RecordVideo
from stable_baselines3.common.vec_env import VecFrameStack

from saccade.agents.sb3 import make_vec_env
from support import ids

LAST = {"fixation": "last", "progress": "last"}
K = 3


@pytest.mark.parametrize("env_id", ids())
def test_videos_are_recorded(env_id, tmp_path):
    imageio = pytest.importorskip("imageio_ffmpeg", reason="the extra `video` is not installed")
    pytest.importorskip("moviepy", reason="the extra `video` is not installed")
    short = {} if "Catch" in env_id else {"glimpses": 3}  # a ball falls as long as it falls
    env = gym.make(env_id, render_mode="rgb_array", **short)
    env = RecordVideo(env, str(tmp_path / "videos"), lambda episode: True)
    env.action_space.seed(0)
    for _ in range(2):
        env.reset(seed=0)
        ended, steps = False, 0
        while not ended:
            _, _, ended, truncated, _ = env.step(env.action_space.sample())
            steps += 1
            assert not truncated
    height, width, _ = env.render().shape
    env.close()
    videos = sorted(tmp_path.glob("videos/*.mp4"))
    assert len(videos) == 2
    passthrough = ["-fps_mode", "passthrough"]  # no frame twice to keep the time
    meta, *frames = imageio.read_frames(str(videos[0]), output_params=passthrough)
    assert len(frames) == steps + 1
    assert meta["size"] == (width, height)


def episode(env, steps):
    """Observations of an episode with actions drawn from a seed, the first one first."""
    env.action_space.seed(1)
    seen = [env.reset(seed=0)[0]]
    for _ in range(steps):
        seen.append(env.step(env.action_space.sample())[0])
    return seen


def test_a_stack_is_the_last_glimpses_and_begins_with_the_first():
    plain = episode(gym.make("saccade/ClutteredDigits-v0"), 5)
    stacked = episode(FrameStackObservation(gym.make("saccade/ClutteredDigits-v0"), K), 5)
    for t, found in enumerate(stacked):
        for name in ("glimpse", "fixation", "progress"):
            wanted = [plain[max(0, at)][name] for at in range(t - K + 1, t + 1)]
            np.testing.assert_array_equal(found[name], wanted)


def test_sb3_stacks_lanes_along_the_channels():
    lanes = 4
    env = make_vec_env("saccade/ClutteredDigits-v0", lanes, seed=0, action="grid")
    plain = make_vec_env("saccade/ClutteredDigits-v0", lanes, seed=0, action="grid")
    stack = VecFrameStack(env, K, channels_order={"glimpse": "first", **LAST})
    planes = env.observation_space["glimpse"].shape[0]
    history = [[] for _ in range(lanes)]  # of the present episode
    found, now = stack.reset(), plain.reset()
    rng = np.random.default_rng(0)
    for _ in range(9):
        for lane in range(lanes):
            history[lane].append(now["glimpse"][lane])
            last = history[lane][-K:]
            black = [np.zeros_like(last[0])] * (K - len(last))
            np.testing.assert_array_equal(found["glimpse"][lane], np.concatenate(black + last))
        assert found["glimpse"].shape[1] == K * planes
        actions = rng.integers(0, env.action_space.nvec, (lanes, 3))
        found, _, ended, _ = stack.step(actions)
        now, *_ = plain.step(actions)
        for lane in ended.nonzero()[0]:
            history[lane].clear()
    assert min(map(len, history)) < 9  # episodes ended on the way
