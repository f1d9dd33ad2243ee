"""Seeds of one config side by side: each a process and a run folder of its own.

The processes share nothing. Their lines come out under their seeds; Ctrl-C and SIGTERM are passed
on, so that each saves its checkpoint, and a second Ctrl-C too, which ends them at once.
"""

from __future__ import annotations

import os
import queue
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from ..ram.callbacks import STOPS

_FOLDER = re.compile(r"^Run folder: (.*?)    curves: ")


@dataclass(eq=False)
class _Training:
    """One seed's process: what it said last, its folder once it told, its exit code at the end."""

    seed: int
    process: subprocess.Popen[str]
    folder: str | None = None
    last: str = ""
    streams: int = 2  # that are still open
    code: int = 0


@dataclass
class _Stop:
    """The first signal that came, and to whom signals are passed on."""

    running: list[_Training] = field(default_factory=list)
    signal: int | None = None

    def __call__(self, number: int, frame: object) -> None:
        self.signal = self.signal or number
        for training in self.running:
            training.process.send_signal(number)


def train_seeds(
    arguments: Sequence[str], seeds: Sequence[int], jobs: int, split: str | None = None
) -> int:
    """Run `saccade train ARGUMENTS --seed S` for each seed, `jobs` at a time; the exit code.

    0 where all finished, 128 and the signal's number after one that ended them early, else the code
    of the first seed that failed: the others go on. Prints the folders and the command that
    compares them, on `split` if it is given.
    """
    waiting = list(seeds)
    done: list[_Training] = []
    said: queue.Queue[tuple[_Training, str, str | None]] = queue.Queue()
    with _passing_on() as stop:
        while stop.running or (waiting and stop.signal is None):
            while waiting and stop.signal is None and len(stop.running) < jobs:
                stop.running.append(_start(arguments, waiting.pop(0), said))
            training, name, line = said.get()
            if line is not None:
                _say(training, name, line)
                continue
            training.streams -= 1
            if not training.streams:
                training.code = training.process.wait()
                stop.running.remove(training)
                done.append(training)
    return _conclude(done, waiting, stop.signal, split)


def default_jobs(threads: int) -> int:
    """How many trainings of so many threads fit the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, cores // threads)


def _start(
    arguments: Sequence[str], seed: int, said: queue.Queue[tuple[_Training, str, str | None]]
) -> _Training:
    process = subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.cli", "train", *arguments, f"--seed={seed}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        # A terminal's Ctrl-C goes to its whole process group; these get it from here, once.
        process_group=0,
    )
    training = _Training(seed, process)
    assert process.stdout is not None and process.stderr is not None
    for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
        threading.Thread(target=_read, args=(training, name, stream, said), daemon=True).start()
    return training


def _read(
    training: _Training,
    name: str,
    stream: IO[str],
    said: queue.Queue[tuple[_Training, str, str | None]],
) -> None:
    with stream:
        for line in stream:
            said.put((training, name, line.rstrip("\n")))
    said.put((training, name, None))


def _say(training: _Training, name: str, line: str) -> None:
    out = sys.stdout if name == "stdout" else sys.stderr
    print(f"seed {training.seed} | {line}", file=out, flush=True)
    if name == "stderr":
        training.last = line
    elif match := _FOLDER.match(line):
        training.folder = match[1]


def _conclude(
    done: Sequence[_Training], waiting: Sequence[int], stopped: int | None, split: str | None
) -> int:
    done = sorted(done, key=lambda training: training.seed)
    finished = [training.folder for training in done if not training.code and training.folder]
    failed = [training for training in done if training.code]
    if finished:
        print("Run folders:")
        for folder in finished:
            print(f"  {folder}")
        chosen = f" --split {split}" if split == "test" else ""
        print(f"Compare them: saccade compare {' '.join(map(shlex.quote, finished))}{chosen}")
    sys.stdout.flush()
    if waiting:
        print(f"Not begun: seeds {', '.join(map(str, waiting))}", file=sys.stderr)
    if stopped is None:
        for training in failed:
            why = training.last.removeprefix("saccade: ") or f"exit code {training.code}"
            print(f"saccade: seed {training.seed} failed: {why}", file=sys.stderr)
    if stopped is not None and (failed or waiting):
        return 128 + stopped
    return abs(failed[0].code) if failed else 0


@contextmanager
def _passing_on() -> Iterator[_Stop]:
    """Signals that would end this process go to the running ones instead; ignored ones stay so."""
    stop = _Stop()
    heard = [number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN]
    before = [(number, signal.signal(number, stop)) for number in heard]
    try:
        yield stop
    finally:
        for number, handler in before:
            signal.signal(number, handler)
        for training in stop.running:  # only where something went wrong here
            training.process.send_signal(signal.SIGINT)
