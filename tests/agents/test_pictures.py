"""Grids, films and files of fixation paths."""

import sys

import gymnasium
import numpy as np
import pytest
from PIL import Image

from saccade.agents.pictures import episode_frames, paths_grid, save_gif, save_mp4, save_png
from saccade.envs.render import PAGE, RIGHT, SCALE_COLOURS, WRONG
from saccade.envs.sensor import GlimpseSensor

CLASSES = [str(k) for k in range(10)]


@pytest.fixture
def episodes():
    """Five episodes of six glimpses on 60x40 images; the second answer is wrong."""
    rng = np.random.default_rng(0)
    labels = np.array([3, 1, 4, 1, 5])
    answers = np.array([3, 7, 4, 1, 5])
    images = rng.integers(0, 256, (5, 40, 60, 1), np.uint8)
    fixations = rng.uniform(-1, 1, (5, 6, 2)).astype(np.float32)
    return images, fixations, labels, answers


def has(picture, colour):
    return (picture == colour).all(axis=2).any()


def test_the_grid_has_a_cell_an_image(episodes):
    images, fixations, labels, answers = episodes
    wide = paths_grid(images, fixations, 8, 2, labels, answers, CLASSES, columns=5)
    folded = paths_grid(images, fixations, 8, 2, labels, answers, CLASSES, columns=3)
    assert wide.dtype == folded.dtype == np.uint8
    assert wide.shape[2] == folded.shape[2] == 3
    assert folded.shape[0] > wide.shape[0] and folded.shape[1] < wide.shape[1]
    # The sixth place of the folded grid is empty.
    height, width, _ = folded.shape
    assert (folded[height // 2 + 10 :, 2 * width // 3 + 10 :] == PAGE).all()
    assert has(wide, SCALE_COLOURS[0])


def test_the_grid_tells_right_answers_from_wrong_ones(episodes):
    images, fixations, labels, answers = (part[:2] for part in episodes)
    images = np.zeros_like(images)
    grid = paths_grid(images, fixations, 8, 1, labels, answers, CLASSES, columns=2)
    left, right = np.array_split(grid, 2, axis=1)
    assert has(left, RIGHT) and not has(left, WRONG)
    assert has(right, WRONG) and not has(right, RIGHT)


def test_a_path_that_ended_early_is_drawn_as_far_as_it_went(episodes):
    images, fixations, labels, answers = (part[:1] for part in episodes)
    ended = fixations.copy()
    ended[:, 4:] = np.nan
    np.testing.assert_array_equal(
        paths_grid(images, ended, 8, 1, labels, answers, CLASSES),
        paths_grid(images, fixations[:, :4], 8, 1, labels, answers, CLASSES),
    )
    frames = episode_frames(images, ended, GlimpseSensor(8, 1), labels, answers, CLASSES, hold=2)
    assert len(frames) == 4 + 2
    with pytest.raises(ValueError, match="at least one fixation"):
        paths_grid(images, fixations * np.nan, 8, 1, labels, answers, CLASSES)


def test_lengths_that_disagree_are_named(episodes):
    images, fixations, labels, answers = episodes
    with pytest.raises(ValueError, match="5 images but 4 labels"):
        paths_grid(images, fixations, 8, 1, labels[:4], answers, CLASSES)
    with pytest.raises(ValueError, match="images must be"):
        paths_grid(images[:0], fixations[:0], 8, 1, labels[:0], answers[:0], CLASSES)


def test_an_episode_gives_a_frame_a_glimpse_and_holds_its_answer(episodes):
    images, fixations, labels, answers = episodes
    boxes = np.float32([[3, 3, 20, 20]] * 5)
    sensor = GlimpseSensor(8, 2)
    frames = episode_frames(
        images, fixations, sensor, labels, answers, CLASSES, boxes=boxes, hold=3
    )
    assert len(frames) == 5 * (6 + 3)
    assert len({frame.shape for frame in frames}) == 1
    for episode in range(5):
        *looks, last = frames[9 * episode : 9 * episode + 7]
        answered = RIGHT if labels[episode] == answers[episode] else WRONG
        assert has(last[-30:], answered)
        assert not any(has(look[-30:], answered) for look in looks)
        for held in frames[9 * episode + 7 : 9 * episode + 9]:
            np.testing.assert_array_equal(held, last)


def test_a_png_keeps_every_pixel_and_its_folder_is_made(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    path = save_png(tmp_path / "pictures" / "deep" / "paths.png", rgb)
    np.testing.assert_array_equal(np.array(Image.open(path)), rgb)
    assert [entry.name for entry in path.parent.iterdir()] == ["paths.png"]


def test_a_gif_has_its_frames_its_size_and_loops(tmp_path, episodes):
    images, fixations, labels, answers = (part[:2] for part in episodes)
    frames = episode_frames(images, fixations, GlimpseSensor(8, 2), labels, answers, CLASSES)
    with Image.open(save_gif(tmp_path / "paths.gif", frames, fps=4)) as film:
        assert film.size == (frames[0].shape[1], frames[0].shape[0])
        assert film.info["loop"] == 0
        assert film.n_frames == 2 * (6 + 1)  # held frames last longer instead of coming again
        milliseconds, pages = 0, set()
        for n in range(film.n_frames):
            film.seek(n)
            milliseconds += film.info["duration"]
            pages.add(film.convert("RGB").getpixel((1, 1)))
        assert milliseconds == 250 * len(frames)
        (page,) = pages  # one palette: the same colour in every frame
        assert max(abs(a - b) for a, b in zip(page, PAGE, strict=True)) <= 4


def test_an_mp4_has_its_frames_and_its_size(tmp_path, episodes):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    images, fixations, labels, answers = (part[:1] for part in episodes)
    frames = episode_frames(images, fixations, GlimpseSensor(8, 2), labels, answers, CLASSES)
    path = save_mp4(tmp_path / "films" / "paths.mp4", frames, fps=4)
    assert [entry.name for entry in path.parent.iterdir()] == ["paths.mp4"]
    assert ffmpeg.count_frames_and_secs(str(path))[0] == len(frames)
    film = ffmpeg.read_frames(str(path))
    assert next(film)["size"] == (frames[0].shape[1], frames[0].shape[0])
    first = np.frombuffer(next(film), np.uint8).reshape(frames[0].shape)
    film.close()
    assert np.abs(first.astype(int) - frames[0]).mean() < 8


def test_without_imageio_ffmpeg_an_mp4_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(gymnasium.error.DependencyNotInstalled, match=r"saccade\[video\]"):
        save_mp4(tmp_path / "paths.mp4", [np.zeros((2, 2, 3), np.uint8)])


@pytest.mark.parametrize("save", [save_gif, save_mp4])
def test_frames_that_cannot_be_a_film_are_refused_and_leave_nothing(tmp_path, save):
    if save is save_mp4:
        pytest.importorskip("imageio_ffmpeg")
    small, large = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 6, 3), np.uint8)
    for frames, message in [
        ([], "no frames"),
        ([small, large], "differ in size"),
        ([small.astype(np.float32)], "must be uint8"),
    ]:
        with pytest.raises(ValueError, match=message):
            save(tmp_path / "film", frames)
    assert list(tmp_path.iterdir()) == []


def test_an_odd_side_is_refused_for_mp4(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    with pytest.raises(ValueError, match="even"):
        save_mp4(tmp_path / "film.mp4", [np.zeros((4, 5, 3), np.uint8)])


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "paths.png"
    path.write_bytes(b"old")

    def fail(self, target, **options):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_png(path, np.zeros((2, 2, 3), np.uint8))
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["paths.png"]
