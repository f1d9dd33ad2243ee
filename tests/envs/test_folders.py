"""A folder of pictures by class: what is read, how it is parted, and what is refused by name."""

from __future__ import annotations

import errno
import io
import os
import struct
import subprocess
import sys
import time
import warnings
import zlib

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

import saccade.envs.datasets.folder as folder_module
import saccade.envs.datasets.pictures as pictures_module
from saccade.envs.datasets import DatasetError, ImageFolder, load_dataset


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """The cache folder, this test's own."""
    place = tmp_path / "kept"
    monkeypatch.setattr(folder_module, "cache_folder", lambda: place)
    return place


@pytest.fixture
def photos(tmp_path):
    """Ten pictures each of two classes, red and blue; JPEG and PNG, of several sizes."""
    root = tmp_path / "photos"
    for kind, colour in (("red", (250, 10, 10)), ("blue", (10, 10, 250))):
        (root / kind).mkdir(parents=True)
        for i in range(10):
            ending = ("jpg", "PNG", "jpeg")[i % 3]
            Image.new("RGB", (30 + i, 50 - i), colour).save(root / kind / f"{i}.{ending}")
    return root


def one_line(error) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_pictures_become_images_of_their_folder_s_class(photos):
    data = load_dataset(str(photos))
    assert data.classes == ("blue", "red") and data.shape == (64, 64, 3) and data.name == "photos"
    assert {name: len(part) for name, part in data.splits.items()} == {
        "train": 14,
        "validation": 2,
        "test": 4,
    }
    for part in data.splits.values():
        brightest = part.images.reshape(len(part), -1, 3).mean(1).argmax(1)
        assert np.array_equal(brightest, np.where(part.labels == 0, 2, 0))  # blue, or red


def test_splits_of_its_own_are_kept_and_a_missing_validation_is_taken_from_train(photos, tmp_path):
    root = tmp_path / "parted"
    for split in ("train", "test"):
        (root / split).mkdir(parents=True)
        for kind in ("red", "blue"):
            (root / split / kind).symlink_to(photos / kind)
    sizes = {name: len(part) for name, part in load_dataset(root).splits.items()}
    assert sizes == {"train": 18, "validation": 2, "test": 20}
    (root / "val").mkdir()
    (root / "val" / "red").symlink_to(photos / "red")
    sizes = {name: len(part) for name, part in ImageFolder(image_size=8).load(root).splits.items()}
    assert sizes == {"train": 20, "validation": 10, "test": 20}


def test_gray_pictures_stay_gray(tmp_path):
    for kind in "ab":
        (tmp_path / "gray" / kind).mkdir(parents=True)
        for i in range(8):
            Image.new("L", (9, 9), 200 if kind == "a" else 100).save(
                tmp_path / "gray" / kind / f"{i}.png"
            )
    data = load_dataset(tmp_path / "gray")
    assert data.shape == (64, 64, 1)
    part = data.split("train")
    assert set(part.images[part.labels == 0].ravel()) == {200}


@pytest.mark.parametrize(
    ("fit", "rows"), [("crop", (0, 255, 0)), ("pad", (255, 0)), ("stretch", (0, 255, 0))]
)
def test_pictures_are_cropped_padded_or_stretched(tmp_path, fit, rows):
    """A wide picture, black at both sides: what is left of it along the middle row."""
    picture = np.zeros((20, 60, 3), np.uint8)
    picture[:, 20:40] = 255
    for kind in "ab":
        (tmp_path / "wide" / kind).mkdir(parents=True)
        for i in range(8):
            Image.fromarray(picture).save(tmp_path / "wide" / kind / f"{i}.png")
    images = ImageFolder(image_size=(30, 30), fit=fit).load(tmp_path / "wide").split("train").images
    across, down = images[0][15, :, 0] > 127, images[0][:, 15, 0] > 127
    if fit == "crop":
        assert across.all() and down.all()  # only the white middle is left
    elif fit == "pad":
        assert across.sum() == 10 and down.sum() == 10  # a third of the height
    else:
        assert across.sum() == 10 and down.all()


def test_transparent_is_black_and_turned_photographs_are_upright(tmp_path):
    for kind in "ab":
        (tmp_path / "odd" / kind).mkdir(parents=True)
    for i in range(8):
        Image.new("RGBA", (8, 8), (255, 255, 255, 0)).save(tmp_path / "odd" / "a" / f"{i}.png")
        picture = np.zeros((8, 8, 3), np.uint8)
        picture[:4] = 255  # the upper half is white, and a quarter turn is asked for
        turned = Image.fromarray(picture)
        exif = turned.getexif()
        exif[274] = 6  # orientation: a quarter turn clockwise
        turned.save(tmp_path / "odd" / "b" / f"{i}.jpg", exif=exif, quality=95)
    part = ImageFolder(image_size=8).load(tmp_path / "odd").split("train")
    assert not part.images[part.labels == 0].any()
    shown = part.images[part.labels == 1][0][..., 0] > 127
    assert shown[:, 5:].all() and not shown[:, :3].any()


