"""Trainings side by side, such as seeds of one config: each a process and a run folder of its own.

The processes share nothing. Their lines come out under their labels; Ctrl-C and SIGTERM are passed
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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO

from ..ram.callbacks import STOPS

_FOLDER = re.compile(r"^Run folder: (.*?)    curves: ")


@dataclass(eq=False)
class Training:
    """One process: its label, what it said last, its folder once it told, its code at the end."""

    label: str
    process: subprocess.Popen[str]
    folder: str | None = None
    last: str = ""
    streams: int = 2  # that are still open
    code: int = 0


@dataclass(frozen=True)
class Outcome:
    """How trainings ended: those begun in the order given, labels of the others, what stopped them.

    `stopped` is the number of a signal, None where none came.
    """

    done: Sequence[Training]
    waiting: Sequence[str]
    stopped: int | None

    @property
    def failed(self) -> list[Training]:
        """Those that ended with an error, or early."""
        return [training for training in self.done if training.code]

    @property
    def code(self) -> int:
        """0 where all finished, 128 and the number of a signal that ended them early, else the code
        of the first that failed."""
        if self.stopped is not None and (self.failed or self.waiting):
            return 128 + self.stopped
        return abs(self.failed[0].code) if self.failed else 0

    def tell(self) -> None:
        """On stderr: what was not begun, and why some failed."""
        if self.waiting:
            print(f"Not begun: {', '.join(self.waiting)}", file=sys.stderr)
        if self.stopped is None:
            for training in self.failed:
                why = training.last.removeprefix("saccade: ") or f"exit code {training.code}"
                print(f"saccade: {training.label} failed: {why}", file=sys.stderr)


@dataclass
class _Stop:
    """The first signal that came, and to whom signals are passed on."""

    running: list[Training] = field(default_factory=list)
    signal: int | None = None

    def __call__(self, number: int, frame: object) -> None:
        self.signal = self.signal or number
        for training in self.running:
            training.process.send_signal(number)


def train_seeds(
    arguments: Sequence[str], seeds: Sequence[int], jobs: int, split: str | None = None
) -> int:
    """Run `saccade train ARGUMENTS --seed S` for each seed, `jobs` at a time; the exit code.

    See `Outcome.code`. Prints the folders and the command that compares them, on `split` if it is
    given.
    """
    outcome = side_by_side({f"seed {seed}": [*arguments, f"--seed={seed}"] for seed in seeds}, jobs)
    finished = [t.folder for t in outcome.done if not t.code and t.folder]
    if finished:
        print("Run folders:")
        for folder in finished:
            print(f"  {folder}")
        chosen = f" --split {split}" if split == "test" else ""
        print(f"Compare them: saccade compare {' '.join(map(shlex.quote, finished))}{chosen}")
    sys.stdout.flush()
    outcome.tell()
    return outcome.code


def side_by_side(trainings: Mapping[str, Sequence[str]], jobs: int) -> Outcome:
    """Run `saccade train ARGUMENTS` for the arguments under each label, `jobs` at a time.

    Where one fails the others go on; a signal ends all, each with its checkpoint.
    """
    waiting = list(trainings)
    done: list[Training] = []
    said: queue.Queue[tuple[Training, str, str | None]] = queue.Queue()
    with _passing_on() as stop:
        while stop.running or (waiting and stop.signal is None):
            while waiting and stop.signal is None and len(stop.running) < jobs:
                label = waiting.pop(0)
                stop.running.append(_start(label, trainings[label], said))
            training, name, line = said.get()
            if line is not None:
                _say(training, name, line)
                continue
            training.streams -= 1
            if not training.streams:
                training.code = training.process.wait()
                stop.running.remove(training)
                done.append(training)
    order = list(trainings)
    done.sort(key=lambda training: order.index(training.label))
    return Outcome(done, waiting, stop.signal)


def default_jobs(threads: int) -> int:
    """How many trainings of so many threads fit the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, cores // threads)


def _start(
    label: str, arguments: Sequence[str], said: queue.Queue[tuple[Training, str, str | None]]
) -> Training:
    process = subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.cli", "train", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        # A terminal's Ctrl-C goes to its whole process group; these get it from here, once.
        process_group=0,
    )
    training = Training(label, process)
    assert process.stdout is not None and process.stderr is not None
    for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
        threading.Thread(target=_read, args=(training, name, stream, said), daemon=True).start()
    return training


def _read(
    training: Training,
    name: str,
    stream: IO[str],
    said: queue.Queue[tuple[Training, str, str | None]],
) -> None:
    with stream:
        for line in stream:
            said.put((training, name, line.rstrip("\n")))
    said.put((training, name, None))


def _say(training: Training, name: str, line: str) -> None:
    out = sys.stdout if name == "stdout" else sys.stderr
    print(f"{training.label} | {line}", file=out, flush=True)
    if name == "stderr":
        training.last = line
    elif match := _FOLDER.match(line):
        training.folder = match[1]


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
