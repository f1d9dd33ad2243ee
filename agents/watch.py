"""Watch a run look: a picture of its fixation paths on chosen images, and an animation of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

from . import pictures
from .config import Config
from .environments import make_env
from .errors import UserError
from .evaluate import load_policy
from .rollout import rollout
from .runs import RunFolder

SHOWN = 8  # images where none are chosen


def watch(
    run: RunFolder,
    images: Sequence[int] | None = None,
    *,
    split: Literal["validation", "test"] = "validation",
    form: Literal["gif", "mp4", "png"] = "gif",
    output: str | Path | None = None,
    checkpoint: str | None = None,
    device: str | None = None,
) -> list[Path]:
    """Draw the paths on scenes `images` of a split: a PNG of them all, and an animation.

    Returns the files written, in the run's `pictures` or in `output`; "png" makes no animation.
    """
    config, policy, _ = load_policy(run, checkpoint, device)
    grid, film = draw_paths(config, policy, split, images)

    folder = run.pictures if output is None else Path(output)
    stem = folder / f"paths-{split}"
    if images is not None:
        stem = folder / f"paths-{split}-{'-'.join(map(str, images[:8]))}"
    try:
        files = [pictures.save_png(f"{stem}.png", grid)]
        if form != "png":
            save = pictures.save_gif if form == "gif" else pictures.save_mp4
            files.append(save(f"{stem}.{form}", film()))
    except DependencyNotInstalled as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror or error}") from None
    return files


def draw_paths(
    config: Config, policy: Any, split: str, images: Sequence[int] | None = None
) -> tuple[NDArray[np.uint8], Callable[[], list[NDArray[np.uint8]]]]:
    """A policy's paths on scenes `images` of a split, without them the first `SHOWN`.

    Returns the picture of them all, uint8 (h, w, 3), and a function that draws a film's frames.
    """
    chosen = list(range(SHOWN)) if images is None else list(images)
    env = make_env(config, split, num_envs=len(chosen))
    core = env.unwrapped
    if images is None:
        chosen = [min(place, core.split_length - 1) for place in chosen]
    for place in chosen:
        if not 0 <= place < core.split_length:
            raise UserError(
                f"--images {place}: the {split} split has places 0 to {core.split_length - 1}"
            )
    seen = rollout(policy, env, chosen)
    env.reset(options={"index": seen.index})
    frames = core.images.copy()
    env.close()
    sensor, classes = core.sensor, core.classes
    scenes = (frames, seen.fixations)
    grid = pictures.paths_grid(
        *scenes, sensor.size, sensor.scales, seen.label, seen.answer, classes
    )
    return grid, lambda: pictures.episode_frames(
        *scenes, sensor, seen.label, seen.answer, classes, boxes=seen.box
    )


if __name__ == "__main__":
    import sys

    from .cli import main

    sys.exit(main(["watch", *sys.argv[1:]]))