def test_what_is_no_picture_is_named_and_left_out_or_refused(photos):
    (photos / "red" / "empty.png").write_bytes(b"")
    (photos / "red" / "text.png").write_text("not a picture")
    whole = (photos / "blue" / "0.jpg").read_bytes()
    (photos / "blue" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "red" / "notes.txt").write_text("nobody reads this")
    (photos / "red" / ".hidden.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="3 unreadable") as told:
        data = ImageFolder().load(photos)
    said = str(told[0].message)
    assert all(name in said for name in ("red/empty.png", "red/text.png", "blue/cut.jpg"))
    assert sum(map(len, data.splits.values())) == 20
    with pytest.raises(DatasetError, match="unreadable='skip'") as error:
        ImageFolder(unreadable="refuse").load(photos)
    assert "red/empty.png" in one_line(error)


def test_wide_pictures_are_fitted_and_bombs_are_refused(photos):
    Image.new("RGB", (20_000, 40)).save(photos / "red" / "wide.png")
    small = (photos / "red" / "1.PNG").read_bytes()
    sides = (30_000).to_bytes(4, "big") * 2  # what it claims to be, in the header
    (photos / "red" / "bomb.png").write_bytes(checked_again(small[:16] + sides + small[24:]))
    with pytest.warns(UserWarning, match="1 unreadable.*bomb.png: more than 100,000,000 pixels"):
        data = ImageFolder().load(photos)
    assert sum(map(len, data.splits.values())) == 21


def test_odd_names_and_links_in_circles(photos):
    os.rename(photos / "red", photos / "rot, größer ☂")
    name = "长" * 60 + ".png"
    Image.new("RGB", (9, 9)).save(photos / "rot, größer ☂" / name)
    (photos / "blue" / "again").symlink_to(photos / "blue", target_is_directory=True)
    (photos / "blue" / "loop.png").symlink_to(photos / "blue" / "loop.png")
    (photos / "circle").symlink_to(photos / "circle")
    data = load_dataset(photos)
    assert data.classes == ("blue", "rot, größer ☂")
    assert sum(map(len, data.splits.values())) == 21


def test_a_link_to_a_folder_around_it_gives_no_class_the_pictures_of_others(photos, tmp_path):
    (photos / "everything").symlink_to(".")
    (photos / "blue" / "up").symlink_to("..")
    (tmp_path / "elsewhere").mkdir()
    Image.new("RGB", (9, 9), "blue").save(tmp_path / "elsewhere" / "one more.png")
    (tmp_path / "elsewhere" / "back").symlink_to(photos)
    (photos / "blue" / "away").symlink_to(tmp_path / "elsewhere")
    data = load_dataset(photos)
    assert data.classes == ("blue", "red")
    assert sum(map(len, data.splits.values())) == 21
    for part in data.splits.values():
        brightest = part.images.reshape(len(part), -1, 3).mean(1).argmax(1)
        assert np.array_equal(brightest, np.where(part.labels == 0, 2, 0))


def test_names_that_are_no_text_and_names_of_two_lines(photos):
    os.rename(photos / "red", os.fsencode(photos) + b"/r\xff")
    (photos / "blue" / "two\nlines.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="1 unreadable: blue/two lines.png"):
        data = load_dataset(photos)
    assert data.num_classes == 2 and sum(map(len, data.splits.values())) == 20


def test_a_class_with_one_picture_is_told_every_time(photos):
    (photos / "green").mkdir()
    Image.new("RGB", (9, 9)).save(photos / "green" / "only.png")
    for _ in range(2):
        with pytest.warns(UserWarning, match="fewer than 3 pictures of green"):
            data = ImageFolder().load(photos)
        assert data.num_classes == 3


def test_classes_without_a_picture_are_told(photos):
    (photos / "empty").mkdir()
    (photos / "yellow").mkdir()
    (photos / "yellow" / "bad.png").write_bytes(b"")
    with pytest.warns(UserWarning) as told:
        ImageFolder().load(photos)
    unreadable, few = (str(one.message) for one in told)
    assert "2 unreadable: empty: no picture (.jpg, .jpeg, .png) in it; yellow/bad.png" in unreadable
    assert "fewer than 3 pictures of yellow" in few


def test_train_is_a_class_where_pictures_lie_in_it_and_what_lies_beside_splits_is_told(photos):
    os.rename(photos / "red", photos / "train")
    assert load_dataset(photos).classes == ("blue", "train")
    (photos / "train" / "red").mkdir()
    for file in [file for file in (photos / "train").iterdir() if file.is_file()]:
        file.rename(photos / "train" / "red" / file.name)
    (photos / "test").mkdir()
    (photos / "test" / "red").symlink_to(photos / "train" / "red")
    with pytest.warns(UserWarning, match="unreadable: blue: lies beside the splits test, train"):
        assert ImageFolder().load(photos).classes == ("red",)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_damaged_pictures_are_read_or_refused_whatever_is_damaged(kind):
    """Bytes changed at random, also in EXIF; PNG's checksums put right again."""
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (24, 20, 3), np.uint8))
    exif = picture.getexif()
    exif[274], exif[271] = 6, "maker"
    whole = io.BytesIO()
    picture.save(whole, kind, exif=exif)
    read, fitting = 0, ImageFolder(image_size=8)
    for _ in range(1500):
        content = bytearray(whole.getvalue())
        for place in rng.integers(0, 250, rng.integers(1, 5)):
            content[place] = rng.integers(0, 256)
        content = checked_again(bytes(content)) if kind == "PNG" else bytes(content)
        try:
            with pictures_module.open_picture(io.BytesIO(content)) as damaged:
                assert fitting(damaged, 3).shape == (8, 8, 3)
            read += 1
        except pictures_module.UNREADABLE:
            continue
    assert read > 100


