"""What reads data that strangers wrote, each as a function of bytes, with good bytes to begin with.

A target returns where it could read them and raises `Refused` where it said no in one line of its
own. Anything else that it raises is a bug. The suite and the fuzzer (`run.py`) call them alike.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import json
import os
import shutil
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import scipy.io
from PIL import Image

from saccade.agents import attention, compare, config, groups, train
from saccade.agents.errors import UserError
from saccade.agents.learners import LEARNERS
from saccade.agents.runs import RunFolder
from saccade.envs.datasets import DatasetError, ImageFolder, cifar, svhn
from saccade.envs.datasets import folder as folder_module
from saccade.envs.datasets.idx import read_idx
from saccade.envs.datasets.npz import load_npz
from saccade.envs.datasets.pictures import UNREADABLE, Fitting, open_picture
from saccade.ram import RAM
from saccade.ram.checkpoint import CheckpointError

CORPUS = Path(__file__).parent / "corpus"


class Refused(Exception):
    """Input that was told to be no good, as it should be."""


@dataclass(frozen=True)
class Target:
    """A reader of bytes, and good ones to begin with."""

    read: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    words: tuple[str, ...] = ()  # what stands in good input, for the fuzzer to put together

    def __call__(self, data: bytes) -> None:
        self.read(data)


@contextlib.contextmanager
def refusing(*kinds: type[Exception]) -> Iterator[None]:
    """The readers' own errors as `Refused`, held to one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except kinds as error:
        if not str(error) or "\n" in str(error):
            raise AssertionError(f"not one line: {str(error)!r}") from error
        raise Refused(str(error)) from error


@functools.cache
def scratch() -> Path:
    """A folder of this process, in memory where the system has that."""
    shm = Path("/dev/shm")
    place = tempfile.mkdtemp(prefix="saccade-fuzz-", dir=shm if os.access(shm, os.W_OK) else None)
    return Path(place)


def written(name: str, data: bytes) -> Path:
    file = scratch() / name
    file.write_bytes(data)
    return file


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


# ---------------------------------------------------------------- data sets


def _idx(data: bytes) -> None:
    with refusing(DatasetError):
        array = read_idx(written("idx", data))
    assert array.dtype == np.uint8 and array.size > 0


def _idx_seeds() -> list[bytes]:
    images = b"\0\0\x08\x03" + np.array([3, 4, 5], ">u4").tobytes() + _random(60).tobytes()
    labels = b"\0\0\x08\x01" + np.array([3], ">u4").tobytes() + b"\0\1\2"
    return [images, labels, gzip.compress(images, mtime=0)]


_FEW = 10  # images of a file, in place of 10,000


def _cifar(data: bytes) -> None:
    """Files of records, an archive, or one that is packed here: the last byte says."""
    root = scratch() / "cifar10"
    root.mkdir(exist_ok=True)
    for file in root.iterdir():
        file.unlink()
    data, kind = data[:-1], data[-1:]
    if kind == b"r":
        for name in cifar.FILES:
            (root / name).write_bytes(data)
    else:
        packed = gzip.compress(data, 1) if kind == b"t" else data
        (root / cifar.ARCHIVE).write_bytes(packed)
    small = mock.patch.multiple(cifar, _IMAGES=_FEW, VALIDATION=5)
    with small, mock.patch.dict(os.environ, SACCADE_DATA=str(scratch())), refusing(DatasetError):
        cifar.load_cifar10()


