"""Pictures of where classifiers look: frames around what they cut out, maps over images, gates.

Takes arrays and runs no network (`agents/drawing.py` does). Colours and captions are those of
fixation paths.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...envs.render import (
    CASING,
    INK,
    OUTSIDE,
    PAGE,
    SCALE_COLOURS,
    SUPERSAMPLING,
    as_rgb,
    font,
    write_caption,
)
from ...envs.words import APART
from ..pictures import GAP, Verdict

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

PANEL = 132  # pixels that a panel's longer side has at least
SAID = 104  # width of a column of answers
LETTERS = 13
LINE = 17  # height of a line of letters
TITLE = 4  # between a title and its column
MIX = (0.4, 0.8)  # of the image and of a map's colours, added up: white strokes stay visible
MOST_GATES = 6  # charts under one another

# Magma of matplotlib (van der Walt and Smith, CC0) at nine even steps: its lightness rises evenly,
# to the colour-blind too, and nothing is black, as most of the images are.
_MAGMA = np.array(
    [
        *((0, 0, 4), (29, 17, 71), (81, 18, 124), (131, 38, 129), (183, 55, 121)),
        *((231, 82, 99), (252, 137, 97), (254, 196, 136), (252, 253, 191)),
    ]
)


def heat(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Values (...) in [0, 1] as colours (..., 3), from dark to light."""
    steps = np.linspace(0, 1, len(_MAGMA))
    shown = [np.interp(values, steps, part) for part in _MAGMA.T]
    return np.rint(np.stack(shown, -1)).astype(np.uint8)


