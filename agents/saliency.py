"""Where an image stands out: the saliency map of Itti, Koch and Niebur, and the gaze that scans it.

L. Itti, C. Koch, E. Niebur: A model of saliency-based visual attention for rapid scene analysis,
IEEE PAMI 20 (1998); L. Itti, C. Koch: Computational modelling of visual attention, Nature Reviews
Neuroscience 2 (2001). Nothing is learned: intensity, colour and orientation of each place are
compared with its surround's, and what differs most wins.

Where the papers leave a choice, or their image of 640 x 480 pixels matters:

- **Scales.** The paper's centres 2, 3, 4 and surrounds 3 or 4 levels coarser need nine levels. A
  smaller image has fewer: all pairs move to finer levels by as many as are missing, and those with
  a centre finer than the image are left out (28 x 28: 0-3, 0-4; 60 x 60: also 1-4, 1-5;
  100 x 100: all six, from 0-3 to 2-6). The map has the size of the coarsest centre.
- **Local maxima** below a tenth of the highest do not count in N, as in the authors' own programs:
  they are ripples. A difference of less than 1e-4 in a map is none.
- **Opponent colours.** The surround's R - G is subtracted from the centre's (Walther and Koch
  2006); as printed in 1998, with the surround's sign turned, an odd colour would stand out less.
- **Inhibition of return** covers the paper's focus, a disc of a sixth of the image's shorter side,
  and lasts until nothing is left to look at. The preference for near places is left out, and the
  winner is the map's maximum, which the paper's network of neurons converges to.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..envs.scenes import MovingScene
from ..envs.sensors import fixation_to_pixel, pixel_to_fixation
from .gaze import Gaze, Sight

FLAT = 1e-4  # a map whose values span less has nothing in it
RIPPLE = 0.1  # maxima below this share of the highest do not count
FOCUS = 1 / 6  # radius of the focus of attention, in shorter sides of the image
_BLOCK = 16  # images computed at a time, so that their maps fit the cache

# Gabor filters: 9 x 9, a period of 7 pixels, in phase and in quadrature.
_ANGLES = (0, 45, 90, 135)
_FILTER, _PERIOD, _WIDTH = 9, 7.0, 7.0 / 3


def saliency_map(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Saliency of images in [0, 1], float32 (n, C, H, W), as maps of at least 0, (n, h, w).

    Channels are red, green and blue where there are three; their mean is the intensity. Pixel
    (x, y) of a map belongs to pixel (x * f, y * f) of the image, f = `map_step(H, W)`.
    """
    with torch.inference_mode():
        given = torch.as_tensor(np.ascontiguousarray(images))
        return torch.cat([_saliency(part) for part in given.split(_BLOCK)]).numpy()


def map_step(height: int, width: int) -> int:
    """Pixels of the image from one of the map's pixels to the next."""
    return int(2 ** max(centre for centre, _ in scale_pairs(height, width)))


def scale_pairs(height: int, width: int) -> list[tuple[int, int]]:
    """The pyramid levels (centre, surround) that are compared, level l being 2**l times coarser.

    Raises:
        ValueError: the image is smaller than 12 pixels a side.
    """
    if min(height, width) < 12:
        raise ValueError(f"an image of {height}x{width}: saliency needs 12 pixels a side")
    # The coarsest level is the last with more than 1.5 pixels a side; the paper's is 8.
    missing = 8 - min(8, math.floor(math.log2(min(height, width) / 1.5)))
    pairs = [(centre - missing, delta) for centre in (2, 3, 4) for delta in (3, 4)]
    return [(centre, centre + delta) for centre, delta in pairs if centre >= 0]


def _saliency(images: Tensor) -> Tensor:
    """(n, C, H, W) -> (n, h, w)."""
    pairs = scale_pairs(*images.shape[2:])
    maps = across_scales(features(images, pairs), pairs)  # (n, k, h, w)
    # One map for each quality, conspicuity: each angle competes within itself first.
    qualities = [maps[:, 0], promote(maps[:, 1:5]).sum(1)]
    if maps.shape[1] > 5:
        qualities.append(maps[:, 5:].sum(1))
    return promote(torch.stack(qualities, dim=1)).mean(1)


# ---------------------------------------------------------------------- features


def features(images: Tensor, pairs: list[tuple[int, int]]) -> dict[int, Tensor]:
    """The features (n, k, ...) of images (n, C, H, W) at each level that occurs in `pairs`.

    Intensity first, then the four orientations, then, of three channels, the two opponent colours.
    """
    levels = sorted({level for pair in pairs for level in pair})
    intensity = pyramid(images.mean(1, keepdim=True), levels[-1])
    found = {level: [intensity[level], orientations(intensity[level])] for level in levels}
    if images.shape[1] == 3:
        colours = pyramid(opponent_colours(images), levels[-1])
        for level in levels:
            found[level].append(colours[level])
    return {level: torch.cat(parts, dim=1) for level, parts in found.items()}


