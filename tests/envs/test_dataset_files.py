"""Data files: found, fetched, read and checked; damaged or misplaced ones are refused by name."""

import functools
import gzip
import hashlib
import http.server
import os
import struct
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.envs.datasets import DatasetError, load_dataset
from saccade.envs.datasets import fetch as fetch_module
from saccade.envs.datasets import mnist as mnist_module
from saccade.envs.datasets.idx import read_idx, read_images, read_labels
from saccade.envs.datasets.mnist import MNIST, find_files, load_idx_source, load_mnist

REAL_MNIST = Path(os.environ.get("SACCADE_DATA", ""), "mnist", "train-images-idx3-ubyte.gz")
needs_mnist = pytest.mark.skipif(
    not (os.environ.get("SACCADE_DATA") and REAL_MNIST.is_file()),
    reason="needs real MNIST: SACCADE_DATA names no folder with mnist/train-images-idx3-ubyte.gz",
)


def random_images(count, size=(28, 28), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *size), dtype=np.uint8)


def idx_bytes(array):
    array = np.asarray(array)
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


# ---------------------------------------------------------------- one file


@pytest.mark.parametrize("pack", [gzip.compress, bytes], ids=["packed", "plain"])
def test_idx_files_are_read_packed_or_plain_whatever_their_name(tmp_path, pack):
    images, labels = random_images(3, (4, 5)), np.array([2, 0, 1])
    for name, array, read in [("a.gz", images, read_images), ("b", labels, read_labels)]:
        (tmp_path / name).write_bytes(pack(idx_bytes(array)))
        assert (read(tmp_path / name) == array).all()
    assert read_labels(tmp_path / "b").dtype == np.int64


IMAGES, LABELS = idx_bytes(random_images(3)), idx_bytes([0, 1, 2])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no IDX file"),
        (b"<!DOCTYPE html>", "no IDX file .wrong magic number.: it starts with b.<!DO"),
        (b"\x00\x01" + IMAGES[2:], "wrong magic number"),
        (b"\0\0\x0d" + IMAGES[3:], "type 0x0d where unsigned bytes"),
        (IMAGES[:9], "ends within its header"),
        (b"\0\0\x08\0", "ends within its header"),
        (IMAGES[:-1], r"truncated: it holds 2,351 values, its header announces 2,352"),
        (IMAGES + b"\0", "goes on after the 2,352 values"),
        (gzip.compress(IMAGES, mtime=0)[:-20], "truncated or damaged"),
        (gzip.compress(IMAGES, mtime=0)[:5], "truncated or damaged"),
        (b"\x1f\x8b" + b"junk" * 20, "truncated or damaged"),
        (b"\0\0\x08\3" + struct.pack(">3I", 0, 28, 28), "empty"),
        (b"\0\0\x08\3" + struct.pack(">3I", *[2**32 - 1] * 3), "values are the most"),
        (LABELS, "holds labels .* where images .* mislabelled"),
        (idx_bytes(np.zeros((2, 2))), "holds 2 dimensions"),
    ],
)
def test_hostile_image_files_are_refused_by_name(tmp_path, content, words):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=words) as error:
        read_images(path)
    assert str(path) in one_line(error)


def test_images_where_labels_should_be_and_missing_files_are_refused_by_name(tmp_path):
    path = tmp_path / "train-labels-idx1-ubyte"
    path.write_bytes(IMAGES)
    with pytest.raises(DatasetError, match=f"{path} holds images .* where labels"):
        read_labels(path)
    with pytest.raises(DatasetError, match="absent cannot be read: No such file"):
        read_idx(tmp_path / "absent")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_idx(tmp_path)


@given(st.binary(max_size=200))
def test_random_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "noise"
    for data in (content, b"\0\0\x08" + content, b"\x1f\x8b\x08" + content):
        path.write_bytes(data)
        try:
            array = read_idx(path)
        except DatasetError as error:
            assert str(path) in str(error)
        else:
            assert array.dtype == np.uint8 and array.size > 0


# ---------------------------------------------------------------- MNIST and its relatives


