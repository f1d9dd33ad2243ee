"""Scenes with a time of their own, and what is asked of them: drifting digits, tracking, Catch."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from scipy import stats

from saccade.envs import CatchScene, DriftingScene
from saccade.envs.draws import make_key
from saccade.envs.fit import fitting_actions
from saccade.envs.tasks import Track
from support import action_keywords

MOVING, TRACK, CATCH = "saccade/MovingDigits-v0", "saccade/TrackDigits-v0", "saccade/Catch-v0"
STAY = np.ones(1, np.int64)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 200, (30, 10, 8, 1), dtype=np.uint8)


def keys(count: int, seed: int = 0) -> np.ndarray:
    return make_key(seed, np.arange(count))


def film(scene, images, index, key, moments: int):
    """The frames and boxes of so many moments, first to last."""
    world = scene.start(images, index, key, moments)
    shown = [scene.frame(images, world)]
    for _ in range(moments):
        scene.move(world, np.repeat(STAY, len(index)))
        shown.append(scene.frame(images, world))
    frames, boxes = zip(*shown, strict=True)
    return np.stack(frames), np.stack(boxes)


# ---------------------------------------------------------------- drifting


@pytest.mark.parametrize(("canvas", "speed"), [((25, 31), 2.0), (60, 7.5), ((12, 40), 30.0)])
def test_what_drifts_bounces_like_a_ball_step_by_step(images, canvas, speed):
    scene = DriftingScene(canvas=canvas, pieces=2, piece_size=5, speed=speed)
    tall, wide, _ = scene.frame_shape((10, 8, 1))
    world = scene.start(images, np.arange(30), keys(30), 50)
    _, boxes = film(scene, images, np.arange(30), keys(30), 50)
    place, velocity = world["start"][:, 0].copy(), world["velocity"][:, 0].copy()
    pace = np.hypot(*velocity.T)
    assert (pace >= speed / 2 - 1e-9).all() and (pace <= speed + 1e-9).all() and np.ptp(pace) > 0
    for moment in range(51):
        for lane in range(30):
            box = boxes[moment, lane]
            assert (box[:2] >= 0).all() and box[2] <= wide and box[3] <= tall
            assert (box[2] - box[0], box[3] - box[1]) == (8, 10)
            # Rounded to a pixel; sums of many steps and one product differ in the last bits.
            assert np.abs(box[:2] - place[lane]).max() <= 0.5 + 1e-6
            for axis, room in ((0, wide - 8), (1, tall - 10)):
                place[lane, axis] += velocity[lane, axis]
                while not 0 <= place[lane, axis] <= room:
                    wall = 0 if place[lane, axis] < 0 else room
                    place[lane, axis] = 2 * wall - place[lane, axis]
                    velocity[lane, axis] *= -1


def test_drifting_shows_whole_images_and_all_of_its_pieces(images):
    # Added up where they meet, below white: nothing is lost, nothing leaves the canvas.
    dim = (images // 4).astype(np.uint8)
    scene = DriftingScene(canvas=30, pieces=3, piece_size=4, speed=5.0)
    world = scene.start(dim, np.arange(30), keys(30), 20)
    total = dim.sum(axis=(1, 2, 3))
    for lane, piece in np.ndindex(30, 3):
        which, row, column = world["cut"][lane, piece]
        total[lane] += dim[which, row : row + 4, column : column + 4].sum()
    frames, boxes = film(scene, dim, np.arange(30), keys(30), 20)
    assert (frames.sum(axis=(2, 3, 4)) == total).all()
    bare, same = film(
        DriftingScene(canvas=30, pieces=0, speed=5.0), dim, np.arange(30), keys(30), 20
    )
    assert np.array_equal(boxes[0].shape, same[0].shape)
    for frame, (x0, y0, x1, y1), image in zip(bare[7], same[7].astype(int), dim, strict=True):
        assert np.array_equal(frame[y0:y1, x0:x1], image) and frame.sum() == image.sum()


def test_a_canvas_of_the_images_size_holds_it_still(images):
    frames, _ = film(DriftingScene(canvas=None, pieces=0), images, np.arange(5), keys(5), 3)
    assert all(np.array_equal(frame, images[:5]) for frame in frames)


def test_several_frames_a_step_are_several_moves(images):
    each, _ = film(DriftingScene(canvas=40), images, np.arange(10), keys(10), 12)
    third, _ = film(DriftingScene(canvas=40, frames=3), images, np.arange(10), keys(10), 4)
    assert np.array_equal(each[::3], third)


@pytest.mark.parametrize("scene", [DriftingScene(canvas=40), CatchScene()])
def test_a_moving_world_depends_on_its_row_alone(images, scene):
    index, key, rows = np.arange(20), keys(20), np.array([7, 3, 19])
    frames, boxes = film(scene, images, index, key, 9)
    some, some_boxes = film(scene, images, index[rows], key[rows], 9)
    assert np.array_equal(some, frames[:, rows]) and np.array_equal(some_boxes, boxes[:, rows])
    first, first_boxes = scene.draw(images, index, key)
    assert np.array_equal(first, frames[0]) and np.array_equal(first_boxes, boxes[0])


def test_where_and_whither_are_uniform(images):
    scene = DriftingScene(canvas=(14, 12), pieces=0)
    world = scene.start(images, np.zeros(20_000, int), keys(20_000), 5)
    for axis in range(2):
        assert stats.kstest(world["start"][:, 0, axis] / 4, "uniform").pvalue > 1e-3
    turn = np.arctan2(*world["velocity"][:, 0].T) / (2 * np.pi) % 1
    assert stats.kstest(turn, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_lanes_move_a_moment_a_step_whatever_the_others_do(mode):
    """Lanes that end apart: each shows its own film, frame by frame, from its own reset on."""
    keywords = {"action": "discrete", "glimpses": 5, "split": "test", "autoreset_mode": mode}
    env = gym.make_vec(MOVING, num_envs=4, pieces=1, **keywords)
    films = {}
    rng = np.random.default_rng(0)
    _, info = env.reset(seed=0)
    age, ended = np.zeros(4, int), np.zeros(4, bool)
    for _ in range(60):
        for lane, index in enumerate(info["index"].tolist()):
            if mode == "Disabled" and not info["_index"][lane]:
                continue
            if index not in films:
                films[index] = reference_film(index, 5)
            assert np.array_equal(env.unwrapped.images[lane], films[index][age[lane]])
        action = np.where(rng.random(4) < 0.3, 49 + rng.integers(10, size=4), rng.integers(49))
        before = ended
        _, _, ended, _, info = env.step(action)
        age += 1
        if mode == "SameStep":
            age[ended] = 0
        elif mode == "NextStep":
            age[before] = 0
        elif ended.any():
            env.reset(options={"reset_mask": ended})
            age[ended] = 0
            info = {name: np.array(v) for name, v in env.unwrapped.truth.items()}
            info["_index"] = np.ones(4, bool)


def reference_film(index: int, steps: int) -> np.ndarray:
    env = gym.make(MOVING, split="test", glimpses=steps, pieces=1, action="dict")
    env.reset(seed=9, options={"index": index})
    frames = [env.unwrapped.images[0].copy()]
    for _ in range(steps):
        env.step({"fixation": np.zeros(2, np.float32), "answer": 0})
        frames.append(env.unwrapped.images[0].copy())
    return np.stack(frames)


def test_the_last_observation_shows_the_frame_after_the_last_move():
    env = gym.make(MOVING, glimpses=2, action="dict", reveal=("image", "box"), pieces=0)
    env.reset(seed=0, options={"fixation": (0, 0)})
    action = {"fixation": np.float32([0.5, 0.5]), "answer": 0}
    observation, *_ = env.step(action)
    last, _, ended, _, info = env.step({"fixation": np.float32([-1, -1]), "answer": 0})
    assert ended and last["fixation"].tolist() == [0.5, 0.5] and last["progress"] == 1
    assert not np.array_equal(last["image"], observation["image"])
    assert np.array_equal(last["box"], info["box"])
    x0, y0, x1, y1 = info["box"].astype(int)
    assert last["image"][0].sum() == pytest.approx(last["image"][0, y0:y1, x0:x1].sum(), rel=1e-5)


# ---------------------------------------------------------------- tracking


@pytest.mark.parametrize("action", fitting_actions(Track()))
@pytest.mark.parametrize("moves", ["absolute", "relative"])
def test_an_aim_is_judged_in_the_box_of_the_next_frame(action, moves):
    env = gym.make(TRACK, action=action, moves=moves, reach=0.7, glimpses=7, share=0.5, speed=6.0)
    rng = np.random.default_rng(0)
    outcomes = set()
    for seed in range(30):
        observation, info = env.reset(seed=seed)
        hits, ended, step = [], False, 0
        while not ended:
            command = rng.uniform(-1, 1, 2)
            if moves == "absolute" and rng.random() < 0.5:  # aim where it is now, or was drawn
                box = info["box"]
                command = np.clip([box[0] + box[2] - 60, box[1] + box[3] - 60], -60, 60) / 60
            command = command.astype(np.float32)
            cell = [min(int((part + 1) / 2 * 7), 6) for part in command]  # x, y
            if action in ("grid", "discrete"):
                command = np.float32([-1 + (2 * place + 1) / 7 for place in cell])
            move = {
                "dict": {"fixation": command},
                "box": command,
                "fixation": command,
                "grid": np.array(cell[::-1]),
                "discrete": cell[1] * 7 + cell[0],
            }[action]
            aim = command
            if moves == "relative":
                aim = np.clip(observation["fixation"] + np.float32(0.7) * command, -1, 1)
            observation, reward, ended, _, info = env.step(move)
            step += 1
            x, y = ((float(part) + 1) / 2 * 59 + 0.5 for part in aim)
            x0, y0, x1, y1 = info["box"].tolist()  # after the move
            hits.append(x0 <= x < x1 and y0 <= y < y1)
            assert reward == pytest.approx(hits[-1] / 7) and ended == (step == 7)
            if not ended:
                assert np.array_equal(observation["fixation"], aim.astype(np.float32))
        assert info["share"] == pytest.approx(np.mean(hits))
        assert info["is_success"] == (sum(hits) >= 3.5) and info["answer"] == -1
        outcomes.add(info["is_success"])
    assert outcomes == {True, False}


@pytest.mark.parametrize(("share", "steps"), [(0.8, 10), (0.8, 5), (1.0, 3), (0.7, 10)])
def test_a_share_that_is_just_reached_is_a_success(share, steps):
    env = gym.make(TRACK, share=share, glimpses=steps, action="dict", pieces=0, speed=0.0)
    for missed in (0, 1):
        _, info = env.reset(seed=0)
        box = info["box"]  # with speed 0 it stays where it is
        on = np.float32([(box[0] + box[2] - 1) / 59 - 1, (box[1] + box[3] - 1) / 59 - 1])
        off = np.where(on > 0, np.float32(-1), np.float32(1))
        needed = round(share * steps) - missed
        for step in range(steps):
            *_, info = env.step({"fixation": on if step < needed else off})
        assert info["is_success"] is (missed == 0)


# ---------------------------------------------------------------- Catch


class SlowCatch:
    """The game in plain Python: a ball falls a row a step and bounces, a paddle moves a pixel."""

    def __init__(self, height: int, width: int, paddle: int, ball: int, drift: int) -> None:
        self.height, self.width, self.size = height, width, paddle
        self.row, self.ball, self.drift = 0, ball, drift
        self.paddle = (width - paddle + 1) // 2

    def step(self, act: int) -> tuple[float, bool]:
        self.paddle = max(0, min(self.width - self.size, self.paddle + act - 1))
        self.row += 1
        if not 0 <= self.ball + self.drift < self.width:
            self.drift = -self.drift
        self.ball += self.drift
        over = self.row == self.height - 1
        caught = over and self.paddle <= self.ball < self.paddle + self.size
        return float(caught), over

    def picture(self) -> np.ndarray:
        frame = np.zeros((self.height, self.width), np.uint8)
        frame[-1, self.paddle : self.paddle + self.size] = 255
        frame[self.row, self.ball] = 255
        return frame


def game_of(env, paddle: int) -> SlowCatch:
    """The slow game that begins as the first lane's does; its drift is seen in a look ahead."""
    frame = env.unwrapped.images[0, :, :, 0]
    assert (frame[0] == 255).sum() == 1 and (frame > 0).sum() == 1 + paddle
    drift = int(env.unwrapped.core._stage.world["drift"][0])
    return SlowCatch(*frame.shape, paddle, int(frame[0].argmax()), drift)


