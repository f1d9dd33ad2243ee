"""Pictures of a glimpse environment: one frame for `rgb_array`, a window for `human`.

Only draws what it is given: it computes no glimpse and steps no environment. Pillow and pygame are
imported when something is drawn, so that making an environment stays light.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium.error import DependencyNotInstalled

from .sensors import Outline, Sensor, fixation_to_pixel

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

# Okabe and Ito's palette (jfly.uni-koeln.de/color), told apart under the common kinds of colour
# blindness. The finest scale is the brightest.
SCALE_COLOURS: tuple[Colour, ...] = (
    (240, 228, 66),  # yellow
    (86, 180, 233),  # sky blue
    (0, 178, 130),  # bluish green, a little lighter to stand out on black
    (204, 121, 167),  # reddish purple
    (0, 114, 178),  # blue
)
PATH_OLD: Colour = (253, 224, 200)
PATH_NEW: Colour = (213, 94, 0)  # vermilion
RIGHT: Colour = (0, 120, 88)
WRONG: Colour = (196, 72, 0)
PAGE: Colour = (247, 248, 250)
INK: Colour = (52, 58, 70)
OUTSIDE: Colour = (56, 62, 78)  # where there is no image: neither the page's tone nor black
BOX: Colour = (255, 255, 255)
AIM: Colour = (86, 220, 255)  # the last aim, from which nothing was seen
CASING: Colour = (16, 18, 24)  # a dark edge under bright lines, for those that cross white strokes

PANEL = 390  # pixels that the left panel's longer side aims at
COLUMN = 168  # the widest that a single enlarged patch may be
PAD = 14
LABEL = 17  # height of a patch's label
EDGE = 3  # width of the border round an enlarged patch
CAPTION = 34  # height of the caption line
SUPERSAMPLING = 2
TAIL = 4  # fixations shown over a scene that moves: older ones were of other frames


@dataclass(frozen=True)
class Layout:
    """Where things lie in a frame, in frame pixels; depends on shapes only, never on the state."""

    zoom: int  # frame pixels per image pixel
    margin: int  # image pixels shown around the image
    panel: tuple[int, int]  # (width, height) of the left panel, margin included
    tile: int  # side of an enlarged patch
    tiles: tuple[tuple[int, int], ...]  # top-left corner of each scale's patch
    frame: tuple[int, int]  # (width, height), both even

    def corner(self, x: float, y: float) -> tuple[int, int]:
        """Frame position of the top-left corner of image pixel (x, y)."""
        return (
            PAD + round((x + self.margin) * self.zoom),
            PAD + round((y + self.margin) * self.zoom),
        )


@lru_cache(maxsize=64)
def layout(height: int, width: int, sensor: Sensor) -> Layout:
    """The layout of every frame of images (height, width) seen through `sensor`."""
    size, scales = sensor.shape(1)[2], len(sensor.labels)
    margin = outside_margin(height, width, sensor)
    zoom = max(1, round(PANEL / (max(height, width) + 2 * margin)))
    panel_width, panel_height = ((n + 2 * margin) * zoom for n in (width, height))

    def side(rows: int) -> int:
        fits = min(panel_height // rows - LABEL - PAD // 2, COLUMN if rows == scales else 120)
        return max(64, fits) // size * size or size  # whole frame pixels for a glimpse pixel

    # As many rows, so as few columns, as leave the patches nearly as large as they can be.
    largest = max(side(rows) for rows in range(1, scales + 1))
    rows = max(rows for rows in range(1, scales + 1) if side(rows) >= 0.75 * largest)
    tile, pitch = side(rows), side(rows) + LABEL + PAD // 2
    left = 2 * PAD + panel_width + EDGE
    tiles = tuple(
        (left + (s // rows) * (tile + PAD), PAD + EDGE + (s % rows) * pitch) for s in range(scales)
    )
    columns = math.ceil(scales / rows)
    frame_width = max(left + columns * (tile + PAD), 320)
    frame_height = PAD + max(panel_height, rows * pitch) + CAPTION
    return Layout(
        zoom=zoom,
        margin=margin,
        panel=(panel_width, panel_height),
        tile=tile,
        tiles=tiles,
        frame=(frame_width + frame_width % 2, frame_height + frame_height % 2),
    )


def outside_margin(height: int, width: int, sensor: Sensor) -> int:
    """Image pixels to show around an image: enough for the finest part, less for the coarsest."""
    longest = max(height, width)
    finest, coarsest = sensor.size // 2, int(sensor.outlines[-1].side / 2)
    return max(1, min(finest, math.ceil(0.15 * longest)), min(coarsest, math.ceil(0.1 * longest)))


def draw(
    image: np.ndarray,
    path: np.ndarray,
    sensor: Sensor,
    glimpse: np.ndarray,
    *,
    caption: str = "",
    box: Sequence[float] | np.ndarray | None = None,
    good: bool | None = None,
    first: int = 1,
    aim: np.ndarray | None = None,
    said: Sequence[float] | np.ndarray | None = None,
) -> np.ndarray:
    """Draw one moment of an episode as a uint8 RGB frame (h, w, 3).

    On the left is the image with the path so far and the outlines of the newest glimpse's parts;
    on the right what the agent sees, finest first; the caption below. The frame's size depends on
    the image's shape and the sensor only; width and height are even, as video codecs ask.

    Arguments:
        image: uint8 (H, W, C). One channel is gray, three are red, green and blue; of any other
            number the mean is shown.
        path: float32 (t, 2), the fixations so far in [-1, 1], the newest last; t >= 1.
        sensor: what the agent looks through.
        glimpse: float32 `sensor.shape(C)` in [0, 1], what the agent sees now.
        caption: one line; what does not fit is cut.
        box: (x0, y0, x1, y1) of the target in image pixels, half-open; dashed.
        good: colours the caption, with a tick (True) or a cross (False).
        first: number of the path's first fixation.
        aim: (2,) in [-1, 1], where the last action sent the eye; a cross.
        said: the box that the agent said, as `box`; a line.

    Raises:
        ValueError: if a shape does not fit.
    """
    from PIL import Image, ImageDraw

    image, path, glimpse = np.asarray(image), np.asarray(path, np.float32), np.asarray(glimpse)
    if image.ndim != 3 or image.dtype != np.uint8:
        raise ValueError(f"image must be uint8 (H, W, C), got {image.dtype} {image.shape}")
    if path.ndim != 2 or path.shape[1] != 2 or len(path) == 0:
        raise ValueError(f"path must be (t, 2) with t >= 1, got {path.shape}")
    height, width, channels = image.shape
    if glimpse.shape != sensor.shape(channels):
        raise ValueError(
            f"glimpse must be {sensor.shape(channels)} for {sensor} and {channels} channels, got "
            f"{glimpse.shape}"
        )
    place = layout(height, width, sensor)
    frame = Image.new("RGB", place.frame, PAGE)
    how: dict[str, Any] = {"zoom": place.zoom, "margin": place.margin, "box": box, "first": first}
    panel = paint_path(image, path, sensor, **how, aim=aim, said=said)
    frame.paste(panel, (PAD, PAD))
    pen = ImageDraw.Draw(frame)
    shown = zip(place.tiles, sensor.views(glimpse), sensor.labels, strict=True)
    for s, ((x, y), view, label) in enumerate(shown):
        seen = Image.fromarray(as_rgb(np.rint(np.clip(view, 0, 1) * 255).astype(np.uint8)))
        frame.paste(seen.resize((place.tile, place.tile), Image.Resampling.NEAREST), (x, y))
        border = (x - EDGE, y - EDGE, x + place.tile + EDGE - 1, y + place.tile + EDGE - 1)
        pen.rectangle(border, outline=scale_colour(s), width=EDGE)
        pen.text((x, y + place.tile + EDGE + 2), label, INK, font=font(12))
    baseline = place.frame[1] - CAPTION // 2
    write_caption(pen, (PAD, baseline), caption, good, place.frame[0] - 2 * PAD, 15)
    return np.array(frame)


def paint_path(
    image: np.ndarray,
    path: np.ndarray,
    sensor: Sensor,
    *,
    zoom: int,
    margin: int,
    box: Sequence[float] | np.ndarray | None = None,
    all_outlines: bool = False,
    first: int = 1,
    aim: np.ndarray | None = None,
    said: Sequence[float] | np.ndarray | None = None,
) -> Image.Image:
    """The enlarged image with the path on it, and the sensor's outlines, as a Pillow image.

    An outline lies inside its part's border, `(zoom * side)` pixels a side, so that the part is
    what it encloses. Arguments as for `draw`, and: `zoom` pixels per image pixel; `margin` image
    pixels of dark surround; `all_outlines` outlines the finest part of every fixation and no
    coarser one, instead of all parts of the newest.
    """
    from PIL import Image, ImageDraw

    height, width = image.shape[:2]
    step = zoom * SUPERSAMPLING  # the panel is painted at twice its size, for smooth edges
    line = SUPERSAMPLING
    full = ((width + 2 * margin) * step, (height + 2 * margin) * step)
    panel = Image.new("RGB", full, OUTSIDE)
    enlarged = Image.fromarray(as_rgb(image)).resize(
        (width * step, height * step), Image.Resampling.NEAREST
    )
    panel.paste(enlarged, (margin * step, margin * step))
    pen = ImageDraw.Draw(panel)
    pixels = fixation_pixels(path, height, width)  # (t, 2), columns x and y
    if box is not None:
        _dashes(pen, [(float(edge) + margin) * step for edge in box], line)

    colours = path_colours(len(pixels))
    finest, *coarser = sensor.outlines
    if all_outlines:
        for pixel, colour in zip(pixels[:-1], colours[:-1], strict=True):
            _outline(pen, pixel, finest, margin, step, colour, line)
        coarser = []
    for s, outline in reversed(list(enumerate((finest, *coarser)))):
        thick = (3 if s == 0 else 2) * line
        _outline(pen, pixels[-1], outline, margin, step, scale_colour(s), thick)

    dot = min(max(sensor.size * zoom // 6, 5), 7)  # the dots' radius: small on small patches
    points = [tuple((pixel + margin + 0.5) * step) for pixel in pixels]
    for extra, tone in ((2 * line, None), (0, colours)):
        for t in range(1, len(points)):
            colour = CASING if tone is None else tone[t - 1]
            pen.line([points[t - 1], points[t]], fill=colour, width=2 * line + extra)
    for t, (x, y) in enumerate(points):
        newest = t == len(points) - 1
        radius = (dot + 2 * newest) * line
        ring = (255, 255, 255) if newest else CASING
        circle = (x - radius, y - radius, x + radius, y + radius)
        pen.ellipse(circle, fill=colours[t], outline=ring, width=line * (1 + newest))
        letters = font(round(radius * (1.35 if first + t < 10 else 1.1)))
        ink = (255, 255, 255) if newest else CASING
        pen.text((x, y), str(first + t), ink, letters, anchor="mm")
    if said is not None:
        x0, y0, x1, y1 = (round((float(edge) + margin) * step) for edge in said)
        for colour, thick in ((CASING, 4 * line), (AIM, 2 * line)):
            pen.rectangle((x0, y0, x1 - 1, y1 - 1), outline=colour, width=thick)
    if aim is not None:
        (x, y) = fixation_pixels(np.asarray(aim)[None], height, width)[0]
        _cross(pen, (x + margin + 0.5) * step, (y + margin + 0.5) * step, dot * line, line)
    return panel.reduce(SUPERSAMPLING)


def fixation_pixels(fixations: np.ndarray, height: int, width: int) -> np.ndarray:
    """The pixels (int64 (t, 2), x and y) that fixations (t, 2) in [-1, 1] name."""
    x = fixation_to_pixel(fixations[:, 0], width)
    return np.stack([x, fixation_to_pixel(fixations[:, 1], height)], axis=1)


def as_rgb(image: np.ndarray) -> np.ndarray:
    """A uint8 image (H, W, C) as (H, W, 3): colours kept, gray or the channels' mean repeated."""
    if image.shape[2] == 3:
        return np.ascontiguousarray(image)
    gray = image if image.shape[2] == 1 else np.rint(image.mean(2, keepdims=True)).astype(np.uint8)
    return np.repeat(gray, 3, axis=2)


