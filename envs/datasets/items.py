"""Data sets of other libraries, by their items: PyTorch's map-style ones and Hugging Face's.

Neither library is imported: what is given is taken by what it can do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .base import Dataset
from .errors import DatasetError
from .parting import SPLIT_NAMES
from .pictures import Fitting, is_gray


def from_torch(
    data: Any, fitting: Fitting | None = None, *, name: str = "", **shares: Any
) -> Dataset:
    """A `Dataset` of a PyTorch map-style data set, whose items are (image, label).

    data: anything with `len` and places from 0 on, or a dictionary of splits of such. An image is
        a Pillow picture, a tensor or array (C, H, W) or (H, W), or an array (H, W, C); bytes, or
        floats in [0, 1]. All are read into memory.
    fitting: how pictures of several sizes are brought to one; None: they have one.
    shares: `validation`, `test`, `seed` and `classes` as for `Dataset.from_arrays`; classes are
        those of `data.classes` where it has them. Splits without `validation` have a tenth of
        `train` for it.
    Raises DatasetError, naming the item, for what is no image.
    """
    splits = _splits(data, name or "torch")
    first = next(iter(splits.values()))
    name = name or type(first).__name__
    for part in splits.values():
        if not (hasattr(part, "__len__") and hasattr(part, "__getitem__")):
            raise DatasetError(
                f"{name}: no map-style data set in {type(part).__name__}, which has no length and "
                "places; give a list of its items"
            )
    shares.setdefault("classes", getattr(first, "classes", None))
    return _collected(
        splits, lambda part: (part[place] for place in range(len(part))), fitting, name, shares
    )


def from_huggingface(
    data: Any,
    fitting: Fitting | None = None,
    *,
    image: str = "image",
    label: str = "label",
    name: str = "huggingface",
    **shares: Any,
) -> Dataset:
    """A `Dataset` of Hugging Face's `datasets.Dataset`, or of a `DatasetDict` of splits.

    image, label: the columns. Other arguments as for `from_torch`; the classes are the names of the
    label column's feature. Raises DatasetError for a column that is not there.
    """
    splits = _splits(data, name)
    for part in splits.values():
        for column in (image, label):
            if column not in part.features:
                known = ", ".join(part.features)
                raise DatasetError(f"{name}: no column {column!r}, only {known}: name it")
    first = next(iter(splits.values()))
    shares.setdefault("classes", getattr(first.features[label], "names", None))
    return _collected(
        splits, lambda part: ((item[image], item[label]) for item in part), fitting, name, shares
    )


def _splits(data: Any, name: str) -> dict[str, Any]:
    """The splits of a dictionary that have a known name; "" for a single set, to be parted."""
    if not isinstance(data, Mapping):
        return {"": data}
    splits = {SPLIT_NAMES[said]: part for said, part in data.items() if said in SPLIT_NAMES}
    if "train" not in splits:
        raise DatasetError(f"{name}: has splits {', '.join(data)}: name one `train`")
    return splits if len(splits) > 1 else {"": splits["train"]}


def _collected(
    splits: dict[str, Any],
    items: Callable[[Any], Iterable[Any]],
    fitting: Fitting | None,
    name: str,
    shares: dict[str, Any],
) -> Dataset:
    """All items of all splits, in memory."""
    parts = {
        split: _arrays(items(part), fitting, f"{name}, {split}" if split else name)
        for split, part in splits.items()
    }
    if "" in parts:
        return Dataset.from_arrays(*parts[""], name=name, **shares)
    if "test" in shares:
        raise DatasetError(f"{name}: test= is for a single set; this one has splits of its own")
    return Dataset.from_splits(parts, name=name, **{"validation": 0.1, **shares})


def _arrays(
    items: Iterable[Any], fitting: Fitting | None, name: str
) -> tuple[np.ndarray, np.ndarray]:
    images, labels = [], []
    for place, (image, label) in enumerate(items):
        try:
            images.append(_image(image, fitting))
            labels.append(int(label))
        except (TypeError, ValueError) as error:
            raise DatasetError(f"{name}, item {place}: {error}") from None
        (size, first) = (images[at].shape[:2] for at in (-1, 0))
        if size != first:
            raise DatasetError(
                f"{name}, item {place}: is {size[0]}x{size[1]}, the first {first[0]}x{first[1]}: "
                "give a fitting, such as ImageFolder(image_size=64)"
            )
    if not images:
        raise DatasetError(f"{name}: the set is empty")
    channels = max(image.shape[2] for image in images)  # gray ones among others in colour
    shape = (*images[0].shape[:2], channels)
    return np.stack([np.broadcast_to(image, shape) for image in images]), np.array(labels)


def _image(image: Any, fitting: Fitting | None) -> np.ndarray:
    """One image as (H, W, C), in bytes or floats."""
    from PIL import Image

    if isinstance(image, Image.Image):
        if fitting is not None:
            return fitting(image, 1 if is_gray(image) else 3)
        image = image.convert("L" if image.mode in ("1", "L") else "RGB")
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
