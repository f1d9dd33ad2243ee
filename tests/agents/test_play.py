"""A person plays what an agent plays: the same actions, no more to see, and the score is right."""

from __future__ import annotations

import re
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from saccade.agents.cli import main
from saccade.agents.config import env_keywords
from saccade.agents.play import BAR, Session
from saccade.envs.render import layout
from saccade.envs.tasks import TASKS
from support import ids, task_of


def session(env_id="saccade/Digits-v0", split="validation", **keywords):
    return Session(env_id, env_keywords(env_id, keywords) | {"action": "dict"}, split, 3)


def fixation(x, y):
    return np.array([x, y], np.float32)


def play_through(game, answer=3, at=(0.2, -0.3)):
    """One episode of clicks at one place and one answer."""
    for _ in range(200):
        if game.over:
            return
        if game.task.judged == "act":
            game.press("left")
        elif game.task.judged == "aim":
            game.click(fixation(*at))
        else:
            if game._is_due():
                game.press(str(answer))
                if len(game.names) > 10:
                    game.press("return")
            if not game.over:
                game.click(fixation(*at))
    raise AssertionError("the episode does not end")


@pytest.mark.parametrize("env_id", ids())
def test_every_id_is_played_with_the_actions_that_an_agent_would_take(env_id):
    game = session(env_id)
    keywords = {"action": "dict", "split": "validation"}
    agent = gym.make(env_id, **keywords)
    agent.reset(seed=3)
    judged, names = game.task.judged, game.names
    first = game.point.copy()
    for _ in range(3):
        play_through(game)
        total, ended = 0.0, False
        while not ended:
            action = {"fixation": fixation(0.2, -0.3)}
            if judged == "act":
                action = {"fixation": first, "answer": names.index("left")}
            elif judged == "answer":
                action["answer"] = 3
            _, reward, ended, _, info = agent.step(action)
            total += reward
        played = game.score[-1]
        assert (played.success, played.reward) == (bool(info["is_success"]), total)
        game.go_on()
        agent.reset()
        first = game.point.copy()
    assert len(game.score) == 3


@pytest.mark.parametrize("sensor", ["retina", "logpolar", "bilinear"])
def test_nothing_unseen_is_shown_before_the_end(sensor):
    """Two scenes that differ only where the eye has not been look alike."""
    images = np.zeros((20, 40, 40, 1), np.uint8)
    images[:, 4:9, 4:9] = 200
    images[::2, 30:36, 30:36] = 255
    kinds = {"retina": {"size": 6, "scales": 2}, "logpolar": {"radius": 8.0, "rings": 4}}
    keywords = {"sensor": sensor, "source": (images, np.arange(20) % 2)}
    pictures = []
    for label in (0, 1):
        game = Session("saccade/Images-v0", keywords | kinds.get(sensor, {"size": 6}), "train")
        while True:
            observation, info = game._env.reset(options={"fixation": (-0.6, -0.6)})
            if info["label"] == label:
                break
        game._path.clear()
        game.seen = 0
        game._look(observation)
        game.click(fixation(-0.5, -0.6))
        pictures.append(game.frame())
    np.testing.assert_array_equal(*pictures)


def test_what_is_seen_stays_only_with_a_canvas():
    def lit(game):
        """Pixels of the frame that are shown as seen, after two looks far apart."""
        for at in ((-0.8, -0.8), (0.8, 0.8)):
            game.click(fixation(*at))
        return (game._seen.picture()[0, 0] > 0).sum()

    assert lit(session(size=6)) == 36 >= 25
    assert lit(session(size=6, memory="canvas")) > 72


def test_a_place_on_the_picture_is_the_pixel_that_is_drawn_there():
    game = session("saccade/ClutteredDigits-v0")
    height, width, _ = game._shape
    place = layout(height, width, game._sensor)
    for x, y in ((0, 0), (width - 1, height - 1), (17, 41)):
        left, top = (edge + place.zoom / 2 for edge in place.corner(x, y))
        found = game.fixation_at(left, top + BAR)
        wanted = 2 * np.array([x, y]) / np.array([width - 1, height - 1]) - 1
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert game.fixation_at(0, 0) is None
    assert game.fixation_at(*place.corner(width + 1, 3)) is None


def test_answers_are_typed_mended_and_asked_for():
    game = session("saccade/AdditionDigits-v0", glimpses=2)
    game.press("return")
    assert "Type an answer" in game.hint
    game.press("9")
    game.press("return")
    assert "glimpses left" in game.hint and not game.over
    game.click(fixation(0, 0))
    game.click(fixation(0.5, 0))
    assert "Enter" in game.hint and not game.over
    game.press("backspace")
    for key in ("2", "5"):  # 25 is no sum of two digits: the 5 begins anew
        game.press(key)
    assert game.typed == "5"
    game.press("1")
    assert game.typed == "1"
    game.press("1")
    assert game.typed == "11"
    game.press("return")
    assert game.over and game.said == ["11"]


