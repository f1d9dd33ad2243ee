"""The commands `saccade reproduce` and `saccade keep`: their words, and what they do.

Light, as `cli.py` is: what a command needs is imported when it runs.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def add_commands(commands: Any, positive: Callable[[str], int]) -> None:
    """Add the commands to a parser's; `positive` reads a whole number above 0."""
    reproduce = commands.add_parser(
        "reproduce",
        allow_abbrev=False,
        help="fill in a paper's tables",
        description="Train the cells of a paper's tables that are missing, such as those of "
        "configs/paper, measure each run once on test, and write the page. May be stopped at any "
        "moment: the same command goes on. A cell's run is found under --runs by its config and "
        "seed, whatever its name, device and threads.",
    )
    reproduce.add_argument("folder", metavar="FOLDER", help="configs, and tables.yaml about them")
    reproduce.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="train and measure these cells alone, such as 'ram_mnist_*'",
    )
    reproduce.add_argument(
        "--seeds", metavar="N", type=positive, default=1, help="of each cell (1)"
    )
    reproduce.add_argument(
        "--jobs", metavar="N", type=positive, help="trainings at a time (cores over train.threads)"
    )
    reproduce.add_argument(
        "--device", help="where to train and measure (the configs', or where a run is)"
    )
    reproduce.add_argument(
        "--runs", metavar="DIR", default="runs", help="where run folders are and go (runs)"
    )
    reproduce.add_argument(
        "--to", metavar="PAGE", help="the page, with a folder of its name (DIR/FOLDER.md)"
    )
    reproduce.add_argument(
        "--list", action="store_true", help="show what is done and what is missing; do nothing"
    )
    reproduce.add_argument(
        "--no-train", action="store_true", help="measure and write the page of what is there"
    )

    keep = commands.add_parser(
        "keep",
        allow_abbrev=False,
        help="a run's model as a small folder to give away",
        description="Write a small run folder: the config, the best checkpoint without what "
        "training alone needs, the essential numbers. 'saccade evaluate' and 'saccade watch' read "
        "it like any run, and write nothing into it.",
    )
    keep.add_argument("run", metavar="RUN", help="a run folder")
    keep.add_argument("folder", metavar="FOLDER", help="the new one, such as results/models/NAME")


def _reproduce(parsed: argparse.Namespace, _: dict[str, str]) -> int:
    """Train what is missing, measure, write the page."""
    from . import reproduce, reproduction
    from .cells import read_index
    from .seeds import default_jobs

    index, root = read_index(parsed.folder), Path(parsed.runs)

    def asked() -> list[reproduce.Place]:
        runs = reproduce.runs_of(index, root)
        return reproduce.places(index, runs, parsed.seeds, parsed.only)

    if parsed.list:
        print(reproduce.listing(asked()))
        return 0
    page = Path(parsed.to or root / f"{index.folder.resolve().name}.md")
    reproduction.check_output(page)
    wanted, code = asked(), 0
    if not parsed.no_train and not all(place.finished for place in wanted):
        threads = max(place.cell.config.train.threads for place in wanted)
        jobs = parsed.jobs or default_jobs(threads)
        outcome = reproduce.train(wanted, root, jobs, parsed.device)
        outcome.tell()
        code = outcome.code
        if outcome.stopped is not None and code:
            print("Stopped. The same command goes on.", file=sys.stderr)
            return code
        wanted = asked()
    reproduce.measure(wanted, parsed.device)
    groups = reproduce.groups_of(index, reproduce.runs_of(index, root))
    words = ["saccade reproduce", shlex.quote(parsed.folder)]
    words += [f"--seeds {parsed.seeds}"] if parsed.seeds > 1 else []
    words += [f"--to {shlex.quote(parsed.to)}"] if parsed.to else []
    files = reproduction.write(index, groups, " ".join(words), page)
    print(reproduce.listing(asked()))
    print("Written: " + " ".join(shlex.quote(str(file)) for file in files), file=sys.stderr)
    return code


def _keep(parsed: argparse.Namespace, _: dict[str, str]) -> int:
    """Keep a run's model."""
    from .keep import keep
    from .runs import RunFolder

    kept = keep(RunFolder.open(parsed.run), parsed.folder)
    size = sum(file.stat().st_size for file in kept.path.rglob("*") if file.is_file())
    print(f"{kept.path}: {size / 1e6:.2f} MB")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace, dict[str, str]], int]] = {
    "reproduce": _reproduce,
    "keep": _keep,
}
