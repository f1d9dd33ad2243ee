"""What a glimpse environment asks of RAM, and RAM's output in the shape of its actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from .distributed import share


@dataclass(frozen=True)
class Task:
    """The facts of an environment that a network depends on, or that change what it does.

    glimpse_shape is (scales * C, size, size); answers is K; action is "dict" or "box";
    score_scale is what a "box" environment multiplies scores by before its softmax; judged is what
    counts: "answer", "act" or "aim" (see `envs.tasks.Task`); questions is how many are asked; stop
    says whether it may answer early, and glimpse_cost what each further glimpse costs;
    context_shape is (C, h, w) where the whole image is shown small, else ().
    """

    glimpse_shape: tuple[int, ...]
    answers: int
    action: str
    score_scale: float
    judged: str = "answer"
    questions: int = 1
    stop: bool = False
    glimpse_cost: float = 0.0
    context_shape: tuple[int, ...] = ()

    @classmethod
    def of(cls, env: VectorEnv) -> Task:
        """The task of a native vector environment; ValueError where RAM cannot take it."""
        core: Any = env.unwrapped
        missing = [
            name for name in ("glimpses", "answers", "walk_state") if not hasattr(core, name)
        ]
        if not isinstance(env, VectorEnv) or missing:
            raise ValueError(
                f"RAM learns in a native vector environment, not in {type(core).__name__}: make "
                "it with gymnasium.make_vec(id, num_envs=..., action='dict', "
                "autoreset_mode='Disabled')"
            )
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.DISABLED:
            raise ValueError(
                f"RAM begins all episodes together, which autoreset mode {mode} does not allow: "
                "make the environment with autoreset_mode=gymnasium.vector.AutoresetMode.DISABLED"
            )
        action = core.action_mode
        if action not in ("dict", "box"):
            raise ValueError(f"RAM acts by 'dict' or 'box', not {action!r}: use action='dict'")
        task = core.task
        if core.stop and (task.judged != "answer" or task.questions > 1):
            raise ValueError(
                f"RAM learns when to stop where there is one answer to give, not in {task}: make "
                "the environment with stop=False"
            )
        if core.task.measures:
            raise ValueError(
                f"RAM looks and answers, it says no further numbers, which {core.task} asks for"
            )
        if core.glimpses < 2:
            raise ValueError("with glimpses=1 there is nowhere to look next: take at least 2")
        space: Any = env.single_observation_space
        context = space["context"].shape if "context" in space.spaces else ()
        score_scale = float(getattr(core.task, "score_scale", 5.0))
        cost = float(getattr(task, "glimpse_cost", 0.0))
        kind = (task.judged, task.questions, bool(core.stop), cost)
        shape = space["glimpse"].shape
        return cls(shape, int(core.answers), action, score_scale, *kind, context)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def is_single(self, observation: Mapping[str, Any], reveal: Sequence[str] = ()) -> bool:
        """Whether it is of one environment, not of n; its glimpse and what `reveal` names fit.

        Raises:
            ValueError: a part is not there, or of another shape.
        """
        single = np.ndim(observation["glimpse"]) == len(self.glimpse_shape)
        for name in ("glimpse", *reveal):
            if name not in observation:
                raise ValueError(f"the observation has no {name!r}: {shown(name)}")
            shape, fits = np.shape(observation[name])[not single :], getattr(self, f"{name}_shape")
            if shape != fits:
                raise ValueError(f"a {name} of shape {shape}, where one of shape {fits} is seen")
        return single

    def due(self, glimpses: int) -> list[int]:
        """After which glimpse, counted from 0, each question is answered at the latest."""
        return [-(-(q + 1) * glimpses // self.questions) - 1 for q in range(self.questions)]

    def batch_actions(
        self,
        fixation: Tensor,
        scores: Tensor,
        acts: Tensor | None = None,
        stops: Tensor | None = None,
    ) -> Any:
        """Fixations (n, 2) and the answers' scores (n, K), float32, as the environment's NumPy.

        Fixations are clamped to [-1, 1] here. A "box" score is 1 + log p / score_scale, cut at
        -1: the environment's softmax of score_scale times the scores is p again. `acts`, int64
        (n,), are what is said instead of the best scores. `stops`, bool (n,), answers now where
        the environment allows it; None: nowhere.
        """
        fixation = fixation.clamp(-1.0, 1.0)
        if self.action == "dict":
            action = {"fixation": fixation.cpu().numpy()}
            if self.answers:
                action["answer"] = (scores.argmax(-1) if acts is None else acts).cpu().numpy()
            if self.stop:
                now = torch.zeros(len(fixation)) if stops is None else stops
                action["stop"] = now.long().cpu().numpy()
            return action
        parts = [fixation]
        if acts is not None:
            parts.append(2.0 * one_hot(acts, self.answers) - 1)
        elif self.answers:
            parts.append((1 + scores.log_softmax(-1) / self.score_scale).clamp(-1.0, 1.0))
        if self.stop:
            now = torch.zeros(len(fixation)) if stops is None else stops
            parts.append(2 * now.to(fixation)[:, None] - 1)
        return torch.cat(parts, -1).cpu().numpy()

    def go_on(self, actions: Any) -> tuple[Any, NDArray[np.bool_]]:
        """The same actions without a stop, and where there was one, bool (n,)."""
        if self.action == "dict":
            stopped = actions["stop"] == 1
            return {**actions, "stop": np.zeros_like(actions["stop"])}, stopped
        stopped = actions[:, -1] > 0
        actions = actions.copy()
        actions[:, -1] = -1
        return actions, stopped

    def single_action(self, actions: Any) -> Any:
        """The first of a batch of actions."""
        if self.action == "dict":
            return {name: values[0] for name, values in actions.items()}
        return actions[0]


def shown(name: str) -> str:
    """What to do for an observation to have this part."""
    return f"make the environment with reveal=({name!r},)"


def make(env_id: str, num_envs: int, paths: int, reveal: Sequence[str] = ()) -> VectorEnv:
    """The environment of this id as RAM needs it, showing what `reveal` names.

    In a process group it has this process' share of the lanes.
    """
    return gymnasium.make_vec(
        env_id,
        **share(num_envs, paths),
        paths=paths,
        action="dict",
        reveal=tuple(reveal),
        autoreset_mode=AutoresetMode.DISABLED,
    )
