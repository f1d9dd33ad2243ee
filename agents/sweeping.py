"""The command `saccade sweep`: its options, and what it prints.

Apart from the others because it has many; it imports what trains only when it runs.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import Any

from .errors import UserError
from .words import positive, settings


def add_parser(commands: Any) -> None:
    """Add the command to those of `saccade`."""
    parser = commands.add_parser(
        "sweep",
        allow_abbrev=False,
        help="many settings of a config, and the best on validation",
        description="Train a config with values drawn from a space, on Ray Tune: "
        "--space 'agent.learning_rate=loguniform(1e-4, 1e-2)' 'agent.std=[0.1, 0.2]'. Any other "
        "key can be set behind the config. Ctrl-C, or a kill, leaves a folder to --resume. Needs "
        'pip install "saccade[ray]".',
    )
    parser.add_argument("config", nargs="?", help="a YAML file, or the name of a packaged one")
    parser.add_argument(
        "--space",
        nargs="+",
        action="extend",
        metavar="KEY=VALUES",
        help="what varies: a list of values, or a distribution of ray.tune; or a YAML file",
    )
    parser.add_argument(
        "--samples", metavar="N", type=positive, help="draws from the space, a trial each (1)"
    )
    parser.add_argument("--resume", metavar="DIR", help="go on with a sweep that was ended")
    parser.add_argument(
        "--jobs", metavar="N", type=positive, help="trials at a time (cores over train.threads)"
    )
    parser.add_argument(
        "--early-stop", action="store_true", help="stop trials that fall behind, by ASHA"
    )
    parser.add_argument("--address", help="of a Ray cluster, such as auto (starts one here)")
    parser.add_argument("--seed", help="the trials' seed, and that of the draws (the config's)")
    parser.add_argument("--device", help="cpu, cuda, ...")
    parser.add_argument("--name", help="what the trials' names start with")
    parser.add_argument("--runs", metavar="DIR", default="runs", help="where it goes (runs)")


def run(parsed: argparse.Namespace, overrides: dict[str, str]) -> int:
    """Plan or reopen the sweep, train what is left, print the table; the exit code."""
    from . import tuner
    from .runs import RunFolder
    from .sweep import best_lines, markdown, shown, write

    sweep = _opened(parsed, overrides)
    folder = shlex.quote(shown(sweep.path))
    with RunFolder(sweep.path).claimed():
        waiting = sweep.waiting()
        failures: dict[int, str] = {}
        if waiting:
            print(f"{len(waiting)} trials into {folder}", file=sys.stderr, flush=True)
            failures, stopped = tuner.run(sweep, waiting, parsed.jobs, parsed.address)
            if stopped is not None:
                print("Stopped. Go on with:", file=sys.stderr)
                print(f"  saccade sweep --resume {folder}", file=sys.stderr)
                return 128 + stopped
        outcomes = sweep.outcomes(failures)
        file = write(sweep, outcomes)
    print(markdown(sweep, outcomes), end="")
    print(f"Written: {shlex.quote(shown(file))}", file=sys.stderr)
    return 0 if len(best_lines(outcomes)) > 1 else 2


def _opened(parsed: argparse.Namespace, overrides: dict[str, str]) -> Any:
    """The sweep to go on with, or a new one, its folder made."""
    from . import space, sweep, tuner

    if parsed.resume is not None:
        own = ("config", "space", "samples", "seed", "device", "name")
        if overrides or parsed.early_stop or any(getattr(parsed, name) for name in own):
            raise UserError("--resume: goes on with the sweep's own trials; give only --jobs to it")
        found = sweep.Sweep.open(parsed.resume)
        tuner.check_installed()
        return found
    if parsed.config is None or parsed.space is None:
        raise UserError("sweep: give a config and --space, or --resume DIR (see sweep --help)")
    dimensions = space.parse(parsed.space)
    asked = settings(parsed, overrides)
    sweep.check(parsed.config, asked, dimensions)
    tuner.check_installed()
    trials = sweep.plan(parsed.config, asked, dimensions, parsed.samples or 1)
    return sweep.Sweep.create(
        parsed.runs, trials, _command(parsed, overrides), early_stop=parsed.early_stop
    )


def _command(parsed: argparse.Namespace, overrides: dict[str, str]) -> str:
    """The command that this was, as a page shows it."""
    words = [parsed.config, *(f"--{key}={value}" for key, value in overrides.items())]
    words += ["--space", *parsed.space, "--samples", str(parsed.samples or 1)]
    for name in ("seed", "device", "name"):
        if getattr(parsed, name) is not None:
            words += [f"--{name}", getattr(parsed, name)]
    words += ["--early-stop"] if parsed.early_stop else []
    return f"saccade sweep {shlex.join(words)}"