@pytest.mark.parametrize("action", ["dict", "box", "grid", "fixation"])
@pytest.mark.parametrize(
    ("canvas", "paddle"), [(24, 2), ((9, 5), 1), ((40, 7), 7), ((2, 2), 2), ((30, 2), 1)]
)
def test_catch_by_the_slow_game(canvas, paddle, action):
    keywords = action_keywords(action, CATCH)
    height = canvas if isinstance(canvas, int) else canvas[0]
    env = gym.make(CATCH, canvas=canvas, paddle=paddle, glimpses=height - 1, size=2, **keywords)
    rng = np.random.default_rng(0)
    for seed in range(12):
        observation, info = env.reset(seed=seed)
        game, over = game_of(env, paddle), False
        while not over:
            act = int(rng.integers(3))
            fixation = rng.uniform(-1, 1, 2).astype(np.float32)
            if action == "dict":
                move = {"fixation": fixation, "answer": act}
            elif action == "box":
                move = np.r_[fixation, np.where(np.arange(3) == act, 0.5, -0.5)].astype(np.float32)
            elif action == "grid":
                move = np.array([3, 3, act])
            else:
                scores = env.unwrapped.core._answerer(
                    {name: values[None] for name, values in observation.items()}, None
                )
                act, move = int(scores[0].argmax()), fixation
            observation, reward, over, _, info = env.step(move)
            assert (reward, over) == game.step(act)
            assert np.array_equal(env.unwrapped.images[0, :, :, 0], game.picture())
            at = (game.ball, game.row, game.ball + 1, game.row + 1)
            assert tuple(info["box"].tolist()) == at
        assert info["is_success"] == bool(reward) and info["answer"] == act


