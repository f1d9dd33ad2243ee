"""A user's own video: clips as arrays and as files, shown frame by frame, named and tracked."""

from __future__ import annotations

import copy
import pickle
import sys

import gymnasium as gym
import numpy as np
import pytest

from saccade.envs import Dataset, DriftingScene, load_dataset, read_video
from saccade.envs.datasets import DatasetError
from saccade.envs.datasets import video as video_module
from saccade.envs.draws import make_key
from support import assert_same

# imageio-ffmpeg leaves the pipes of a film that was read in part to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

VIDEO = "saccade/Video-v0"


def clips_of(count: int = 40, length: int = 5, size=(20, 24, 3), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, length, *size), dtype=np.uint8)


def boxes_of(count: int = 40, length: int = 5) -> np.ndarray:
    """A target of 6 x 4 pixels that goes one pixel to the right a frame."""
    left = np.arange(count)[:, None] % 7 + np.arange(length)
    return np.stack([left, left * 0 + 3, left + 6, left * 0 + 7], axis=2).astype(np.float32)


# ---------------------------------------------------------------- what is shown


@pytest.mark.parametrize(("frames", "glimpses"), [(1, 4), (1, 9), (2, 4), (3, 2), (10, 3)])
def test_a_clip_runs_to_its_end_and_holds_its_last_frame(frames, glimpses):
    clips = clips_of()
    env = gym.make(
        VIDEO,
        source=Dataset.from_clips(clips, np.arange(40) % 4),
        frames=frames,
        glimpses=glimpses,
        action="dict",
        reveal="image",
    )
    for seed in range(3):
        observation, info = env.reset(seed=seed)
        shown = env.unwrapped.images[0]
        (which,) = (clips[:, 0] == shown).all(axis=(1, 2, 3)).nonzero()[0]
        assert info["label"] == which % 4 and info["box"].tolist() == [0, 0, 24, 20]
        for step in range(1, glimpses + 1):
            action = {"fixation": np.zeros(2, np.float32), "answer": info["label"]}
            observation, reward, ended, _, _ = env.step(action)
            frame = clips[which, min(step * frames, 4)]
            assert np.array_equal(env.unwrapped.images[0], frame)
            expected = np.moveaxis(frame, 2, 0).astype(np.float32) / 255
            np.testing.assert_allclose(observation["image"], expected, atol=1e-6)
        assert ended and reward == 1


def test_on_a_larger_canvas_it_stands_in_the_middle_with_its_boxes():
    clips, boxes = clips_of(size=(20, 24)), boxes_of()
    data = Dataset.from_clips(clips, np.arange(40) % 4, boxes)
    env = gym.make(VIDEO, source=data, canvas=(30, 40), action="dict", task="track")
    _, info = env.reset(seed=0)
    image = env.unwrapped.images[0, 5:25, 8:32, 0]
    (which,) = (clips[:, 0] == image).all(axis=(1, 2)).nonzero()[0]
    for step in range(1, 5):
        *_, info = env.step({"fixation": np.zeros(2, np.float32)})
        assert np.array_equal(env.unwrapped.images[0, 5:25, 8:32, 0], clips[which, step])
        assert env.unwrapped.images.sum() == clips[which, step].sum()
        assert np.array_equal(info["box"], boxes[which, step] + [8, 5, 8, 5])


def test_the_bundled_clips_are_drifting_digits_filmed():
    """A film of a scene, played by VideoScene, is that scene: frames, boxes and labels."""
    scene, part = DriftingScene(canvas=48, pieces=2), load_dataset("digits").split("test")
    env = gym.make_vec(VIDEO, num_envs=6, split="test", glimpses=5, action="dict")
    _, info = env.reset(seed=0)
    index = info["index"]
    world = scene.start(part.images, index, make_key(2, index), 15)
    for _ in range(5):
        frames, boxes = scene.frame(part.images, world)
        assert np.array_equal(env.unwrapped.images, frames)
        assert np.array_equal(info["box"], boxes)
        assert np.array_equal(info["label"], part.labels[index])
        action = {"fixation": np.zeros((6, 2), np.float32), "answer": np.zeros(6, int)}
        *_, info = env.step(action)
        scene.move(world, np.zeros(6, int))