def small_source(mirrors=()):
    """A source like MNIST with 20 training and 10 test images, and the bytes of its files."""
    labels = {"train": np.arange(20) % 10, "t10k": np.arange(10)}
    files = {}
    for part, values in labels.items():
        files[f"{part}-images-idx3-ubyte"] = idx_bytes(random_images(len(values)))
        files[f"{part}-labels-idx1-ubyte"] = idx_bytes(values)
    packed = {stem: gzip.compress(content) for stem, content in files.items()}
    sums = {
        stem: hashlib.md5(content, usedforsecurity=False).hexdigest()
        for stem, content in packed.items()
    }
    source = replace(
        MNIST, name="small", mirrors=mirrors, checksums=sums, label_counts=((2,) * 10, (1,) * 10)
    )
    return source, files, packed


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """An empty data folder and an empty cache, in place of the user's."""
    data, cache = tmp_path / "data", tmp_path / "cache"
    monkeypatch.setenv("SACCADE_DATA", str(data))
    monkeypatch.setattr(mnist_module, "cache_folder", lambda: cache)
    return data, cache


def write(folder, files, suffix=".gz"):
    folder.mkdir(parents=True, exist_ok=True)
    for stem, content in files.items():
        (folder / f"{stem}{suffix}").write_bytes(content)


@pytest.mark.parametrize("place", [0, 1], ids=["SACCADE_DATA", "cache"])
@pytest.mark.parametrize("kind", ["packed", "plain", "dotted"])
def test_files_are_found_under_their_usual_names(folders, place, kind):
    source, plain, packed = small_source()
    if kind == "packed":
        write(folders[place] / "small", packed)
    else:
        dot = {stem.replace("-idx", ".idx"): content for stem, content in plain.items()}
        write(folders[place] / "small", dot if kind == "dotted" else plain, suffix="")
    dataset = load_idx_source(source, validation=5)
    assert {name: len(part) for name, part in dataset.splits.items()} == {
        "train": 15,
        "validation": 5,
        "test": 10,
    }
    assert dataset.split("validation").labels.tolist() == [5, 6, 7, 8, 9]  # the file's last


def test_a_folder_that_lacks_a_file_is_not_filled_from_elsewhere(folders):
    source, _, packed = small_source()
    write(folders[1] / "small", packed)
    missing = "t10k-labels-idx1-ubyte"
    write(folders[0] / "small", {stem: c for stem, c in packed.items() if stem != missing})
    with pytest.raises(DatasetError, match=f"small lacks {missing}.gz: put it beside"):
        find_files(source)


