"""Learning curves and pictures for TensorBoard, under the names that stable-baselines3 uses."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class Curves:
    """Writes one run's events; holds an open event file until `close`.

    `resumed_at` is the timestep that a run continues from: what an earlier part of it wrote beyond
    is hidden, so that curves do not overlap; at 0 that is everything.
    """

    def __init__(self, folder: Path, resumed_at: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Its thread would print what it also hands on to the next that writes or flushes.
        self._heard, threading.excepthook = threading.excepthook, self._hear
        began = [path.name.split(".")[3] for path in folder.glob("events.out.tfevents.*")]
        while f"{int(time.time()):010}" in began:  # files are read by the second they are named for
            time.sleep(0.05)
        purge = resumed_at + bool(resumed_at) if began else None
        try:
            self._writer = SummaryWriter(str(folder), purge_step=purge)
        except BaseException:
            self._unhook()
            raise

    def scalars(self, metrics: Mapping[str, float], step: int) -> None:
        """One point on the curve of each name; those without a finite value get none."""
        for name, value in metrics.items():
            if math.isfinite(value):
                self._writer.add_scalar(name, value, step)

    def picture(self, name: str, rgb: NDArray[np.uint8], step: int) -> None:
        """A picture, uint8 (h, w, 3)."""
        self._writer.add_image(name, rgb, step, dataformats="HWC")

    def text(self, name: str, content: str) -> None:
        """Text, shown as it stands."""
        block = "\n".join(f"    {line}" for line in content.splitlines())
        self._writer.add_text(name, block, 0)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        """Close the event file; OSError where it could not be written to its end."""
        try:
            self._writer.close()
        finally:
            self._unhook()

    def _unhook(self) -> None:
        if threading.excepthook == self._hear:
            threading.excepthook = self._heard

    def _hear(self, told: threading.ExceptHookArgs) -> None:
        if "tensorboard" not in type(told.thread).__module__:
            self._heard(told)


def read_scalars(folder: Path, names: Iterable[str]) -> dict[str, NDArray[np.float64]]:
    """The curves of a run by name, (points, 2): timestep and value, timesteps rising.

    What a resumed run hid is left out, and so is the part of an event file that is cut short. A
    name without a point, or a folder without events, gives no entry.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = logging.getLogger("tensorboard")
    before = logger.level
    logger.setLevel(logging.ERROR)  # it tells of every event file that an interruption left
    try:
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    finally:
        logger.setLevel(before)
    found = {}
    for name in set(names) & set(events.Tags()["scalars"]):
        points = {event.step: event.value for event in events.Scalars(name)}
        if points:
            found[name] = np.array(sorted(points.items()), np.float64)
    return found
