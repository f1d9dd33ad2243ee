"""Keep what runs reached: `python results/collect.py runs/RUN...`

Copies each run's config, numbers, tables and pictures into `results/<name>/seed-<seed>/`, draws the
curves of all seeds of a name, and writes `results/ram.md`. Needs matplotlib, the extra `report`.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FixedLocator, NullLocator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from saccade.agents.config import Config, load
from saccade.agents.runs import RunFolder
from saccade.agents.stats import student_t
from saccade.envs.files import replace_file, write_bytes, write_text

RESULTS = Path(__file__).resolve().parent
# What is drawn: the curve's name, its label, and what it is multiplied with.
CURVES = (
    ("eval/error", "validation error, %", 100.0),
    ("rollout/ep_rew_mean", "training reward", 1.0),
    ("train/fixation_spread", "spread of mean fixations", 1.0),
)
HEADER = """\
# RAM

Written by `python results/collect.py runs/...`; each run is a command's, with `--seed` 0, 1, ...:

{commands}

Error in percent of one deterministic path a scene, on the checkpoint that was best on validation;
the test split was read once. Over several seeds the interval is Student's t at 95%, of one seed
Wilson's (over images, where an image has several placements). The controls take over the same
model's gaze, mean over seeds.

| config | seeds | validation error | test error | random | centre | fixed path | CPU minutes |
|---|---|---|---|---|---|---|---|
"""


def keep(run: RunFolder, config: Config) -> None:
    """Copy a run's small files."""
    folder = RESULTS / config.name / f"seed-{config.seed}"
    tables = run.path.glob("evaluation-*.md")
    for file in (run.config, run.path / "metrics.json", *tables, run.pictures / "paths.png"):
        write_bytes(folder / file.name, file.read_bytes())


def draw_curves(runs: list[tuple[RunFolder, Config]], file: Path) -> None:
    """A line a seed over millions of steps; the best checkpoints are marked."""
    figure, axes = plt.subplots(1, len(CURVES), figsize=(12, 3.2), layout="constrained")
    errors = []
    for run, config in runs:
        events = EventAccumulator(str(run.path), size_guidance={"scalars": 0}).Reload()
        for axis, (name, _, factor) in zip(axes, CURVES, strict=True):
            points = events.Scalars(name)
            steps = [point.step / 1e6 for point in points]
            axis.plot(
                steps, [p.value * factor for p in points], lw=1.2, label=f"seed {config.seed}"
            )
        best = run.metrics()["best"]
        errors.append(100 * best["error"])
        colour = axes[0].lines[-1].get_color()
        axes[0].plot(best["timesteps"] / 1e6, errors[-1], "o", color=colour, ms=5)
    for axis, (_, label, _) in zip(axes, CURVES, strict=True):
        axis.set(xlabel="environment steps, millions", ylabel=label)
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yscale("log")
    axes[0].set_ylim(bottom=0.8 * min(errors))
    axes[0].yaxis.set_major_locator(FixedLocator([0.5, 1, 2, 3, 5, 10, 20, 50, 90]))
    axes[0].yaxis.set_major_formatter("{x:g}")
    axes[0].yaxis.set_minor_locator(NullLocator())
    axes[-1].legend(frameon=False, loc="lower right")
    replace_file(file, lambda target: figure.savefig(target, format="png", dpi=110))
    plt.close(figure)


def row(name: str, runs: list[tuple[RunFolder, Config]]) -> str:
    """A table row for all seeds of one config."""
    numbers = [run.metrics() for run, _ in runs]
    tests = [metrics["evaluations"]["test"]["rows"] for metrics in numbers]

    def error(gaze: int) -> str:
        values = [100 * rows[gaze]["error"][0] for rows in tests]
        return f"{sum(values) / len(values):.2f}"

    learned = [100 * rows[0]["error"][0] for rows in tests]
    if len(learned) > 1:
        _, low, high = student_t(learned)
    else:
        low, high = (100 * end for end in tests[0][0]["error"][1:])
    best = sum(100 * metrics["best"]["error"] for metrics in numbers) / len(numbers)
    minutes = sum(metrics["time"]["cpu_seconds"] for metrics in numbers) / len(numbers) / 60
    seeds = ", ".join(str(config.seed) for _, config in runs)
    cells: list[Any] = [f"[`{name}`]({name})", seeds, f"{best:.2f}"]
    cells += [f"**{error(0)}** ({max(low, 0):.2f} to {high:.2f})", error(1), error(2), error(3)]
    return "| " + " | ".join([*cells, f"{minutes:.1f}"]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", help="run folders, evaluated on test")
    named: dict[str, list[tuple[RunFolder, Config]]] = defaultdict(list)
    for path in parser.parse_args().runs:
        run = RunFolder.open(path)
        config = load(run.config)
        keep(run, config)
        named[config.name].append((run, config))
    rows, commands = [], []
    for name, runs in sorted(named.items()):
        runs.sort(key=lambda pair: pair[1].seed)
        draw_curves(runs, RESULTS / name / "curves.png")
        rows.append(row(name, runs))
        commands.append(f"    saccade train {name} --seed 0 --evaluate test")
    text = HEADER.format(commands="\n".join(commands)) + "\n".join(rows) + "\n"
    for name in sorted(named):
        text += f"\n## {name}\n\n![curves]({name}/curves.png)\n\n"
        text += f"![paths]({name}/seed-{named[name][0][1].seed}/paths.png)\n"
    write_text(RESULTS / "ram.md", text)
    print(text)


if __name__ == "__main__":
    main()