@pytest.mark.parametrize(
    ("stem", "content", "words"),
    [
        ("train-labels-idx1-ubyte", np.arange(19) % 10, "20 images, but .* 19 labels"),
        ("train-labels-idx1-ubyte", np.arange(20) % 11, "label 10 is out of range, small has 10"),
        ("train-labels-idx1-ubyte", np.arange(20) % 5, "belongs to another set or part"),
        ("t10k-images-idx3-ubyte", random_images(10, (20, 20)), r"images are \(20, 20\)"),
        ("t10k-images-idx3-ubyte", np.arange(10), "holds labels"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(folders, stem, content, words):
    source, _, packed = small_source()
    write(folders[0] / "small", {**packed, stem: idx_bytes(content)})
    with pytest.raises(DatasetError, match=words) as error:
        load_idx_source(source, validation=5)
    assert f"{stem}.gz" in one_line(error)


def test_without_a_network_the_message_says_which_files_go_where(folders, monkeypatch):
    import pooch

    tried = []

    def no_network(url, **kwargs):
        tried.append(url)
        raise ConnectionError("name resolution\nfailed")

    monkeypatch.setattr(pooch, "retrieve", no_network)
    with pytest.raises(DatasetError) as error:
        load_mnist()
    text = one_line(error)
    assert len(tried) == len(MNIST.mirrors)
    assert "mnist is not on this machine" in text and "ConnectionError" in text
    assert str(folders[1] / "mnist") in text and "SACCADE_DATA" in text
    assert all(f"{stem}.gz" in text for stem in MNIST.checksums)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """The address of a web server on this machine, and the folder that it serves."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    root = tmp_path / "mirror"

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(root))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", root
        server.shutdown()


def test_files_are_downloaded_once_from_the_first_mirror_that_has_them_right(folders, mirror):
    address, root = mirror
    source, _, packed = small_source((f"{address}absent/", f"{address}damaged/", f"{address}good/"))
    write(root / "good", packed)
    write(root / "damaged", {stem: content[:-1] for stem, content in packed.items()})
    first = load_idx_source(source, validation=5)
    for path in (root / "good").iterdir():
        path.unlink()
    again = load_idx_source(source, validation=5)
    assert (first.split("test").images == again.split("test").images).all()
    assert sorted(path.name for path in (folders[1] / "small").iterdir()) == sorted(
        f"{stem}.gz" for stem in packed
    )


def test_a_download_with_the_wrong_checksum_is_not_kept(folders, mirror):
    address, root = mirror
    source, _, packed = small_source((f"{address}damaged/",))
    write(root / "damaged", {stem: content[:-1] for stem, content in packed.items()})
    with pytest.raises(DatasetError, match="damaged/: wrong checksum"):
        load_idx_source(source, validation=5)
    assert not list((folders[1] / "small").glob("*.gz"))


class Hostile(http.server.BaseHTTPRequestHandler):
    """A server that breaks off, stalls, trickles or does not end, by the path's first part."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        how = self.path.split("/")[1]
        self.send_response(200)
        if how == "cut":
            self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"begun")
        while how != "cut" and not self.server.over.wait(0.01):
            if how != "stall":
                try:
                    self.wfile.write(b"." if how == "trickle" else bytes(1 << 16))
                except OSError:
                    return


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("cut", "cut/: (.*after 5 bytes|wrong checksum)"),
        ("stall", "stall/: ReadTimeoutError after 5 bytes"),
        ("trickle", "trickle/: only .* bytes in"),
        ("flood", "flood/: more than 300,000 bytes"),
        ("nothing", "nothing/: ConnectionError"),
    ],
)
def test_a_download_that_fails_leaves_nothing(folders, monkeypatch, how, words):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(fetch_module, "PATIENCE", 0.2)
    monkeypatch.setattr(fetch_module, "MOST_BYTES", 300_000)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        server.over = threading.Event()
        port = server.server_port
        if how == "nothing":
            server.socket.close()
        else:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        source, _, _ = small_source((f"http://127.0.0.1:{port}/{how}/",))
        with pytest.raises(DatasetError, match=words) as error:
            load_idx_source(source, validation=5)
        one_line(error)
        server.over.set()
        if how != "nothing":
            server.shutdown()
    assert not list((folders[1] / "small").iterdir())


@needs_mnist
def test_real_mnist_is_what_was_published():
    dataset = load_dataset("mnist")
    assert dataset.shape == (28, 28, 1) and dataset.num_classes == 10
    sizes = {name: len(part) for name, part in dataset.splits.items()}
    assert sizes == {"train": 55_000, "validation": 5_000, "test": 10_000}
    train = np.concatenate([dataset.split(name).labels for name in ("train", "validation")])
    assert train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert dataset.split("test").labels[:5].tolist() == [7, 2, 1, 0, 4]
    images = np.concatenate([dataset.split(name).images for name in ("train", "validation")])
    assert images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)  # the figures everyone uses
    assert images.std() / 255 == pytest.approx(0.3081, abs=5e-5)
    digest = hashlib.sha256(idx_bytes(images[..., 0])).hexdigest()
    assert digest == "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"


@needs_mnist
def test_mnist_under_another_sets_name_is_refused(folders, monkeypatch):
    folder = folders[0] / "fashion-mnist"
    folder.parent.mkdir()
    folder.symlink_to(REAL_MNIST.parent)
    with pytest.raises(DatasetError, match="belongs to another set"):
        load_idx_source(mnist_module.FASHION_MNIST)
