"""Rollouts: every scene once, whatever the number of lanes, and where episodes end early."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import saccade  # noqa: F401  registers the environments
from saccade.agents.rollout import rollout


def make(lanes, action="dict", **keywords):
    return gymnasium.make_vec(
        "saccade/TranslatedDigits-v0",
        num_envs=lanes,
        split="validation",
        action=action,
        glimpses=4,
        canvas=36,
        autoreset_mode=AutoresetMode.DISABLED,
        **keywords,
    )


class Looks:
    """Answers and looks by what it saw in the episode so far, kept in its state."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        brightness = observation["glimpse"].mean(axis=(1, 2, 3))
        if state is None:
            state = np.zeros(len(brightness), np.float32)
        state = np.where(episode_start, 0, state) + brightness
        turn = (37 * state).astype(np.float32)
        fixation = np.stack([np.sin(turn), np.cos(turn)], axis=1)
        return {"fixation": fixation, "answer": (1000 * state).astype(np.int64) % 10}, state


class Stops(Looks):
    """The same, but answers early on some scenes."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        action, state = super().predict(observation, state, episode_start)
        stop = (1000 * state).astype(np.int64) % 3 == 0
        return {**action, "stop": stop.astype(np.int64)}, state


def same(first, second):
    for name in set(vars(first)) - {"reports", "frames"}:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


@pytest.mark.parametrize("lanes", [1, 7, 64, 500])
@pytest.mark.parametrize(("policy", "stop"), [(Looks, False), (Stops, True)])
def test_the_number_of_lanes_changes_nothing(lanes, policy, stop):
    scenes = range(0, 100, 3)
    expected = rollout(policy(), make(5, stop=stop), scenes)
    same(rollout(policy(), make(lanes, stop=stop), scenes), expected)
    assert (len(set(expected.length)) > 1) == stop


def test_without_a_choice_every_scene_comes_once_in_order():
    env = make(50, placements=2)
    seen = rollout(Looks(), env)
    count = env.unwrapped.split_length
    np.testing.assert_array_equal(seen.index, np.arange(count))
    images = count // 2
    np.testing.assert_array_equal(seen.labels[:images], seen.labels[images:])
    assert (seen.success == (seen.answers == seen.labels)[:, 0]).all()
    np.testing.assert_array_equal(seen.reward, seen.success)


def test_an_early_end_leaves_the_rest_of_the_path_empty():
    seen = rollout(Stops(), make(8, stop=True), range(40))
    looked = np.isfinite(seen.fixations).all(axis=2).sum(axis=1)
    np.testing.assert_array_equal(looked, seen.length)


def test_a_look_with_no_glimpse_left_is_no_answer():
    class Looker:
        def predict(self, observation, state=None, episode_start=None, deterministic=False):
            return np.zeros(len(observation["fixation"]), np.int64), None

    seen = rollout(Looker(), make(4, action="discrete"), range(6))
    assert (seen.answers == -1).all() and not seen.success.any() and not seen.reward.any()


def test_the_first_fixation_may_be_chosen():
    seen = rollout(Looks(), make(4), range(6), first_fixation=(0.25, -0.5))
    assert (seen.fixations[:, 0] == [0.25, -0.5]).all()


def test_the_target_is_where_the_scene_put_it():
    env = make(6)
    seen = rollout(Looks(), env, range(6))
    _, info = env.reset(options={"index": np.arange(6)})
    np.testing.assert_array_equal(seen.boxes, np.repeat(info["box"][:, None], 4, axis=1))
    np.testing.assert_array_equal(seen.labels[:, 0], info["label"])


@pytest.mark.parametrize("scenes", [[-1], [10**6]])
def test_scenes_that_are_not_there_are_refused(scenes):
    with pytest.raises(ValueError, match="scenes must be in 0"):
        rollout(Looks(), make(4), scenes)


def test_no_scenes_make_no_episodes():
    assert len(rollout(Looks(), make(4), [])) == 0


def test_lanes_that_share_a_scene_are_refused():
    with pytest.raises(ValueError, match="paths=1"):
        rollout(Looks(), make(4, paths=2), range(4))


# ------------------------------------------------------------------ other tasks

TASKS = {
    "saccade/PairDigits-v0": {"canvas": 60, "glimpses": 4},
    "saccade/AdditionDigits-v0": {"canvas": 60, "glimpses": 3},
    "saccade/LocateDigits-v0": {"canvas": 40, "glimpses": 3},
    "saccade/MovingDigits-v0": {"canvas": 40, "glimpses": 4},
    "saccade/TrackDigits-v0": {"canvas": 40, "glimpses": 5},
    "saccade/Catch-v0": {},
}


class Wanders:
    """Looks and answers by what it sees now, in any task."""

    def __init__(self, answers):
        self.answers = answers

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        turn = 37 * observation["glimpse"].mean(axis=(-3, -2, -1)) + observation["fixation"][..., 0]
        action = {"fixation": np.stack([np.sin(turn), np.cos(turn)], axis=-1).astype(np.float32)}
        if self.answers:
            action["answer"] = (1000 * np.abs(turn)).astype(np.int64) % self.answers
        return action, None


def by_hand(env_id, scene, **keywords):
    """What an episode of the single environment shows, put together step by step."""
    env = gymnasium.make(env_id, split="validation", action="dict", **keywords)
    core = env.unwrapped
    observation, info = env.reset(options={"index": scene})
    policy, ended, told = Wanders(core.answers), False, []
    labels, boxes, fixations, frames = [info["label"]], [], [], []
    while not ended:
        boxes.append(info["box"])
        fixations.append(observation["fixation"])
        frames.append(core.images[0].copy())
        action, _ = policy.predict(observation)
        observation, _, ended, _, info = env.step(action)
        told.append(action.get("answer", -1))
        labels.append(info["label"])
    questions, judged = core.task.questions, core.task.judged
    due = [-(-(q + 1) * core.glimpses // questions) - 1 for q in range(questions)]
    return {
        "labels": np.array(labels)[due],
        "answers": np.array(told)[due] if judged != "act" else np.array(told),
        "success": info["is_success"],
        "fixations": np.stack(fixations),
        "aim": action["fixation"],
        "boxes": np.stack(boxes),
        "last_box": info["box"],
        "frames": np.stack([*frames, core.images[0]]),
    }, {n: v for n, v in info.items() if n not in ("label", "index", "box", "answer", "is_success")}


@pytest.mark.parametrize("env_id", TASKS)
def test_episodes_of_every_task_are_what_single_environments_show(env_id):
    keywords = TASKS[env_id]
    env = gymnasium.make_vec(
        env_id, num_envs=3, split="validation", action="dict", autoreset_mode="Disabled", **keywords
    )
    scenes = [4, 0, 7, 2, 5]
    seen = rollout(Wanders(env.unwrapped.answers), env, scenes, keep_frames=True)
    for place, scene in enumerate(scenes):
        expected, reports = by_hand(env_id, scene, **keywords)
        for name, values in expected.items():
            np.testing.assert_array_equal(getattr(seen, name)[place], values, err_msg=name)
        assert set(seen.reports) == set(reports)
        for name, values in reports.items():
            np.testing.assert_array_equal(seen.reports[name][place], values, err_msg=name)


def test_after_an_early_end_the_frames_stay_as_they_were():
    seen = rollout(Stops(), make(8, stop=True), range(20), keep_frames=True)
    assert (seen.frames == seen.frames[:, :1]).all()  # a scene that stands still
    assert np.isnan(seen.boxes).any(axis=2).sum(axis=1).tolist() == (4 - seen.length).tolist()
