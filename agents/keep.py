"""Keep a trained model: a small run folder that is read like any run, and not written into.

It has the config, the checkpoint without what training alone needs, and of metrics.json what says
where the model comes from and how well it does. No curves and no pictures.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from ..envs.files import write_text
from ..ram.training import GradientLearner
from .errors import UserError
from .evaluate import load_policy
from .runs import RunFolder

_ESSENTIAL = (
    *("name", "config_sha256", "versions", "device", "machine", "threads", "processes"),
    *("finished", "timesteps", "time", "init", "best", "evaluations", "cost"),
)


def keep(run: RunFolder, folder: str | Path) -> RunFolder:
    """Write the model of a run's best checkpoint into a new folder.

    Raises UserError where the folder is there already, where the run has no checkpoint, or where
    its learner cannot be saved without what training needs.
    """
    target = Path(folder)
    if target.exists():
        raise UserError(f"{folder}: is there already; give another folder, or remove it")
    config, learner, file = load_policy(run, device="cpu")
    if not isinstance(learner, GradientLearner):
        raise UserError(
            f"{run.path}: agent {config.agent.name} keeps its model in stable-baselines3's own "
            "file; ram, dram and the soft classifiers can be kept"
        )
    metrics = run.metrics()
    kept = {name: metrics[name] for name in _ESSENTIAL if name in metrics}
    kept |= {"kept": True, "run": run.path.resolve().name}
    made = RunFolder(
        target.with_name(f".{target.name}.{os.getpid()}.tmp")
    )  # named when it is whole
    try:
        learner.save(made.checkpoints / file.name, to_learn=False)
        write_text(made.config, run.config.read_text(encoding="utf-8"))
        write_text(made.path / "metrics.json", json.dumps(kept, indent=2) + "\n")
        made.path.rename(target)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from None
    finally:
        shutil.rmtree(made.path, ignore_errors=True)
    return RunFolder(target)
