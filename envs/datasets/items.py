"""Data sets of other libraries, by their items: PyTorch's map-style ones and Hugging Face's.

Neither library is imported: what is given is taken by what it can do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .base import Dataset
from .errors import DatasetError
from .parting import SPLIT_NAMES
from .pictures import Fitting


def from_torch(data: Any, fitting: Fitting | None = None, *, name: str = "", **shares: Any) -> Any:
    """A `Dataset` of a PyTorch map-style data set, whose items are (image, label).

    data: anything with `len` and places from 0 on. An image is a Pillow picture, a tensor or array
        (C, H, W) or (H, W), or an array (H, W, C); bytes, or floats in [0, 1].
    fitting: how pictures of several sizes are brought to one; None: they have one.
    shares: `validation`, `test`, `seed` and `classes` as for `Dataset.from_arrays`; classes are
        those of `data.classes` where it has them.
    Raises DatasetError, naming the item, for what is no image.
    """
    name = name or type(data).__name__
    shares.setdefault("classes", getattr(data, "classes", None))
    items = (data[place] for place in range(len(data)))
    return Dataset.from_arrays(*_arrays(items, fitting, name), name=name, **shares)


def from_huggingface(
    data: Any,
    fitting: Fitting | None = None,
    *,
    image: str = "image",
    label: str = "label",
    name: str = "huggingface",
    **shares: Any,
) -> Any:
    """A `Dataset` of Hugging Face's `datasets.Dataset`, or of a `DatasetDict` of splits.

    image, label: the columns. Other arguments as for `from_torch`; the classes are the names of the
    label column's feature. Of a dictionary of splits `train`, `validation` and `test` are taken,
    and where there is no validation, a tenth of each class of train becomes it; a single set is
    parted. Raises DatasetError for a column that is not there.
    """
    splits = {"": data}
    if isinstance(data, Mapping):
        splits = {SPLIT_NAMES[said]: part for said, part in data.items() if said in SPLIT_NAMES}
        if not splits:
            raise DatasetError(f"{name}: has splits {', '.join(data)}: name one `train`")
    parts = {}
    for split, part in splits.items():
        for column in (image, label):
            if column not in part.features:
                known = ", ".join(part.features)
                raise DatasetError(f"{name}: no column {column!r}, only {known}: name it")
        items = ((item[image], item[label]) for item in part)
        parts[split] = _arrays(items, fitting, f"{name}, {split}" if split else name)
        shares.setdefault("classes", getattr(part.features[label], "names", None))
    if "" in parts:
        return Dataset.from_arrays(*parts[""], name=name, **shares)
    if shares.pop("test", None) is not None:
        raise DatasetError(f"{name}: test= is for a single set; this one has splits of its own")
    return Dataset.from_splits(parts, name=name, **{"validation": 0.1, **shares})


def _arrays(items: Any, fitting: Fitting | None, name: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = [], []
    for place, (image, label) in enumerate(items):
        try:
            images.append(_image(image, fitting))
            labels.append(int(label))
        except (TypeError, ValueError) as error:
            raise DatasetError(f"{name}, item {place}: {error}") from None
        if images[-1].shape != images[0].shape:
            raise DatasetError(
                f"{name}, item {place}: is {images[-1].shape}, the first {images[0].shape}: give a "
                "fitting, such as ImageFolder(image_size=64)"
            )
    if not images:
        raise DatasetError(f"{name}: the set is empty")
    return np.stack(images), np.array(labels)


def _image(image: Any, fitting: Fitting | None) -> np.ndarray:
    """One image as (H, W, C), in bytes or floats."""
    from PIL import Image

    if isinstance(image, Image.Image):
        if fitting is not None:
            return fitting(image, 3)
        return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        array = array.transpose(1, 2, 0)  # PyTorch has channels first
    elif array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.dtype.kind not in "uf":
        raise ValueError(f"no image in {type(image).__name__} of shape {array.shape}")
    if fitting is None:
        return array
    if array.dtype.kind == "f":
        array = np.rint(255 * array.clip(0, 1)).astype(np.uint8)
    gray = array.shape[2] == 1
    return fitting(Image.fromarray(array[..., 0] if gray else array), array.shape[2])
