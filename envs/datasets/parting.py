"""Which images go into which split: class by class, evenly, and the same for everyone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .errors import DatasetError

# What a split may be called in a folder, an archive or another library's set.
SPLIT_NAMES = {
    "train": "train",
    **dict.fromkeys(("validation", "val", "valid"), "validation"),
    "test": "test",
}


def parted(
    labels: np.ndarray, shares: Mapping[str, float], name: str, seed: int = 0
) -> dict[str, np.ndarray]:
    """Part images into train, validation and test; indices in rising order by split.

    labels: int64 (N,).
    shares: of N, for `validation` and `test`; 0, or none, leaves that split out.
    name: opens the message of an error.
    seed: which images go where; the same on every machine and with every version of NumPy.
    Raises DatasetError for shares that are none, or leave a split empty.
    """
    validation, test = (shares.get(split, 0) for split in ("validation", "test"))
    for share_name, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1:
            raise DatasetError(f"{name}: {share_name}={share} is no share; give 0 <= x < 1")
    if validation + test >= 1:
        raise DatasetError(
            f"{name}: validation={validation} and test={test} leave nothing to train on"
        )
    order = _shuffled_by_class(labels, seed)
    in_test = _even_share(len(order), test)
    rest = order[~in_test]
    in_validation = _even_share(len(rest), validation / (1 - test))
    chosen = {"train": rest[~in_validation]}
    if validation:
        chosen["validation"] = rest[in_validation]
    if test:
        chosen["test"] = order[in_test]
    for split, members in chosen.items():
        if len(members) == 0:
            raise DatasetError(
                f"{name}: of {len(labels)} images none is left for {split}; give more images "
                f"or other shares (validation={validation}, test={test})"
            )
    return {split: np.sort(members) for split, members in chosen.items()}


def _shuffled_by_class(labels: np.ndarray, seed: int) -> np.ndarray:
    """Indices (N,), one class after the other, each class in a random order of its own.

    The order is by raw words of a named bit generator: unlike the methods of `Generator`, their
    stream is promised never to change, and the test set should be the same for everyone, always.
    """
    keys = np.random.PCG64(seed).random_raw(len(labels))
    return np.lexsort((keys, labels))


def _even_share(count: int, share: float) -> np.ndarray:
    """A mask (count,) that takes `share` of the places, spread evenly.

    Over indices sorted by class, each class gives its share to within one.
    """
    marks = np.floor(np.arange(count + 1) * share + 0.5)
    return np.diff(marks) > 0
