"""What steps and resets do: rewards, clocks, options, determinism, and errors that help."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import itertools
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from saccade.envs import Dataset, GlimpseSensor, Task, TranslatedScene
from saccade.envs.actions import best_score
from saccade.envs.draws import make_key
from support import RandomAnswerer, assert_same

ID = "saccade/Digits-v0"


def dict_action(env, answer, fixation=(0.0, 0.0)):
    n = env.num_envs
    return {
        "fixation": np.tile(np.float32(fixation), (n, 1)),
        "answer": np.broadcast_to(answer, (n,)).astype(np.int64),
    }


def test_an_episode_of_t_glimpses_is_t_steps():
    env = gym.make(ID, glimpses=4, action="dict")
    observation, info = env.reset(seed=0, options={"fixation": (0.25, -0.5)})
    assert observation["fixation"].tolist() == [0.25, -0.5]
    assert observation["progress"] == pytest.approx(1 / 4)
    image = env.unwrapped.images
    for step in range(1, 4):
        fixation = np.float32([0.1 * step, -0.2 * step])
        observation, reward, terminated, truncated, _ = env.step(
            {"fixation": fixation, "answer": 0}
        )
        assert (reward, terminated, truncated) == (0.0, False, False)
        assert np.array_equal(observation["fixation"], fixation)
        assert observation["progress"] == pytest.approx((step + 1) / 4)
        assert np.array_equal(observation["glimpse"], GlimpseSensor(8)(image, fixation[None])[0])
    last, reward, terminated, _, end = env.step(
        {"fixation": np.float32([1, 1]), "answer": info["label"]}
    )
    assert (reward, terminated, end["is_success"], end["answer"]) == (1, True, True, info["label"])
    for name in observation:  # the last fixation is ignored, the last glimpse repeated
        assert np.array_equal(last[name], observation[name])


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("action", ["box", "dict", "grid", "discrete"])
def test_only_a_right_final_answer_is_worth_one(action, right):
    env = gym.make(ID, action=action, glimpses=2)
    _, info = env.reset(seed=1)
    answer = info["label"] if right else (info["label"] + 3) % 10
    wrong = (info["label"] + 5) % 10
    scores = np.full(12, -1, np.float32)
    scores[2 + answer] = 1
    early = np.full(12, -1, np.float32)
    early[2 + wrong] = 1
    look = {
        "box": early,
        "dict": {"fixation": np.zeros(2, np.float32), "answer": wrong},
        "grid": np.array([3, 3, wrong]),
        "discrete": 24,
    }[action]
    say = {
        "box": scores,
        "dict": {"fixation": np.zeros(2, np.float32), "answer": answer},
        "grid": np.array([0, 0, answer]),
        "discrete": 49 + answer,
    }[action]
    assert env.step(look)[1:4] == (0.0, False, False)
    _, reward, terminated, _, info = env.step(say)
    assert (reward, terminated) == (float(right), True)
    assert info["is_success"] is right and info["answer"] == answer


def test_the_last_step_counts_for_its_own_episode_when_resetting_in_the_same_step():
    env = gym.make_vec(ID, num_envs=5, glimpses=1, action="dict", autoreset_mode="SameStep")
    _, info = env.reset(seed=0)
    for _ in range(30):
        label = info["label"]
        _, reward, terminated, _, info = env.step(dict_action(env, label))
        assert reward.tolist() == [1.0] * 5 and terminated.all()
        assert np.array_equal(info["final_info"]["label"], label)


def test_the_reset_step_of_next_step_mode_rewards_nothing_and_reads_no_action():
    env = gym.make_vec(ID, num_envs=2, glimpses=1, action="box")
    env.reset(seed=0)
    env.step(np.zeros((2, 12), np.float32))
    observation, reward, terminated, _, info = env.step(np.full((2, 12), np.nan))
    assert reward.tolist() == [0, 0] and not terminated.any()
    assert "is_success" not in info and np.isfinite(observation["glimpse"]).all()


def test_discrete_looks_at_cells_until_the_budget_is_spent():
    env = gym.make(ID, action="discrete", grid=(2, 3), glimpses=2)
    env.reset(seed=0)
    assert env.unwrapped.action_masks().all()
    observation, *_ = env.step(4)  # second row, second column
    np.testing.assert_allclose(observation["fixation"], [0, 0.5], atol=1e-7)
    masks = env.unwrapped.action_masks()
    assert not masks[:6].any() and masks[6:].all()
    _, reward, terminated, _, info = env.step(0)
    assert (reward, terminated, info["is_success"], info["answer"]) == (0.0, True, False, -1)


def test_cells_are_centred_row_by_row():
    env = gym.make(ID, action="grid", grid=(2, 4))
    env.reset(seed=0)
    observation, *_ = env.step(np.array([1, 0, 0]))
    np.testing.assert_allclose(observation["fixation"], [-0.75, 0.5])


@pytest.mark.parametrize("action", ["box", "dict", "grid", "fixation"])
def test_stop_answers_at_once(action):
    answerer = {"answerer": RandomAnswerer(10)} if action == "fixation" else {}
    env = gym.make(ID, action=action, stop=True, **answerer)
    env.reset(seed=0)
    keep, stop = {
        "box": (np.zeros(13, np.float32), np.r_[np.zeros(12), 0.1].astype(np.float32)),
        "dict": tuple(
            {"fixation": np.zeros(2, np.float32), "answer": 0, "stop": stop} for stop in (0, 1)
        ),
        "grid": (np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1])),
        "fixation": (np.zeros(3, np.float32), np.float32([0, 0, 0.1])),
    }[action]
    assert env.action_space.contains(stop)
    assert env.step(keep)[2] is False
    assert env.step(stop)[2] is True


def test_relative_moves_add_up_and_stay_on_the_image():
    env = gym.make(ID, action="dict", moves="relative", reach=0.5)
    env.reset(seed=0, options={"fixation": (0, 0)})
    for expected in ([0.5, -0.25], [1.0, -0.5], [1.0, -0.75]):
        action = {"fixation": np.float32([1, -0.5]), "answer": 0}
        np.testing.assert_allclose(env.step(action)[0]["fixation"], expected)


def test_dense_reward_telescopes_to_the_last_log_probability():
    env = gym.make(ID, reward="dense", score_scale=4.0)
    _, info = env.reset(seed=0)
    rng, total, terminated = np.random.default_rng(0), 0.0, False
    while not terminated:
        action = rng.uniform(-1, 1, 12).astype(np.float32)
        _, reward, terminated, _, _ = env.step(action)
        total += reward
    logits = 4.0 * action[2:].astype(float)
    log_p = logits[info["label"]] - np.log(np.exp(logits).sum())
    assert total == pytest.approx(log_p / np.log(10) + 1)


def test_a_glimpse_has_its_price():
    env = gym.make(ID, action="discrete", glimpse_cost=0.05)
    _, info = env.reset(seed=0)
    rewards = [env.step(0)[1], env.step(1)[1], env.step(49 + info["label"])[1]]
    assert rewards == pytest.approx([-0.05, -0.05, 1.0])


def test_ties_between_scores_are_broken_by_lot():
    scores = np.zeros((3000, 4))
    scores[:, [1, 3]] = 1.0
    answers = best_score(scores, make_key(np.arange(3000)))
    share = (answers == 1).mean()
    assert set(answers) == {1, 3} and 0.45 < share < 0.55
    scores[:, 2] = 2.0
    assert (best_score(scores, make_key(np.arange(3000))) == 2).all()


def test_an_answerer_sees_each_glimpse_and_knows_where_episodes_begin():
    calls = []

    def answerer(observation, episode_start):
        calls.append((observation["progress"][:, 0].copy(), episode_start.copy()))
        scores = np.zeros((2, 10))
        scores[:, 7] = 1
        return scores

    env = gym.make_vec(ID, num_envs=2, action="fixation", answerer=answerer, glimpses=2)
    env.reset(seed=0)
    for _ in range(3):
        *_, info = env.step(np.zeros((2, 2), np.float32))
    assert [starts.tolist() for _, starts in calls] == [
        [start] * 2
        for start in (True, False, False, True)  # the last glimpse comes twice
    ]
    env.step(np.zeros((2, 2), np.float32))
    *_, info = env.step(np.zeros((2, 2), np.float32))
    assert info["answer"].tolist() == [7, 7]


def test_reveal_shows_the_image_and_the_box():
    env = gym.make("saccade/TranslatedDigits-v0", reveal=("image", "box"))
    observation, info = env.reset(seed=0)
    np.testing.assert_allclose(
        observation["image"][0] * 255, env.unwrapped.images[0, :, :, 0], atol=1e-4
    )
    assert np.array_equal(observation["box"], info["box"])
    assert env.observation_space.contains(observation)


@dataclasses.dataclass(frozen=True)
class Parity(Task):
    """A user's own task: odd or even, and a bonus for having looked far."""

    bonus: float = 0.25

    def answers(self, classes):
        return 2

    def memory(self, lanes):
        return {"far": np.zeros(lanes)}

    def judge(self, turn, memory):
        memory["far"] = np.maximum(memory["far"], np.abs(turn.fixation).max(axis=1))
        success = turn.answered & (turn.answer == turn.label % 2)
        return success, success + self.bonus * (turn.ends & (memory["far"] > 0.9))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_goes_on_like_the_original(copied):
    env = gym.make_vec("saccade/ClutteredDigits-v0", num_envs=3)
    env.reset(seed=0)
    env.action_space.seed(0)
    env.step(env.action_space.sample())
    other = copied(env.unwrapped)
    for _ in range(15):
        actions = env.action_space.sample()
        assert_same(env.step(actions), other.step(actions))


