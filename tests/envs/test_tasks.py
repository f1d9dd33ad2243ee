"""What counts in pairs, sums and finding: scenes and tasks against slow, plain references."""

from __future__ import annotations

import math

import gymnasium as gym
import numpy as np
import pytest
from scipy import stats

from saccade.envs import Addition, Pair, PairScene
from saccade.envs.datasets import load_dataset
from saccade.envs.draws import make_key
from saccade.envs.fit import fitting_actions
from saccade.envs.registration import ENVIRONMENTS
from support import action_keywords, task_of

PAIR, ADDITION, LOCATE = (f"saccade/{name}Digits-v0" for name in ("Pair", "Addition", "Locate"))


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 200, (30, 10, 8, 1), dtype=np.uint8)


def keys(count: int, seed: int = 0) -> np.ndarray:
    return make_key(seed, np.arange(count))


def named(env) -> list[int]:
    """The labels of the two digits on the first lane's canvas, left to right, by their pixels."""
    part, found = load_dataset("digits").split("train"), []
    for x0, y0, x1, y1 in env.unwrapped.core._stage.boxes[0].astype(int):
        patch = env.unwrapped.images[0, y0:y1, x0:x1]
        (label,) = {int(part.labels[i]) for i in (part.images == patch).all((1, 2, 3)).nonzero()[0]}
        found.append(label)
    return found


# ---------------------------------------------------------------- two on one canvas


def test_a_pair_stands_side_by_side_wholly_and_names_its_targets(images):
    scene, index = PairScene(canvas=(25, 31)), np.arange(300) % 30
    frames, boxes = scene.draw(images, index, keys(300))
    shown = scene.targets_of(index, keys(300), len(images))
    assert boxes.shape == (300, 2, 4) and boxes.dtype == np.float32
    for i in range(300):
        canvas = np.zeros((25, 31, 1), int)
        for (x0, y0, x1, y1), which in zip(boxes[i].astype(int), shown[i], strict=True):
            assert 0 <= x0 < x1 <= 31 and 0 <= y0 < y1 <= 25
            canvas[y0:y1, x0:x1] += images[which]
        assert np.array_equal(frames[i], canvas)  # whole images and nothing else
        assert boxes[i, 0, 2] <= boxes[i, 1, 0]  # the first ends before the second begins
        assert index[i] in shown[i]


def test_a_pairs_places_and_partners_are_uniform(images):
    scene = PairScene(canvas=(13, 20))  # 4 places down, and 15 pairs across
    index = np.zeros(30_000, int)
    _, boxes = scene.draw(images, index, keys(30_000))
    across, pairs = np.unique(boxes[:, :, 0], axis=0, return_counts=True)
    assert len(across) == 15 and stats.chisquare(pairs).pvalue > 1e-3
    down, heights = np.unique(boxes[:, :, 1], axis=0, return_counts=True)
    assert len(down) == 16 and stats.chisquare(heights).pvalue > 1e-3
    shown = scene.targets_of(index, keys(30_000), len(images))
    other = shown.sum(axis=1)  # the image itself is number 0
    assert stats.chisquare(np.bincount(other, minlength=30)).pvalue > 1e-3
    assert stats.binomtest(int((shown[:, 0] == 0).sum()), 30_000, 31 / 60).pvalue > 1e-3


def test_a_pair_depends_on_its_row_alone(images):
    scene, index, key = PairScene(canvas=40), np.arange(20), keys(20)
    frames, boxes = scene.draw(images, index, key)
    rows = np.array([7, 3, 19])
    some, some_boxes = scene.draw(images, index[rows], key[rows])
    assert np.array_equal(some, frames[rows]) and np.array_equal(some_boxes, boxes[rows])
    assert np.array_equal(
        scene.targets_of(index[rows], key[rows], 30), scene.targets_of(index, key, 30)[rows]
    )