@dataclass(frozen=True)
class Frame:
    """How large images are shown: `zoom` pixels for each of theirs, `margin` of theirs around."""

    height: int
    width: int
    zoom: int
    margin: int = 0

    @classmethod
    def of(cls, images: NDArray[np.uint8], margin: int = 0) -> Frame:
        """The frame of images (N, H, W, C)."""
        height, width = images.shape[1:3]
        return cls(height, width, math.ceil(PANEL / (max(height, width) + 2 * margin)), margin)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a panel."""
        around = 2 * self.margin
        return (self.width + around) * self.zoom, (self.height + around) * self.zoom


def plain(image: NDArray[np.uint8], frame: Frame) -> Image.Image:
    """An image (H, W, C), enlarged."""
    from PIL import Image

    panel = Image.new("RGB", frame.size, OUTSIDE)
    size = (frame.width * frame.zoom, frame.height * frame.zoom)
    enlarged = Image.fromarray(as_rgb(image)).resize(size, Image.Resampling.NEAREST)
    panel.paste(enlarged, (frame.margin * frame.zoom,) * 2)
    return panel


def weighed(image: NDArray[np.uint8], weights: NDArray[np.floating], frame: Frame) -> Image.Image:
    """An image under a map (H, W), whose colours go from 0 to its own maximum."""
    top = float(weights.max())
    colours = heat(weights / top if top > 0 else np.zeros_like(weights))  # (H, W, 3)
    mixed = MIX[0] * as_rgb(image) + MIX[1] * colours
    return plain(np.rint(mixed.clip(max=255)).astype(np.uint8), frame)


def key(title: str = "a map's colours: from 0", end: str = "to its own maximum") -> Image.Image:
    """What the colours of maps mean, over a black image."""
    from PIL import Image, ImageDraw

    letters = font(LETTERS)
    left, right = (math.ceil(letters.getlength(text)) for text in (title, end))
    bar, height = 150, LINE - 5
    page = Image.new("RGB", (left + bar + right + 2 * GAP, LINE), PAGE)
    ramp = np.rint(MIX[1] * heat(np.linspace(0, 1, bar))).astype(np.uint8)  # (bar, 3)
    page.paste(Image.fromarray(np.tile(ramp, (height, 1, 1))), (left + GAP, 3))
    pen = ImageDraw.Draw(page)
    pen.text((0, LINE // 2), title, INK, font=letters, anchor="lm")
    pen.text((left + bar + 2 * GAP, LINE // 2), end, INK, font=letters, anchor="lm")
    return page


def outlined(image: NDArray[np.uint8], outline: NDArray[np.floating], frame: Frame) -> Image.Image:
    """An image and the closed line through points (P, 2) in [-1, 1] on it."""
    from PIL import Image, ImageDraw

    fine = Frame(frame.height, frame.width, frame.zoom * SUPERSAMPLING, frame.margin)
    panel = plain(image, fine)
    extent = np.array([frame.width - 1, frame.height - 1])
    place = ((outline + 1) / 2 * extent + 0.5 + frame.margin) * fine.zoom  # of pixels' centres
    points = [(float(x), float(y)) for x, y in (*place, place[0])]
    pen = ImageDraw.Draw(panel)
    for colour, width in ((CASING, 4), (SCALE_COLOURS[0], 2)):
        pen.line(points, fill=colour, width=width * SUPERSAMPLING, joint="curve")
    return panel.resize(frame.size, Image.Resampling.BOX)


def cut_out(cut: NDArray[np.floating], frame: Frame) -> Image.Image:
    """What was cut out, (C, h, w) in [0, 1], as large as fits in a panel."""
    from PIL import Image

    values = np.rint(np.clip(cut, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    height, width = values.shape[:2]
    zoom = min(frame.size[0] / width, frame.size[1] / height)
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    panel = Image.new("RGB", frame.size, PAGE)
    enlarged = Image.fromarray(as_rgb(values)).resize(size, Image.Resampling.NEAREST)
    panel.paste(enlarged, ((frame.size[0] - size[0]) // 2, (frame.size[1] - size[1]) // 2))
    return panel


def margin_for(outlines: NDArray[np.floating], height: int, width: int) -> int:
    """Image pixels to show around images so that outlines (N, P, 2) are seen, where not too far."""
    extent = np.array([width - 1, height - 1])
    beyond = (np.abs(outlines) - 1) / 2 * extent  # in pixels
    return max(1, min(math.ceil(beyond.max()), math.ceil(0.2 * max(height, width))))


def sheet(
    columns: Mapping[str, Sequence[Image.Image]],
    verdicts: Sequence[Verdict],
    below: Sequence[Image.Image] = (),
    note: str = "",
) -> NDArray[np.uint8]:
    """A strip a scene: a panel of every column and the answer; uint8 RGB (h, w, 3).

    Arguments:
        columns: N panels of one size, by the column's title.
        verdicts: how each scene ended.
        below: pictures under the strips.
        note: lines under all.
    """
    from PIL import Image, ImageDraw

    width, height = next(iter(columns.values()))[0].size
    count = len(verdicts)
    blocks = min(count, max(1, 8 // (len(columns) + 1)))  # strips side by side
    strip = len(columns) * (width + GAP) + SAID
    rows = -(-count // blocks)
    titles = {title: wrapped(title, width) for title in (*columns, "prediction")}
    header = _header(titles)
    wide = max([GAP + blocks * (strip + GAP), *(2 * GAP + picture.width for picture in below)])
    lines = wrapped(note, wide - 2 * GAP) if note else []
    under = sum(picture.height + GAP for picture in below) + (LINE * len(lines) + GAP) * bool(lines)
    page = Image.new("RGB", (wide, header + rows * (height + GAP) + under), PAGE)
    pen = ImageDraw.Draw(page)
    for block in range(blocks):
        for n, title in enumerate((*columns, "prediction")):
            left = GAP + block * (strip + GAP) + n * (width + GAP)
            _write(pen, titles[title], left, header - TITLE - LINE * len(titles[title]))
    for n in range(count):
        left = GAP + n % blocks * (strip + GAP)
        top = header + n // blocks * (height + GAP)
        for panels in columns.values():
            page.paste(panels[n], (left, top))
            left += width + GAP
        right, said = verdicts[n]
        for row, text in enumerate(said.split(APART)):  # the answer, and the label if it is wrong
            indent = row * (LETTERS + 4)
            middle = top + height // 2 + round((row - (not right) / 2) * (LINE + 2))
            good = None if row else right
            write_caption(pen, (left + indent, middle), text, good, SAID - indent, LETTERS)
    top = header + rows * (height + GAP)
    for picture in below:
        page.paste(picture, (GAP, top))
        top += picture.height + GAP
    _write(pen, lines, GAP, top)
    return np.array(page)


def side_by_side(
    columns: Mapping[str, Sequence[Image.Image]], verdicts: Mapping[str, Sequence[Verdict]]
) -> NDArray[np.uint8]:
    """Several agents on the same scenes, a row each: every panel over how it ended for that one."""
    from PIL import Image, ImageDraw

    width, height = next(iter(columns.values()))[0].size
    titles = {title: wrapped(title, width) for title in columns}
    header = _header(titles)
    pitch, rows = height + LINE + GAP, len(next(iter(verdicts.values())))
    page = Image.new(
        "RGB", (GAP + len(columns) * (width + GAP), header + rows * pitch + GAP // 2), PAGE
    )
    pen = ImageDraw.Draw(page)
    for column, (title, panels) in enumerate(columns.items()):
        left = GAP + column * (width + GAP)
        _write(pen, titles[title], left, header - TITLE - LINE * len(titles[title]))
        for n, panel in enumerate(panels):
            top = header + n * pitch
            page.paste(panel, (left, top))
            right, said = verdicts[title][n]
            middle = top + height + LINE // 2 + 2
            write_caption(pen, (left, middle), said, right, width, LETTERS - 1)
    return np.array(page)


def bars(title: str, gates: NDArray[np.floating], width: int, height: int = 74) -> Image.Image:
    """A chart of gates (N, C) in [0, 1]: a bar to each one's mean, a line from 5% to 95%."""
    from PIL import Image, ImageDraw

    count = gates.shape[1]
    page = Image.new("RGB", (width, LINE + TITLE + height), PAGE)
    pen = ImageDraw.Draw(page)
    pen.text((0, 0), f"{title}: {count} gates", INK, font=font(LETTERS))
    axis = 26  # room for its numbers
    for value in (0.0, 0.5, 1.0):
        y = _level(value, height)
        pen.line([(axis, y), (width - 1, y)], fill=(208, 212, 220))
        anchor = {0.0: "rs", 0.5: "rm", 1.0: "rt"}[value]
        pen.text((axis - 4, y), f"{value:g}", INK, font=font(10), anchor=anchor)
    low, high = np.quantile(gates, (0.05, 0.95), axis=0)
    edges = axis + 2 + (width - axis - 2) * np.arange(count + 1) / count
    for n, mean in enumerate(gates.mean(0)):
        left, right = round(edges[n]), round(edges[n + 1])
        inner = max(left, right - (2 if right - left > 4 else 1))
        pen.rectangle((left, _level(mean, height), inner, _level(0, height)), fill=SCALE_COLOURS[1])
        middle, thick = (left + inner) // 2, 1 + (inner - left > 6)
        span = [(middle, _level(high[n], height)), (middle, _level(low[n], height))]
        pen.line(span, fill=CASING, width=thick)
    return page


