"""Attacks by name: bombs, lying headers, code where data should be, paths that climb out.

Each runs in a process of its own whose memory is limited, so that what is out of proportion to a
file's size fails there.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import lzma
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from fuzz.targets import TARGETS, Refused, checked_again, written
from saccade.agents.cli import main
from saccade.agents.runs import RunFolder

ROOM = 600 << 20  # bytes that reading may take
BOMB = 1 << 30  # what a bomb unpacks to

LIMITED = """
import resource, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from fuzz.targets import TARGETS, Refused
target = TARGETS[{name!r}]
for seed in target.seeds():
    target(seed)
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + {room}
resource.setrlimit(resource.RLIMIT_AS, (most, most))
for file in sys.argv[1:]:
    try:
        target(Path(file).read_bytes())
        print("read")
    except Refused as error:
        print(error)
"""


def refused(name: str, *files: Path) -> list[str]:
    """What a reader says of files, in little memory and no more than a minute."""
    code = LIMITED.format(tests=str(Path(__file__).parent.parent), name=name, room=ROOM)
    run = subprocess.run(
        [sys.executable, "-c", code, *map(str, files)], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout.splitlines()


def zeros(size: int) -> bytes:
    """So many zeros, packed by gzip."""
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0) as packed:
        for _ in range(size >> 20):
            packed.write(bytes(1 << 20))
    return file.getvalue()


def idx_header(*sides: int) -> bytes:
    return bytes([0, 0, 8, len(sides)]) + struct.pack(f">{len(sides)}I", *sides)


needs_proc = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="the limit is set by what /proc tells"
)


@needs_proc
def test_headers_that_claim_too_much_and_bombs_of_gzip(tmp_path):
    bomb = zeros(BOMB)
    files = {
        "claims": idx_header(10**9, 1000, 1),
        "claims-packed": gzip.compress(idx_header(2**32 - 1, 2**32 - 1, 2**32 - 1)),
        # Two members are one file: the header first, then what it does announce.
        "bomb": gzip.compress(idx_header(2 << 10, 1 << 10, 1 << 10)) + bomb,
        "goes-on": gzip.compress(idx_header(3)) + bomb,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    said = refused("idx", *(tmp_path / name for name in files))
    assert "1,073,741,824 values are the most" in said[0] and said[0].count("announces") == 1
    assert "values are the most" in said[1] and "values are the most" in said[2]
    assert "goes on after the 3 values" in said[3]


@needs_proc
def test_an_archive_of_cifar_that_unpacks_without_end(tmp_path):
    bomb = zeros(BOMB)
    named = tarfile.TarInfo("long")
    named.type, named.size = tarfile.GNUTYPE_LONGNAME, BOMB  # a name that is read at once
    noted = tarfile.TarInfo("notes")
    noted.type, noted.size = tarfile.XHDTYPE, BOMB
    skipped = tarfile.TarInfo("cifar-10-batches-bin/other.bin")
    skipped.size = BOMB
    files = []
    for place, member in enumerate((named, noted, skipped)):
        header = member.tobuf(tarfile.GNU_FORMAT)
        files.append(tmp_path / str(place))
        files[-1].write_bytes(gzip.compress(header) + bomb + b"z")
    for said in refused("cifar", *files):
        assert "it claims more than" in said


@needs_proc
def test_an_archive_of_cifar_that_is_packed_twice(tmp_path):
    inner = io.BytesIO()
    with lzma.open(inner, "wb", format=lzma.FORMAT_ALONE) as packed:
        packed.write(bytes(10_000))
    lying = bytearray(inner.getvalue())
    lying[1:5] = struct.pack("<I", 2**32 - 1)  # the size of its dictionary, taken at once
    file = tmp_path / "twice"
    file.write_bytes(gzip.compress(bytes(lying)) + b"z")
    (said,) = refused("cifar", file)
    assert "is damaged" in said


@needs_proc
def test_a_mat_file_that_claims_or_unpacks_too_much(tmp_path):
    def element(kind: int, content: bytes) -> bytes:
        return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)

    def matrix(*sides: int, size: int = 0) -> bytes:
        head = element(6, struct.pack("<II", 9, 0)) + element(5, struct.pack("<4i", *sides))
        head += element(1, b"X") + struct.pack("<II", 2, size)
        return struct.pack("<II", 14, len(head) + size) + head

    header = b"MATLAB 5.0".ljust(124) + b"\0\1IM"
    pack = zlib.compressobj(1)
    bomb = pack.compress(matrix(32, 32, 3, 2**19, size=32 * 32 * 3 * 2**19))
    bomb += b"".join(pack.compress(bytes(1 << 20)) for _ in range(BOMB >> 20)) + pack.flush()
    long = zlib.compress(element(14, element(6, bytes(1 << 24)))[:100])
    files = {
        "claims": matrix(32, 32, 3, 2**31 - 1),
        "negative": matrix(-32, -32, 3, 10),
        "bomb": struct.pack("<II", 15, len(bomb)) + bomb,
        "long": struct.pack("<II", 15, len(long)) + long,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(header + content)
    said = refused("svhn", *(tmp_path / name for name in files))
    assert "for more than" in said[0] and "has sides" in said[1] and "for more than" in said[2]
    assert "1,024 are the most" in said[3]


@needs_proc
def test_an_npz_that_unpacks_too_much_holds_objects_or_climbs_out(tmp_path):
    header = io.BytesIO()
    shape = (BOMB >> 20, 1 << 10, 1 << 10)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    with (
        zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("images.npy", "w") as file,
    ):
        file.write(header.getvalue())
        for _ in range(BOMB >> 20):
            file.write(bytes(1 << 20))
    np.savez(tmp_path / "objects.npz", images=np.array([print], object), labels=np.arange(1))
    with zipfile.ZipFile(tmp_path / "climbs", "w") as archive:
        for name in ("../../images.npy", "/labels.npy"):
            content = io.BytesIO()
            np.save(content, np.zeros(3, np.uint8))
            archive.writestr(name, content.getvalue())
    said = refused("npz", tmp_path / "bomb", tmp_path / "objects.npz", tmp_path / "climbs")
    assert "more than 100 times its size" in said[0]
    assert "could run code" in said[1]
    assert "holds ../../images, /labels: give images" in said[2]  # read there, and never unpacked
    assert sorted(os.listdir(tmp_path)) == ["bomb", "climbs", "objects.npz"]


@needs_proc
def test_pictures_that_unpack_too_much(tmp_path):
    """A side of 30,000 pixels in PNG and JPEG, and texts that unpack to 1 GiB."""
    png, jpeg = TARGETS["picture"].seeds()[5], TARGETS["picture"].seeds()[0]
    wide = struct.pack(">II", 30_000, 30_000)
    at = jpeg.index(b"\xff\xc0") + 5  # height and width
    text = b"zTXtnote\0\0" + zlib.compress(bytes(1 << 30), 1)
    chunk = struct.pack(">I", len(text) - 4) + text + bytes(4)
    files = {
        "wide.png": checked_again(png[:16] + wide + png[24:]),
        "wide.jpg": jpeg[:at] + struct.pack(">HH", 30_000, 30_000) + jpeg[at + 4 :],
        "text.png": checked_again(png[:33] + chunk + png[33:]),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    said = refused("picture", *(tmp_path / name for name in files))
    assert "100,000,000" in said[0] and "100,000,000" in said[1]
    assert len(said) == 3


class Payload:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple:
        return (os.mkdir, ("this-was-run",))


class Room:
    """What makes room for a GiB when it is unpickled; PyTorch lets that pass."""

    def __reduce__(self) -> tuple:
        return (bytearray, (BOMB,))


def checkpoint_with(pickled: bytes) -> Path:
    """A checkpoint whose plan is this pickle."""
    whole = TARGETS["checkpoint"].seeds()[0][:-1]
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as good, zipfile.ZipFile(out, "w") as bad:
        for member in good.infolist():
            own = member.filename.endswith("/data.pkl")
            bad.writestr(member.filename, pickled if own else good.read(member))
    return written("attack.pt", out.getvalue() + b"z")


@needs_proc
def test_checkpoints_that_would_run_code_or_take_too_much(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = []
    for hostile in (Payload(), Room()):
        pickled = pickle.dumps({"kind": "saccade.ram.RAM", "x": hostile}, 2)
        files.append(tmp_path / type(hostile).__name__)
        files[-1].write_bytes(checkpoint_with(pickled).read_bytes())
    whole = TARGETS["checkpoint"].seeds()[0][:-1]
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as good, zipfile.ZipFile(packed, "w", 8) as bad:
        for member in good.infolist():
            bad.writestr(member.filename, good.read(member))
    files.append(tmp_path / "packed")
    files[-1].write_bytes(packed.getvalue() + b"z")
    content = torch.load(io.BytesIO(whole), weights_only=True)
    content["hyperparameters"]["hidden"] = 20_000  # 6 GB of weights that are not in the file
    torch.save(content, tmp_path / "wide")
    files.append(tmp_path / "wide")
    files[-1].write_bytes((tmp_path / "wide").read_bytes() + b"z")
    said = refused("checkpoint", *files)
    assert all("not a checkpoint of plain values" in line for line in said[:2])
    assert "damaged, or not a checkpoint" in said[2]
    assert "does not fit (its network's" in said[3]
    assert not (tmp_path / "this-was-run").exists()


def test_a_strangers_run_of_every_kind_of_agent_runs_no_code(tmp_path, monkeypatch, capsys):
    """SB3's own zip files hold pickles that its loader runs; such a file is refused unread."""
    monkeypatch.chdir(tmp_path)
    bad = io.BytesIO()
    with zipfile.ZipFile(bad, "w") as archive:
        data = {"policy_class": {":type:": "x", ":serialized:": "gASV"}}
        archive.writestr("data", json.dumps(data))
        archive.writestr("policy.pth", pickle.dumps(Payload()))
        archive.writestr("x/data.pkl", pickle.dumps(Payload(), 2))
    contrib = ["recurrent_ppo"] if importlib.util.find_spec("sb3_contrib") else []
    for agent in ("ram", "ppo", "dqn", "cnn", *contrib):
        keywords = "glimpses: 1, reveal: [image], action: dict" if agent == "cnn" else "stop: false"
        text = (
            f"name: x\nenv: {{id: saccade/Digits-v0, {keywords}}}\nagent: {{name: {agent}}}\n"
            "train: {threads: 1}\nseed: 0\ndevice: cpu\n"
        )
        run = RunFolder.create(tmp_path / "runs", agent, 0, text)
        (run.path / "metrics.json").write_text('{"finished": true}')
        for content in (pickle.dumps(Payload()), bad.getvalue()):
            (run.checkpoints / "best.pt").write_bytes(content)
            for command in ("evaluate", "watch", "compare"):
                assert main([command, str(run.path)]) == 2
                error = capsys.readouterr().err
                assert "best.pt: " in error and error.count("\n") == 1, error
    assert not (tmp_path / "this-was-run").exists()


