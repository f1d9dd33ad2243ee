"""The order in which lanes meet the images of a split."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .draws import permutation


class Walk:
    """Tells which image a group of lanes shows at its v-th visit; holds no state.

    All groups of all shards walk together: visit v of group g is place `v * groups + g` of an
    endless line of epochs, so that every image comes once an epoch, whichever group meets it.

    Args:
        length: number of images (in evaluation: of scenes).
        groups: number of groups in all shards together.
        shuffled: a fresh order each epoch (training), or the split's own (evaluation).
    """

    def __init__(self, length: int, groups: int, shuffled: bool) -> None:
        self.length = length
        self.groups = groups
        self.shuffled = shuffled

    def index(
        self, seed: int, group: NDArray[np.int64], visit: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The places in the split, int64 `(n,)`, for groups and visits `(n,)`."""
        epoch, place = np.divmod(visit * self.groups + group, self.length)
        if not self.shuffled:
            return place
        first, last = int(epoch.min()), int(epoch.max())
        if first == last:
            return _order(seed, first, self.length)[place]
        index = np.empty_like(place)
        for number in range(first, last + 1):
            here = epoch == number
            index[here] = _order(seed, number, self.length)[place[here]]
        return index


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    order = permutation(seed, epoch, length)
    order.flags.writeable = False
    return order
