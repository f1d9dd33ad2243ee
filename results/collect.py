"""Keep what a run reached: `python results/collect.py runs/RUN...`

Copies each run's config, numbers and tables into `results/<name>/` and draws its curves there.
Needs matplotlib, which comes with stable-baselines3.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FixedLocator, NullLocator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from saccade.agents.runs import RunFolder

RESULTS = Path(__file__).resolve().parent
# What is drawn: the curve's name, its label, and what it is multiplied with.
CURVES = (
    ("eval/error", "validation error, %", 100.0),
    ("rollout/ep_rew_mean", "training reward", 1.0),
    ("train/fixation_spread", "spread of mean fixations", 1.0),
)


def collect(run: RunFolder) -> Path:
    """Copy and draw one run; the folder that it went to."""
    folder = RESULTS / run.metrics()["name"]
    folder.mkdir(exist_ok=True)
    for file in (run.config, run.path / "metrics.json", *run.path.glob("evaluation-*.md")):
        shutil.copy(file, folder / file.name)
    for picture in run.pictures.glob("*.png"):
        shutil.copy(picture, folder / picture.name)
    draw_curves(run, folder / "curves.png")
    return folder


def draw_curves(run: RunFolder, file: Path) -> None:
    """The curves side by side over millions of steps; the best checkpoint is marked."""
    events = EventAccumulator(str(run.path), size_guidance={"scalars": 0}).Reload()
    figure, axes = plt.subplots(1, len(CURVES), figsize=(12, 3.2), layout="constrained")
    for axis, (name, label, factor) in zip(axes, CURVES, strict=True):
        points = events.Scalars(name)
        axis.plot([p.step / 1e6 for p in points], [p.value * factor for p in points], lw=1.4)
        axis.set(xlabel="environment steps, millions", ylabel=label)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yscale("log")
    axes[0].yaxis.set_major_locator(FixedLocator([0.5, 1, 2, 3, 5, 10, 20, 50, 90]))
    axes[0].yaxis.set_major_formatter("{x:g}")
    axes[0].yaxis.set_minor_locator(NullLocator())
    best = run.metrics()["best"]
    axes[0].set_ylim(bottom=75 * best["error"])  # room for the mark
    axes[0].plot(best["timesteps"] / 1e6, 100 * best["error"], "o", color="C1", ms=5)
    axes[0].annotate(
        f"best {100 * best['error']:.2f}",
        (best["timesteps"] / 1e6, 100 * best["error"]),
        textcoords="offset points",
        xytext=(0, -14),
        ha="center",
    )
    figure.suptitle(run.path.name, fontsize=10)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", help="run folders")
    for path in parser.parse_args().runs:
        print(collect(RunFolder.open(path)))


if __name__ == "__main__":
    main()