def test_a_users_own_task_and_scene():
    keywords = {"task": Parity(), "scene": TranslatedScene(40), "action": "dict", "bonus": 0.5}
    env = gym.make_vec(ID, num_envs=4, autoreset_mode="SameStep", glimpses=2, **keywords)
    assert env.single_action_space["answer"].n == 2
    _, info = env.reset(seed=0, options={"fixation": (0, 0)})
    for far in (True, False, True):
        parity = info["label"] % 2
        env.step(dict_action(env, 0, (1.0 if far else 0.0, 0.0)))
        _, reward, _, _, info = env.step(dict_action(env, parity))
        if far:
            assert reward.tolist() == [1.5] * 4
        else:  # the first fixation of a later episode is drawn by lot
            assert set(reward) <= {1.0, 1.5}


@pytest.mark.parametrize("shape", [(9, 21), (9, 21, 3), (40, 12, 1)])
def test_a_users_own_arrays_gray_or_colour_of_any_shape(shape):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, *shape), dtype=np.uint8)
    data = Dataset.from_arrays(images, np.arange(60) % 3)
    env = gym.make(ID, source=data, size=4, scales=2, scene="translated", canvas=(50, 44))
    channels = shape[2] if len(shape) == 3 else 1
    assert env.observation_space["glimpse"].shape == (2 * channels, 4, 4)
    assert env.action_space.shape == (2 + 3,)
    assert env.spec.kwargs["source"] is data  # specs are copied, data sets are not
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)