def orientations(intensity: Tensor) -> Tensor:
    """How strongly each place is striped at 0, 45, 90 and 135 degrees: (n, 1, H, W) -> (n, 4, ...).

    The angle is that in which intensity varies: a vertical bar answers at 0. The two phases'
    magnitudes are added.
    """
    around = F.pad(intensity, (_FILTER // 2,) * 4, mode="replicate")
    phases = F.conv2d(around, _gabors())  # (n, 8, H, W)
    return phases.abs_().unflatten(1, (len(_ANGLES), 2)).sum(2)


def opponent_colours(images: Tensor) -> Tensor:
    """Red minus green and blue minus yellow, (n, 3, H, W) -> (n, 2, H, W).

    Hue is taken apart from intensity, and is nothing where it is dark: below a tenth of the
    image's highest intensity.
    """
    intensity = images.mean(1, keepdim=True)
    bright = intensity > intensity.amax((2, 3), keepdim=True) / 10
    r, g, b = torch.where(bright, images / intensity.clamp_min(1e-6), 0.0).unbind(1)
    red, green, blue = r - (g + b) / 2, g - (r + b) / 2, b - (r + g) / 2
    yellow = (r + g) / 2 - (r - g).abs() / 2 - b
    red, green, blue, yellow = (hue.clamp_min(0) for hue in (red, green, blue, yellow))
    return torch.stack([red - green, blue - yellow], dim=1)


@lru_cache(maxsize=1)
def _gabors() -> Tensor:
    """The filters, (8, 1, 9, 9): an even and an odd one for each angle, of mean 0 and norm 1."""
    place = np.arange(_FILTER) - _FILTER // 2
    y, x = np.meshgrid(place, place, indexing="ij")
    envelope = np.exp(-(x**2 + y**2) / (2 * _WIDTH**2))
    filters = []
    for angle in np.deg2rad(_ANGLES):
        phase = 2 * np.pi / _PERIOD * (x * np.cos(angle) + y * np.sin(angle))
        for wave in (np.cos(phase), np.sin(phase)):
            plain = envelope * wave
            plain -= envelope * plain.sum() / envelope.sum()
            filters.append(plain / np.linalg.norm(plain))
    return torch.as_tensor(np.stack(filters)[:, None].astype(np.float32))


# ---------------------------------------------------------------------- scales


def pyramid(images: Tensor, top: int) -> list[Tensor]:
    """Levels 0 to `top` of images (n, k, H, W), each half as wide and high, rounded up."""
    levels = [images]
    for _ in range(top):
        levels.append(_halved(levels[-1]))
    return levels


def across_scales(levels: dict[int, Tensor], pairs: list[tuple[int, int]]) -> Tensor:
    """Promoted centre-surround differences of features (n, k, ...) by level, added up at one size.

    Returns maps of the coarsest centre's size, (n, k, h, w).
    """
    centres = sorted({centre for centre, _ in pairs})  # neighbouring levels
    total: Any = None
    for level in centres:
        coarse = [levels[surround] for centre, surround in pairs if centre == level]
        maps = torch.stack([difference(levels[level], surround) for surround in coarse], dim=1)
        here = promote(maps).sum(1)
        total = here if total is None else here + _halved(total)
    return total


def difference(centre: Tensor, surround: Tensor) -> Tensor:
    """How much each place differs from its surround, given coarser: |centre - surround|."""
    height, width = centre.shape[2:]
    rows = _enlarger(height, surround.shape[2])
    columns = _enlarger(width, surround.shape[3])
    return (centre - rows @ surround @ columns.T).abs_()


def _halved(images: Tensor) -> Tensor:
    rows, columns = (_halver(side) for side in images.shape[2:])
    return rows @ images @ columns.T


@lru_cache(maxsize=64)
def _halver(length: int) -> Tensor:
    """The matrix that smooths by 1 4 6 4 1 and keeps every other value; ends are repeated."""
    kept = np.arange(0, length, 2)
    matrix = np.zeros((len(kept), length), np.float32)
    for offset, weight in zip(range(-2, 3), (1, 4, 6, 4, 1), strict=True):
        np.add.at(matrix, (np.arange(len(kept)), np.clip(kept + offset, 0, length - 1)), weight)
    return torch.as_tensor(matrix / 16)


@lru_cache(maxsize=64)
def _enlarger(length: int, coarse: int) -> Tensor:
    """The matrix that draws straight lines between values that lie 2**l apart, ends repeated."""
    factor = 1
    while -(-length // factor) > coarse:
        factor *= 2
    place = np.minimum(np.arange(length) / factor, coarse - 1)
    low = np.floor(place).astype(np.int64)
    share = (place - low).astype(np.float32)
    matrix = np.zeros((length, coarse), np.float32)
    np.add.at(matrix, (np.arange(length), low), 1 - share)
    np.add.at(matrix, (np.arange(length), np.minimum(low + 1, coarse - 1)), share)
    return torch.as_tensor(matrix)


# ---------------------------------------------------------------------- competition


def promote(maps: Tensor) -> Tensor:
    """The paper's N: maps (..., h, w) with one peak stay, those with many equal ones fade.

    Each map is brought to [0, 1] and multiplied by (1 - m)**2, m the mean of its local maxima
    except the highest.
    """
    flat = maps.flatten(0, -3)  # (m, h, w)
    low, high = flat.amin((1, 2)), flat.amax((1, 2))  # (m,)
    span = torch.where(high - low < FLAT, math.inf, high - low)
    peaks = local_maxima(flat, low + RIPPLE * (high - low))
    (place,) = peaks.flatten().nonzero(as_tuple=True)
    which = place // flat[0].numel()
    height = (flat.flatten()[place] - low[which]) / span[which]
    total = torch.zeros_like(low).index_add_(0, which, height)
    count = torch.bincount(which, minlength=len(flat))
    others = (total - 1) / (count - 1).clamp_min(1)  # the highest is 1
    factor = (1 - others) ** 2 / span
    return ((flat - low[:, None, None]) * factor[:, None, None]).view_as(maps)


def local_maxima(maps: Tensor, least: Tensor) -> Tensor:
    """Which places of maps (m, h, w) exceed all eight neighbours and reach `least` (m,), bool.

    Of neighbours that are equal the first in reading order counts as the higher one.
    """
    wide = F.pad(maps, (1, 1, 1, 1), value=-math.inf)
    rows = torch.maximum(torch.maximum(wide[..., :-2], wide[..., 2:]), wide[..., 1:-1])
    before = torch.maximum(rows[:, :-2], wide[:, 1:-1, :-2])  # the row above, and the left
    after = torch.maximum(rows[:, 2:], wide[:, 1:-1, 2:])
    return (maps > before) & (maps >= torch.maximum(after, least[:, None, None], out=after))


# ---------------------------------------------------------------------- the gaze


class Saliency(Gaze):
    """Looks where the image stands out most, then where it does next: the winner takes all.

    Sees the whole image: when an episode begins, and where scenes move before every look. What has
    been looked at, the first glimpse too, is inhibited, until nothing is left; of equal places the
    first in reading order wins. Its state is the maps (n, h, w), and which of their places are
    inhibited.
    """

    reveal = ("image",)

    def __init__(self, env: Any, seed: int = 0) -> None:
        super().__init__(env, seed)
        step = map_step(self.height, self.width)
        self._x, self._y = np.arange(0, self.width, step), np.arange(0, self.height, step)
        self._moving = isinstance(env.unwrapped.scene, MovingScene)
        self._radius = FOCUS * min(self.height, self.width)

    def look(
        self, sight: Sight, state: Any = None, episode_start: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], Any]:
        image = np.asarray(sight["image"])
        begun = episode_start is not None and np.any(episode_start)
        if state is None:
            maps = saliency_map(image)
            inhibited = np.zeros(maps.shape, np.bool_)
        else:
            maps, inhibited = state
            if self._moving:
                maps = saliency_map(image)
            elif begun:
                maps = maps.copy()
                maps[episode_start] = saliency_map(image[episode_start])
            if begun:
                inhibited = inhibited.copy()
                inhibited[episode_start] = False

        here = self._focus(np.asarray(sight["fixation"]))
        inhibited = inhibited | here
        over = inhibited.all((1, 2))  # everything has been looked at: only here it was just now
        inhibited[over] = here[over]
        best = np.where(inhibited, -1, maps).reshape(len(maps), -1).argmax(1)
        row, column = np.divmod(best, len(self._x))
        x = pixel_to_fixation(self._x[column], self.width)
        y = pixel_to_fixation(self._y[row], self.height)
        return np.stack([x, y], axis=1), (maps, inhibited)

    def _focus(self, fixation: NDArray[np.float32]) -> NDArray[np.bool_]:
        """The map's places within the focus of attention round each fixation, (n, h, w)."""
        x = self._x - fixation_to_pixel(fixation[:, 0], self.width)[:, None]
        y = self._y - fixation_to_pixel(fixation[:, 1], self.height)[:, None]
        away: NDArray[np.bool_] = x[:, None, :] ** 2 + y[:, :, None] ** 2 <= self._radius**2
        return away
