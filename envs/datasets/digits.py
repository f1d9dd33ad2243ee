"""`digits`: 1,797 handwritten digits that come with scikit-learn, enlarged from 8x8 to 28x28.

Real handwriting without a download (E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten
Digits, UCI, 1998). A tenth is validation and a fifth test, the same images always.
"""

from __future__ import annotations

import numpy as np

from .base import Dataset

_SIZE = 28
_ZOOM = 3  # 24x24 in the middle of 28x28: strokes at the edge end softly, not cut
_UNIT = 144  # the kernel's values at sixths of a pixel are whole multiples of 1 / 144
_FULL = 16  # the brightest value of the 8x8 images


def load_digits() -> Dataset:
    """Ten classes of 28x28 gray images: train 1,258, validation 180, test 359."""
    # Imported here: it takes a second, and `import saccade` needs none of it.
    from sklearn.datasets import load_digits as load_small_digits

    small = load_small_digits()
    images = enlarge(small.images.astype(np.int64))
    labels = small.target.astype(np.int64)
    return Dataset.from_arrays(
        images, labels, name="digits", classes=[str(k) for k in range(10)], validation=0.1, test=0.2
    )


def enlarge(small: np.ndarray) -> np.ndarray:
    """8x8 images of 0..16, int64 (N, 8, 8), as smooth 28x28 ones, uint8 (N, 28, 28).

    Cubic convolution over a black surround, then the contrast raised a little, since the 8x8 values
    are averages over a stroke and its edge: a tenth of full brightness and less becomes black, nine
    tenths and more white. In whole numbers throughout, so every machine gets the same bytes.
    """
    weights = _cubic_weights(small.shape[-1])  # (28, 8), in units of 1 / 144
    wide = small @ weights.T  # (N, 8, 28)
    large = weights @ wide  # (N, 28, 28)
    full = _FULL * _UNIT**2
    # round(255 * (large / full - 0.1) / 0.8), halves up
    bright, unit = 255 * (10 * large - full), 8 * full
    return np.clip((2 * bright + unit) // (2 * unit), 0, 255).astype(np.uint8)


def _cubic_weights(size: int) -> np.ndarray:
    """What each of `size` pixels gives to each of the 28: int64 (28, size), in 1 / 144.

    R. Keys' cubic convolution kernel (1981) with a = -1/2, over pixel centres.
    """
    centres = (np.arange(_SIZE) + 0.5 - _SIZE / 2) / _ZOOM + size / 2 - 0.5
    d = np.abs(centres[:, None] - np.arange(size))  # (28, size), pixels
    near = 1.5 * d**3 - 2.5 * d**2 + 1
    far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    kernel = np.where(d < 1, near, np.where(d < 2, far, 0.0))
    return np.rint(kernel * _UNIT).astype(np.int64)
