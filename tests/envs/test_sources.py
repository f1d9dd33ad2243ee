"""CIFAR-10, SVHN, `.npz`, other libraries' sets: read from files made here, or refused by name."""

from __future__ import annotations

import io
import tarfile
import zipfile

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

import saccade.envs.datasets.cifar as cifar_module
import saccade.envs.datasets.svhn as svhn_module
from saccade.envs import from_huggingface, from_torch
from saccade.envs.datasets import DatasetError, ImageFolder, load_dataset
from saccade.envs.datasets.npz import load_npz


def one_line(error) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


# ---------------------------------------------------------------- CIFAR-10


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """The binary distribution's six files, with ten images of each class a file."""
    monkeypatch.setattr(cifar_module, "_IMAGES", 100)
    monkeypatch.setattr(cifar_module, "VALIDATION", 50)
    monkeypatch.setenv("SACCADE_DATA", str(tmp_path))
    folder = tmp_path / "cifar10"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in cifar_module.FILES:
        records = rng.integers(0, 256, (100, 3073), np.uint8)
        records[:, 0] = np.arange(100) % 10
        (folder / name).write_bytes(records.tobytes())
    return folder


def test_cifar10_is_read_plane_by_plane(cifar):
    data = cifar_module.load_cifar10()
    assert data.classes[:3] == ("airplane", "automobile", "bird") and data.shape == (32, 32, 3)
    sizes = {name: len(part) for name, part in data.splits.items()}
    assert sizes == {"train": 450, "validation": 50, "test": 100}
    content = (cifar / "data_batch_3.bin").read_bytes()
    record = content[7 * 3073 : 8 * 3073]
    image = data.split("train").images[207]
    assert data.split("train").labels[207] == record[0] == 7
    for row, column, channel in ((0, 0, 0), (31, 30, 1), (5, 17, 2)):
        assert image[row, column, channel] == record[1 + 1024 * channel + 32 * row + column]


def test_cifar10_is_read_from_its_archive_without_unpacking(cifar, tmp_path, monkeypatch):
    archive = tmp_path / cifar_module.ARCHIVE
    with tarfile.open(archive, "w:gz") as tar:
        for name in cifar_module.FILES:
            tar.add(
                cifar / name, f"../{cifar_module.INSIDE}/{name}"
            )  # climbs out: nothing is written
    plain = cifar_module.load_cifar10()
    for file in cifar.iterdir():
        file.unlink()
    monkeypatch.setattr(cifar_module, "find_or_download", lambda *_: [archive])
    packed = cifar_module.load_cifar10()
    assert np.array_equal(plain.split("test").images, packed.split("test").images)
    archive.write_bytes(archive.read_bytes()[:-4000])
    with pytest.raises(DatasetError, match=r"damaged|lacks") as error:
        cifar_module.load_cifar10()
    one_line(error)


def test_cifar10_files_that_are_not_its_own_are_refused(cifar):
    (cifar / "data_batch_2.bin").unlink()
    with pytest.raises(DatasetError, match=r"lacks data_batch_2\.bin"):
        cifar_module.load_cifar10()
    (cifar / "data_batch_2.bin").write_bytes(b"short")
    with pytest.raises(DatasetError, match="5 bytes"):
        cifar_module.load_cifar10()
    (cifar / "data_batch_2.bin").write_bytes(bytes([11]) * 307_300)
    with pytest.raises(DatasetError, match="label 11 is out of range"):
        cifar_module.load_cifar10()


def test_cifar10_needs_as_many_of_each_class_as_it_has(cifar):
    records = np.frombuffer((cifar / "test_batch.bin").read_bytes(), np.uint8).reshape(100, 3073)
    records = records.copy()
    records[0, 0] = 1
    (cifar / "test_batch.bin").write_bytes(records.tobytes())
    with pytest.raises(DatasetError, match=r"test_batch\.bin hold"):
        cifar_module.load_cifar10()


# ---------------------------------------------------------------- SVHN


@pytest.fixture
def svhn(tmp_path, monkeypatch):
    monkeypatch.setenv("SACCADE_DATA", str(tmp_path))
    folder = tmp_path / "svhn"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, count in (("train_32x32.mat", 100), ("test_32x32.mat", 30)):
        labels = np.arange(count)[:, None] % 10 + 1
        images = rng.integers(0, 256, (32, 32, 3, count), np.uint8)
        scipy.io.savemat(folder / name, {"X": images, "y": labels.astype(np.uint8)})
    return folder


