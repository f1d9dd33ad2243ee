"""Watch runs look: pictures of where they do on chosen images, and an animation of paths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gymnasium.error import DependencyNotInstalled

from . import pictures
from .config import Config
from .drawing import Drawing, Looks, draw, look, together
from .environments import make_env
from .errors import UserError
from .evaluate import load_policy
from .groups import labels_of
from .runs import RunFolder

SHOWN = 8  # images where none are chosen
PICTURES = Path("pictures")  # of kept models, which are not written into

Split = Literal["validation", "test"]


def watch(
    run: RunFolder,
    images: Sequence[int] | None = None,
    *,
    split: Split = "validation",
    form: Literal["gif", "mp4", "png"] = "gif",
    output: str | Path | None = None,
    checkpoint: str | None = None,
    device: str | None = None,
) -> list[Path]:
    """Draw where a run looks on scenes `images` of a split: a PNG, and an animation of paths.

    Returns the files written, in the run's `pictures` (of a kept model: in `pictures/<its name>` of
    the working folder) or in `output`; "png" makes no animation,
    and there is none of what does not move.
    """
    config, policy, _ = load_policy(run, checkpoint, device)
    drawing = draw_run(config, policy, split, images)
    own = PICTURES / run.path.resolve().name if run.kept else run.pictures
    stem = _stem(own if output is None else output, drawing.name, split, images)
    with _writing(stem.parent):
        files = [pictures.save_png(f"{stem}.png", drawing.picture)]
        if form != "png" and drawing.film is not None:
            save = pictures.save_gif if form == "gif" else pictures.save_mp4
            files.append(save(f"{stem}.{form}", drawing.film()))
    return files


def watch_together(
    runs: Sequence[RunFolder],
    images: Sequence[int] | None = None,
    *,
    split: Split = "validation",
    output: str | Path | None = None,
    checkpoint: str | None = None,
    device: str | None = None,
) -> list[Path]:
    """Draw where several runs look on the same scenes, a row each, a column for each run.

    Returns the file written, beside the first run (of a kept model: in `pictures` of the working
    folder) or in `output`. Raises UserError where the runs'
    environments do not show the same scenes.
    """
    loaded = [load_policy(run, checkpoint, device)[:2] for run in runs]
    found: dict[str, Looks] = {}
    for run, name, (config, policy) in zip(
        runs, _names([c for c, _ in loaded]), loaded, strict=True
    ):
        with _scenes(config, split, images) as (env, chosen):
            found[name] = look(policy, env, chosen)
        first, seen = next(iter(found.values())), found[name]
        if not np.array_equal(first.images, seen.images):
            raise UserError(
                f"{run.path}: shows other scenes than {runs[0].path}: watch runs of one environment"
            )
    beside = PICTURES if runs[0].kept else runs[0].path.resolve().parent
    stem = _stem(beside if output is None else output, "attention", split, images)
    with _writing(stem.parent):
        return [pictures.save_png(f"{stem}.png", together(found))]


def draw_run(
    config: Config, policy: Any, split: str, images: Sequence[int] | None = None
) -> Drawing:
    """Where a run's policy looks on scenes `images` of a split, without them the first `SHOWN`."""
    with _scenes(config, split, images) as (env, chosen):
        return draw(policy, env, chosen)


@contextmanager
def _scenes(
    config: Config, split: str, images: Sequence[int] | None
) -> Iterator[tuple[Any, list[int]]]:
    """The environment of a split, and which of its scenes are chosen; UserError if not there."""
    chosen = list(range(SHOWN)) if images is None else list(images)
    env = make_env(config, split, num_envs=len(chosen))
    try:
        length = env.unwrapped.split_length
        if images is None:
            chosen = [min(place, length - 1) for place in chosen]
        for place in chosen:
            if not 0 <= place < length:
                raise UserError(f"--images {place}: the {split} split has places 0 to {length - 1}")
        yield env, chosen
    finally:
        env.close()


def _names(configs: Sequence[Config]) -> list[str]:
    """An agent's name for each config, with its seed where it is not the only one."""
    names = labels_of(configs)
    return [
        f"{name}, seed {config.seed}" if names.count(name) > 1 else name
        for name, config in zip(names, configs, strict=True)
    ]


def _stem(folder: str | Path, name: str, split: str, images: Sequence[int] | None) -> Path:
    """A picture's file without its ending."""
    chosen = "" if images is None else "-" + "-".join(map(str, images[:8]))
    return Path(folder) / f"{name}-{split}{chosen}"


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """What hinders writing into a folder as a UserError."""
    try:
        yield
    except DependencyNotInstalled as error:
        raise UserError(str(error)) from None
    except OSError as error:
        raise UserError(f"{folder}: {error.strerror or error}") from None


if __name__ == "__main__":
    import sys

    from .cli import main

    sys.exit(main(["watch", *sys.argv[1:]]))
