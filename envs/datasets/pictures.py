"""Pictures of any size and kind as arrays of one size: opened, turned upright, fitted."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..checks import choose, pair

if TYPE_CHECKING:
    from PIL import Image

MOST_PIXELS = 100_000_000  # of one picture; what claims more is refused before it is decoded
# What comes of a file that is no whole picture.
UNREADABLE = (OSError, ValueError, SyntaxError, MemoryError)

Fit = Literal["crop", "pad", "stretch"]


@dataclass(frozen=True)
class Fitting:
    """How pictures are brought to one size.

    Attributes:
        image_size: side of the square images, or `(height, width)`, in pixels.
        fit: `"crop"`: the shorter side fits, what is over at both ends of the longer is cut off;
            `"pad"`: the longer side fits, the rest is black; `"stretch"`: both sides fit.
    """

    image_size: int | tuple[int, int] = 64
    fit: Fit = "crop"

    def __post_init__(self) -> None:
        choose("fit", self.fit, ("crop", "pad", "stretch"))
        _ = self.sides

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        size = self.image_size
        both = size if isinstance(size, tuple) else (size, size)
        return pair("image_size", both, "a side or (height, width)", 1)

    def __call__(self, picture: Image.Image, channels: int) -> np.ndarray:
        """A picture as uint8 (H, W, channels), 1 for gray or 3; what is transparent is black.

        Raises one of UNREADABLE, in words, where it is damaged.
        """
        with _in_words():
            return self._fitted(picture, channels)

    def _fitted(self, picture: Image.Image, channels: int) -> np.ndarray:
        from PIL import Image, ImageOps

        height, width = self.sides
        # JPEG can be decoded at a half, a quarter, ... of its size.
        picture.draft("L" if channels == 1 else "RGB", (2 * width, 2 * height))
        picture.load()
        _turn_upright(picture)
        if picture.mode.startswith("I"):
            high = np.asarray(picture) >> 8  # the higher byte of 16 bits, as Pillow has of colours
            picture = Image.fromarray(high.clip(0, 255).astype(np.uint8))
        elif "transparency" in picture.info:
            picture = picture.convert("RGBA")
        elif picture.mode in ("1", "P", "PA"):
            picture = picture.convert({"1": "L", "P": "RGB", "PA": "RGBA"}[picture.mode])
        # Averaged down before what else is done, which would take as much memory each time.
        less = min(picture.width // (2 * width), picture.height // (2 * height))
        if less > 1:
            picture = picture.reduce(less)
        if picture.mode in ("RGBA", "LA"):
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture)
        mode = "L" if channels == 1 else "RGB"
        if picture.mode != mode:
            picture = picture.convert(mode)
        how = Image.Resampling.BILINEAR  # over the area that a pixel stands for
        if self.fit == "crop":
            picture = ImageOps.fit(picture, (width, height), how)
        elif self.fit == "pad":
            picture = ImageOps.pad(picture, (width, height), how, color=0)
        else:
            picture = picture.resize((width, height), how)
        return np.asarray(picture, np.uint8).reshape(height, width, channels)


def is_gray(picture: Image.Image) -> bool:
    """Whether a picture has no colours, by its mode."""
    return picture.mode in ("1", "L", "LA", "I") or picture.mode.startswith("I;16")


def open_picture(file: Any) -> Image.Image:
    """Open a JPEG or PNG without decoding it.

    Raises one of UNREADABLE, in words, for what is none, or is too large.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), _in_words():
            warnings.simplefilter("ignore")  # what is large is measured below
            picture = Image.open(file, formats=("JPEG", "PNG"))
    except UnidentifiedImageError:
        raise ValueError("neither JPEG nor PNG") from None
    except Image.DecompressionBombError:
        raise ValueError(f"more than {MOST_PIXELS:,} pixels") from None
    if picture.width * picture.height > MOST_PIXELS:
        raise ValueError(f"{picture.width}x{picture.height}, more than {MOST_PIXELS:,} pixels")
    return picture


@contextmanager
def _in_words() -> Iterator[None]:
    """Errors of Pillow's readers, which meet damage in many ways, as UNREADABLE has them."""
    from PIL import Image

    try:
        yield
    except (*UNREADABLE, Image.DecompressionBombError):
        raise
    except Exception as error:
        raise ValueError(f"damaged ({type(error).__name__}: {error})") from None


def _turn_upright(picture: Image.Image) -> None:
    """Turn a photograph as its EXIF says that the camera was held; damaged EXIF says nothing."""
    from PIL import ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ImageOps.exif_transpose(picture, in_place=True)
        except Exception:  # the pixels are read already; cameras write what Pillow cannot parse
            return
