"""Pictures and films of fixation paths: grids, frames of episodes, PNG, GIF and MP4 files.

Takes arrays and writes files; it runs no policy (`rollout.py` does).
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from gymnasium.error import DependencyNotInstalled

from ..envs.render import PAGE, draw, outside_margin, paint_path, write_caption

if TYPE_CHECKING:
    from ..envs.sensor import GlimpseSensor

CELL = 220  # pixels that a grid cell's longer side aims at
GAP = 12
CAPTION = 26
GIF_SAMPLE = 2_000_000  # pixels that the palette of a GIF is chosen from


def paths_grid(
    images: np.ndarray,
    fixations: np.ndarray,
    size: int,
    scales: int,
    labels: np.ndarray,
    answers: np.ndarray,
    classes: Sequence[str],
    columns: int = 4,
) -> np.ndarray:
    """Draw one whole fixation path an image, in a grid: uint8 RGB (h, w, 3).

    Each cell shows the image, its numbered fixations from light to dark and the finest patch of
    each; below it a tick and the answer, or a cross, the answer and the label.

    Arguments:
        images: uint8 (N, H, W, C), N >= 1.
        fixations: float32 (N, T, 2) in [-1, 1]; a path that ended early is filled with NaN.
        size, scales: the sensor's; the cells' surround depends on them.
        labels, answers: int (N,), places in `classes`.
        classes: names of the classes.
        columns: cells side by side.

    Raises:
        ValueError: if the lengths disagree or there is nothing to draw.
    """
    from PIL import Image, ImageDraw

    _check_lengths(images, fixations=fixations, labels=labels, answers=answers)
    count, height, width, _ = images.shape
    columns = max(1, min(columns, count))
    margin = min(outside_margin(height, width, size, scales), max(1, size // 2))
    zoom = max(1, round(CELL / (max(height, width) + 2 * margin)))
    cell = ((width + 2 * margin) * zoom, (height + 2 * margin) * zoom)
    pitch = (cell[0] + GAP, cell[1] + CAPTION + GAP)
    rows = -(-count // columns)
    grid = Image.new("RGB", (GAP + columns * pitch[0], GAP + rows * pitch[1]), PAGE)
    pen = ImageDraw.Draw(grid)
    for n in range(count):
        x, y = GAP + n % columns * pitch[0], GAP + n // columns * pitch[1]
        path = looked(fixations[n])
        cell_picture = paint_path(
            images[n], path, size, scales, zoom=zoom, margin=margin, all_outlines=True
        )
        grid.paste(cell_picture, (x, y))
        right, text = verdict(classes, int(labels[n]), int(answers[n]))
        write_caption(pen, (x + 2, y + cell[1] + CAPTION // 2), text, right, cell[0] - 4, 14)
    return np.array(grid)


def episode_frames(
    images: np.ndarray,
    fixations: np.ndarray,
    sensor: GlimpseSensor,
    labels: np.ndarray,
    answers: np.ndarray,
    classes: Sequence[str],
    *,
    boxes: np.ndarray | None = None,
    hold: int = 4,
) -> list[np.ndarray]:
    """The frames of episodes one after another, each uint8 RGB of one size, for a GIF or MP4.

    An episode of T glimpses gives T frames, then `hold` times the last of them with the answer.

    Arguments:
        images: uint8 (N, H, W, C).
        fixations: float32 (N, T, 2) in [-1, 1]; a path that ended early is filled with NaN.
        sensor: what the agent looks through.
        labels, answers: int (N,), places in `classes`.
        classes: names of the classes.
        boxes: (N, 4) in pixels, the targets' dashed outlines; None draws none.
        hold: frames that show the answer.
    """
    _check_lengths(images, fixations=fixations, labels=labels, answers=answers, boxes=boxes)
    frames = []
    for n in range(len(images)):
        path = looked(fixations[n])
        right, said = verdict(classes, int(labels[n]), int(answers[n]))
        box = None if boxes is None else boxes[n]
        for t in range(1, len(path) + 1):
            glimpse = sensor(images[n : n + 1], path[t - 1 : t])[0]  # (scales * C, size, size)
            count = f"glimpse {t}/{fixations.shape[1]}"
            scene = (images[n], path[:t], sensor.size, sensor.scales, glimpse)
            label = f"{count}   label {classes[int(labels[n])]}"
            frames.append(draw(*scene, caption=label, box=box))
        frames += [draw(*scene, caption=f"{count}   {said}", box=box, good=right)] * hold
    return frames


def save_png(path: str | os.PathLike[str], rgb: np.ndarray) -> Path:
    """Write a uint8 RGB picture (h, w, 3) as PNG; makes the folder, replaces the file at once."""
    return replace_file(path, lambda target: _write_png(rgb, target))


def png_bytes(rgb: np.ndarray) -> bytes:
    """A uint8 RGB picture (h, w, 3) as the content of a PNG file."""
    target = io.BytesIO()
    _write_png(rgb, target)
    return target.getvalue()


def _write_png(rgb: np.ndarray, target: Path | io.BytesIO) -> None:
    from PIL import Image

    Image.fromarray(_checked([rgb])[0]).save(target, format="PNG", optimize=True)


def save_gif(path: str | os.PathLike[str], frames: Iterable[np.ndarray], fps: float = 2) -> Path:
    """Write uint8 RGB frames (h, w, 3) of one size as an endlessly looping GIF.

    All frames share one palette and none is dithered, so nothing flickers. A frame equal to the
    one before it only makes that one last longer, as GIF has it.
    """
    from PIL import Image

    stack = _checked(frames)
    # Every n-th pixel of every frame, so that the palette knows all frames alike.
    pixels = np.concatenate([frame.reshape(-1, 3) for frame in stack])
    pixels = pixels[:: -(-len(pixels) // GIF_SAMPLE)]
    sample = Image.fromarray(np.ascontiguousarray(pixels[None]))
    palette = sample.quantize(256, method=Image.Quantize.MEDIANCUT)
    plain = Image.Dither.NONE
    pictures = [Image.fromarray(frame).quantize(palette=palette, dither=plain) for frame in stack]
    duration = round(1000 / fps)
    return replace_file(
        path,
        lambda target: pictures[0].save(
            target,
            format="GIF",
            save_all=True,
            append_images=pictures[1:],
            duration=duration,
            loop=0,
        ),
    )


def save_mp4(path: str | os.PathLike[str], frames: Iterable[np.ndarray], fps: float = 2) -> Path:
    """Write uint8 RGB frames (h, w, 3) of one even size as an H.264 film that browsers play.

    Raises:
        DependencyNotInstalled: without imageio-ffmpeg, the extra `video`.
        ValueError: if the frames differ in size or a side is odd.
    """
    try:
        from imageio_ffmpeg import write_frames
    except ImportError as error:
        raise DependencyNotInstalled(
            'MP4 needs imageio-ffmpeg, run `pip install "saccade[video]"`'
        ) from error
    stack = _checked(frames)
    height, width, _ = stack[0].shape
    if height % 2 or width % 2:
        raise ValueError(f"an MP4's sides must be even, got {width}x{height}")

    def write(target: Path) -> None:
        writer = write_frames(
            str(target),
            (width, height),
            fps=fps,
            quality=8,
            macro_block_size=2,
            output_params=["-f", "mp4", "-movflags", "+faststart"],
            ffmpeg_log_level="error",
        )
        writer.send(None)
        try:
            for frame in stack:
                writer.send(frame)
        finally:
            writer.close()

    return replace_file(path, write)


def looked(path: np.ndarray) -> np.ndarray:
    """The part (t, 2) of a path (T, 2) before the first NaN."""
    ended = np.isnan(path).any(axis=1)
    path = path[: int(ended.argmax())] if ended.any() else path
    if len(path) == 0:
        raise ValueError("a path needs at least one fixation")
    return path


def verdict(classes: Sequence[str], label: int, answer: int) -> tuple[bool, str]:
    """Whether the answer is right, and the caption that says so."""
    if answer == label:
        return True, f"answer {classes[answer]}"
    said = classes[answer] if 0 <= answer < len(classes) else "none"
    return False, f"answer {said}   label {classes[label]}"


def _check_lengths(images: np.ndarray, **others: np.ndarray | None) -> None:
    if images.ndim != 4 or len(images) == 0:
        raise ValueError(f"images must be (N, H, W, C) with N >= 1, got {images.shape}")
    for name, values in others.items():
        if values is not None and len(values) != len(images):
            raise ValueError(f"{len(images)} images but {len(values)} {name}")


def _checked(frames: Iterable[np.ndarray]) -> list[np.ndarray]:
    """The frames as a list; all uint8 (h, w, 3), of one size, at least one."""
    stack = [np.ascontiguousarray(frame) for frame in frames]
    if not stack:
        raise ValueError("no frames to write")
    for frame in stack:
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise ValueError(f"frames must be uint8 (h, w, 3), got {frame.dtype} {frame.shape}")
        if frame.shape != stack[0].shape:
            raise ValueError(f"frames differ in size: {stack[0].shape} and {frame.shape}")
    return stack


def replace_file(path: str | os.PathLike[str], write: Callable[[Path], object]) -> Path:
    """Let `write` fill a file beside `path`, then put it in its place: whole or not at all."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    target = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        write(target)
        os.replace(target, final)
    finally:
        target.unlink(missing_ok=True)
    return final
