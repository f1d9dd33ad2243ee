"""Labelled images, or clips of them, in memory, parted into splits: what every scene is drawn from.

It checks what it is given, once, and says in one line what is wrong. It reads no files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .clips import as_boxes, stack_boxes, stack_clips
from .errors import DatasetError
from .parting import parted

SPLITS = ("train", "validation", "test")

# Class names are made up to this label where none are given; beyond it, labels are mostly ids.
_MOST_CLASSES = 65_536


@dataclass(frozen=True, eq=False)
class ImageSet:
    """The images of one split, or its clips.

    images: uint8 (N, H, W, C), C-contiguous, C 1 or 3, read-only; of clips (N, L, H, W, C).
    labels: int64 (N,), read-only, from 0 up.
    boxes: of clips, where the target is in every frame: float32 (N, L, 4), read-only,
        (x0, y0, x1, y1) in pixels, half-open, within the frame; None where nobody knows.

    Gray images may come as (N, H, W), floats in [0, 1] are scaled to bytes, labels may be any
    whole-number type. Raises DatasetError for anything else.
    """

    images: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray | None = None

    def __post_init__(self) -> None:
        images = _own(_as_array(self.images, "images"), _as_bytes)
        labels = _own(_as_array(self.labels, "labels"), _as_classes)
        if len(images) != len(labels):
            what = "clips" if images.ndim == 5 else "images"
            raise DatasetError(
                f"{what} and labels disagree: {len(images)} {what}, {len(labels)} labels"
            )
        if len(images) == 0:
            raise DatasetError("the set is empty: 0 images")
        object.__setattr__(self, "images", _read_only(images))
        object.__setattr__(self, "labels", _read_only(labels))
        if self.boxes is not None:
            given = _as_array(self.boxes, "boxes")
            boxes = _own(given, lambda values: as_boxes(values, images.shape))
            object.__setattr__(self, "boxes", _read_only(boxes))

    @property
    def holds(self) -> Literal["images", "clips"]:
        """What is shown of each place: one image, or a clip of several frames."""
        return "clips" if self.images.ndim == 5 else "images"

    def __len__(self) -> int:
        return len(self.labels)

    def __deepcopy__(self, memo: dict[int, Any]) -> ImageSet:
        return self  # it does not change

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only again where it is unpickled.
        return ImageSet, (self.images, self.labels, self.boxes)

    def __repr__(self) -> str:
        size = "x".join(map(str, self.images.shape[1:]))
        return f"ImageSet({len(self)} {self.holds} of {size})"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Named splits of images that share their size and their classes.

    name: what tables and run folders call it.
    classes: a name for each label, so label k is `classes[k]`.
    splits: `train`, `validation` and `test`, or those of them that there are.

    It does not change, so a deep copy is itself: Gymnasium copies the keywords of an environment
    at every access, and the images must not travel along.
    """

    name: str
    classes: tuple[str, ...]
    splits: Mapping[str, ImageSet]

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(str(name) for name in self.classes))
        object.__setattr__(self, "splits", dict(self.splits))
        unknown = [name for name in self.splits if name not in SPLITS]
        if unknown or not self.splits:
            raise DatasetError(
                f"{self.name}: splits are named {', '.join(SPLITS)}; got {unknown or 'none'}"
            )
        shapes = {name: part.images.shape[1:] for name, part in self.splits.items()}
        if len(set(shapes.values())) > 1:
            raise DatasetError(f"{self.name}: the splits' images differ in size: {shapes}")
        for name, part in self.splits.items():
            if part.labels.max() >= self.num_classes:
                raise DatasetError(
                    f"{self.name}, {name}: label {part.labels.max()} is out of range, there are "
                    f"{self.num_classes} classes (0 to {self.num_classes - 1})"
                )

    @property
    def num_classes(self) -> int:
        """K, the number of classes."""
        return len(self.classes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every image, or of every frame of a clip."""
        height, width, channels = next(iter(self.splits.values())).images.shape[-3:]
        return height, width, channels

    def split(self, name: str) -> ImageSet:
        """The split of that name; DatasetError, naming those there are, where it is missing."""
        if name not in self.splits:
            raise DatasetError(f"{self.name} has no split {name!r}, only {', '.join(self.splits)}")
        return self.splits[name]

    def __deepcopy__(self, memo: dict[int, Any]) -> Dataset:
        return self

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(part)}" for name, part in self.splits.items())
        shape = "x".join(map(str, self.shape))
        return f"Dataset({self.name!r}, {self.num_classes} classes, {shape}, {sizes})"

    @classmethod
    def from_arrays(
        cls,
        images: Any,
        labels: Any,
        *,
        name: str = "arrays",
        classes: Sequence[str] | None = None,
        validation: float = 0.1,
        test: float = 0.2,
        seed: int = 0,
    ) -> Dataset:
        """Part one pile of images, class by class, into train, validation and test.

        images: (N, H, W), (N, H, W, 1) or (N, H, W, 3); uint8, or floats in [0, 1].
        labels: whole numbers (N,) from 0 up.
        classes: a name for each label; "0", "1", ... up to the largest label where not given.
        validation, test: their shares of N; a share of 0 leaves that split out.
        seed: which images go where; the same on every machine and with every version of NumPy.
        Images keep their order within a split.
        """
        return cls._parted(_image_set(name, images, labels), name, classes, validation, test, seed)

    @classmethod
    def from_clips(
        cls,
        clips: Any,
        labels: Any,
        boxes: Any = None,
        *,
        name: str = "clips",
        classes: Sequence[str] | None = None,
        validation: float = 0.1,
        test: float = 0.2,
        seed: int = 0,
    ) -> Dataset:
        """Part one pile of clips into train, validation and test, for `scene="video"`.

        clips: (N, L, H, W), (N, L, H, W, 1) or (N, L, H, W, 3), uint8 or floats in [0, 1]; or a
            list of N clips that may differ in length, (L, H, W) and so on, of which a shorter one
            holds its last frame to the length of the longest.
        labels: whole numbers (N,) from 0 up.
        boxes: where the target is in every frame, (N, L, 4) or a list of (L, 4): (x0, y0, x1, y1)
            in pixels, half-open, within the frame. Tasks that ask where it is need them.
        The others as for `from_arrays`.
        """
        try:
            images, known = stack_clips(clips), None if boxes is None else stack_boxes(boxes, clips)
        except DatasetError as error:
            raise DatasetError(f"{name}: {error}") from None
        whole = _image_set(name, images, labels, known)
        return cls._parted(whole, name, classes, validation, test, seed)

    @classmethod
    def _parted(
        cls,
        whole: ImageSet,
        name: str,
        classes: Sequence[str] | None,
        validation: float,
        test: float,
        seed: int,
    ) -> Dataset:
        shares = {"validation": validation, "test": test}
        parts = {}
        for split, members in parted(whole.labels, shares, name, seed).items():
            boxes = None if whole.boxes is None else whole.boxes[members]
            parts[split] = ImageSet(whole.images[members], whole.labels[members], boxes)
        return cls(name, _class_names(classes, [whole], name), parts)

    @classmethod
    def from_splits(
        cls,
        splits: Mapping[str, tuple[Any, ...] | ImageSet],
        *,
        name: str = "arrays",
        classes: Sequence[str] | None = None,
        validation: float = 0,
        seed: int = 0,
    ) -> Dataset:
        """Put together splits that are parted already: {"train": (images, labels), ...}.

        validation: the share of `train` that becomes `validation`, class by class, where there is
            none: training needs one to choose by. 0 takes nothing.

        The others are as for `from_arrays`; the splits' images share one size. Of clips
        (N, L, H, W, C), which share a length, a part may be (clips, labels, boxes).
        """
        parts = {
            split: part if isinstance(part, ImageSet) else _image_set(f"{name}, {split}", *part)
            for split, part in splits.items()
        }
        if validation and "train" in parts and "validation" not in parts:
            where = f"{name}, train"
            train = cls._parted(parts["train"], where, classes, validation, 0, seed)
            parts = {**train.splits, **{k: v for k, v in parts.items() if k != "train"}}
        return cls(name, _class_names(classes, list(parts.values()), name), parts)


def _image_set(where: str, images: Any, labels: Any, boxes: Any = None) -> ImageSet:
    """An ImageSet whose errors say where the arrays came from."""
    try:
        return ImageSet(images, labels, boxes)
    except DatasetError as error:
        raise DatasetError(f"{where}: {error}") from None


def _as_array(values: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError:
        raise DatasetError(f"{what} are no array: they differ in size") from None


def _as_bytes(images: np.ndarray) -> np.ndarray:
    """Images of any accepted kind as uint8 (N, H, W, C), clips as (N, L, H, W, C)."""
    if images.size == 0:
        raise DatasetError(f"the set is empty: images of shape {images.shape}")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim not in (4, 5) or images.shape[-1] not in (1, 3):
        raise DatasetError(
            f"images have shape {images.shape}, not (N, H, W), (N, H, W, 1) or (N, H, W, 3)"
            f"{_shape_remedy(images)}"
        )
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images)
    if not np.issubdtype(images.dtype, np.floating):
        raise DatasetError(f"images are {images.dtype}; give uint8 (0 to 255) or floats in [0, 1]")
    low, high = float(images.min()), float(images.max())  # NaN if there is one
    if not np.isfinite([low, high]).all():
        raise DatasetError("images hold NaN or infinite values")
    if low < 0 or high > 1:
        raise DatasetError(
            f"images are floats from {low:g} to {high:g}; scale them to [0, 1] or give uint8"
        )
    return np.ascontiguousarray(np.rint(images * 255).astype(np.uint8))


def _shape_remedy(images: np.ndarray) -> str:
    if images.ndim == 2:
        return "; reshape the rows to (N, H, W)"
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return "; channels come last: images.transpose(0, 2, 3, 1)"
    return ""


def _as_classes(labels: np.ndarray) -> np.ndarray:
    """Labels of any whole-number type as int64 (N,)."""
    if labels.ndim != 1:
        remedy = "; for one-hot rows give labels.argmax(1)" if labels.ndim == 2 else ""
        raise DatasetError(f"labels have shape {labels.shape}, not (N,){remedy}")
    if labels.size == 0:
        raise DatasetError("the set is empty: 0 labels")
    if not np.issubdtype(labels.dtype, np.integer):
        raise DatasetError(f"labels are {labels.dtype}; give whole numbers (int64)")
    if labels.min() < 0:
        raise DatasetError(f"label {labels.min()} is out of range: labels count from 0")
    if labels.max() >= _MOST_CLASSES:
        raise DatasetError(
            f"label {labels.max()} is out of range; number the classes from 0 to K - 1, as "
            "np.unique(labels, return_inverse=True)[1] does"
        )
    return np.ascontiguousarray(labels, dtype=np.int64)


def _own(given: np.ndarray, convert: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What `given` converts to, in memory that nobody else can write."""
    array = convert(given)
    return array.copy() if given.flags.writeable and np.may_share_memory(array, given) else array


def _read_only(array: np.ndarray) -> np.ndarray:
    """A view that cannot be written: a dataset is shared by all that load it."""
    view = array.view()
    view.flags.writeable = False
    return view


def _class_names(
    classes: Sequence[str] | None, parts: Sequence[ImageSet], name: str
) -> tuple[str, ...]:
    if classes is None:
        if not parts:
            return ()  # Dataset says what is missing
        return tuple(str(k) for k in range(max(int(part.labels.max()) for part in parts) + 1))
    if isinstance(classes, str):
        raise DatasetError(f"{name}: classes={classes!r} is one word; give a name for each label")
    return tuple(classes)