def test_a_question_that_is_due_is_answered_before_the_next_look():
    game = session("saccade/PairDigits-v0", glimpses=2)
    game.click(fixation(0, 0))
    assert "due" in game.hint and game.seen == 1
    game.press("4")
    game.click(fixation(0, 0))
    assert game.said == ["4"] and game.seen == 2
    game.press("7")
    assert game.over and game.said == ["4", "7"]


def test_who_may_stop_answers_early():
    game = session(stop=True)
    game.press("5")
    game.press("return")
    assert game.over and game.score[0].glimpses == 1
    aimed = session("saccade/LocateDigits-v0", stop=True)
    aimed.point = fixation(0.5, 0.5)
    aimed.press("return")
    assert aimed.over and aimed.score[0].glimpses == 1


def test_relative_moves_go_where_the_click_was():
    game = session("saccade/ClutteredDigits-v0", moves="relative", reach=2.0)
    game.click(fixation(0.5, -0.25))
    np.testing.assert_allclose(game._path[-1], (0.5, -0.25), atol=1e-6)


def test_a_drawn_box_is_said():
    game = session("saccade/LocateDigits-v0", say_box=True, glimpses=1)
    place = layout(*game._shape[:2], game._sensor)
    size = game.box_size(np.array([20.0, 10.0]) * place.zoom)
    observed = []
    step = game._env.step
    game._env.step = lambda action: observed.append(step(action)) or observed[-1]
    game.click(fixation(0, 0), size)
    x0, y0, x1, y1 = observed[0][4]["said_box"]
    assert (x1 - x0, y1 - y0) == pytest.approx((20, 10), abs=1e-3)


def test_the_score_is_a_table_with_an_interval():
    game = session()
    assert "No episode" in game.table()[0]
    wins = 0
    for _ in range(12):
        play_through(game, answer=1)
        wins += game.score[-1].success
        game.go_on()
    text = "\n".join(game.table())
    assert f"{wins}: {100 * wins / 12:.2f} (" in text and "episodes" in text


@pytest.fixture
def pygame(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    return pytest.importorskip("pygame", reason="the extra `human` is not installed")


def test_mouse_and_keys_of_a_real_window(pygame, monkeypatch, capsys):
    """An episode on a display that shows nothing: five clicks and a key, then Esc."""
    from saccade.envs.render import Window

    env_id = "saccade/Digits-v0"
    place = layout(28, 28, session(env_id)._sensor)
    x, y = place.corner(14, 14)
    post = pygame.event.post
    script = [("click", (x, y + BAR))] * 5 + [("key", pygame.K_7), ("key", pygame.K_ESCAPE)]
    show = Window.show

    def shown(window, frame):
        """Frames come, and a person does the next thing after each."""
        show(window, frame)
        what, value = script.pop(0)
        if what == "click":
            post(pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=value))
            post(pygame.event.Event(pygame.MOUSEBUTTONUP, button=1, pos=value))
        else:
            post(pygame.event.Event(pygame.KEYDOWN, key=value))

    monkeypatch.setattr(Window, "show", shown)
    assert main(["play", "Digits-v0", "--split", "validation", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    agent = gym.make(env_id, action="dict", split="validation")
    agent.reset(seed=3)
    for _ in range(6):
        *_, info = agent.step({"fixation": fixation(0, 0), "answer": 7})
    assert f"success     | {int(info['is_success'])}:" in out and "episodes    |" in out


def test_closing_the_window_and_enough_episodes_end_it(pygame, monkeypatch, capsys):
    from saccade.envs.render import Window

    show = Window.show

    def closed(window, frame):
        show(window, frame)
        pygame.event.post(pygame.event.Event(pygame.QUIT))

    monkeypatch.setattr(Window, "show", closed)
    assert main(["play", "Digits-v0"]) == 0
    assert "No episode" in capsys.readouterr().out

    def pressed(window, frame):
        show(window, frame)
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_LEFT))

    monkeypatch.setattr(Window, "show", pressed)
    assert main(["play", "Catch-v0", "--episodes", "2"]) == 0
    assert re.search(r"episodes +\| +2 \|", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Digit-v0"], "did you mean"),
        (["Digits-v0", "--env.glimpse", "4"], "glimpses"),
        (["Digits-v0", "--env.action", "box"], "'dict'"),
        (["Digits-v0", "--agent.name", "ram"], "--env.KEY"),
        (["Digits-v0", "--env.source", "nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_one_line(arguments, said, capsys):
    assert main(["play", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_without_pygame_it_says_what_to_install():
    code = (
        "import sys; sys.modules['pygame'] = None\n"
        "from saccade.agents.cli import main\n"
        "sys.exit(main(['play', 'Digits-v0']))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 2 and 'pip install "saccade[human]"' in run.stderr
    assert "Traceback" not in run.stderr


def test_every_task_says_what_to_do():
    judged = set()
    for env_id in ("Digits", "PairDigits", "LocateDigits", "TrackDigits", "Catch"):
        name = f"saccade/{env_id}-v0"
        judged.add(task_of(name).judged)
        assert "lick" in session(name).todo
    assert judged == {kind.judged for kind in TASKS.values()}