def scale_colour(scale: int) -> Colour:
    """The colour of scale `scale`, 0 the finest."""
    return SCALE_COLOURS[scale % len(SCALE_COLOURS)]


def path_colours(length: int) -> list[Colour]:
    """Light to dark, oldest to newest."""
    old, new = np.array(PATH_OLD), np.array(PATH_NEW)
    shares = np.append(np.linspace(0, 0.75, length - 1, endpoint=False), 1.0)
    mixed = np.rint(old + shares[:, None] * (new - old)).astype(int)  # (length, 3)
    return [(red, green, blue) for red, green, blue in mixed.tolist()]


@lru_cache(maxsize=32)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font at `size` pixels."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def drawable(text: str) -> str:
    """What Pillow's own font can draw: letters without their accents, "?" for other scripts."""
    plain = unicodedata.normalize("NFKD", text)
    kept = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return kept.encode("ascii", "replace").decode()


def write_caption(
    pen: ImageDraw.ImageDraw,
    left_middle: tuple[int, int],
    text: str,
    good: bool | None,
    width: int,
    size: int,
) -> None:
    """Write one line, cut to `width` pixels, after a tick or a cross where `good` is not None."""
    x, y = left_middle
    colour = INK
    if good is not None:
        colour = RIGHT if good else WRONG
        arm = size // 3
        middle = x + arm
        if good:
            strokes = [[(x, y), (middle - 1, y + arm), (middle + arm, y - arm)]]
        else:
            strokes = [
                [(x, y - arm), (middle + arm, y + arm)],
                [(x, y + arm), (middle + arm, y - arm)],
            ]
        for stroke in strokes:
            pen.line(stroke, fill=colour, width=3, joint="curve")
        x, width = x + size + 4, width - size - 4
    letters = font(size)
    text = drawable(" ".join(text.splitlines()))
    if pen.textlength(text, font=letters) > width:
        while text and pen.textlength(text + "...", font=letters) > width:
            text = text[:-1]
        text += "..."
    pen.text((x, y), text, colour, font=letters, anchor="lm")


