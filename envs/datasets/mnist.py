"""`mnist` and `fashion-mnist`: 28x28 gray images, 60,000 to train on and 10,000 to test.

Found in `$SACCADE_DATA/<name>/` or in the user's cache folder, else downloaded into the latter.
The last 5,000 of the training file are `validation`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .base import Dataset
from .errors import DatasetError
from .fetch import cache_folder, data_folder, download
from .idx import read_images, read_labels

VALIDATION = 5_000


@dataclass(frozen=True)
class IdxSource:
    """Four IDX files: where they are had, and what must be in them.

    checksums: name of a file without `.gz` -> MD5 of the published `.gz`; training images and
        labels, test images and labels, in this order.
    label_counts: how many images of each class the training and the test file hold.
    """

    name: str
    classes: tuple[str, ...]
    mirrors: tuple[str, ...]
    checksums: dict[str, str]
    label_counts: tuple[tuple[int, ...], tuple[int, ...]]


MNIST = IdxSource(
    name="mnist",
    classes=tuple(str(k) for k in range(10)),
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    checksums={
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    label_counts=(
        (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    ),
)

FASHION_MNIST = IdxSource(
    name="fashion-mnist",
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    mirrors=(
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    checksums={
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    label_counts=((6000,) * 10, (1000,) * 10),
)


def load_mnist() -> Dataset:
    """Handwritten digits (LeCun, Cortes, Burges): train 55,000, validation 5,000, test 10,000."""
    return load_idx_source(MNIST)


def load_fashion_mnist() -> Dataset:
    """Articles of clothing (Xiao, Rasul, Vollgraf 2017): 55,000, 5,000 and 10,000 images."""
    return load_idx_source(FASHION_MNIST)


def load_idx_source(source: IdxSource, validation: int = VALIDATION) -> Dataset:
    """Find or fetch the four files of `source`, check them, and part them into three splits."""
    paths = find_files(source)
    train = _read_pair(paths[0], paths[1], source.label_counts[0], source.name)
    test = _read_pair(paths[2], paths[3], source.label_counts[1], source.name)
    images, labels = train
    return Dataset.from_splits(
        {
            "train": (images[:-validation], labels[:-validation]),
            "validation": (images[-validation:], labels[-validation:]),
            "test": test,
        },
        name=source.name,
        classes=source.classes,
    )


def find_files(source: IdxSource) -> list[Path]:
    """Paths of the four files, in the order of `source.checksums`; missing ones are downloaded."""
    folder = data_folder(source.name)
    if folder is not None:
        found = {stem: _find(folder, stem) for stem in source.checksums}
        missing = [f"{stem}.gz" for stem, path in found.items() if path is None]
        if not missing:
            return [path for path in found.values() if path is not None]
        if len(missing) < len(found):
            # Never mixed with files from elsewhere: whoever began this folder should know.
            raise DatasetError(f"{folder} lacks {', '.join(missing)}: put it beside the others")
    folder = cache_folder() / source.name
    return [_find(folder, stem) or _download(source, stem, folder) for stem in source.checksums]


def _find(folder: Path, stem: str) -> Path | None:
    """The file under one of the names that it goes by: packed, plain, or with the old dot."""
    dotted = stem.replace("-idx", ".idx")
    for name in (f"{stem}.gz", stem, f"{dotted}.gz", dotted):
        if (folder / name).is_file():
            return folder / name
    return None


def _download(source: IdxSource, stem: str, folder: Path) -> Path:
    names = [f"{name}.gz" for name in source.checksums]
    file, md5 = f"{stem}.gz", source.checksums[stem]
    return download(source.name, file, md5, source.mirrors, folder, names)


def _read_pair(
    images_path: Path, labels_path: Path, label_counts: Sequence[int], name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 28, 28) and labels int64 (N,), checked against what was published."""
    most = 2 * sum(label_counts)  # said below more precisely; far more than that is not even read
    images, labels = read_images(images_path, most * 28 * 28), read_labels(labels_path, most)
    if len(images) != len(labels):
        raise DatasetError(
            f"{images_path} holds {len(images):,} images, but {labels_path} {len(labels):,} labels"
        )
    classes = len(label_counts)
    if labels.max() >= classes:
        raise DatasetError(
            f"{labels_path}: label {labels.max()} is out of range, {name} has {classes} classes"
        )
    if images.shape[1:] != (28, 28):
        raise DatasetError(f"{images_path}: images are {images.shape[1:]}, {name}'s are (28, 28)")
    if np.bincount(labels, minlength=classes).tolist() != list(label_counts):
        raise DatasetError(
            f"{labels_path}: {len(labels):,} labels, not as many of each class as {name} has: it "
            "belongs to another set or part; for files of your own use Dataset.from_splits"
        )
    return images, labels