YAMLS = {
    "code": ("seed: !!python/object/apply:os.mkdir [this-was-run]", "could not determine a cons"),
    "a class": ("seed: !!python/name:os.mkdir", "could not determine a constructor"),
    "laughs": (
        "a: &a0 [x, x]\n" + "".join(f"b{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)),
        "unfold to more than 10,000 values",
    ),
    "merges": (
        "a: &a0 {x: 1}\n"
        + "".join(f"b{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 60)),
        "unfold to more than 10,000 values",
    ),
    "within itself": ("seed: &a [*a]", "unfold to more than 10,000 values"),
    "lanes": ("agent: {name: ram, num_envs: 1e12}", "num_envs=1000000000000: a whole number"),
    "many lanes": ("agent: {name: ram, num_envs: 1e9}", "and this machine has"),
    "a canvas": ("agent: {name: ram}\nenv: {id: saccade/Digits-v0, canvas: 1e9}", "would take"),
    "layers": ("agent: {name: ram, hidden: 1e7}", "weights would take"),
    "more layers": ("agent: {name: ram, hidden: 1e15}", "too large: take smaller layers"),
    "a rollout": ("agent: {name: ppo, n_steps: 1e10}", "n_steps=10000000000 of 64 lanes would"),
    "a buffer": ("agent: {name: dqn, buffer_size: 1e12}", "buffer_size=1000000000000 would take"),
    "a policy": (
        "agent: {name: ppo, policy_kwargs: {net_arch: [16384, 16384, 16384]}}",
        "of 268,435,456 weights together",
    ),
    "a seed": ("seed: 100000000000000000000", "'seed' must be at least 0 and below 2**63"),
    "digits": ("seed: " + "9" * 5000, "not valid YAML: Exceeds the limit"),
}


@pytest.mark.parametrize(("text", "message"), YAMLS.values(), ids=YAMLS.keys())
def test_a_config_runs_no_code_and_takes_no_memory(tmp_path, monkeypatch, capsys, text, message):
    monkeypatch.chdir(tmp_path)
    for part in ("env: {id: saccade/Digits-v0}", "agent: {name: ram}"):
        if not any(line.startswith(part[:4]) for line in text.splitlines()):
            text += f"\n{part}"
    Path("x.yaml").write_text(text)
    assert main(["train", "x.yaml"]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and len(error) < 1000
    assert os.listdir() == ["x.yaml"]


@pytest.mark.parametrize("name", ["../../up", "/etc/x", "..", "a/../../b", "\0", "x" * 5000, "."])
def test_a_runs_name_does_not_climb_out_of_its_folder(tmp_path, name):
    root = tmp_path / "deep" / "runs"
    try:
        made = RunFolder.create(root, name, 0, "seed: 0\n").path
    except Exception as error:
        assert type(error).__name__ == "UserError" and "\n" not in str(error)
    else:
        assert made.resolve().parent == root.resolve()
    assert {path.name for path in tmp_path.iterdir()} <= {"deep"}


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "9" * 5000, '{"time": {"cpu_seconds": 1' + "0" * 400 + "}}", "{}", "null"],
)
def test_metrics_of_a_stranger(text):
    with pytest.raises(Refused):
        TARGETS["metrics"](text.encode())