def test_svhn_s_ten_is_a_nought_and_its_images_are_in_order(svhn):
    data = svhn_module.load_svhn()
    sizes = {name: len(part) for name, part in data.splits.items()}
    assert sizes == {"train": 90, "validation": 10, "test": 30}
    assert sorted(data.split("validation").labels) == list(range(10))
    content = scipy.io.loadmat(svhn / "test_32x32.mat")
    test = data.split("test")
    assert test.labels[9] == 0 and test.labels[0] == 1
    assert np.array_equal(test.images[9], content["X"][:, :, :, 9])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"X": np.zeros((32, 32, 1, 4), np.uint8), "y": np.ones((4, 1))}, "not uint8 32x32x3xN"),
        ({"X": np.zeros((32, 32, 3, 4)), "y": np.ones((4, 1))}, "not uint8 32x32x3xN"),
        ({"X": np.zeros((32, 32, 3, 4), np.uint8), "y": np.ones((3, 1))}, "does not go with"),
        ({"X": np.zeros((32, 32, 3, 4), np.uint8)}, "does not go with"),
        ({"X": np.zeros((32, 32, 3, 4), np.uint8), "y": np.zeros((4, 1))}, "not 1 to 10"),
    ],
    ids=["gray", "floats", "fewer labels", "no labels", "a label of nought"],
)
def test_other_mat_files_are_refused(svhn, content, message):
    scipy.io.savemat(svhn / "train_32x32.mat", content)
    with pytest.raises(DatasetError, match=message) as error:
        svhn_module.load_svhn()
    one_line(error)


@pytest.mark.parametrize("content", [b"", b"text", bytes(200)])
def test_no_mat_files_are_refused(svhn, content):
    (svhn / "train_32x32.mat").write_bytes(content)
    with pytest.raises(DatasetError, match=r"train_32x32\.mat") as error:
        svhn_module.load_svhn()
    one_line(error)


# ---------------------------------------------------------------- .npz


def arrays(count: int = 40) -> dict:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 9, 8, 3), np.uint8)
    return {"images": images, "labels": np.arange(count) % 4}


def test_an_archive_is_parted_or_has_splits_of_its_own(tmp_path):
    file = tmp_path / "mine.npz"
    np.savez_compressed(file, **arrays(), classes=np.array(["a", "b", "c", "d"]))
    data = load_dataset(str(file))
    assert data.name == "mine" and data.classes == ("a", "b", "c", "d")
    assert sum(map(len, data.splits.values())) == 40
    medical = tmp_path / "medical.npz"
    content = {}
    for split, count in (("train", 20), ("val", 8), ("test", 12)):
        one = arrays(count)
        content[f"{split}_images"], content[f"{split}_labels"] = (
            one["images"],
            one["labels"][:, None],
        )
    np.savez(medical, **content)
    sizes = {name: len(part) for name, part in load_dataset(medical).splits.items()}
    assert sizes == {"train": 20, "validation": 8, "test": 12}
    del content["val_images"], content["val_labels"]
    np.savez(medical, **content)
    without = load_npz(medical)
    sizes = {name: len(part) for name, part in without.splits.items()}
    assert sizes == {"train": 18, "validation": 2, "test": 12}
    shown = np.concatenate([without.split(name).images for name in ("train", "validation")])
    assert sorted(map(bytes, shown)) == sorted(map(bytes, content["train_images"]))


def test_archives_that_lie_or_hold_code_are_refused(tmp_path):
    file = tmp_path / "bad.npz"
    np.savez(file, images=np.array([print], object), labels=np.arange(1))
    with pytest.raises(DatasetError, match="could run code"):
        load_npz(file)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 1000, 1000, 3)}
    )
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("images.npy", header.getvalue() + b"few")
    with pytest.raises(DatasetError, match="its header says"):
        load_npz(file)
    for content in (b"", b"PK", b"no archive", file.read_bytes()[:60]):
        file.write_bytes(content)
        with pytest.raises(DatasetError, match=r"bad\.npz") as error:
            load_npz(file)
        one_line(error)
    np.savez(file, pictures=np.zeros(3))
    with pytest.raises(DatasetError, match="holds pictures: give images and labels"):
        load_npz(file)
    np.savez(file, images=np.asfortranarray(arrays()["images"]), labels=arrays()["labels"])
    found = load_npz(file).split("train")
    assert np.array_equal(found.images[0], arrays()["images"][_place(found.images[0])])


def _place(image: np.ndarray) -> int:
    return int((arrays()["images"] == image).all(axis=(1, 2, 3)).argmax())


# ---------------------------------------------------------------- other libraries'


class Items(torch.utils.data.Dataset):
    """A map-style data set of what it is given."""

    def __init__(self, images):
        self.images = images
        self.classes = ["x", "y"]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, place):
        return self.images[place], place % 2


