"""Pictures and films of fixation paths: grids, frames of episodes, PNG, GIF and MP4 files.

Takes arrays and writes files; it runs no policy (`rollout.py` does).
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

from ..envs.files import replace_file
from ..envs.render import PAGE, TAIL, draw, outside_margin, paint_path, write_caption
from ..envs.words import APART

if TYPE_CHECKING:
    from PIL import Image

    from ..envs.sensors import Sensor

CELL = 220  # pixels that a grid cell's longer side aims at
STRIP_CELL = 150  # of a moment in a strip
MOMENTS = 4  # in a strip
GAP = 12
CAPTION = 26
GIF_SAMPLE = 2_000_000  # pixels that the palette of a GIF is chosen from

Verdict = tuple[bool, str]
"""Whether an episode was a success, and the caption that says how it ended."""


@dataclass(frozen=True, eq=False)
class Trace:
    """One episode of t glimpses, as it is drawn.

    Attributes:
        frames: uint8 (t + 1, H, W, C), at each glimpse and after the last action; of a scene that
            stands still (1, H, W, C).
        fixations: float32 (t, 2) in [-1, 1].
        verdict: how it ended.
        glimpses: how many it could have had.
        notes: what is said at each glimpse, t texts; nothing where empty.
        boxes: (t + 1, 4) in pixels, the target's at each glimpse and after the last action.
        aim: (2,) in [-1, 1], where the last action sent the eye, if that was judged.
        said: (4,) in pixels, the box that the agent said, if it did.
        acted: whether what was there after the last action matters, as where it was an act.

    Raises:
        ValueError: an image of another shape, or no fixation.
    """

    frames: NDArray[np.uint8]
    fixations: NDArray[np.float32]
    verdict: Verdict
    glimpses: int
    notes: Sequence[str] = ()
    boxes: NDArray[np.float32] | None = None
    aim: NDArray[np.float32] | None = None
    said: NDArray[np.float32] | None = None
    acted: bool = False

    def __post_init__(self) -> None:
        if self.frames.ndim != 4 or len(self.frames) not in (1, len(self.fixations) + 1):
            raise ValueError(
                f"frames must be (1 or {len(self.fixations) + 1}, H, W, C), got {self.frames.shape}"
            )
        if self.fixations.ndim != 2 or not len(self.fixations):
            raise ValueError("a path needs at least one fixation")

    @property
    def moving(self) -> bool:
        """Whether the scene moves."""
        return len(self.frames) > 1

    def panel(self, begin: int, end: int, sensor: Sensor, zoom: int, margin: int) -> Image.Image:
        """The scene with fixations `begin` to before `end`, each one's finest part outlined.

        With the last fixation comes how it ended: what was there then, and the aim.
        """
        over, judged = end == len(self.fixations), self.aim is not None
        moment = end if over and self.acted else end - 1
        marks: dict[str, Any] = {"aim": self.aim, "said": self.said} if over else {}
        if judged and self.boxes is not None:
            marks["box"] = self.boxes[moment]
        return paint_path(
            self.frames[moment if self.moving else 0],
            self.fixations[begin:end],
            sensor,
            zoom=zoom,
            margin=margin,
            all_outlines=True,
            first=begin + 1,
            **marks,
        )

    def last(self, sensor: Sensor, zoom: int, margin: int) -> Image.Image:
        """The scene at the end: with its path, or where it moves with the newest part of that."""
        count = len(self.fixations)
        begin = max(0, count - TAIL) if self.moving else 0
        return self.panel(begin, count, sensor, zoom, margin)


def paths_grid(traces: Sequence[Trace], sensor: Sensor, columns: int = 4) -> np.ndarray:
    """Draw one whole fixation path an episode, in a grid: uint8 RGB (h, w, 3).

    Each cell shows the image, its numbered fixations from light to dark and the finest part of
    each; below it a tick or a cross and the verdict. An episode whose scene moves is a strip of
    `MOMENTS` such pictures, each with the fixations since the one before it.

    Arguments:
        traces: one an episode, all of one shape, at least one.
        sensor: what the agent looked through; the cells' surround depends on it.
        columns: cells side by side.

    Raises:
        ValueError: if the shapes disagree or there is nothing to draw.
    """
    from PIL import Image, ImageDraw

    height, width, moving = _checked_shape(traces)
    count = len(traces)
    moments = min(MOMENTS, max(len(trace.fixations) for trace in traces)) if moving else 1
    columns = max(1, min(columns // 2 if moving else columns, count))
    margin = path_margin(height, width, sensor)
    zoom = max(1, round((STRIP_CELL if moving else CELL) / (max(height, width) + 2 * margin)))
    side = ((width + 2 * margin) * zoom, (height + 2 * margin) * zoom)
    cell = (moments * (side[0] + GAP // 3) - GAP // 3, side[1])
    pitch = (cell[0] + GAP * (1 + moving), cell[1] + CAPTION + GAP)
    rows = -(-count // columns)
    grid = Image.new("RGB", (GAP + columns * pitch[0], GAP + rows * pitch[1]), PAGE)
    pen = ImageDraw.Draw(grid)
    for n, trace in enumerate(traces):
        x, y = GAP + n % columns * pitch[0], GAP + n // columns * pitch[1]
        parts = np.array_split(np.arange(len(trace.fixations)), moments)
        for k, part in enumerate(part for part in parts if len(part)):
            panel = trace.panel(int(part[0]), int(part[-1]) + 1, sensor, zoom, margin)
            grid.paste(panel, (x + k * (side[0] + GAP // 3), y))
        good, text = trace.verdict
        write_caption(pen, (x + 2, y + cell[1] + CAPTION // 2), text, good, cell[0] - 4, 14)
    return np.array(grid)


def episode_frames(traces: Sequence[Trace], sensor: Sensor, *, hold: int = 4) -> list[np.ndarray]:
    """The frames of episodes one after another, each uint8 RGB of one size, for a GIF or MP4.

    An episode of T glimpses gives T frames, then `hold` times how it ended.

    Arguments:
        traces: one an episode, all of one shape.
        sensor: what the agent looks through.
        hold: frames that show the verdict.
    """
    _checked_shape(traces)
    frames = []
    for trace in traces:
        count = len(trace.fixations)
        for t in range(1, count + 1):
            note = trace.notes[t - 1] if trace.notes else ""
            frames.append(_moment(trace, t, t - 1, sensor, note))
        marks = {"good": trace.verdict[0], "aim": trace.aim, "said": trace.said}
        frames += [_moment(trace, count, count, sensor, trace.verdict[1], **marks)] * hold
    return frames


def _moment(
    trace: Trace, seen: int, moment: int, sensor: Sensor, text: str, **marks: Any
) -> np.ndarray:
    """The frame of an episode at a moment, 0 to t, after so many glimpses."""
    image = trace.frames[moment if trace.moving else 0]
    first = max(0, seen - TAIL) if trace.moving else 0
    path = trace.fixations[first:seen]
    glimpse = sensor(image[None], path[-1:])[0]  # sensor.shape(C)
    count = f"glimpse {seen}/{trace.glimpses}"
    return draw(
        image,
        path,
        sensor,
        glimpse,
        caption=f"{count}{APART}{text}" if text else count,
        box=None if trace.boxes is None else trace.boxes[moment],
        first=first + 1,
        **marks,
    )


def path_margin(height: int, width: int, sensor: Sensor) -> int:
    """Image pixels to show around an image for paths, whose finest parts alone are outlined."""
    return min(outside_margin(height, width, sensor), max(1, sensor.size // 2))


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


def save_gif(
    path: str | os.PathLike[str],
    frames: Iterable[np.ndarray],
    fps: float = 2,
    colours: int = 256,
) -> Path:
    """Write uint8 RGB frames (h, w, 3) of one size as an endlessly looping GIF.

    All frames share one palette of `colours`, 2 to 256, and none is dithered, so nothing flickers.
    A frame equal to the one before it only makes that one last longer, as GIF has it.
    """
    from PIL import Image

    stack = _checked(frames)
    # Every n-th pixel of every frame, so that the palette knows all frames alike.
    pixels = np.concatenate([frame.reshape(-1, 3) for frame in stack])
    pixels = pixels[:: -(-len(pixels) // GIF_SAMPLE)]
    sample = Image.fromarray(np.ascontiguousarray(pixels[None]))
    palette = sample.quantize(colours, method=Image.Quantize.MEDIANCUT)
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


def _checked_shape(traces: Sequence[Trace]) -> tuple[int, int, bool]:
    """Height and width of the traces' images, and whether they move; at least one, all alike."""
    shapes = {(*trace.frames.shape[1:], trace.moving) for trace in traces}
    if len(shapes) != 1:
        raise ValueError(f"traces must be of one shape and at least one, got {sorted(shapes)}")
    ((height, width, _, moving),) = shapes
    return height, width, moving


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
