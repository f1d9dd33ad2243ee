"""Datasets: what they promise, and that unfit arrays and names are refused in one clear line."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.envs.datasets import DATASETS, Dataset, DatasetError, ImageSet, load_dataset
from saccade.envs.datasets.digits import enlarge


def random_images(count, size=(28, 28), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *size), dtype=np.uint8)


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


# ---------------------------------------------------------------- arrays


def test_arrays_of_every_accepted_kind():
    labels = np.arange(30, dtype=np.uint8) % 3
    for shape in [(30, 5, 7), (30, 5, 7, 1), (30, 5, 7, 3)]:
        images = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
        dataset = Dataset.from_arrays(images, labels)
        assert dataset.shape == (5, 7, 3 if shape[3:] == (3,) else 1)
        assert dataset.classes == ("0", "1", "2") and dataset.num_classes == 3
        for part in dataset.splits.values():
            assert part.images.dtype == np.uint8 and part.images.flags.c_contiguous
            assert part.labels.dtype == np.int64 and len(part) == len(part.labels)


def test_floats_in_the_unit_interval_become_bytes():
    images = np.array([0.0, 0.5, 1.0], np.float32)[:, None, None] * np.ones((3, 2, 2), np.float32)
    part = ImageSet(images, [0, 1, 2])
    assert part.images[:, 0, 0, 0].tolist() == [0, 128, 255]


def test_a_dataset_cannot_be_written_and_leaves_the_users_arrays_writable():
    images, labels = random_images(10), np.arange(10)
    part = ImageSet(images, labels)
    with pytest.raises(ValueError):
        part.images[0] = 0
    images[0], labels[0] = 0, 1


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (random_images(4), [0, 1, 2], "4 images, 3 labels"),
        (np.zeros((0, 28, 28), np.uint8), [], "empty"),
        (np.zeros((3, 0, 28), np.uint8), [0, 1, 2], "empty"),
        (random_images(4).reshape(4, 784), np.arange(4), "reshape the rows"),
        (random_images(4, (3, 8, 8)), np.arange(4), "channels come last"),
        (random_images(4, (8, 8, 4)), np.arange(4), r"\(4, 8, 8, 4\)"),
        (random_images(4).astype(np.int64), np.arange(4), "int64; give uint8"),
        (random_images(4) > 9, np.arange(4), "bool; give uint8"),
        (random_images(4).astype(np.float32), np.arange(4), r"scale them to \[0, 1\]"),
        (np.full((2, 4, 4), -0.1), [0, 1], r"scale them to \[0, 1\]"),
        (np.full((2, 4, 4), np.nan), [0, 1], "NaN"),
        (np.full((2, 4, 4), np.inf), [0, 1], "infinite"),
        ([np.zeros((2, 2)), np.zeros((3, 2))], [0, 1], "differ in size"),
        (random_images(2), [0, -1], "label -1 is out of range"),
        (random_images(2), [0, 10**9], "number the classes from 0"),
        (random_images(2), [0.0, 1.0], "float64; give whole numbers"),
        (random_images(2), ["a", "b"], "give whole numbers"),
        (random_images(2), np.eye(2), "argmax"),
    ],
)
def test_unfit_arrays_are_refused(images, labels, words):
    with pytest.raises(DatasetError, match=words) as error:
        Dataset.from_splits({"train": (images, labels)}, name="mine")
    assert one_line(error).startswith("mine, train: ")
    with pytest.raises(DatasetError, match=words):
        load_dataset((images, labels))


def test_unfit_splits_and_shares_are_refused():
    images, labels = random_images(20), np.arange(20) % 4
    with pytest.raises(DatasetError, match="splits are named train, validation, test"):
        Dataset.from_splits({"training": (images, labels)})
    with pytest.raises(DatasetError, match="splits are named"):
        Dataset.from_splits({})
    with pytest.raises(DatasetError, match="differ in size"):
        Dataset.from_splits({"train": (images, labels), "test": (images[:, :20], labels)})
    with pytest.raises(DatasetError, match=r"test: label 3 is out of range, there are 2 classes"):
        Dataset.from_splits({"test": (images, labels)}, classes=("a", "b"))
    with pytest.raises(DatasetError, match="is one word"):
        Dataset.from_arrays(images, labels, classes="abcd")
    for shares in [{"test": -0.1}, {"validation": 1.0}, {"test": float("nan")}]:
        with pytest.raises(DatasetError, match="is no share"):
            Dataset.from_arrays(images, labels, **shares)
    with pytest.raises(DatasetError, match="nothing to train on"):
        Dataset.from_arrays(images, labels, validation=0.5, test=0.5)
    with pytest.raises(DatasetError, match="none is left for"):
        Dataset.from_arrays(images[:2], labels[:2], validation=0.1, test=0.1)
    with pytest.raises(DatasetError, match="has no split 'test', only train"):
        Dataset.from_splits({"train": (images, labels)}).split("test")


def test_a_share_of_zero_leaves_the_split_out():
    dataset = Dataset.from_arrays(random_images(10), np.arange(10) % 2, validation=0, test=0)
    assert list(dataset.splits) == ["train"] and len(dataset.split("train")) == 10


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    validation=st.floats(0.05, 0.45),
    test=st.floats(0.05, 0.45),
    seed=st.integers(0, 3),
)
def test_splits_are_disjoint_exhaustive_and_stratified(counts, validation, test, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    if len(labels) < 20:
        labels = np.tile(labels, 20)
    total = len(labels)
    images = np.arange(total, dtype=np.uint32).view(np.uint8).reshape(total, 2, 2)  # each its own
    dataset = Dataset.from_arrays(images, labels, validation=validation, test=test, seed=seed)
    numbers = {
        name: part.images.reshape(-1, 4).copy().view(np.uint32)[:, 0]
        for name, part in dataset.splits.items()
    }
    assert sorted(np.concatenate(list(numbers.values())).tolist()) == list(range(total))
    shares = {"train": 1 - validation - test, "validation": validation, "test": test}
    whole = np.bincount(labels)
    for name, part in dataset.splits.items():
        assert (np.diff(numbers[name].astype(int)) > 0).all()  # the order of the pile is kept
        assert (part.labels == labels[numbers[name]]).all()
        wanted = shares[name] * whole
        assert (np.abs(np.bincount(part.labels, minlength=len(whole)) - wanted) <= 2).all()


def test_which_images_go_where_depends_on_the_seed_alone():
    images, labels = random_images(50), np.arange(50) % 5
    first, again, other = (Dataset.from_arrays(images, labels, seed=seed) for seed in (0, 0, 1))
    assert (first.split("test").images == again.split("test").images).all()
    assert (first.split("test").images != other.split("test").images).any()


def test_a_deep_copy_is_itself_and_a_pickle_is_equal():
    dataset = load_dataset("digits")
    assert copy.deepcopy({"source": dataset})["source"] is dataset
    twin = pickle.loads(pickle.dumps(dataset))
    assert (twin.name, twin.classes, twin.shape) == (dataset.name, dataset.classes, dataset.shape)
    for name, part in dataset.splits.items():
        assert (twin.split(name).images == part.images).all()
        assert (twin.split(name).labels == part.labels).all()


# ---------------------------------------------------------------- names


def test_load_dataset_takes_a_name_a_dataset_or_arrays():
    assert set(DATASETS) >= {"digits", "mnist", "fashion-mnist"}
    digits = load_dataset("digits")
    assert load_dataset("digits") is digits  # loaded once
    assert load_dataset(digits) is digits
    assert load_dataset((random_images(30), np.arange(30) % 3)).name == "arrays"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("minst", "unknown dataset 'minst': did you mean 'mnist'"),
        ("zebra", "unknown dataset 'zebra': there are digits, mnist, fashion-mnist"),
        (3, "no dataset in int"),
        (random_images(2), "no dataset in ndarray"),
    ],
)
def test_an_unknown_source_is_named(source, words):
    with pytest.raises(DatasetError, match=words):
        load_dataset(source)


def test_digits_are_real_handwriting_of_the_size_of_mnist():
    digits = load_dataset("digits")
    assert digits.shape == (28, 28, 1) and digits.num_classes == 10
    sizes = {name: len(part) for name, part in digits.splits.items()}
    assert sizes == {"train": 1258, "validation": 180, "test": 359}
    labels = np.concatenate([part.labels for part in digits.splits.values()])
    # the counts of the published set
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    images = np.concatenate([part.images for part in digits.splits.values()])
    assert images.max() == 255 and (images == 0).mean() > 0.4
    assert (images[:, [0, -1]] == 0).mean() > 0.9  # strokes keep off the edge
    # the nearest mean image of the training digits names most of the test digits
    means = np.stack([digits.split("train").images[digits.split("train").labels == k].mean(0)
                      for k in range(10)])  # fmt: skip
    test = digits.split("test")
    distances = ((test.images[:, None].astype(float) - means) ** 2).sum((2, 3, 4))
    assert (distances.argmin(1) == test.labels).mean() > 0.85


def test_enlarging_is_smooth_symmetric_and_does_not_overshoot():
    blank, full = enlarge(np.zeros((1, 8, 8), np.int64)), enlarge(np.full((1, 8, 8), 16))
    assert blank.max() == 0
    assert full[0, 4:24, 4:24].min() == 255 and full[0, 0].max() == 0
    small = np.random.default_rng(0).integers(0, 17, (5, 8, 8))
    large = enlarge(small)
    assert (enlarge(small[:, ::-1]) == large[:, ::-1]).all()
    assert (enlarge(small.transpose(0, 2, 1)) == large.transpose(0, 2, 1)).all()
    ramp = enlarge(np.broadcast_to(np.arange(8), (1, 8, 8)) * 2)[0, 14, 4:22].astype(int)
    assert (np.diff(ramp) >= 0).all() and np.diff(ramp).max() < 40