def _outline(
    pen: ImageDraw.ImageDraw,
    pixel: np.ndarray,
    outline: Outline,
    margin: int,
    step: int,
    colour: Colour,
    thick: int,
) -> None:
    """Draw an outline round `pixel`, just inside its border."""
    x0, y0 = np.rint((pixel + outline.first + margin) * step).astype(int).tolist()
    side, edge = round(outline.side * step), SUPERSAMPLING
    x1, y1 = x0 + side - 1, y0 + side - 1
    shape = pen.ellipse if outline.round else pen.rectangle
    shape((x0 - edge, y0 - edge, x1 + edge, y1 + edge), outline=CASING, width=edge)
    shape((x0, y0, x1, y1), outline=colour, width=min(thick, side // 2))


def _cross(pen: ImageDraw.ImageDraw, x: float, y: float, arm: float, line: int) -> None:
    """A cross over (x, y), dark round its edge."""
    for colour, extra in ((CASING, line), (AIM, 0)):
        reach = arm + extra
        for turn in (-1, 1):
            ends = [(x - reach, y - turn * reach), (x + reach, y + turn * reach)]
            pen.line(ends, fill=colour, width=2 * line + 2 * extra)


def _dashes(pen: ImageDraw.ImageDraw, box: Sequence[float], line: int) -> None:
    """A dashed rectangle over (x0, y0, x1, y1), half-open."""
    x0, y0, x1, y1 = (round(edge) for edge in box)
    dash, thick = 6 * line, 2 * line
    for start in range(x0, x1, 2 * dash):
        end = min(start + dash, x1) - 1
        pen.rectangle((start, y0, end, y0 + thick - 1), fill=BOX)
        pen.rectangle((start, y1 - thick, end, y1 - 1), fill=BOX)
    for start in range(y0, y1, 2 * dash):
        end = min(start + dash, y1) - 1
        pen.rectangle((x0, start, x0 + thick - 1, end), fill=BOX)
        pen.rectangle((x1 - thick, start, x1 - 1, end), fill=BOX)


class Window:
    """A pygame window that shows frames; holds the window and the clock that paces it.

    It opens at the first frame. pygame has one window a process, so two of these share it.
    """

    def __init__(self, fps: float = 4, title: str = "Saccade") -> None:
        try:
            import pygame
        except ImportError as error:
            raise DependencyNotInstalled(
                'pygame is not installed, run `pip install "saccade[human]"`'
            ) from error
        self.fps = fps
        self.title = title
        self._pygame = pygame
        self._screen: Any = None
        self._clock: Any = None

    def show(self, frame: np.ndarray) -> None:
        """Show a uint8 RGB frame (h, w, 3), then wait so that frames come at `fps` a second."""
        pygame = self._pygame
        extent = (frame.shape[1], frame.shape[0])
        if self._screen is None or self._screen.get_size() != extent:
            pygame.display.init()  # not all of pygame: it would open the sound card
            pygame.display.set_caption(self.title)
            self._screen = pygame.display.set_mode(extent)
            self._clock = pygame.time.Clock()
        pygame.surfarray.blit_array(self._screen, frame.swapaxes(0, 1))  # pygame is (w, h, 3)
        pygame.event.pump()
        pygame.display.flip()
        self._clock.tick(self.fps)

    def close(self) -> None:
        """Close the window; harmless when it is not open."""
        if self._screen is not None:
            self._screen = self._clock = None
            self._pygame.display.quit()
            self._pygame.quit()