def test_a_canvas_too_narrow_for_two_is_refused():
    with pytest.raises(ValueError, match=r"canvas=50.*at least 56"):
        PairScene(canvas=50).frame_shape((28, 28, 1))
    with pytest.raises(ValueError, match="Pair asks about 2 targets, PlainScene shows 1"):
        gym.make("saccade/Digits-v0", task="pair")
    with pytest.raises(ValueError, match="glimpses=1: Pair has 2 questions"):
        gym.make(PAIR, glimpses=1)


# ---------------------------------------------------------------- name both


@pytest.mark.parametrize("right", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("glimpses", [2, 3, 5, 8])
def test_both_are_named_in_turn_half_a_point_each(glimpses, right):
    env = gym.make(PAIR, glimpses=glimpses, action="dict")
    _, info = env.reset(seed=glimpses)
    truth = named(env)
    said = [label if good else (label + 1) % 10 for label, good in zip(truth, right, strict=True)]
    due = [math.ceil(glimpses / 2), glimpses]
    for seen in range(1, glimpses + 1):
        asked = int(seen > due[0])
        assert info["label"] == truth[asked]
        # What is said before it is due does not count, be it right.
        answer = said[asked] if seen in due else truth[asked]
        action = {"fixation": np.zeros(2, np.float32), "answer": answer}
        _, reward, ended, _, info = env.step(action)
        assert reward == (0.5 * right[asked] if seen in due else 0) and ended == (seen == glimpses)
        assert ("is_success" in info) == ended
    assert info["is_success"] == all(right) and info["answers"].tolist() == said
    assert info["answer"] == said[1]


def test_the_box_is_that_of_the_digit_asked_for():
    env = gym.make(PAIR, glimpses=2, action="dict", reveal="box")
    observation, info = env.reset(seed=4)
    left = info["box"]
    assert np.array_equal(observation["box"], left)
    action = {"fixation": np.zeros(2, np.float32), "answer": 0}
    observation, _, _, _, info = env.step(action)
    assert info["box"][0] >= left[2] and np.array_equal(observation["box"], info["box"])


class PairReferee:
    """Pair in plain Python, for one episode: an answer may come early, and costs a glimpse."""

    def __init__(self, truth: list[int], glimpses: int, cost: float, apart: bool) -> None:
        self.truth, self.glimpses, self.cost, self.apart = truth, glimpses, cost, apart
        self.seen, self.said = 1, []

    def step(self, answer: int | None, stop: bool) -> tuple[float, bool]:
        """The reward, and whether it is over; `answer` None: none was given."""
        last = self.seen == self.glimpses
        due = math.ceil((len(self.said) + 1) * self.glimpses / 2) <= self.seen
        reward = 0.0
        if answer is not None and (self.apart or due or stop):
            reward += 0.5 * (answer == self.truth[len(self.said)])
            self.said.append(answer)
        over = last or len(self.said) == 2
        if not over:
            self.seen += 1
            reward -= self.cost
        return reward, over


@pytest.mark.parametrize(
    ("action", "stop"),
    [(mode, stop) for mode in fitting_actions(Pair()) for stop in (False, True)],
)
def test_pairs_by_a_slow_referee(action, stop):
    keywords = {**action_keywords(action, PAIR), "stop": stop, "glimpse_cost": 0.125}
    env = gym.make(PAIR, glimpses=5, **keywords)
    rng = np.random.default_rng(0)
    successes = lengths = 0
    for episode in range(40):
        observation, _ = env.reset(seed=episode)
        truth = named(env)
        referee, over = PairReferee(truth, 5, 0.125, action == "discrete"), False
        while not over:
            asked = len(referee.said)
            likely = truth[asked] if rng.random() < 0.6 else int(rng.integers(10))
            halts = bool(stop and rng.random() < 0.3)
            given, move = say(action, likely, halts, stop, rng, env, observation)
            observation, reward, over, _, info = env.step(move)
            assert (pytest.approx(reward), over) == referee.step(given, halts)
            assert info["label"] == truth[min(len(referee.said), 1)] or over
        expected = referee.said + [-1] * (2 - len(referee.said))
        assert info["answers"].tolist() == expected
        assert info["is_success"] == (expected == truth)
        successes += info["is_success"]
        lengths += referee.seen
    assert action == "fixation" or 0 < successes < 40
    assert stop or action == "discrete" or lengths == 40 * 5


def say(action, answer, halts, stop, rng, env, observation):
    """An action of a mode that says `answer`, and what it comes to: the answer given, or None."""
    fixation = rng.uniform(-1, 1, 2).astype(np.float32)
    if action == "discrete":
        return (answer, 49 + answer) if rng.random() < 0.4 else (None, int(rng.integers(49)))
    if action == "dict":
        return answer, {"fixation": fixation, "answer": answer} | ({"stop": halts} if stop else {})
    if action == "grid":
        return answer, np.array([*rng.integers(7, size=2), answer] + [halts] * stop)
    tail = [1.0 if halts else -1.0] * stop
    if action == "box":
        scores = np.where(np.arange(10) == answer, 0.9, rng.uniform(-1, 0.8, 10))
        return answer, np.array([*fixation, *scores, *tail], np.float32)
    core = env.unwrapped.core  # the answerer says what it likes
    scores = core._answerer({k: v[None] for k, v in observation.items()}, None)
    return int(scores[0].argmax()), np.array([*fixation, *tail], np.float32)


# ---------------------------------------------------------------- add up


def test_the_sum_of_both_is_one_answer_of_nineteen():
    env = gym.make(ADDITION, glimpses=3, action="dict")
    assert env.action_space["answer"].n == 19
    assert env.unwrapped.answer_names == tuple(map(str, range(19)))
    sums = set()
    for seed in range(12):
        _, info = env.reset(seed=seed)
        total = sum(named(env))
        assert info["label"] == total
        sums.add(total)
        for right in (False, False, True):
            action = {"fixation": np.zeros(2, np.float32), "answer": (total + (not right)) % 19}
            _, reward, ended, _, info = env.step(action)
            assert (reward, ended) == (float(right), right)
        assert info["is_success"] is True
    assert len(sums) > 4


def test_the_box_of_a_sum_is_around_both(images):
    _, boxes = PairScene(canvas=40).draw(images, np.arange(30), keys(30))
    around = Addition().target(boxes, np.zeros(30, int))
    for one, (left, right) in zip(around, boxes, strict=True):
        expected = [left[0], min(left[1], right[1]), right[2], max(left[3], right[3])]
        assert one.tolist() == expected


def test_a_sum_pays_densely_too():
    env = gym.make(ADDITION, reward="dense", glimpses=2)
    _, info = env.reset(seed=0)
    scores = np.zeros(19)
    scores[info["label"]] = 1
    action = np.r_[np.zeros(2), scores].astype(np.float32)
    total = env.step(action)[1] + env.step(action)[1]
    assert total == pytest.approx(math.log(math.exp(5) / (math.exp(5) + 18)) / math.log(19) + 1)


# ---------------------------------------------------------------- find it


def shared_area(one, other) -> float:
    """Intersection over union of two boxes, one number after the other."""
    x = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    y = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
    return x * y / (areas - x * y)


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize("say_box", [False, True])
@pytest.mark.parametrize("reward", ["success", "distance", "overlap"])
@pytest.mark.parametrize("action", ["dict", "box", "fixation"])
def test_finding_by_a_slow_referee(action, reward, say_box, stop):
    keywords = {"say_box": say_box, "reward": reward, "glimpse_cost": 0.125, "tolerance": 0.5}
    env = gym.make(LOCATE, action=action, stop=stop, canvas=(40, 60), glimpses=3, **keywords)
    rng = np.random.default_rng(1)
    successes = 0
    for seed in range(40):
        _, info = env.reset(seed=seed)
        x0, y0, x1, y1 = info["box"].tolist()
        ended, seen = False, 1
        while not ended:
            near = np.array([(x0 + x1 - 1) / 59 - 1, (y0 + y1 - 1) / 39 - 1])
            aim = np.clip(near + rng.normal(0, 0.4, 2), -1, 1).astype(np.float32)
            sides = rng.uniform(-1, 1, 2).astype(np.float32)
            halts = bool(stop and rng.random() < 0.2)
            parts = [aim, sides] if say_box else [aim]
            if action == "dict":
                move = {"fixation": aim} | ({"measures": sides} if say_box else {})
                move |= {"stop": halts} if stop else {}
            else:
                move = np.concatenate([*parts, [1.0 if halts else -1.0] * stop]).astype(np.float32)
            _, paid, ended, _, info = env.step(move)
            assert ended == (halts or seen == 3)
            seen += 1
            if not ended:
                assert paid == -0.125 and "distance" not in info
        # A pixel's centre is half a pixel in.
        x, y = (float(aim[0]) + 1) / 2 * 59 + 0.5, (float(aim[1]) + 1) / 2 * 39 + 0.5
        away = math.hypot(x - (x0 + x1) / 2, y - (y0 + y1) / 2)
        width, height = 28.0, 28.0
        if say_box:
            width = 1 + (float(sides[0]) + 1) / 2 * 59
            height = 1 + (float(sides[1]) + 1) / 2 * 39
        said = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        shared = shared_area(said, (x0, y0, x1, y1))
        assert info["distance"] == pytest.approx(away) and info["overlap"] == pytest.approx(shared)
        assert info["is_success"] == (away <= 0.5 * 28)
        worth = {"success": away <= 14, "distance": math.exp(-away / 28), "overlap": shared}
        assert paid == pytest.approx(float(worth[reward]))
        assert "answers" not in info and info["answer"] == -1
        successes += info["is_success"]
    assert 0 < successes < 40


def test_a_quarter_of_the_width_is_near_enough():
    env = gym.make(LOCATE, glimpses=1, action="fixation", canvas=61, pieces=0)
    for step, near in ((6.9, True), (7.1, False)):
        for axis, sign in ((0, 1), (0, -1), (1, 1), (1, -1)):
            _, info = env.reset(seed=3)
            point = np.array([(info["box"][0] + info["box"][2]) / 2,
                              (info["box"][1] + info["box"][3]) / 2])  # fmt: skip
            point[axis] += sign * step
            _, reward, ended, _, info = env.step(((point - 0.5) / 30 - 1).astype(np.float32))
            assert (reward, ended, info["is_success"]) == (float(near), True, near)
            assert info["distance"] == pytest.approx(step, abs=1e-4)


@pytest.mark.parametrize("stop", [False, True])
def test_cells_find_it_too_and_here_means_where_the_eye_is(stop):
    env = gym.make(LOCATE, action="discrete", stop=stop, glimpses=3, grid=(2, 2))
    assert env.action_space.n == 4 + stop
    _, info = env.reset(seed=0, options={"fixation": (0.25, -0.5)})
    box = info["box"].tolist()
    assert env.unwrapped.action_masks().all()
    place = 0.25, -0.5
    if not stop:
        for cell in (0, 1, 2):
            _, _, ended, _, info = env.step(cell)
        place = -0.5, 0.5
    else:
        _, _, ended, _, info = env.step(4)
    x, y = (place[0] + 1) / 2 * 59 + 0.5, (place[1] + 1) / 2 * 59 + 0.5
    away = math.hypot(x - (box[0] + box[2]) / 2, y - (box[1] + box[3]) / 2)
    assert ended and info["distance"] == pytest.approx(away)


# ---------------------------------------------------------------- what goes together


@pytest.mark.parametrize(
    "env_id", [name for name in ENVIRONMENTS if "Digits" in name or "Catch" in name]
)
@pytest.mark.parametrize("action", ["box", "dict", "grid", "discrete", "fixation"])
@pytest.mark.filterwarnings("ignore")
def test_every_mode_fits_or_says_which_would(env_id, action):
    keywords = action_keywords(action, env_id)
    if action in fitting_actions(task_of(env_id)):
        gym.make(env_id, **keywords)
        return
    with pytest.raises(ValueError, match=f"action='{action}'.*use one of 'box'") as caught:
        gym.make(env_id, **keywords)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("env_id", "keywords", "message"),
    [
        ("Catch-v0", {"action": "discrete"}, "a look and a command.*'box', 'dict', 'grid'"),
        ("Catch-v0", {"stop": True}, "stop=True: every step of Catch counts"),
        ("TrackDigits-v0", {"stop": True}, "stop=True: every step of Track counts"),
        ("LocateDigits-v0", {"say_box": True, "action": "grid"}, "2 numbers"),
        ("LocateDigits-v0", {"say_box": True, "action": "discrete"}, "2 numbers"),
        ("LocateDigits-v0", {"answerer": len, "action": "fixation"}, "nothing to say in Locate"),
        ("PairDigits-v0", {"action": "fixation"}, "give an answerer"),
        ("AdditionDigits-v0", {"reward": "dense", "action": "grid"}, "a score for each answer"),
        ("Catch-v0", {"glimpses": 10}, "glimpses=10.*CatchScene.*24x24.*take glimpses=23"),
        ("Catch-v0", {"canvas": 32}, "glimpses=23.*32x32.*take glimpses=31"),
        ("Catch-v0", {"canvas": (12, 40)}, "glimpses=23.*12x40.*take glimpses=11"),
        ("Catch-v0", {"canvas": (1, 40)}, r"canvas=\(1, 40\).*height of at least 2"),
        ("Catch-v0", {"canvas": 12, "paddle": 13}, "canvas=12.*width of at least 13"),
        ("Digits-v0", {"task": "catch"}, "Catch.*PlainScene.*scene='catch'"),
        ("MovingDigits-v0", {"task": "catch"}, "Catch.*DriftingScene.*scene='catch'"),
        ("TrackDigits-v0", {"share": 1.5}, r"share=1\.5"),
        ("TrackDigits-v0", {"share": 0}, "share=0"),
        ("LocateDigits-v0", {"tolerance": 0}, "tolerance=0"),
        ("LocateDigits-v0", {"say_box": 1}, "say_box=1"),
        ("LocateDigits-v0", {"reward": "nearness"}, "reward='nearness'"),
        ("PairDigits-v0", {"glimpse_cost": "much"}, "glimpse_cost='much'"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_does_not_go_together_is_said_in_one_line(env_id, keywords, message):
    with pytest.raises(ValueError, match=message) as caught:
        gym.make(f"saccade/{env_id}", **keywords)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("split", ["validation", "test"])
@pytest.mark.parametrize(
    "env_id",
    ["PairDigits", "AdditionDigits", "LocateDigits", "MovingDigits", "TrackDigits", "Catch"],
)
def test_evaluation_is_the_same_whoever_asks(env_id, split):
    """Frames, truths and first fixations are functions of the scene, the split and the index."""
    keywords = {"split": split, "placements": 2, "action": "dict", "autoreset_mode": "Disabled"}
    wide = gym.make_vec(f"saccade/{env_id}-v0", num_envs=12, **keywords)
    narrow = gym.make_vec(f"saccade/{env_id}-v0", num_envs=3, shard=(0, 2), **keywords)
    observation, info = wide.reset(seed=1)
    assert info["index"].tolist() == list(range(12))
    again, other = narrow.reset(seed=2, options={"index": np.array([7, 0, 11])})
    lanes = other["index"]
    action = {name: np.zeros_like(v) for name, v in wide.action_space.sample().items()}
    for _ in range(wide.unwrapped.glimpses):
        assert np.array_equal(wide.unwrapped.images[lanes], narrow.unwrapped.images)
        for name in ("glimpse", "fixation"):
            assert np.array_equal(observation[name][lanes], again[name])
        for name in ("label", "box"):
            assert np.array_equal(info[name][lanes], other[name])
        observation, *_, info = wide.step(action)
        again, *_, other = narrow.step({name: values[:3] for name, values in action.items()})
    later, _ = wide.reset(options={"index": 7})
    assert np.array_equal(later["glimpse"][5], later["glimpse"][0])
