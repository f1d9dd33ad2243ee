"""Pictures of any size and kind as arrays of one size: opened, turned upright, fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..checks import choose, pair

if TYPE_CHECKING:
    from PIL import Image

MOST_PIXELS = 100_000_000  # of one picture; what claims more is refused before it is decoded

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
        both = (size,) * 2 if isinstance(size, (int, float, np.integer)) else size
        return pair("image_size", both, "a side or (height, width)", 1)

    def __call__(self, picture: Image.Image, channels: int) -> np.ndarray:
        """A picture as uint8 (H, W, channels), 1 for gray or 3; what is transparent is black."""
        from PIL import Image, ImageOps

        height, width = self.sides
        # JPEG can be decoded at a half, a quarter, ... of its size.
        picture.draft("L" if channels == 1 else "RGB", (2 * width, 2 * height))
        picture = ImageOps.exif_transpose(picture)
        if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "black"), picture)
        elif picture.mode.startswith("I;16") or picture.mode == "I":
            values = np.asarray(picture, np.float64) / 257  # 16 bits
            picture = Image.fromarray(values.round().clip(0, 255).astype(np.uint8))
        picture = picture.convert("L" if channels == 1 else "RGB")
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

    Raises OSError or ValueError, in words, for what is none, or is too large.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(file, formats=("JPEG", "PNG"))
    except UnidentifiedImageError:
        raise ValueError("neither JPEG nor PNG") from None
    except Image.DecompressionBombError:
        raise ValueError(f"more than {MOST_PIXELS:,} pixels") from None
    if picture.width * picture.height > MOST_PIXELS:
        raise ValueError(f"{picture.width}x{picture.height}, more than {MOST_PIXELS:,} pixels")
    return picture