def gate_charts(gates: Mapping[str, NDArray[np.floating]], width: int) -> list[Image.Image]:
    """The charts of every stage; of many, `MOST_GATES` spread over them, first and last among."""
    names = list(gates)
    places = np.unique(np.linspace(0, len(names) - 1, min(len(names), MOST_GATES)).round())
    return [bars(names[int(place)], gates[names[int(place)]], width) for place in places]


def sheet_width(panels: int, width: int, count: int) -> int:
    """The room inside the page that `sheet` makes of `count` scenes and so many panels each."""
    blocks = min(count, max(1, 8 // (panels + 1)))
    return blocks * (panels * (width + GAP) + SAID + GAP) - GAP


def wrapped(text: str, width: int) -> list[str]:
    """Lines no wider than `width` pixels, broken between words, and in those that are longer."""
    letters = font(LETTERS)
    lines = [""]
    for word in text.split():
        while letters.getlength(word) > width and len(word) > 1:
            fits = max(
                n for n in range(1, len(word)) if n == 1 or letters.getlength(word[:n]) <= width
            )
            cut = word.rfind("=", 0, fits) + 1 or fits  # behind an equals sign, if there is one
            lines, word = [*lines, word[:cut]], word[cut:]
        longer = f"{lines[-1]} {word}".strip()
        if letters.getlength(longer) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return [line for line in lines if line] or [""]


def _header(titles: Mapping[str, Sequence[str]]) -> int:
    """Height of what stands over columns."""
    return GAP // 2 + LINE * max(map(len, titles.values())) + TITLE


def _write(pen: ImageDraw.ImageDraw, lines: Sequence[str], left: int, top: int) -> None:
    """Lines of letters under one another."""
    for n, line in enumerate(lines):
        pen.text((left, top + n * LINE), line, INK, font=font(LETTERS))


def _level(value: float, height: int) -> int:
    """The row of a chart where a gate's value lies."""
    return LINE + TITLE + round((1 - float(value)) * (height - 1))