@pytest.mark.parametrize(
    "image",
    [
        torch.full((3, 6, 5), 0.5),
        torch.full((6, 5), 128, dtype=torch.uint8),
        np.full((6, 5, 3), 128, np.uint8),
        Image.new("RGB", (5, 6), (128, 128, 128)),
        Image.new("L", (5, 6), 128),
    ],
    ids=["tensor", "gray tensor", "array", "picture", "gray picture"],
)
def test_torch_data_sets_of_any_kind_of_image(image):
    data = from_torch(Items([image] * 40), name="mine")
    assert data.shape[:2] == (6, 5) and data.classes == ("x", "y")
    assert set(data.split("train").images.ravel()) == {128}


def test_items_of_several_sizes_need_a_fitting():
    images = [Image.new("RGB", (20 + i, 30)) for i in range(20)]
    with pytest.raises(DatasetError, match=r"item 1: is 30x21, the first 30x20.*ImageFolder"):
        from_torch(Items(images))
    assert from_torch(Items(images), ImageFolder(image_size=16)).shape == (16, 16, 3)
    with pytest.raises(DatasetError, match="item 0: no image in str"):
        from_torch(Items(["text"]))


@pytest.mark.parametrize("fitting", [None, ImageFolder(image_size=6)])
def test_gray_pictures_among_others_in_colour(fitting):
    gray = [Image.new("L", (6, 6), 90)] * 20
    assert from_torch(Items(gray), fitting).shape == (6, 6, 1)
    data = from_torch(Items([*gray, *[Image.new("RGB", (6, 6), (9, 8, 7))] * 20]), fitting)
    assert data.shape == (6, 6, 3)
    shown = {tuple(image[0, 0]) for part in data.splits.values() for image in part.images}
    assert shown == {(90, 90, 90), (9, 8, 7)}


def test_torch_data_sets_by_split_keep_their_splits():
    images = list(np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((6, 5, 3), np.uint8))
    data = from_torch({"train": Items(images), "test": Items(images[:6])})
    sizes = {name: len(part) for name, part in data.splits.items()}
    assert sizes == {"train": 36, "validation": 4, "test": 6} and data.classes == ("x", "y")
    assert data.name == "Items" and data.split("test").images[:, 0, 0, 0].tolist() == [*range(6)]
    with pytest.raises(DatasetError, match="no map-style data set in generator"):
        from_torch(iter(()) for _ in ())
    with pytest.raises(DatasetError, match="the set is empty"):
        from_torch([])


class Column:
    names = ("cat", "dog")


class Table:
    """What is used of Hugging Face's `datasets.Dataset`."""

    features = {"image": None, "label": Column}  # noqa: RUF012

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        for place in range(self.count):
            yield {"image": Image.new("RGB", (6, 6), (place, 0, 0)), "label": place % 2}


def test_huggingface_data_sets_and_their_splits():
    data = from_huggingface(Table(40))
    assert data.classes == ("cat", "dog") and sum(map(len, data.splits.values())) == 40
    sizes = {"train": 18, "validation": 2, "test": 6}
    parted = from_huggingface({"train": Table(40)})  # as its own loader of folders gives
    assert set(parted.splits) == {"train", "validation", "test"}
    parted = from_huggingface({"train": Table(20), "test": Table(6), "unlabelled": None})
    assert {name: len(part) for name, part in parted.splits.items()} == sizes
    parted = from_huggingface({"train": Table(18), "valid": Table(2), "test": Table(6)})
    assert {name: len(part) for name, part in parted.splits.items()} == sizes
    with pytest.raises(DatasetError, match="has splits training: name one `train`"):
        from_huggingface({"training": Table(4)})
    with pytest.raises(DatasetError, match="test= is for a single set"):
        from_huggingface({"train": Table(4), "test": Table(4)}, test=0.1)
    with pytest.raises(DatasetError, match="no column 'img', only image, label"):
        from_huggingface(Table(4), image="img")


def test_hugging_face_s_own_library():
    datasets = pytest.importorskip("datasets")
    names = datasets.ClassLabel(names=["cat", "dog"])
    columns = datasets.Features({"img": datasets.Image(), "label": names})
    pictures = [Image.new("RGB", (6, 5), (place, 0, 0)) for place in range(40)]
    content = {"img": pictures, "label": [place % 2 for place in range(40)]}
    table = datasets.Dataset.from_dict(content, features=columns)
    data = from_huggingface(datasets.DatasetDict(train=table), image="img")
    assert data.classes == ("cat", "dog") and data.shape == (5, 6, 3)
    for part in data.splits.values():
        assert np.array_equal(part.images[:, 0, 0, 0] % 2, part.labels)


def test_colour_digits_are_bright_ink_on_dark_paper():
    part, gray = (load_dataset(name).split("test") for name in ("colour-digits", "digits"))
    ink, paper = gray.images[..., 0] == 255, gray.images[..., 0] == 0
    assert part.images[ink].min() >= 127 and part.images[paper].max() <= 90
    assert np.array_equal(part.labels, gray.labels)
    means = part.images.mean(axis=(1, 2))
    assert means.std(axis=0).min() > 5  # of all colours
