"""What a training run leaves behind and shows while it goes: curves, pictures, numbers, a bar.

A callback of the learner. It measures nothing itself: validation and the learner put their numbers
into `metrics`, and this writes them down.
"""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

import numpy as np
from tqdm import tqdm

from ..ram.callbacks import Callback, Validation
from ..ram.distributed import world
from . import pictures
from .config import Config
from .curves import Curves
from .drawing import draw
from .runs import RunFolder

BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


class Journal(Callback):
    """Writes TensorBoard events and metrics.json, draws where it looks, shows progress on stderr.

    State: the clocks since the start, the open event file and bar, and the newest metrics. Comes
    after `validation` among the callbacks, whose best result it tells.

    Arguments:
        watched: a vector environment on `validation`, one lane an image to draw; None: none.
    """

    def __init__(
        self, config: Config, run: RunFolder, validation: Validation, watched: Any = None
    ) -> None:
        self.config = config
        self.run = run
        self.validation = validation
        self.watched = watched
        self.newest: dict[str, float] = {}
        self._spent = run.metrics().get("time", {})  # by earlier parts of a resumed run
        self._drawn_at = -1

    def on_start(self, learner: Any, metrics: dict[str, float]) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self._curves = Curves(self.run.path, learner.num_timesteps)
        if not learner.num_timesteps:
            self._curves.text("config", self.config.to_yaml())
        env_id, total = self.config.env.id, self.config.train.total_timesteps
        print(
            f"{self.config.agent.name} on {env_id}: {total:,} timesteps, seed {self.config.seed}, "
            f"into {self.run.path}",
            file=sys.stderr,
            flush=True,
        )
        self._bar = tqdm(
            total=total,
            initial=learner.num_timesteps,
            bar_format=BAR,
            unit_scale=True,
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
            file=sys.stderr,
        )

    def on_step(self, learner: Any, metrics: dict[str, float]) -> None:
        self._bar.update(min(learner.num_timesteps, self._bar.total) - self._bar.n)
        if metrics:
            self._take(learner, metrics)

    def on_end(self, learner: Any, metrics: dict[str, float]) -> None:
        with contextlib.ExitStack() as ends:  # each of them, also where another fails
            ends.callback(self._store, learner)
            ends.callback(self._curves.close)
            ends.callback(self._bar.close)
            self._take(learner, metrics)

    def _take(self, learner: Any, metrics: dict[str, float]) -> None:
        self.newest.update(metrics)
        self._curves.scalars(metrics, learner.num_timesteps)
        self._curves.flush()  # so that no checkpoint is ahead of the curves, should it be killed
        if "eval/error" in metrics and learner.num_timesteps != self._drawn_at:
            self._drawn_at = learner.num_timesteps
            spent = {"time/cpu_seconds": self._clocks()["cpu_seconds"]}
            self._curves.scalars(spent, learner.num_timesteps)
            self._draw(learner)
            self._curves.flush()
            self._store(learner)
            if self._bar.disable:
                self._say(learner)
        self._bar.set_postfix_str(self._figures(), refresh=False)

    def _figures(self) -> str:
        """The numbers that matter, for the bar and the log."""
        parts = []
        if "eval/error" in self.newest:
            parts.append(f"error {100 * self.newest['eval/error']:.2f}%")
            parts.append(f"best {100 * self.validation.error:.2f}%")
        if "rollout/ep_rew_mean" in self.newest:
            parts.append(f"reward {self.newest['rollout/ep_rew_mean']:.3f}")
        if "time/fps" in self.newest:
            parts.append(f"{self.newest['time/fps']:,.0f} steps/s")
        return "  ".join(parts)

    def _say(self, learner: Any) -> None:
        seconds = self._clocks()["wall_seconds"]
        print(
            f"{learner.num_timesteps:>12,} steps {seconds:8.1f} s  {self._figures()}",
            file=sys.stderr,
            flush=True,
        )

    def _draw(self, learner: Any) -> None:
        """Where it looks on the watched images, the same ones each time."""
        if self.watched is None:
            return
        spread = np.linspace(0, self.watched.unwrapped.split_length - 1, self.watched.num_envs)
        drawing = draw(learner, self.watched, np.unique(spread.astype(np.int64)))
        self._curves.picture(f"eval/{drawing.name}", drawing.picture, learner.num_timesteps)
        pictures.save_png(self.run.pictures / f"{drawing.name}.png", drawing.picture)

    def _clocks(self) -> dict[str, float]:
        """Seconds since the run began, those of earlier parts of a resumed run included."""
        wall = time.perf_counter() - self._wall + self._spent.get("wall_seconds", 0.0)
        # Processes that train together work in step: this one's time is taken for each one's.
        spent = (time.process_time() - self._cpu) * world().size
        cpu = spent + self._spent.get("cpu_seconds", 0.0)
        return {"wall_seconds": round(wall, 3), "cpu_seconds": round(cpu, 3)}

    def _store(self, learner: Any) -> None:
        best = None
        if self.validation.history:
            rank = [part if np.isfinite(part) else None for part in self.validation.rank]
            best = {
                "error": self.validation.error,
                "timesteps": self.validation.timesteps,
                "rank": rank,  # what it was chosen by, the lower the better
            }
        finite = {name: value for name, value in self.newest.items() if np.isfinite(value)}
        self.run.update_metrics(
            {
                "timesteps": learner.num_timesteps,
                "time": self._clocks(),
                "best": best,
                "metrics": {**self.run.metrics().get("metrics", {}), **finite},
            }
        )
