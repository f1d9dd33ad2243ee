"""What pictures say: of every task, how an episode ended and what the truth was."""

import gymnasium
import numpy as np
import pytest

import saccade  # noqa: F401  registers the environments
from saccade.envs.tasks import TASKS, Task
from saccade.envs.words import truth, verdict

NAMES = tuple("0123456789")


def ended(task, success, labels=(7,), answers=(7,), names=NAMES, steps=6, **report):
    said = {"success": success, "labels": labels, "answers": answers}
    return verdict(task, names, **said, report=report, steps=steps)


def test_answers_and_the_truth_where_they_are_wrong():
    classify, pair, addition = (TASKS[name]() for name in ("classify", "pair", "addition"))
    assert ended(classify, True) == "answer 7"
    assert ended(classify, False, answers=(1,)) == "answer 1   label 7"
    assert ended(classify, False, answers=(-1,)) == "answer none   label 7"
    assert ended(classify, False, labels=(12,), answers=(1,)) == "answer 1   label 12"
    assert ended(pair, True, (3, 7), (3, 7)) == "answers 3 7"
    assert ended(pair, False, (3, 7), (3, -1)) == "answers 3 none   labels 3 7"
    sums = addition.answer_names(NAMES)
    assert ended(addition, False, (17,), (12,), sums) == "answer 12   label 17"
    assert truth(pair, NAMES, (3, 7)) == "labels 3 7" and truth(classify, NAMES, (3,)) == "label 3"


def test_what_is_no_answer_is_told_by_the_task():
    locate, track, catch = (TASKS[name]() for name in ("locate", "track", "catch"))
    assert ended(locate, True, distance=2.06, overlap=0.5) == "distance 2.1 px"
    boxed = TASKS["locate"](say_box=True)
    assert ended(boxed, True, distance=2.06, overlap=0.5) == "distance 2.1 px   overlap 0.50"
    assert ended(track, False, steps=12, share=np.float64(0.75)) == "on target 9/12"
    moves = catch.answer_names(NAMES)
    acts = (0, 2, 2, 1, -1)
    assert ended(catch, True, answers=acts, names=moves) == "caught   left 1, stay 1, right 2"
    assert ended(catch, False, answers=acts, names=moves).startswith("missed   ")
    assert not any(truth(task, NAMES, (7,)) for task in (locate, track, catch))


def test_a_task_of_ones_own_need_not_say_anything():
    class Mine(Task):
        judged = "aim"

        def answers(self, classes):
            return 0

        def judge(self, turn, memory):
            return turn.ends, turn.ends * 1.0

    assert ended(Mine(), True) == "success" and ended(Mine(), False) == "missed"


@pytest.mark.parametrize("task", TASKS)
def test_every_task_says_what_success_is(task):
    goal = TASKS[task]().goal
    assert goal and goal[-1] != "."
    assert TASKS["locate"](tolerance=0.5).goal != TASKS["locate"]().goal


RENDERED = {
    "saccade/PairDigits-v0": {"canvas": 60, "glimpses": 4},
    "saccade/AdditionDigits-v0": {"canvas": 60, "glimpses": 3},
    "saccade/LocateDigits-v0": {"canvas": 40, "glimpses": 3},
    "saccade/MovingDigits-v0": {"canvas": 40, "glimpses": 6},
    "saccade/TrackDigits-v0": {"canvas": 40, "glimpses": 6},
    "saccade/Catch-v0": {},
}


@pytest.mark.parametrize("env_id", RENDERED)
def test_frames_say_how_it_ended_and_not_before(env_id, monkeypatch):
    from saccade.envs import viewer

    drawn = []
    plain = viewer.draw

    def spy(image, path, *args, **options):
        drawn.append({"image": image.copy(), "path": path.copy(), **options})
        return plain(image, path, *args, **options)

    monkeypatch.setattr(viewer, "draw", spy)
    env = gymnasium.make(env_id, render_mode="rgb_array", action="dict", **RENDERED[env_id])
    core = env.unwrapped
    env.action_space.seed(3)
    env.reset(seed=3)
    frames, labels, ended, answers = [env.render()], core.labels[0].copy(), False, []
    while not ended:
        action = env.action_space.sample()
        *_, ended, _, info = env.step(action)
        frames.append(env.render())
        answers.append(action.get("answer", -1))
    task, steps = core.task, len(answers)
    if task.judged == "answer":
        due = [-(-(q + 1) * core.glimpses // task.questions) - 1 for q in range(task.questions)]
        answers = np.array(answers)[due]
    said = {"success": info["is_success"], "labels": labels, "answers": answers}
    words = verdict(task, core.answer_names, **said, report=info, steps=steps)
    *before, last = drawn
    assert last["caption"] == f"glimpse {core.glimpses}/{core.glimpses}   {words}"
    assert last["good"] == info["is_success"] and all(one["good"] is None for one in before)
    assert all(words not in one["caption"] for one in before)
    assert (last["aim"] is not None) == (task.judged == "aim")
    if task.judged == "aim":
        np.testing.assert_array_equal(last["aim"], action["fixation"])
    if task.judged == "act":
        assert before[1]["caption"].endswith(f"moved {core.answer_names[answers[0]]}")
    moves = (drawn[0]["image"] != last["image"]).any()
    assert moves == core.core._stage.moving
    # Over a scene that moves only the newest fixations are drawn, and keep their numbers.
    assert len(last["path"]) == (4 if moves else core.glimpses)
    assert last["first"] == core.glimpses - len(last["path"]) + 1
    assert len({frame.shape for frame in frames}) == 1


def test_the_box_that_was_said_is_drawn():
    env = gymnasium.make(
        "saccade/LocateDigits-v0", say_box=True, glimpses=1, action="dict", render_mode="rgb_array"
    )
    _, info = env.reset(seed=0)
    box, side = info["box"], 59
    center = ((box[:2] + box[2:]) / 2 - 0.5) / side * 2 - 1
    size = (box[2:] - box[:2] - 1) / side * 2 - 1
    *_, info = env.step({"fixation": center.astype(np.float32), "measures": size})
    np.testing.assert_allclose(info["said_box"], box, atol=1e-4)
    assert info["overlap"] == pytest.approx(1, abs=1e-4)
    from saccade.envs.render import AIM

    assert (env.render() == AIM).all(axis=2).any()