def _cifar_seeds() -> list[bytes]:
    records = _random(_FEW, 1 + 3 * 32 * 32)
    records[:, 0] = np.arange(_FEW)
    records[:, 1:] = 0  # small when packed
    content, archive = records.tobytes(), io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in cifar.FILES:
            member = tarfile.TarInfo(f"{cifar.INSIDE}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    whole = archive.getvalue()
    return [content + b"r", whole + b"t", gzip.compress(whole, mtime=0) + b"z"]


def _svhn(data: bytes) -> None:
    with refusing(DatasetError):
        images, labels = svhn._read(written("train_32x32.mat", data))
    assert len(images) == len(labels)


def _svhn_seeds() -> list[bytes]:
    content = {"X": _random(32, 32, 3, 2) // 200, "y": np.array([[1], [10]], np.uint8)}
    found = []
    for packed in (False, True):
        file = io.BytesIO()
        scipy.io.savemat(file, content, do_compression=packed)
        # Its text tells the time.
        found.append(
            file.getvalue()[:116].replace(b":", b" ")[:30].ljust(116) + file.getvalue()[116:]
        )
    return found


def _npz(data: bytes) -> None:
    with refusing(DatasetError):
        load_npz(written("a.npz", data))


def _npz_seeds() -> list[bytes]:
    images, labels = _random(20, 4, 5), np.arange(20) % 2
    whole = {"images": images, "labels": labels, "classes": np.array(["a", "b"])}
    parted = {"train_images": images, "train_labels": labels[:, None]}
    parted |= {"test_images": images / 255, "test_labels": labels}
    found = []
    for content, save in ((whole, np.savez), (parted, np.savez_compressed)):
        file = io.BytesIO()
        save(file, **content)
        found.append(file.getvalue())
    return found


def _npy(data: bytes) -> None:
    """The header of one array, with all of the archive around it put right."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("images.npy", data)
        labels = io.BytesIO()
        np.save(labels, np.arange(20) % 2)
        file.writestr("labels.npy", labels.getvalue())
    _npz(archive.getvalue())


def _npy_seeds() -> list[bytes]:
    found = []
    for array in (_random(20, 4, 5), _random(20, 4, 5, 3) / np.float32(255)):
        file = io.BytesIO()
        np.save(file, np.asfortranarray(array))
        found.append(file.getvalue())
    return found


# ---------------------------------------------------------------- pictures


def _picture(data: bytes) -> None:
    """A JPEG or PNG, the checksums of its chunks put right again."""
    with refusing(*UNREADABLE), open_picture(io.BytesIO(checked_again(data))) as picture:
        assert Fitting(8)(picture, 3).shape == (8, 8, 3)


def checked_again(content: bytes) -> bytes:
    """A PNG with the checksum of every chunk put right; anything else as it is."""
    if not content.startswith(b"\x89PNG"):
        return content
    out, at = content[:8], 8
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if size > len(content) - at - 12:
            break
        chunk = content[at + 4 : at + 8 + size]
        out += content[at : at + 4] + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        at += 12 + size
    return out + content[at:]


def _encoded(picture: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


@functools.cache
def _picture_seeds() -> list[bytes]:
    colour = Image.fromarray(_random(6, 7, 3))
    exif = colour.getexif()
    exif[274], exif[271] = 6, "maker"
    return [
        _encoded(colour, "JPEG", exif=exif),
        _encoded(colour.convert("L"), "JPEG", progressive=True),
        _encoded(colour.convert("CMYK"), "JPEG"),
        _encoded(colour, "PNG", exif=exif),
        _encoded(colour.convert("P"), "PNG", transparency=3),
        _encoded(colour.convert("LA"), "PNG"),
        _encoded(Image.new("I;16", (5, 4), 700), "PNG"),
    ]


def _folder(data: bytes) -> None:
    """A folder of pictures: lines of a path and what lies there, which `p` makes a picture."""
    root = scratch() / "folder"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for line in data.split(b"\n")[:30]:
        name, _, kind = line.partition(b"=")
        parts = [part[:80] for part in name.split(b"/")[:4] if part.strip(b".") and 0 not in part]
        place = Path(os.fsdecode(b"/".join(parts)) or "x")
        try:
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            if kind.startswith(b"l"):
                (root / place).symlink_to(os.fsdecode(kind[1:].replace(b"\0", b"")) or ".")
            else:
                content = _picture_seeds()[5] if kind == b"p" else kind
                (root / place).write_bytes(content)
        except OSError:
            continue
    kept = scratch() / "kept"
    shutil.rmtree(kept, ignore_errors=True)
    with mock.patch.object(folder_module, "cache_folder", lambda: kept), refusing(DatasetError):
        found = ImageFolder(image_size=4).load(root)
    assert found.num_classes >= 1


def _folder_seeds() -> list[bytes]:
    names = [f"{kind}/{i}.png=p" for kind in "ab" for i in range(5)]
    split = [f"{part}/{name}" for part in ("train", "test") for name in names]
    odd = [*names, "a/cut.png=x", "a/link=l../b", "loop=lloop", "a/again=l.", ".b/1.png=p"]
    return ["\n".join(lines).encode() for lines in (names, split, odd)]


# ---------------------------------------------------------------- configs, checkpoints, runs

_SMALL = """\
env: {id: saccade/Digits-v0, glimpses: 2}
agent: {name: ram, num_envs: 4, what: 4, where: 4, glimpse_features: 4, hidden: 4, core: lstm}
train: {total_timesteps: 100, eval_freq: 50, threads: 1, picture_images: 0}
seed: 0
"""
_CONFIGS = (
    _SMALL,
    """\
name: x
env:
  id: saccade/ClutteredDigits-v0
  canvas: [40, 44]
  pieces: 2
  action: grid
  grid: [3, 3]
  sensor: logpolar
  rings: 4
agent:
  name: ppo
  num_envs: 4
  n_steps: 8
  batch_size: 8
  policy_kwargs: {net_arch: {pi: [8], vf: [8]}, activation_fn: ReLU}
train: {total_timesteps: 1e3, eval_freq: 2_000, threads: 1}
""",
    """\
env: {id: saccade/TranslatedDigits-v0, canvas: 40, reveal: [image]}
agent: {name: cnn, num_envs: 4, learning_rate: 1e-3}
device: cpu
""",
)


def _config(data: bytes) -> None:
    """All that `saccade train FILE` does before it makes its folder."""
    file = written("config.yaml", data)
    with refusing(UserError):
        found = config.load(file)
        env = train._training_env(found)
        try:
            train._make_learner(found, env)
        finally:
            env.close()
        for env in train._evaluation_envs(found):
            if env is not None:
                env.close()
    text = found.to_yaml()
    assert config.load(written("config.yaml", text.encode())).to_yaml() == text


def _config_words() -> tuple[str, ...]:
    names = [*config.env_ids(), *LEARNERS, *config.env_parameters("saccade/Digits-v0")]
    odd = [
        "1e18",
        "-1",
        ".nan",
        ".inf",
        "null",
        "!!python/name:os.system",
        "&a",
        "*a",
        "<<",
        "true",
    ]
    return (*names, *odd, "[1, 2]", "{a: b}", "99999999999", "!!binary", "2024-01-01")


def _checkpoint(data: bytes) -> None:
    """A checkpoint of RAM: a file of the last byte's kind, or its pickle put into a good file."""
    data, kind = data[:-1], data[-1:]
    content = data
    if kind == b"p":
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(_saved())) as good, zipfile.ZipFile(out, "w") as bad:
            for member in good.infolist():
                own = member.filename.endswith("/data.pkl")
                bad.writestr(member.filename, data if own else good.read(member))
        content = out.getvalue()
    with refusing(CheckpointError):
        RAM.load(written("a.pt", content))


@functools.cache
def _small() -> config.Config:
    return config.load(written("small.yaml", _SMALL.encode()))


@functools.cache
def _saved() -> bytes:
    """A checkpoint of a RAM of a few weights."""
    file = scratch() / "small.pt"
    env = train._training_env(_small())
    train._make_learner(_small(), env).learn(8).save(file)
    env.close()
    return file.read_bytes()


def _checkpoint_seeds() -> list[bytes]:
    whole = _saved()
    with zipfile.ZipFile(io.BytesIO(whole)) as file:
        (inner,) = (file.read(name) for name in file.namelist() if name.endswith("/data.pkl"))
    return [whole + b"z", inner + b"p"]


def _metrics(data: bytes) -> None:
    """metrics.json of a run as `saccade compare` reads it; nothing is evaluated anew."""
    (_run() / "metrics.json").write_bytes(data)

    def anew(*args: object, **keywords: object) -> None:
        raise UserError("would be evaluated anew")

    run = RunFolder.open(_run())
    quiet = contextlib.redirect_stderr(io.StringIO())
    with mock.patch.object(compare, "evaluate_run", anew), quiet, refusing(UserError):
        run.metrics()
        seed = compare._seed(run, _small(), 8, "validation", 1, None)
        groups.pool("small", [seed.rows["learned"]] * 2)


@functools.cache
def _run() -> Path:
    """A run folder of that RAM."""
    run = RunFolder.create(scratch() / "runs", "small", 0, _small().to_yaml())
    (run.checkpoints / "best.pt").write_bytes(_saved())
    return run.path


def _metrics_seeds() -> list[bytes]:
    interval = [0.5, 0.4, 0.6]
    measured = {name: 0.5 for name in attention.MEASURES}
    row = {"name": "learned", "error": interval, "reward": interval, "glimpses": 2.0}
    row |= {"sensor_values": 128.0, "behind": None, "attention": measured}
    row |= {"attention_map": "glimpses", "reports": {}}
    row["scanpath"] = dict.fromkeys(
        ("on_target", "ever_on_target", "first_on_target", "amplitude", "revisits", "entropy"), 0.5
    ) | {"distinct_pixels": 9.0}
    entry = {"env": "saccade/Digits-v0", "checkpoint": "best", "placements": 1, "timesteps": 8}
    entry |= {"scenes": 180, "images": 180, "rows": [row, row | {"name": "random"}]}
    entry["priors"] = {"centre": measured}
    found = {"name": "small", "finished": True, "timesteps": 8, "time": {"cpu_seconds": 1.5}}
    return [json.dumps(found | {"evaluations": {"validation": entry}}).encode()]


TARGETS: dict[str, Target] = {
    "idx": Target(_idx, _idx_seeds),
    "cifar": Target(_cifar, _cifar_seeds),
    "svhn": Target(_svhn, _svhn_seeds),
    "npz": Target(_npz, _npz_seeds),
    "npy": Target(_npy, _npy_seeds, ("descr", "fortran_order", "shape", "'|O'", "(1,", "<f8")),
    "picture": Target(_picture, _picture_seeds, ("IHDR", "IDAT", "tRNS", "eXIf", "iCCP", "zTXt")),
    "folder": Target(_folder, _folder_seeds, ("train/", "test/", "val/", ".png=p", "=l../")),
    "config": Target(_config, lambda: [text.encode() for text in _CONFIGS], _config_words()),
    "checkpoint": Target(_checkpoint, _checkpoint_seeds),
    "metrics": Target(
        _metrics, _metrics_seeds, ("null", "NaN", "1e999", "[]", "{}", "evaluations")
    ),
}
