"""Trials of a sweep on Ray Tune: processes here or over a cluster, retries, stopping early.

Ray chooses nothing and keeps nothing that is needed later: what to train is planned before it
starts, and the run folders are what a sweep goes on from.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from ..ram.callbacks import STOPS
from .errors import UserError
from .seeds import default_jobs
from .sweep import Sweep, Trial, train_trial

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # data may be given by a path from here
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_EXCESSIVE_TRIAL_QUEUE_TIME": "0",
}
_TRIES_AGAIN = 2  # after a process that died
_STORE = 80_000_000  # bytes of Ray's shared memory, which holds nothing of ours
_STATE = ".ray"  # Ray's own files, hidden from `runs/sweep/*`


def check_installed() -> None:
    """UserError where there is no Ray Tune."""
    try:
        from ray import tune  # noqa: F401
    except ImportError:
        raise UserError("a sweep needs Ray Tune: pip install 'saccade[ray]'") from None


def run(
    sweep: Sweep, trials: Sequence[Trial], jobs: int | None = None, address: str | None = None
) -> tuple[dict[int, str], int | None]:
    """Train these trials, `jobs` at a time.

    Returns what ended those that failed, by their numbers, and the signal that ended all, if one
    did; trials then lose what they did since their last checkpoint. `address` is that of a Ray
    cluster, "auto" the one that this machine belongs to; without it Ray starts here and ends with
    this call.
    """
    threads = max(trial.config.train.threads for trial in trials)
    # What Ray says of a process that died goes to stdout, where the table belongs.
    quiet = contextlib.redirect_stdout(sys.stderr)
    with quiet, _ray(address, jobs or default_jobs(threads), threads), _listening() as heard:
        return _fit(sweep, trials, jobs, threads, heard), next(iter(heard), None)


def _fit(
    sweep: Sweep, trials: Sequence[Trial], jobs: int | None, threads: int, heard: list[int]
) -> dict[int, str]:
    from ray import tune

    def train_one(asked: dict[str, Any]) -> None:
        def report(score: float, timesteps: int) -> None:
            tune.report({"score": score, "timesteps": timesteps})

        try:
            train_trial(sweep, by_number[asked["trial"]], report)
        except UserError as error:  # which comes again however often it is tried
            tune.report({"score": float("inf"), "timesteps": 0, "failed": str(error)})

    by_number = {trial.number: trial for trial in trials}
    gpu = any(trial.config.device.startswith("cuda") for trial in trials)
    say = _saying(sweep, by_number, heard)
    shutil.rmtree(sweep.path / _STATE, ignore_errors=True)
    tuner = tune.Tuner(
        tune.with_resources(train_one, {"cpu": threads, "gpu": int(gpu)}),
        param_space={"trial": tune.grid_search([trial.number for trial in trials])},
        tune_config=tune.TuneConfig(
            max_concurrent_trials=jobs, scheduler=_scheduler(trials) if sweep.early_stop else None
        ),
        run_config=tune.RunConfig(
            name=_STATE,
            storage_path=str(sweep.path),
            callbacks=[say],
            stop=_stopper(heard),
            failure_config=tune.FailureConfig(max_failures=_TRIES_AGAIN),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(sweep.path / _STATE, ignore_errors=True)
    return dict(say.failures)


def _scheduler(trials: Sequence[Trial]) -> Any:
    """ASHA (Li et al. 2020): at each of a few validations all but the best quarter stop."""
    from ray.tune.schedulers import ASHAScheduler

    train = trials[0].config.train
    grace = min(train.eval_freq, train.total_timesteps)
    return ASHAScheduler(
        time_attr="timesteps",
        metric="score",
        mode="min",
        grace_period=grace,
        max_t=2 * train.total_timesteps,  # a trial ends by itself, a little over its total
    )


def _stopper(heard: list[int]) -> Any:
    """What Ray asks between two events whether to end all: yes, once a signal was heard."""
    from ray import tune

    class OnSignal(tune.Stopper):
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            return False

        def stop_all(self) -> bool:
            return bool(heard)

    return OnSignal()


def _saying(sweep: Sweep, by_number: dict[int, Trial], heard: list[int]) -> Any:
    """Ray's callback that prints a line when a trial starts and one when it ends."""
    from ray import tune

    class Saying(tune.Callback):
        """State: `failures`, what ended a trial by its number."""

        def __init__(self) -> None:
            self.failures: dict[int, str] = {}
            self._died: set[int] = set()

        def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            which = by_number[trial.config["trial"]]
            begun = sweep.run_of(which) is not None
            self._say(which, f"{'goes on with' if begun else 'begins with'} {which.words}")

        def on_trial_result(
            self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            if result.get("failed"):
                self.failures[trial.config["trial"]] = result["failed"]

        def on_trial_recover(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            self._say(by_number[trial.config["trial"]], "its process died: tried again")

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            which = by_number[trial.config["trial"]]
            if heard and sweep.outcome(which).state != "finished":
                return
            failure = self.failures.get(which.number, "")
            stopped = not failure and sweep.outcome(which).state == "unfinished"
            if stopped:
                sweep.note_stopped(which)
            self._say(which, sweep.outcome(which, failure, stopped).figures)

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            which = by_number[trial.config["trial"]]
            lines = str(trial.get_error() or "").strip().splitlines()
            why = lines[-1] if lines else "its process died"
            self.failures[which.number] = why
            self._say(which, sweep.outcome(which, why).figures)

        def _say(self, trial: Trial, words: str) -> None:
            print(f"trial {trial.number} | {words}", file=sys.stderr, flush=True)

    return Saying()


@contextlib.contextmanager
def _ray(address: str | None, jobs: int, threads: int) -> Iterator[None]:
    """Ray with its noise off, until the end of the block."""
    os.environ.update(_QUIET)
    import ray

    own = {} if address else {"num_cpus": jobs * threads, "object_store_memory": _STORE}
    try:
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level="ERROR",
            **own,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"--address {address}" if address else "Ray"
        raise UserError(f"{where}: {str(error).splitlines()[0]}") from None
    logging.getLogger("ray").setLevel(logging.CRITICAL)  # failures are told in a line
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _listening() -> Iterator[list[int]]:
    """The signals that ask for an end, as they come; ignored ones stay so.

    Ctrl-C after any of them interrupts at once.
    """
    heard: list[int] = []

    def hear(number: int, frame: object) -> None:
        if heard and number == signal.SIGINT:
            raise KeyboardInterrupt
        heard.append(number)

    meant = [number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN]
    before = [(number, signal.signal(number, hear)) for number in meant]
    try:
        yield heard
    finally:
        for number, handler in before:
            signal.signal(number, handler)