def test_the_way_to_the_ball_pays_in_columns():
    env = gym.make(CATCH, action="dict", reward="dense")
    rng = np.random.default_rng(0)
    for seed in range(12):
        env.reset(seed=seed)
        game, over, before = game_of(env, 2), False, None
        while not over:
            act = int(rng.integers(3))
            _, reward, over, _, info = env.step(
                {"fixation": np.zeros(2, np.float32), "answer": act}
            )
            caught, _ = game.step(act)
            away = abs(game.ball + 0.5 - (game.paddle + 1))  # between the middles
            # What the first move gains is not counted: nothing was seen before it.
            assert reward == pytest.approx(caught + (0 if before is None else before - away))
            before = away
        assert info["is_success"] == bool(caught)


def play(policy, lanes: int = 3000) -> float:
    """The share of balls caught by a policy that knows ball, drift and paddle."""
    env = gym.make_vec(CATCH, num_envs=lanes, action="dict", split="train")
    env.reset(seed=0)
    world = env.unwrapped._stage.world
    for _ in range(23):
        act = np.asarray(policy(world), np.int64)
        *_, info = env.step({"fixation": np.zeros((lanes, 2), np.float32), "answer": act})
    return info["is_success"].mean()


def landing(world: dict) -> np.ndarray:
    """The column where each ball will meet the last row."""
    ball, drift = world["ball"].copy(), world["drift"].copy()
    for row in range(23):
        moves = world["row"] + row < 23
        out = (ball + drift < 0) | (ball + drift > 23)
        drift = np.where(out & moves, -drift, drift)
        ball = np.where(moves, ball + drift, ball)
    return ball


def test_a_perfect_player_catches_every_ball_and_a_still_one_by_chance():
    def perfect(world):
        target = landing(world)
        return 1 + (target > world["paddle"] + 1) - (target < world["paddle"])

    assert play(perfect) == 1
    # Every start is as likely: count those that fall on the paddle's two columns.
    lands = {(ball, drift): SlowCatch(24, 24, 2, ball, drift) for ball in range(24)
             for drift in (-1, 0, 1)}  # fmt: skip
    caught = sum([game.step(1) for _ in range(23)][-1][0] for game in lands.values())
    chance = caught / len(lands)
    still = play(lambda world: np.ones_like(world["ball"]))
    assert stats.binomtest(round(still * 3000), 3000, chance).pvalue > 1e-3


def test_games_begin_anywhere_with_any_drift():
    world = CatchScene().start(
        np.zeros((1, 1, 1, 1), np.uint8), np.zeros(7200, int), keys(7200), 23
    )
    starts = np.unique(np.stack([world["ball"], world["drift"]]), axis=1, return_counts=True)[1]
    assert len(starts) == 72 and stats.chisquare(starts).pvalue > 1e-3
    assert (world["paddle"] == 11).all()  # columns 11 and 12 of 24: the middle
