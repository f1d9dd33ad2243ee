"""The command `saccade`: everything from training to a page of results.

A mistake of the user's is one line on stderr and exit code 2; Ctrl-C is exit code 130, SIGTERM 143.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from . import papers, sweeping
from .errors import UserError, did_you_mean
from .words import natural, positive, settings, take_overrides

_SPLITS = ("validation", "test")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments, overrides = take_overrides(arguments)
        parsed = _parse(arguments)
        if overrides and parsed.command not in ("train", "sweep", "play"):
            key = next(iter(overrides))
            raise UserError(f"--{key}: only 'saccade train', 'sweep' and 'play' take such keys")
        return _COMMANDS[parsed.command](parsed, overrides)
    except UserError as error:
        print(f"saccade: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (OSError, MemoryError, OverflowError) as error:
        what = f"{type(error).__name__}: {error or 'too large'}"
        if isinstance(error, OSError) and error.filename and error.strerror:
            what = f"{error.filename}: {error.strerror}"
        print(f"saccade: {what}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"saccade: {error if error.args else 'interrupted'}", file=sys.stderr)
        return 130


class _Parser(argparse.ArgumentParser):
    """argparse with errors of one line that name the nearest right word."""

    def error(self, message: str) -> NoReturn:
        choice = re.match(r"argument (\S+): invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if choice:
            name, value, known = choice.groups()
            words = re.findall(r"[\w.-]+", known)
            message = f"{name}: unknown '{value}'{did_you_mean(value, words)}"
        raise UserError(f"{message} (see {self.prog} --help)")


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = _parser()
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        commands = parser._subparsers._group_actions[0].choices  # type: ignore[union-attr]
        command = commands[parsed.command]  # type: ignore[index]
        options = [option for action in command._actions for option in action.option_strings]
        near = did_you_mean(unknown[0], options) if unknown[0].startswith("-") else ""
        command.error(f"{unknown[0]}: not understood{near}")
    return parsed


def _parser() -> argparse.ArgumentParser:
    from .. import __version__

    parser = _Parser(
        prog="saccade",
        allow_abbrev=False,
        description="Glimpse environments for Gymnasium, and models that learn where to look.",
    )
    parser.add_argument("--version", action="version", version=f"saccade {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    train = commands.add_parser(
        "train",
        allow_abbrev=False,
        help="train an agent; makes a run folder",
        description="Train what a config says. Any of its keys can be set behind it: "
        "--env.glimpses 4 --agent.learning_rate 1e-3 --train.total_timesteps 2e6. "
        "Ctrl-C, or SIGTERM, saves a checkpoint to --resume from; a second Ctrl-C ends at once.",
    )
    train.add_argument("config", nargs="?", help="a YAML file, or the name of a packaged one")
    train.add_argument("--resume", metavar="RUN", help="go on with an interrupted run")
    train.add_argument("--seed", help="the config's seed")
    train.add_argument(
        "--seeds", metavar="N", type=positive, help="train N seeds side by side, from --seed on"
    )
    train.add_argument(
        "--jobs", metavar="N", type=positive, help="seeds at a time (cores over train.threads)"
    )
    train.add_argument("--device", help="cpu, cuda, ... (the config's, or where the run is)")
    train.add_argument("--name", help="what the run folder's name starts with")
    train.add_argument("--runs", metavar="DIR", default="runs", help="where run folders go (runs)")
    train.add_argument(
        "--evaluate",
        nargs="?",
        const="validation",
        choices=_SPLITS,
        help="evaluate at the end, on validation unless 'test' is given",
    )

    sweeping.add_parser(commands)

    evaluate = commands.add_parser(
        "evaluate",
        allow_abbrev=False,
        help="error, controls and scanpath measures of a run",
        description="Print and store the table of a run: the learned policy beside random "
        "fixations, the centre alone and its fixed path, on the same model.",
    )
    _add_run(evaluate)
    evaluate.add_argument("--placements", type=positive, help="scenes of each image")
    evaluate.add_argument(
        "--average",
        metavar="M",
        type=positive,
        default=0,
        help="also the error of M sampled paths a scene that answer together",
    )

    compare = commands.add_parser(
        "compare",
        allow_abbrev=False,
        help="tables and figures of several runs",
        description="Print tables of runs side by side, seeds of one config as one row: error, "
        "controls, cost, scanpath measures. Writes them to --output as compare.md and compare.csv, "
        "with the figures error-vs-pixels.png and curves.png (these need matplotlib: "
        'pip install "saccade[report]"). A run without an evaluation on the split is evaluated '
        "first.",
    )
    _add_runs(compare)
    compare.add_argument(
        "--output", metavar="DIR", help="where to write ('compare' beside the first run)"
    )

    transfer = commands.add_parser(
        "transfer",
        allow_abbrev=False,
        help="trained runs on other clutter or another canvas",
        description="Evaluate trained runs on their environment with one of its keywords at other "
        "values, such as --vary canvas 60 100 200 or --vary pieces 0 4 8 16. Prints error and "
        "multiply-adds, and writes them to --output as transfer.md, transfer.csv and "
        'transfer.png (which needs matplotlib: pip install "saccade[report]").',
    )
    transfer.add_argument("runs", nargs="+", metavar="RUN", help="run folders, such as runs/*")
    transfer.add_argument(
        "--vary", nargs="+", required=True, metavar=("KEY", "VALUE"), help="what, and its values"
    )
    transfer.add_argument("--split", choices=_SPLITS, default="validation", help="validation")
    transfer.add_argument(
        "--placements", metavar="N", type=positive, help="scenes of each image (the configs')"
    )
    transfer.add_argument(
        "--output", metavar="DIR", help="where to write ('transfer-KEY' beside the first run)"
    )

    papers.add_commands(commands, positive)

    report = commands.add_parser(
        "report",
        allow_abbrev=False,
        help="one HTML page of several runs",
        description="Write the tables of 'saccade compare', its figures, fixation paths and the "
        'configs as one HTML page that opens without a network. Needs pip install "saccade[report]"'
        ".",
    )
    _add_runs(report)
    report.add_argument(
        "--output", metavar="FILE", help="the page (compare/report.html beside the first run)"
    )

    watch = commands.add_parser(
        "watch",
        allow_abbrev=False,
        help="pictures of where runs look, films of their paths",
        description="Draw where a run looks: a picture, and an animation of fixation paths. Of "
        "several runs: one picture of the same scenes, a column for each, beside the first run.",
    )
    _add_run(watch, "+")
    watch.add_argument(
        "--images", type=natural, nargs="+", metavar="N", help="places in the split (the first 8)"
    )
    watch.add_argument("--format", choices=("gif", "mp4", "png"), default="gif", help="gif")
    watch.add_argument(
        "--output",
        metavar="DIR",
        help="where to write (the run's pictures; of a kept model, pictures/NAME here)",
    )

    play = commands.add_parser(
        "play",
        allow_abbrev=False,
        help="look and answer yourself, and see how well",
        description="Move the eye with the mouse and answer with the keys, seeing what an agent "
        "would. The environment's keywords can be set behind the id: --env.glimpses 4 "
        '--env.memory canvas. Needs pip install "saccade[human]".',
    )
    play.add_argument("id", help="an environment, see 'saccade envs'")
    play.add_argument("--split", choices=("train", *_SPLITS), default="train", help="train")
    play.add_argument("--seed", type=natural, default=0, help="of the scenes (0)")
    play.add_argument("--episodes", type=positive, metavar="N", help="end after so many")

    envs = commands.add_parser(
        "envs",
        allow_abbrev=False,
        help="the registered environments",
        description="List the environments, or describe one.",
    )
    envs.add_argument("id", nargs="?", help="describe this one")
    return parser


def _add_run(parser: argparse.ArgumentParser, many: str | None = None) -> None:
    parser.add_argument("run", nargs=many, metavar="RUN", help="a run folder")
    parser.add_argument("--split", choices=_SPLITS, default="validation", help="validation")
    parser.add_argument("--checkpoint", choices=("best", "last"), help="best where there is one")
    parser.add_argument("--device", help="where to run it (the config's)")


def _add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders, such as runs/*")
    parser.add_argument("--split", choices=_SPLITS, default="validation", help="validation")
    parser.add_argument(
        "--placements", metavar="N", type=positive, help="scenes of each image (the configs')"
    )
    parser.add_argument("--device", help="where to evaluate (the configs')")


def _train(parsed: argparse.Namespace, overrides: dict[str, str]) -> int:
    from . import config
    from .train import resume, resume_command, train

    asked = settings(parsed, overrides)
    if parsed.jobs and not parsed.seeds:
        raise UserError("--jobs: says how many of --seeds N train at a time; give both")
    if parsed.resume is not None:
        if parsed.seeds:
            raise UserError("--resume: goes on with one run; resume each seed's by itself")
        device = asked.pop("device", None)
        if parsed.config is not None or asked:
            raise UserError("--resume: goes on with the run's own config; give only --device to it")
        finished = resume(parsed.resume, device=device)
    elif parsed.config is None:
        raise UserError("train: give a config, or --resume RUN (see saccade train --help)")
    elif parsed.seeds:
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            raise UserError("--seeds: starts its own processes; give it without torchrun")
        return _train_seeds(parsed, config.load(parsed.config, asked), overrides)
    else:
        finished = train(config.load(parsed.config, asked), runs=parsed.runs)
    run = finished.run
    if not finished.first:
        return 0 if finished.signal is None else 128 + finished.signal
    if finished.signal is not None:
        print(f"Stopped at {finished.timesteps:,} timesteps. Go on with:", file=sys.stderr)
        print(f"  {resume_command(run)}", file=sys.stderr)
        return 128 + finished.signal
    if parsed.evaluate:
        _print_evaluation(run.path, split=parsed.evaluate)
    print(f"Run folder: {run.path}    curves: tensorboard --logdir {run.path.parent}")
    return 0


def _train_seeds(parsed: argparse.Namespace, config: Any, overrides: dict[str, str]) -> int:
    from .seeds import default_jobs, train_seeds

    arguments = [parsed.config, *(f"--{key}={value}" for key, value in overrides.items())]
    for name in ("device", "name", "runs", "evaluate"):
        value = getattr(parsed, name)
        if value is not None:
            arguments.append(f"--{name}={value}")
    jobs = parsed.jobs or default_jobs(config.train.threads)
    seeds = range(config.seed, config.seed + parsed.seeds)
    return train_seeds(arguments, seeds, jobs, parsed.evaluate)


def _evaluate(parsed: argparse.Namespace, _: dict[str, str]) -> int:
    _print_evaluation(
        parsed.run,
        split=parsed.split,
        placements=parsed.placements,
        checkpoint=parsed.checkpoint,
        device=parsed.device,
        average=parsed.average,
    )
    return 0


def _print_evaluation(path: str | Path, **options: Any) -> None:
    from .evaluate import evaluate_run
    from .runs import RunFolder

    print(evaluate_run(RunFolder.open(path), **options).markdown())


def _compare(parsed: argparse.Namespace, _: dict[str, str]) -> int:
    from . import comparison
    from .figures import MissingExtra

    folder = Path(parsed.output or _beside(parsed.runs[0]))
    comparison.check_output(folder)
    found = _compared(parsed)
    print(comparison.markdown(found))
    try:
        files = comparison.write(found, folder)
    except MissingExtra as error:
        print(f"saccade: {folder} has the tables alone: {error}", file=sys.stderr)
        return 0
    print("Written: " + " ".join(shlex.quote(str(file)) for file in files), file=sys.stderr)
    return 0


def _transfer(parsed: argparse.Namespace, _: dict[str, str]) -> int:
    from . import config, transfer
    from .figures import MissingExtra

    key, *texts = parsed.vary
    values = [config.read_yaml(text, "--vary") for text in texts]
    if not values:
        raise UserError(f"--vary {key}: give values behind it, such as --vary pieces 0 4 8")
    folder = Path(parsed.output or _beside(parsed.runs[0], f"transfer-{key}"))
    transfer.check_output(folder)
    found = transfer.transfer(parsed.runs, key, values, parsed.split, placements=parsed.placements)
    print(transfer.markdown(found))
    try:
        files = transfer.write(found, folder)
    except MissingExtra as error:
        print(f"saccade: {folder} has the tables alone: {error}", file=sys.stderr)
        return 0
    print("Written: " + " ".join(shlex.quote(str(file)) for file in files), file=sys.stderr)
    return 0


def _report(parsed: argparse.Namespace, _: dict[str, str]) -> int:
    from . import figures, report

    file = Path(parsed.output or _beside(parsed.runs[0]) / "report.html")
    figures.check_installed()
    report.check_output(file)
    print(report.write(_compared(parsed), file))
    return 0


def _beside(run: str, name: str = "compare") -> Path:
    path = Path(run)
    return (path if path.name not in ("", "..") else path.resolve()).parent / name


def _compared(parsed: argparse.Namespace) -> Any:
    from .compare import compare

    return compare(parsed.runs, parsed.split, placements=parsed.placements, device=parsed.device)


def _watch(parsed: argparse.Namespace, _: dict[str, str]) -> int:
    from .runs import RunFolder
    from .watch import watch, watch_together

    options = {name: getattr(parsed, name) for name in ("split", "output", "checkpoint", "device")}
    runs = list(map(RunFolder.open, parsed.run))
    if len(runs) > 1:
        files = watch_together(runs, parsed.images, **options)
    else:
        files = watch(runs[0], parsed.images, form=parsed.format, **options)
    for file in files:
        print(file)
    return 0


def _play(parsed: argparse.Namespace, overrides: dict[str, str]) -> int:
    from . import config
    from .play import Session
    from .window import play

    keywords: dict[str, Any] = {}
    for key, value in overrides.items():
        part, _, name = key.partition(".")
        if part != "env" or name in ("id", "gaze"):
            raise UserError(f"--{key}: 'saccade play' takes --env.KEY, the environment's keywords")
        keywords[name] = config.read_yaml(value, f"--{key}")
    env_id = config.full_id(parsed.id)
    checked = config.env_keywords(env_id, keywords)
    session = Session(
        env_id, {**checked, "action": keywords.get("action", "dict")}, parsed.split, parsed.seed
    )
    try:
        play(session, parsed.episodes)
    except KeyboardInterrupt:
        pass
    finally:
        session.close()
    print("\n".join(session.table()))
    return 0


def _envs(parsed: argparse.Namespace, _: dict[str, str]) -> int:
    from . import catalog

    print(catalog.page(parsed.id) if parsed.id else catalog.table())
    return 0


_COMMANDS = {
    "train": _train,
    "sweep": sweeping.run,
    "evaluate": _evaluate,
    "compare": _compare,
    "transfer": _transfer,
    "report": _report,
    "watch": _watch,
    "play": _play,
    "envs": _envs,
    **papers.COMMANDS,
}


if __name__ == "__main__":
    sys.exit(main())