def checked_again(content: bytes) -> bytes:
    """A PNG with the checksum of every chunk put right."""
    out, at = content[:8], 8
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if size > len(content) - at - 12:
            break
        chunk = content[at + 4 : at + 8 + size]
        out += content[at : at + 4] + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        at += 12 + size
    return out + content[at:]


def test_photographs_with_exif_that_cannot_be_parsed_are_kept(photos, monkeypatch):
    def odd(*_, **__):
        raise struct.error("required argument is not an integer")

    monkeypatch.setattr("PIL.ImageOps.exif_transpose", odd)
    data = ImageFolder(unreadable="refuse").load(photos)
    assert sum(map(len, data.splits.values())) == 20


@pytest.mark.parametrize(
    ("mode", "options", "colour", "shown"),
    [
        ("1", {}, 1, 255),
        ("L", {}, 90, 90),
        ("L", {"transparency": 90}, 90, 0),
        ("LA", {}, (90, 0), 0),
        ("I;16", {}, 90 << 8, 90),
        ("P", {}, 0, 0),
        ("RGB", {"transparency": (90, 90, 90)}, (90, 90, 90), 0),
        ("RGBA", {}, (90, 90, 90, 255), 90),
    ],
)
@pytest.mark.parametrize("side", [9, 200], ids=["small", "averaged down"])
def test_every_kind_of_png_is_read(mode, options, colour, shown, side):
    file = io.BytesIO()
    Image.new(mode, (side, side), colour).save(file, "PNG", **options)
    for channels in (1, 3):
        with pictures_module.open_picture(file) as picture:
            image = ImageFolder(image_size=8)(picture, channels)
        assert image.shape == (8, 8, channels) and set(image.ravel()) == {shown}


