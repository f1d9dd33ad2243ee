"""What stands before the eye in each lane: the scene's frame, its targets, and how it goes on."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from .datasets import ImageSet
from .scenes import MovingScene, Scene
from .scenes.base import images_at


class Stage:
    """Shows one scene in each lane.

    State: `frames`, uint8 `(n, H, W, C)`, on the device where there is one; the `labels`, int64
    `(n, k)`, and `boxes`, float32 `(n, k, 4)`, of the scene's k targets; and `world`, what a moving
    scene remembers, `(n, ...)` each.

    Args:
        scene: what draws.
        shown: the images of the split that is shown, or its clips, whose boxes join the world.
        frame_shape: `(H, W, C)` of the scene's frames.
        lanes: number of lanes, n.
        steps: moments that a moving scene goes on for, an episode.
        device: a PyTorch device that images and frames live on, as tensors; None: NumPy's.

    Raises:
        ValueError: the scene draws on the host alone.
    """

    def __init__(
        self,
        scene: Scene,
        shown: ImageSet,
        frame_shape: tuple[int, int, int],
        lanes: int,
        steps: int,
        device: Any = None,
    ) -> None:
        self._scene = scene
        self._shown = shown
        self._images: Any = shown.images
        self.frames: Any = np.zeros((lanes, *frame_shape), np.uint8)
        self._device = device
        if device is not None:
            # A subclass that does not say so may draw by NumPy.
            if not vars(type(scene)).get("on_device"):
                name = type(scene).__name__
                raise ValueError(
                    f"device={str(device)!r}: {name} draws on the host alone, leave device out"
                )
            from .device import upload

            self._images, self.frames = upload(self._images, device), upload(self.frames, device)
        self._steps = steps
        self.moving = isinstance(scene, MovingScene)
        self.labels = np.zeros((lanes, scene.targets), np.int64)
        self.boxes = np.zeros((lanes, scene.targets, 4), np.float32)
        self.world: dict[str, NDArray] = {}

    def begin(
        self, lanes: NDArray[np.int64], image: NDArray[np.int64], key: NDArray[np.uint64]
    ) -> Any:
        """Draw a new scene in `lanes`; its frames, `(m, H, W, C)`."""
        images = self._images
        if self.moving:
            scene = cast(MovingScene, self._scene)
            world = scene.start(images, image, key, self._steps)
            if self._shown.boxes is not None:
                world["boxes"] = self._shown.boxes[image]
            frames, boxes = scene.frame(images, world)
            if not self.world:
                n = len(self.frames)
                self.world = {
                    name: np.zeros((n, *values.shape[1:]), values.dtype)
                    for name, values in world.items()
                }
            for name, values in world.items():
                self.world[name][lanes] = values
        else:
            scenes, shown = _scenes_of(image, key)
            frames, boxes = self._scene.draw(images, image[scenes], key[scenes])
            if len(scenes) < len(key):
                frames, boxes = images_at(frames, shown), boxes[shown]
        self.labels[lanes] = self._shown.labels[self._scene.targets_of(image, key, len(images))]
        return self._put(lanes, frames, boxes)

    def advance(self, lanes: NDArray[np.int64] | slice, act: NDArray[np.int64]) -> Any:
        """Let a moving scene go on by one moment in `lanes`; its new frames.

        Args:
            act: the motor command of every lane, `(n,)`, for scenes that take one.
        """
        scene = cast(MovingScene, self._scene)
        # A slice of an array is itself, so that what is changed in place is changed here.
        world = {name: values[lanes] for name, values in self.world.items()}
        scene.move(world, act[lanes])
        if not isinstance(lanes, slice):
            for name, values in world.items():
                self.world[name][lanes] = values
        return self._put(lanes, *scene.frame(self._images, world))

    def _put(
        self,
        lanes: NDArray[np.int64] | slice,
        frames: Any,
        boxes: NDArray[np.float32],
    ) -> Any:
        places: Any = lanes
        if self._device is not None:
            from .device import places_of

            places = places_of(lanes, len(self.frames), self._device)
        self.frames[places] = frames  # the scene's array stays the scene's
        self.boxes[lanes] = boxes[:, None] if boxes.ndim == 2 else boxes
        return frames


def _scenes_of(
    image: NDArray[np.int64], key: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which lanes to draw, where neighbours share a scene, and which of those each lane shows."""
    other = np.ones(len(key), np.bool_)
    other[1:] = (key[1:] != key[:-1]) | (image[1:] != image[:-1])
    return other.nonzero()[0], other.cumsum() - 1
