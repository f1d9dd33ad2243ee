"""Which image each lane shows next, and where its random draws come from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .checks import pair
from .draws import make_key, permutation

Split = Literal["train", "validation", "test"]

SPLITS = ("train", "validation", "test")
_SCENE_KEY, _LANE_KEY = 1, 2


class Walk:
    """The lanes of one environment on their way through a split.

    In training, draws are functions of (seed, lane, episode) and images come in shuffled epochs;
    in evaluation, everything is a function of (split, index) and images come in order.

    State: `seed`, and `(n,)` counters of the episodes begun and of the steps along the walk.

    Args:
        split: which one is walked.
        length: number of its images (in evaluation: of its scenes).
        lanes: number of lanes, n.
        shard: `(i, m)`: these lanes are part i of m.
        paths: lanes to a group; a group shares image and scene.

    Raises:
        ValueError: shard or paths do not fit.
    """

    def __init__(
        self, split: Split, length: int, lanes: int, shard: tuple[int, int], paths: int
    ) -> None:
        part, parts = pair("shard", shard, "(i, m), part i of m counted from 0", 0)
        if part >= parts:
            raise ValueError(f"shard={(part, parts)}: part i of m is counted from 0 to m - 1")
        if lanes * parts % paths:
            raise ValueError(
                f"paths={paths}: all shards' {lanes * parts} lanes do not part into whole runs"
            )
        self.split = split
        self.length = length
        self.seed: int | None = None
        self._lane = part * lanes + np.arange(lanes)
        self._group = self._lane // paths
        self._path = self._lane % paths
        self._order = Order(length, lanes * parts // paths, shuffled=split == "train")
        self._episode = np.zeros(lanes, np.int64)
        self._visit = np.zeros(lanes, np.int64)

    def start(self, seed: int, lanes: NDArray[np.int64]) -> None:
        """Begin anew in `lanes`, with this seed."""
        self.seed = seed
        self._episode[lanes] = 0
        self._visit[lanes] = 0

    def restart(self, lanes: NDArray[np.int64]) -> None:
        """Go back to the first image in `lanes`."""
        self._visit[lanes] = 0

    def next(
        self, lanes: NDArray[np.int64], index: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.uint64]]:
        """Begin an episode in `lanes`.

        Args:
            index: the places in the split that are asked for, `(m,)`; None takes the walk's next.

        Returns:
            The places in the split, the keys of the scenes' draws, and those of the lanes' own,
            `(m,)` each.
        """
        assert self.seed is not None
        group, episode = self._group[lanes], self._episode[lanes]
        self._episode[lanes] += 1
        if index is None:
            index = self._order.index(self.seed, group, self._visit[lanes])
            self._visit[lanes] += 1
        if self.split == "train":
            scene_key = make_key(_SCENE_KEY, self.seed, group, episode)
            return index, scene_key, make_key(_LANE_KEY, self.seed, self._lane[lanes], episode)
        # The test set is the same for everyone, always: no seed, no lane.
        split = SPLITS.index(self.split)
        scene_key = make_key(_SCENE_KEY, split, index)
        return index, scene_key, make_key(_LANE_KEY, split, index, self._path[lanes])

    def state(self) -> dict[str, Any]:
        """Where the walk stands: `seed`, and `episode` and `visit` `(n,)`."""
        return {"seed": self.seed, "episode": self._episode.copy(), "visit": self._visit.copy()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state()`.

        Raises:
            ValueError: it is that of another number of lanes.
        """
        if len(state["episode"]) != len(self._lane):
            raise ValueError(
                f"a walk of {len(state['episode'])} lanes cannot go on in {len(self._lane)} lanes"
            )
        self.seed = state["seed"]
        self._episode[:] = state["episode"]
        self._visit[:] = state["visit"]


class Order:
    """Tells which image a group of lanes shows at its v-th visit.

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
        # The last epoch's, at hand: a process may walk in more orders than the cache keeps.
        self._known: tuple[tuple[int, int], NDArray[np.int64]] | None = None

    def index(
        self, seed: int, group: NDArray[np.int64], visit: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The places in the split, int64 `(n,)`, for groups and visits `(n,)`."""
        epoch, place = np.divmod(visit * self.groups + group, self.length)
        if not self.shuffled:
            return place
        first, last = int(epoch.min()), int(epoch.max())
        if first == last:
            return self._epoch(seed, first)[place]
        index = np.empty_like(place)
        for number in range(first, last + 1):
            here = epoch == number
            index[here] = self._epoch(seed, number)[place[here]]
        return index

    def _epoch(self, seed: int, epoch: int) -> NDArray[np.int64]:
        if self._known is None or self._known[0] != (seed, epoch):
            self._known = (seed, epoch), _shuffled(seed, epoch, self.length)
        return self._known[1]


@lru_cache(maxsize=8)
def _shuffled(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    order = permutation(seed, epoch, length)
    order.flags.writeable = False
    return order