ROLLOUT = """
import hashlib, gymnasium as gym, numpy as np, saccade
env = gym.make_vec("saccade/ClutteredDigits-v0", num_envs=5, autoreset_mode="SameStep")
env.action_space.seed(2)
digest = hashlib.sha256()
observation, info = env.reset(seed=9)
for _ in range(20):
    for values in (*observation.values(), info["label"], info["box"]):
        digest.update(np.ascontiguousarray(values).tobytes())
    observation, reward, *_, info = env.step(env.action_space.sample())
    digest.update(reward.tobytes())
print(digest.hexdigest())
"""


def test_the_same_seed_gives_the_same_bytes_here_and_in_other_processes():
    digests = set()
    for _ in range(2):
        run = subprocess.run([sys.executable, "-c", ROLLOUT], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        digests.add(run.stdout.strip())
    assert len(digests) == 1 and len(digests.pop()) == 2 * hashlib.sha256().digest_size


def test_another_seed_shows_another_order():
    env = gym.make_vec(ID, num_envs=50)
    first = env.reset(seed=0)[1]["index"]
    assert np.array_equal(env.reset(seed=0)[1]["index"], first)
    assert not np.array_equal(env.reset(seed=1)[1]["index"], first)
    assert not np.array_equal(env.reset()[1]["index"], first)


def test_never_seeded_environments_differ():
    assert len({tuple(gym.make_vec(ID, num_envs=9).reset()[1]["index"]) for _ in range(3)}) == 3


def test_lanes_without_autoreset_wait_for_the_user():
    env = gym.make_vec(ID, num_envs=3, action="discrete", autoreset_mode="Disabled")
    env.reset(seed=0)
    before, _, ended, _, _ = env.step(np.array([0, 50, 0]))
    assert ended.tolist() == [False, True, False]
    with pytest.raises(ResetNeeded, match="lane 1"):
        env.step(np.zeros(3, int))
    after, info = env.reset(options={"reset_mask": ended})
    assert info["_label"].tolist() == [False, True, False]
    for lane in (0, 2):  # the others go on as if nothing had happened
        assert all(np.array_equal(before[name][lane], after[name][lane]) for name in before)
    assert after["progress"][:, 0].tolist() == pytest.approx([2 / 6, 1 / 6, 2 / 6])


def test_pictures_are_drawn_in_every_mode_that_is_asked_for(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    single = gym.make(ID, render_mode="rgb_array")
    single.reset(seed=0)
    frames = [single.render()]
    frames += [(single.step(single.action_space.sample()), single.render())[1] for _ in range(6)]
    assert len({frame.shape for frame in frames}) == 1 and frames[0].dtype == np.uint8
    assert all((one != other).any() for one, other in itertools.pairwise(frames))
    vector = gym.make_vec(ID, num_envs=2, render_mode="rgb_array")
    vector.reset(seed=0)
    assert [frame.shape for frame in vector.render()] == [frames[0].shape] * 2
    with pytest.raises(gym.error.Error, match="render_mode"):
        plain = gym.make(ID)
        plain.reset(seed=0)
        plain.unwrapped.render()


def test_a_window_opens_and_closes(monkeypatch):
    pytest.importorskip("pygame", reason="the extra `human` is not installed")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = gym.make(ID, render_mode="human")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    assert env.render() is None
    env.close()


def test_a_pictures_verdict_is_the_tasks():
    keywords = {"task": Parity(), "action": "dict", "glimpses": 1}
    env = gym.make_vec(ID, num_envs=1, render_mode="rgb_array", **keywords)
    pictures = []
    for right in (True, False):
        _, info = env.reset(seed=3)
        answer = (info["label"] + (not right)) % 2
        env.step(dict_action(env, answer))
        pictures.append(env.render()[0].astype(int))
    greener = [(p[..., 1] - p[..., 0]).clip(40).sum() for p in pictures]
    assert greener[0] > greener[1]


def test_what_a_user_passed_may_change_and_the_data_do_not():
    images, labels = np.zeros((30, 28, 28), np.uint8), np.arange(30) % 3
    data = Dataset.from_splits({"train": (images, labels)})
    images[:], labels[:] = 255, 0
    assert data.splits["train"].images.max() == 0 and data.splits["train"].labels.max() == 2
    again = pickle.loads(pickle.dumps(data))
    assert not again.splits["train"].images.flags.writeable


def test_a_single_environment_has_no_mark_of_a_vector_environment():
    env = gym.make(ID).unwrapped  # others' code asks for these to tell which it is
    for name in ("num_envs", "autoreset_mode", "single_action_space", "single_observation_space"):
        assert not hasattr(env, name), name
    assert env.glimpses == 6 and env.num_classes == 10