def test_a_target_with_boxes_is_tracked_and_found():
    data = Dataset.from_clips(clips_of(), np.zeros(40, int), boxes_of())
    track = gym.make(VIDEO, source=data, task="track", glimpses=4, action="dict")
    for ahead, share in ((1, 1.0), (-6, 0.0)):
        _, info = track.reset(seed=1)
        for _ in range(4):
            x, y = info["box"][0] + ahead, info["box"][1] + 1  # a pixel's number
            aim = np.float32([2 * x / 23 - 1, 2 * y / 19 - 1]).clip(-1, 1)
            *_, info = track.step({"fixation": aim})
        assert info["share"] == share and info["is_success"] == bool(share)
    find = gym.make(VIDEO, source=data, task="locate", glimpses=1, action="dict")
    _, info = find.reset(seed=1)
    x, y = (info["box"][:2] + info["box"][2:]) / 2 + [0.5, -0.5]  # the box moves one on
    *_, info = find.step({"fixation": np.float32([2 * x / 23 - 1, 2 * y / 19 - 1])})
    assert info["distance"] < 1e-4 and info["is_success"]


@pytest.mark.parametrize(
    ("env_id", "keywords", "message"),
    [
        (VIDEO, {"task": "track"}, r"Track asks where.*from_clips\(clips, labels, boxes\)"),
        (VIDEO, {"task": "locate"}, "Locate asks where"),
        (VIDEO, {"task": "pair"}, "Pair asks about 2 targets, VideoScene shows 1"),
        (VIDEO, {"scene": "plain"}, "PlainScene shows images, the source holds clips: .*'video'"),
        ("saccade/MovingDigits-v0", {}, "DriftingScene shows images, the source holds clips"),
        (
            VIDEO,
            {"source": "digits"},
            "VideoScene shows clips, the source holds images.*from_clips",
        ),
        (VIDEO, {"frames": 0}, "frames=0"),
        (VIDEO, {"canvas": 16}, "canvas=16.*20x24"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_does_not_go_together_is_said_in_one_line(env_id, keywords, message):
    size = (28, 28) if "Moving" in env_id else (20, 24)
    data = Dataset.from_clips(clips_of(size=size), np.arange(40) % 4)
    with pytest.raises(ValueError, match=message) as caught:
        gym.make(env_id, **{"source": data, **keywords})
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- clips as arrays


def test_clips_of_every_accepted_kind():
    labels = np.arange(30) % 3
    for size in ((6, 7), (6, 7, 1), (6, 7, 3)):
        clips = clips_of(30, 4, size)
        for given in (clips, list(clips), clips.astype(np.float32) / 255):
            data = Dataset.from_clips(given, labels, validation=0, test=0.2)
            assert data.shape == (6, 7, 3 if size[2:] == (3,) else 1)
            shown = np.concatenate([part.images for part in data.splits.values()])
            assert shown.shape == (30, 4, *data.shape) and shown.dtype == np.uint8
            found = {clip.tobytes() for clip in shown}
            assert found == {clip.tobytes() for clip in clips}
    assert "clips of 4x6x7x3" in repr(data.split("test"))
    pair = load_dataset((clips, labels))
    assert pair.split("test").holds == "clips" and pair.split("test").boxes is None


def test_a_shorter_clip_holds_its_last_frame_and_box():
    long, short = clips_of(1, 5)[0], clips_of(1, 2, seed=1)[0]
    boxes = boxes_of(2)
    data = Dataset.from_clips(
        [long, short] * 10, [0, 1] * 10, [boxes[0], boxes[1, :2]] * 10, validation=0, test=0
    )
    part = data.split("train")
    assert np.array_equal(part.images[0], long) and np.array_equal(part.boxes[0], boxes[0])
    assert np.array_equal(part.images[1, :2], short) and np.array_equal(
        part.boxes[1, :2], boxes[1, :2]
    )
    for frame in (2, 3, 4):
        assert np.array_equal(part.images[1, frame], short[1])
        assert np.array_equal(part.boxes[1, frame], boxes[1, 1])


def test_clips_part_like_images_and_keep_their_boxes():
    clips, boxes, labels = clips_of(), boxes_of(), np.arange(40) % 4
    data = Dataset.from_clips(clips, labels, boxes, seed=3)
    images = Dataset.from_arrays(clips[:, 0], labels, seed=3)
    assert data.classes == images.classes
    for name, part in data.splits.items():
        assert np.array_equal(part.images[:, 0], images.split(name).images)
        for clip, label, box in zip(part.images, part.labels, part.boxes, strict=True):
            (which,) = (clips == clip).all(axis=(1, 2, 3, 4)).nonzero()[0]
            assert label == labels[which] and np.array_equal(box, boxes[which])


def test_clips_cannot_be_written_are_copied_once_and_travel():
    clips, boxes = clips_of(), boxes_of()
    data = Dataset.from_splits({"train": (clips, np.arange(40), boxes)})
    part = data.split("train")
    clips[:], boxes[:] = 0, 0
    assert part.images.any() and part.boxes.any()
    for array in (part.images, part.boxes, pickle.loads(pickle.dumps(part)).boxes):
        with pytest.raises(ValueError):
            array[0] = 0
    assert copy.deepcopy(data) is data
    env = gym.make_vec(VIDEO, num_envs=3, source=data, task="track", action="dict")
    env.reset(seed=0)
    other = pickle.loads(pickle.dumps(env.unwrapped))
    env.action_space.seed(0)
    for _ in range(9):
        action = env.action_space.sample()
        assert_same(env.step(action), other.step(action))


@pytest.mark.parametrize(
    ("clips", "boxes", "words"),
    [
        (clips_of()[0], None, r"\(5, 20, 24, 3\).*one clip goes as \[clip\]"),
        (np.zeros((4, 9), np.uint8), None, r"clips have shape \(4, 9\)"),
        ([], None, "0 clips"),
        (3, None, "clips of type int"),
        ([np.zeros((3, 4), np.uint8)] * 40, None, r"clip 0 has shape \(3, 4\)"),
        ([np.zeros((0, 4, 4), np.uint8)] * 40, None, "clip 0 is empty"),
        ([[np.zeros((4, 4)), np.zeros((4, 5))]] * 40, None, "clip 0 .*frames differ in size"),
        ([clips_of()[0], clips_of(size=(9, 9, 3))[0]], None, "clip 1 .*of 9x9x3.*read_video"),
        ([clips_of()[0], clips_of()[0] / 255], None, "clip 1 is float64, the first uint8"),
        (clips_of().astype(int), None, "give uint8"),
        (clips_of(9), None, "9 clips, 40 labels"),
        (clips_of(), boxes_of(40, 4), r"boxes are float32 of shape \(40, 4, 4\).*\(40, 5, 4\)"),
        (clips_of(), boxes_of() + 20, "the box .* of clip 0, frame 0 is none: .*x1 <= 24"),
        (clips_of(), boxes_of()[..., [2, 1, 0, 3]], "is none: 0 <= x0 < x1"),
        (clips_of(), np.full((40, 5, 4), np.nan), "is none"),
        (list(clips_of()), list(boxes_of(40, 4)), "boxes of clip 0 .*5 frames"),
        (list(clips_of()), list(boxes_of(39)), "40 clips, 39 boxes"),
    ],
)  # fmt: skip
def test_unfit_clips_are_refused_in_one_line(clips, boxes, words):
    with pytest.raises(DatasetError, match=words) as caught:
        Dataset.from_clips(clips, np.arange(40) % 4, boxes, name="mine")
    assert str(caught.value).startswith("mine: ") and "\n" not in str(caught.value)


def test_boxes_belong_to_clips():
    with pytest.raises(DatasetError, match="boxes belong to clips"):
        Dataset.from_splits({"train": (clips_of()[:, 0], np.arange(40), boxes_of()[:, 0])})


# ---------------------------------------------------------------- files


@pytest.fixture
def film(tmp_path):
    """A file of 12 frames, 32 high and 48 wide: a bright square that goes to the right."""
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    frames = np.zeros((12, 32, 48, 3), np.uint8)
    for number, frame in enumerate(frames):
        frame[8:24, 2 * number : 2 * number + 16] = (220, 120, 40)
    path = tmp_path / "film.mp4"
    writer = ffmpeg.write_frames(
        str(path), (48, 32), fps=12, quality=9, macro_block_size=2, ffmpeg_log_level="error"
    )
    writer.send(None)
    for frame in frames:
        writer.send(frame)
    writer.close()
    return path, frames


def test_a_file_is_read_as_it_was_written(film):
    path, frames = film
    read = read_video(path)
    assert read.shape == frames.shape and read.dtype == np.uint8
    assert np.abs(read.astype(int) - frames).mean() < 8  # a film is not kept to the bit
    assert np.array_equal(read_video(str(path), frames=5), read[:5])
    small = read_video(path, size=(16, 20), frames=3)
    assert small.shape == (3, 16, 20, 3)
    assert abs(small.mean() - read[:3].mean()) < 4


def test_files_go_before_the_eye(film):
    path, _ = film
    clips = [read_video(path, size=(32, 32)), read_video(path, size=(32, 32), frames=4)] * 8
    data = Dataset.from_clips(clips, np.arange(16) % 2, classes=("long", "short"))
    env = gym.make(VIDEO, source=data, frames=2)
    observation, _ = env.reset(seed=0)
    assert observation["glimpse"].shape == (9, 8, 8)  # three scales, three colours
    ended = False
    while not ended:
        observation, _, ended, _, _ = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)


def test_a_file_that_cannot_be_read_says_why(film, tmp_path):
    path, _ = film
    (tmp_path / "notes.mp4").write_text("no video at all")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "cut.mp4").write_bytes(path.read_bytes()[:100])
    for name, words in {
        "nowhere.mp4": "no such video file",
        "": "no such video file",  # a folder
        "notes.mp4": "cannot read this",
        "empty.mp4": "cannot read this",
        "cut.mp4": "cannot read this",
    }.items():
        with pytest.raises(DatasetError, match=words) as caught:
            read_video(tmp_path / name)
        assert "\n" not in str(caught.value)
    for name, value in {"size": (10,), "frames": 0}.items():
        with pytest.raises(ValueError, match=f"{name}="):
            read_video(path, **{name: value})


def test_a_film_too_large_is_refused_before_it_is_read(film, monkeypatch):
    path, _ = film
    with pytest.raises(DatasetError, match=r"27\.9 GiB, 1 GiB is the most.*size=.*frames="):
        read_video(path, size=(100_000, 100_000))
    monkeypatch.setattr(video_module, "MOST_BYTES", 10 * 32 * 48 * 3)
    monkeypatch.setattr(np, "frombuffer", None)  # nothing is kept
    with pytest.raises(DatasetError, match="smaller size"):
        read_video(path)
    monkeypatch.undo()
    monkeypatch.setattr(video_module, "MOST_BYTES", 10 * 32 * 48 * 3)
    assert len(read_video(path, frames=10)) == 10


def test_a_film_longer_than_its_header_says_is_stopped(monkeypatch):
    pytest.importorskip("imageio_ffmpeg")

    def endless():
        yield {"size": (4, 2), "fps": 0, "duration": 0}
        while True:
            yield bytes(24)

    monkeypatch.setattr(video_module, "MOST_BYTES", 24 * 100)
    with pytest.raises(DatasetError, match="smaller size"):
        video_module._collect("film", endless(), None)
    assert video_module._collect("film", endless(), 7).shape == (7, 2, 4, 3)


def test_without_imageio_ffmpeg_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(gym.error.DependencyNotInstalled, match=r"saccade\[video\]"):
        read_video("film.mp4")
