"""Begin with the weights of another run: `train.init` in a config.

A run's best checkpoint is taken, its weights alone: optimiser, schedule and walk begin anew.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..ram.training import GradientLearner
from .config import Config, load_resolved
from .errors import UserError
from .groups import devices, earlier_scenes, scenes_drawn
from .learners import LEARNERS
from .runs import RunFolder

_SECONDS = ("cpu_seconds", "wall_seconds")


def warm_start(config: Config, learner: Any, root: str | Path) -> dict[str, Any]:
    """Give a new learner the weights that its config asks for; what to note of where they are from.

    Raises UserError where there is no such run, or where its network is another.

    Args:
        config: its `train.init` is a run folder, or the name of a finished run of the same seed
            under `root`; None leaves the learner as it is.
        learner: a fresh one.
        root: where run folders are.
    """
    asked = config.train.init
    if asked is None:
        return {}
    if not isinstance(learner, GradientLearner):
        raise UserError(
            f"train.init: agent {config.agent.name} begins with weights of its own; ram, dram and "
            "the soft classifiers can begin with a run's"
        )
    run = _run(asked, config.seed, Path(root))
    begun = load_resolved(run.config)
    file = run.checkpoint("best")
    weights = LEARNERS[begun.agent.name].restore(file).network.state_dict()
    own = learner.network.state_dict()
    if begun.agent.name != config.agent.name or weights.keys() != own.keys():
        raise UserError(
            f"train.init: {file}: has other layers than this agent {config.agent.name}; give it "
            "the keywords of that run's config.yaml"
        )
    for name, values in own.items():
        if values.shape != weights[name].shape:
            raise UserError(
                f"train.init: {file}: {name} is {tuple(weights[name].shape)}, here it is "
                f"{tuple(values.shape)}; give both the sizes of that run's config.yaml"
            )
    learner.network.load_state_dict(weights)
    return {"init": _taken(run, begun)}


def _taken(run: RunFolder, config: Config) -> dict[str, Any]:
    """Whose weights they are, and what those took, with all that they had begun with."""
    metrics = run.metrics()
    earlier, time = metrics.get("init", {}), metrics.get("time", {})
    scenes = scenes_drawn(config, metrics.get("timesteps", 0)) + earlier_scenes(metrics)
    return {
        "run": run.path.name,
        "timesteps": metrics.get("timesteps", 0) + earlier.get("timesteps", 0),
        **({} if math.isnan(scenes) else {"scenes": scenes}),
        **{name: time.get(name, 0) + earlier.get(name, 0) for name in _SECONDS},
        "device": devices(metrics),
    }


def _run(asked: str, seed: int, root: Path) -> RunFolder:
    if (Path(asked) / "config.yaml").is_file():
        return RunFolder(Path(asked))
    run = RunFolder.find(root, asked, seed)
    if run is None or not run.metrics().get("finished"):
        state = "has not finished" if run else "is not there"
        raise UserError(
            f"train.init: run '{asked}' of seed {seed} under {root} {state}: train it first, or "
            "give a run folder"
        )
    return run
