"""Grids, films and files of fixation paths."""

import dataclasses
import sys

import gymnasium
import numpy as np
import pytest
from PIL import Image

from saccade.agents.pictures import (
    MOMENTS,
    Trace,
    episode_frames,
    paths_grid,
    save_gif,
    save_mp4,
    save_png,
)
from saccade.envs.render import AIM, PAGE, RIGHT, SCALE_COLOURS, WRONG
from saccade.envs.sensors import GlimpseSensor

BOXES = np.float32([[3, 3, 20, 20]] * 7)

EYE = GlimpseSensor(8, 1)


@pytest.fixture
def traces():
    """Five episodes of six glimpses on 60x40 images; the second ended badly."""
    rng = np.random.default_rng(0)
    found = []
    for n in range(5):
        image = rng.integers(0, 256, (1, 40, 60, 1), np.uint8)
        path = rng.uniform(-1, 1, (6, 2)).astype(np.float32)
        found.append(Trace(image, path, (n != 1, f"answer {n}"), 6, ["label"] * 6, BOXES))
    return found


def changed(trace, **values):
    return dataclasses.replace(trace, **values)


def moving(trace, moments=7, width=60):
    """The same path over a black scene through which a white bar walks."""
    frames = np.zeros((moments, 40, width, 1), np.uint8)
    for moment, frame in enumerate(frames):
        frame[:, 8 * moment : 8 * moment + 4] = 255
    return changed(trace, frames=frames)


def has(picture, colour):
    return (picture == colour).all(axis=2).any()


def test_the_grid_has_a_cell_an_image(traces):
    wide = paths_grid(traces, GlimpseSensor(8, 2), columns=5)
    folded = paths_grid(traces, GlimpseSensor(8, 2), columns=3)
    assert wide.dtype == folded.dtype == np.uint8
    assert wide.shape[2] == folded.shape[2] == 3
    assert folded.shape[0] > wide.shape[0] and folded.shape[1] < wide.shape[1]
    # The sixth place of the folded grid is empty.
    height, width, _ = folded.shape
    assert (folded[height // 2 + 10 :, 2 * width // 3 + 10 :] == PAGE).all()
    assert has(wide, SCALE_COLOURS[0])


def test_the_grid_tells_right_answers_from_wrong_ones(traces):
    black = [changed(trace, frames=np.zeros_like(trace.frames)) for trace in traces[:2]]
    left, right = np.array_split(paths_grid(black, EYE, columns=2), 2, axis=1)
    assert has(left, RIGHT) and not has(left, WRONG)
    assert has(right, WRONG) and not has(right, RIGHT)


def test_a_path_that_ended_early_is_drawn_as_far_as_it_went(traces):
    whole = traces[0]
    short = changed(whole, fixations=whole.fixations[:4])
    frames = episode_frames([short], GlimpseSensor(8, 1), hold=2)
    assert len(frames) == 4 + 2
    assert (paths_grid([short], EYE) != paths_grid([whole], EYE)).any()


def test_what_cannot_be_drawn_is_named(traces):
    with pytest.raises(ValueError, match="at least one fixation"):
        changed(traces[0], fixations=np.zeros((0, 2), np.float32))
    with pytest.raises(ValueError, match=r"frames must be \(1 or 7, H, W, C\)"):
        moving(traces[0], moments=5)
    with pytest.raises(ValueError, match="one shape"):
        paths_grid([moving(traces[0]), moving(traces[1], width=64)], EYE)
    with pytest.raises(ValueError, match="at least one"):
        paths_grid([], EYE)


def test_an_episode_gives_a_frame_a_glimpse_and_holds_its_verdict(traces):
    frames = episode_frames(traces, GlimpseSensor(8, 2), hold=3)
    assert len(frames) == 5 * (6 + 3)
    assert len({frame.shape for frame in frames}) == 1
    for episode in range(5):
        *looks, last = frames[9 * episode : 9 * episode + 7]
        verdict = WRONG if episode == 1 else RIGHT
        assert has(last[-30:], verdict)
        assert not any(has(look[-30:], verdict) for look in looks)
        for held in frames[9 * episode + 7 : 9 * episode + 9]:
            np.testing.assert_array_equal(held, last)


def test_the_last_aim_and_the_box_said_come_with_the_verdict(traces):
    black = changed(traces[0], frames=np.zeros((1, 40, 60, 1), np.uint8))
    aimed = changed(black, aim=np.float32([0.5, 0.5]))
    boxed = changed(black, aim=np.float32([0.5, 0.5]), said=np.float32([5, 5, 30, 20]))
    assert not has(paths_grid([black], EYE), AIM)
    once, twice = ((paths_grid([one], EYE) == AIM).all(axis=2).sum() for one in (aimed, boxed))
    assert twice > once > 0
    film = episode_frames([aimed], GlimpseSensor(8, 1), hold=1)
    assert [has(frame, AIM) for frame in film] == [False] * 6 + [True]


def bar(picture):
    """Columns that are white from top to bottom, but for what is painted over."""
    return np.flatnonzero((picture == 255).all(axis=2).mean(axis=0) > 0.4)


def test_a_scene_that_moves_is_a_strip_of_its_moments(traces):
    still = paths_grid(
        [changed(traces[0], frames=np.zeros((1, 40, 60, 1), np.uint8))], GlimpseSensor(8, 1)
    )
    one = moving(traces[0])
    strip = paths_grid([one], EYE)
    assert strip.shape[1] > 1.5 * still.shape[1]
    assert paths_grid([one, one], EYE).shape[1] > 1.8 * strip.shape[1]
    # Each part shows its own moment: the bar walks on.
    panels = np.array_split(strip[12:-40], MOMENTS, axis=1)
    places = [bar(panel).mean() for panel in panels]
    assert all(np.diff(places) > 5)
    # Where an act or an aim is judged, the last part shows what was there then.
    acted = np.array_split(paths_grid([changed(one, acted=True)], EYE)[12:-40], MOMENTS, axis=1)
    assert bar(acted[-1]).mean() > places[-1] + 5
    np.testing.assert_array_equal(acted[0], panels[0])


def test_a_film_of_a_scene_that_moves_shows_every_moment(traces):
    film = episode_frames([moving(traces[0])], GlimpseSensor(8, 1), hold=1)
    places = [bar(frame[20:-60, :400]).mean() for frame in film]
    assert all(np.diff(places) > 10)


def test_a_png_keeps_every_pixel_and_its_folder_is_made(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    path = save_png(tmp_path / "pictures" / "deep" / "paths.png", rgb)
    np.testing.assert_array_equal(np.array(Image.open(path)), rgb)
    assert [entry.name for entry in path.parent.iterdir()] == ["paths.png"]


def test_a_gif_has_its_frames_its_size_and_loops(tmp_path, traces):
    frames = episode_frames(traces[:2], GlimpseSensor(8, 2))
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


def test_an_mp4_has_its_frames_and_its_size(tmp_path, traces):
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    frames = episode_frames(traces[:1], GlimpseSensor(8, 2))
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