def test_the_largest_picture_takes_a_bounded_memory(tmp_path):
    """Of 16 bits and 96 million pixels: 190 MB as it is decoded."""
    Image.new("I;16", (9600, 10_000)).save(tmp_path / "large.png", compress_level=1)
    code = f"""
import resource, numpy, warnings
from saccade.envs.datasets.pictures import Fitting, open_picture
warnings.simplefilter("error")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open_picture({str(tmp_path / "large.png")!r}) as picture:
    Fitting(64)(picture, 3)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 1000


def test_a_folder_without_pictures_says_what_it_wants(tmp_path):
    (tmp_path / "bare").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "bare" / "loose.png")
    with pytest.raises(DatasetError, match="folders of their classes"):
        load_dataset(tmp_path / "bare")
    with pytest.raises(DatasetError, match="no folder or file has that name"):
        load_dataset(str(tmp_path / "nowhere"))
    with pytest.raises(DatasetError, match=r"mnist.*image_size, fit and unreadable"):
        load_dataset("mnist", ImageFolder())


def test_images_are_kept_until_a_picture_changes(photos, kept, monkeypatch):
    first = ImageFolder().load(photos)
    assert isinstance(first.split("train").images.base, np.ndarray)
    opened = []
    real = folder_module.open_picture
    monkeypatch.setattr(
        folder_module, "open_picture", lambda file: opened.append(file) or real(file)
    )
    again = ImageFolder().load(photos)
    assert not opened
    for name, part in first.splits.items():
        assert np.array_equal(part.images, again.split(name).images)
        assert np.array_equal(part.labels, again.split(name).labels)
    Image.new("RGB", (9, 9), "white").save(photos / "red" / "1.PNG")
    ImageFolder().load(photos)
    assert len(opened) == 40  # each is opened for its kind, and again for its pixels
    ImageFolder(image_size=8, unreadable="refuse").load(photos)
    assert len(opened) == 80
    ImageFolder(image_size=8).load(photos)
    assert len(opened) == 80
    # One of each size: what was made of the folder as it was is gone, and can still be read here.
    assert len(list((kept / "folders").iterdir())) == 2
    for name, part in first.splits.items():
        assert np.array_equal(part.images, again.split(name).images)


def test_no_room_is_told_before_anything_is_decoded(photos, kept, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folder_module.os, "posix_fallocate", full)
    with pytest.raises(DatasetError, match=r"No space left on device.*smaller image_size") as error:
        ImageFolder().load(photos)
    one_line(error)
    assert not list((kept / "folders").iterdir())
    (kept / "folders").rmdir()
    (kept / "folders").write_text("no folder")
    with pytest.raises(DatasetError, match="cannot be kept"):
        ImageFolder().load(photos)


@pytest.mark.parametrize("size", [64.5, "64", [64], [32, "a"], 0, -3, (8, 9, 10), True])
def test_a_size_that_is_none_is_refused(photos, size):
    with pytest.raises(ValueError, match="image_size="):
        gym.make("saccade/Images-v0", source=str(photos), image_size=size)


def test_nothing_is_left_of_a_loading_that_ended_early(photos, kept, monkeypatch):
    def tired(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageFolder, "__call__", tired)
    with pytest.raises(KeyboardInterrupt):
        ImageFolder().load(photos)
    assert not list((kept / "folders").iterdir())


def test_a_set_larger_than_the_memory_given_to_it(tmp_path):
    """400 MB of images, walked by an environment that may take 250 MB more than it starts with."""
    code = f"""
import resource, sys
import numpy as np, gymnasium as gym, saccade
from pathlib import Path
import saccade.envs.core
from saccade.envs.datasets.base import Dataset, ImageSet
file = Path({str(tmp_path)!r}) / "images.npy"
shape = (32_000, 64, 64, 3)
whole = np.lib.format.open_memmap(file, "w+", np.uint8, shape)
whole[:, 0, 0, 0] = np.arange(len(whole)) % 256
whole.flush()
del whole
used = int(next(l for l in open("/proc/self/status") if l.startswith("RssAnon")).split()[1])
images = np.load(file, mmap_mode="r")
data = Dataset("big", ("a", "b"), {{"train": ImageSet(images, np.arange(len(images)) % 2)}})
env = gym.make_vec("saccade/Images-v0", num_envs=64, source=data)
env.reset(seed=0)
for _ in range(60):
    env.step(env.action_space.sample())
more = int(next(l for l in open("/proc/self/status") if l.startswith("RssAnon")).split()[1]) - used
assert more < 100_000, more
print("fine")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "fine", run.stderr


def test_an_environment_reads_it_by_keyword(photos):
    env = gym.make("saccade/Images-v0", source=str(photos), image_size=32, fit="pad")
    observation, info = env.reset(seed=0)
    assert observation["glimpse"].shape == (9, 8, 8) and info["label"] in (0, 1)
    assert env.unwrapped.classes == ("blue", "red") and env.unwrapped.image_shape == (32, 32, 3)
    with pytest.raises(ValueError, match="fit='croop'"):
        gym.make("saccade/Images-v0", source=str(photos), fit="croop")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gym.make("saccade/ClutteredDigits-v0", source=str(photos), image_size=[24, 28])


def test_what_a_killed_process_left_half_made_goes_after_a_day(photos, kept):
    place = kept / "folders"
    for name, age in ((".making-old", 100_000), (".making-now", 0)):
        (place / name).mkdir(parents=True)
        (place / name / "all.npy").touch()
        then = time.time() - age
        os.utime(place / name, (then, then))
    load_dataset(str(photos))
    assert [path.name for path in place.glob(".making-*")] == [".making-now"]
