"""Put the tasks' comparisons on one page: `python results/tasks.py`

Reads what `saccade compare` wrote into the folders of `results/tasks/`, fills the tables of
`results/tasks.md` in place, and draws `results/tasks/stop.png`. Needs matplotlib, the extra
`report`.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from pages import Row, fill, percent, rows_of, table

from saccade.envs.files import replace_file

RESULTS = Path(__file__).resolve().parent
FOLDER = RESULTS / "tasks"
# Rows by config: what is right, and the level that was asked for, in percent.
TASKS = {
    "ram_pair_digits": ("both digits right", "80"),
    "dram_pair_digits": ("both digits right", "-"),
    "ram_addition_digits": ("sum right", "60"),
    "ram_locate_digits": ("within a quarter of the digit's width", "90"),
    "ram_moving_digits": ("digit right", "90"),
    "ram_track_digits": ("steps on the target", "80"),
    "ram_catch": ("balls caught", "85"),
}
# Folders of comparisons of when to stop, and their scenes.
STOPPING = {"stop": "translated, 48x48", "stop_cluttered": "cluttered, 60x60"}


def right(row: Row) -> str:
    """The share of scenes with success, in percent."""
    error, low, high = (100 * float(row[key]) for key in ("error", "error_low", "error_high"))
    # Student's t knows no bounds: a share above 100 is cut.
    return f"{100 - error:.2f} ({100 - high:.2f} to {min(100 - low, 100):.2f})"


def learned() -> list[str]:
    """What each config reaches, beside its random fixations."""
    found = rows_of(FOLDER / "learned")
    lines = []
    for name, (what, level) in TASKS.items():
        if (name, "learned") not in found:
            continue
        own, random = found[name, "learned"], found[name, "random"]
        share = "share" if what.startswith("steps") else None
        lines.append(
            [
                f"`{name}`",
                what,
                percent(own, share) if share else right(own),
                level,
                f"{100 * float(random[share]):.2f}"
                if share
                else f"{100 - 100 * float(random['error']):.2f}",
                percent(random, "behind", "+"),
                str(len(own["seeds"].split())),
                f"{float(own['cpu_seconds']) / 60:.1f}",
            ]
        )
    head = ["config", "what", "% (95%)", "asked for", "random", "random behind", "seeds", "CPU min"]
    return table(head, lines)


def stopping(folder: str) -> list[tuple[str, Row]]:
    """Adaptive and fixed agents by their names, in order of their mean glimpses."""
    found = [
        (name, row) for (name, gaze), row in rows_of(FOLDER / folder).items() if gaze == "learned"
    ]
    return sorted(found, key=lambda pair: float(pair[1]["glimpses"]))


def stop(folder: str) -> list[str]:
    """Error against mean glimpses."""
    lines = []
    for name, row in stopping(folder):
        kind, value = name.split("_")
        what = f"stops when ready, cost {value}" if kind == "stop" else f"always {value}"
        glimpses = f"{float(row['glimpses']):.2f}"
        lines.append([what, glimpses, percent(row, "error"), str(len(row["seeds"].split()))])
    return table(["agent", "mean glimpses", "error %", "seeds"], lines)


def draw() -> None:
    """Error against mean glimpses, a line for those that stop and one for those that do not."""
    figure, axes = plt.subplots(1, len(STOPPING), figsize=(8.4, 3.4), layout="constrained")
    for axis, (folder, title) in zip(axes, STOPPING.items(), strict=True):
        for kind, label, mark in (
            ("fixed", "always as many", "s"),
            ("stop", "stops when ready", "o"),
        ):
            rows = [row for name, row in stopping(folder) if name.startswith(kind)]
            x = [float(row["glimpses"]) for row in rows]
            y = [100 * float(row["error"]) for row in rows]
            low, high = (
                [100 * float(row[f"error_{end}"]) for row in rows] for end in ("low", "high")
            )
            # On a logarithmic axis an interval that reaches 0 stays on the page.
            below = [min(at - end, 0.9 * at) for at, end in zip(y, low, strict=True)]
            above = [end - at for at, end in zip(y, high, strict=True)]
            axis.errorbar(x, y, (below, above), marker=mark, capsize=3, lw=1.4, ms=5, label=label)
        axis.set(xlabel="mean glimpses an image", title=title, yscale="log")
        ticks = [1, 2, 5, 10, 20, 50]
        axis.set_yticks(ticks, [str(tick) for tick in ticks])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("test error, %")
    axes[0].legend(frameon=False)
    replace_file(FOLDER / "stop.png", lambda file: figure.savefig(file, format="png", dpi=120))


def main() -> None:
    fill(
        RESULTS / "tasks.md",
        {"learned": learned(), **{folder: stop(folder) for folder in STOPPING}},
    )
    draw()


if __name__ == "__main__":
    main()
