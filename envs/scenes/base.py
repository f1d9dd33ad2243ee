"""What every scene has in common: its canvas, and pasting many images at once."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from ..checks import pair

MOST_PIECES = 10_000  # of clutter in a scene


class SceneError(ValueError):
    """A scene that cannot be drawn: the message names the value and what would fit."""


@dataclass(frozen=True)
class Scene(abc.ABC):
    """Draws frames from a split's images; a frozen dataclass whose fields are its options.

    Attributes:
        canvas: side of a square frame, or `(height, width)`, in pixels; None is the image's own.
        targets: how many images a frame shows that may be asked about, k (of the class).
        shows: what it is drawn from, still images or clips (of the class).
        tells: what of a moving scene's world a task may read (of the class).
        on_device: whether it draws from images that are a tensor too, by `blank`, `add_patches`,
            `crop_patches` and indexing (of the class; a subclass says it anew).
    """

    targets: ClassVar[int] = 1
    shows: ClassVar[Literal["images", "clips"]] = "images"
    tells: ClassVar[tuple[str, ...]] = ()
    on_device: ClassVar[bool] = False

    canvas: int | tuple[int, int] | None = None

    def frame_shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """The frames' `(H, W, C)` for images of shape `(h, w, C)`.

        Raises:
            SceneError: the canvas is smaller than the images.
        """
        height, width, channels = image_shape
        if self.canvas is None:
            return image_shape
        square = isinstance(self.canvas, (int, float, np.integer, np.floating))
        sides = (self.canvas,) * 2 if square else self.canvas
        tall, wide = pair("canvas", sides, "a side or (height, width)", 1)
        if tall < height or wide < width:
            raise SceneError(
                f"canvas={self.canvas}: the images are {height}x{width} pixels (height x width), "
                "take a canvas at least as large"
            )
        return tall, wide, channels

    @abc.abstractmethod
    def draw(
        self, images: NDArray[np.uint8], index: NDArray[np.int64], key: NDArray[np.uint64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Draw one frame a key; a pure function of its arguments, row by row.

        Args:
            images: the split's images, uint8 `(N, h, w, C)`, or its clips, `(N, L, h, w, C)`.
            index: the target of each frame, int64 `(n,)`.
            key: where each frame's random draws come from, uint64 `(n,)` (see `envs.draws`).

        Returns:
            Frames, uint8 `(n, H, W, C)`, and the targets' boxes, float32 `(n, 4)`, or `(n, k, 4)`
            where there are several: `(x0, y0, x1, y1)` in pixels, half-open.
        """

    def unaugmented(self) -> Scene:
        """The same scene as evaluation splits show it, without augmentation if it has any."""
        return self

    def targets_of(
        self, index: NDArray[np.int64], key: NDArray[np.uint64], count: int
    ) -> NDArray[np.int64]:
        """Which of the split's `count` images are the targets, int64 `(n, k)`.

        `index` and `key` are those of `draw`; the first target is `index` unless told otherwise.
        """
        return index[:, None]


@dataclass(frozen=True)
class MovingScene(Scene):
    """A scene with a time of its own: each step of the environment is one moment.

    What it remembers of its lanes (places, velocities, a paddle) is in arrays over the lanes, the
    world, which the environment keeps for it.
    """

    def episode_steps(self, frame_shape: tuple[int, int, int]) -> int | None:
        """How many steps its episode has on frames `(H, W, C)`; None: as many as are asked for."""
        return None

    @abc.abstractmethod
    def start(
        self,
        images: NDArray[np.uint8],
        index: NDArray[np.int64],
        key: NDArray[np.uint64],
        steps: int,
    ) -> dict[str, NDArray]:
        """The world at the first moment, arrays `(n, ...)`; a pure function, row by row.

        Args:
            images, index, key: as in `draw`.
            steps: moments that follow the first one in an episode.
        """

    @abc.abstractmethod
    def move(self, world: dict[str, NDArray], act: NDArray[np.int64]) -> None:
        """Let one moment pass, in place; `act` is each lane's motor command, int64 `(n,)`."""

    @abc.abstractmethod
    def frame(
        self, images: NDArray[np.uint8], world: dict[str, NDArray]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """What the world looks like: frames and boxes as `draw` returns them."""

    def draw(
        self, images: NDArray[np.uint8], index: NDArray[np.int64], key: NDArray[np.uint64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        return self.frame(images, self.start(images, index, key, 1))


def blank(images: Any, count: int, tall: int, wide: int) -> Any:
    """So many black frames, `(count, tall, wide, C)`, of the kind that `images` are."""
    shape = (count, tall, wide, images.shape[-1])
    if isinstance(images, np.ndarray):
        return np.zeros(shape, np.uint8)
    return images.new_zeros(shape)


def images_at(images: Any, index: NDArray[np.int64]) -> Any:
    """The images of these numbers, `(n, h, w, C)`, where the images are."""
    if isinstance(images, np.ndarray):
        return images[index]
    from ..device import upload

    return images[upload(index, images.device)]


def boxes_at(
    top: NDArray[np.int64], left: NDArray[np.int64], height: int, width: int
) -> NDArray[np.float32]:
    """The boxes, float32 `(n, 4)`, of patches of one size whose first pixels are given."""
    return np.stack([left, top, left + width, top + height], axis=1).astype(np.float32)


def add_patches(
    frames: Any,
    patches: Any,
    top: NDArray[np.int64],
    left: NDArray[np.int64],
) -> None:
    """Add `patches`, uint8 `(n, h, w, C)`, onto `frames` in place, clamped at white (255)."""
    if not isinstance(frames, np.ndarray):
        from ..device import scenes

        scenes.add_patches(frames, patches, top, left)
        return
    n, height, width, channels = patches.shape
    spots = _spots(frames, height, width)
    at = np.arange(n), top, left
    under = spots[at].view(np.uint8).reshape(patches.shape)
    # a + min(b, 255 - a) is the clamped sum without leaving bytes.
    under += np.minimum(patches, ~under)
    spots[at] = under.reshape(n, height, width * channels).view(spots.dtype)[..., 0]


def crop_patches(
    images: Any,
    index: NDArray[np.int64],
    top: NDArray[np.int64],
    left: NDArray[np.int64],
    height: int,
    width: int,
) -> Any:
    """Cut one patch, `(n, height, width, C)`, out of each image named by `index`."""
    if not isinstance(images, np.ndarray):
        from ..device import scenes

        return scenes.crop_patches(images, index, top, left, height, width)
    spots = _spots(images, height, width, writeable=False)
    patches = spots[index, top, left].view(np.uint8)
    return patches.reshape(len(index), height, width, images.shape[3])


def _spots(
    frames: NDArray[np.uint8], height: int, width: int, writeable: bool = True
) -> NDArray[np.void]:
    """All patches of a size as a view: `(n, starts down, starts across, height)`.

    A row of pixels is one element, to be copied whole.
    """
    n, tall, wide, channels = frames.shape
    lane, row, column, channel = frames.strides
    spots = as_strided(
        frames,
        (n, tall - height + 1, wide - width + 1, height, width * channels),
        (lane, row, column, row, channel),
        writeable=writeable,
    )
    return spots.view(f"V{width * channels}")[..., 0]
