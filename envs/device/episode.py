"""An episode without the host: what lies between `reset` and the answer, in tensors alone.

Nothing in it waits for the host or depends on what tensors hold, so that a CUDA graph can keep it.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..core import GlimpseVectorEnv
from ..scenes import MovingScene


class Episode:
    """Looks at the scenes that the last `reset` showed, wherever a tensor says.

    The environment shows, walks and counts; here is only what its eye does. Glimpses are those of
    `step`, and nothing of this is seen by the environment, which stays at glimpse 1.

    Attributes: `glimpses`, T, of a whole episode.
    """

    def __init__(self, env: GlimpseVectorEnv) -> None:
        self._eye = env.eye
        self.glimpses = env.glimpses

    @classmethod
    def of(cls, env: Any) -> Episode | None:
        """The episodes of an environment; None where its steps do more than look.

        They may where its scenes move, the agent may stop, more than one right answer at the end
        counts, or a wrapper stands around it.
        """
        if not isinstance(env, GlimpseVectorEnv) or env.device is None or env.stop:
            return None
        # A subclass that judges by itself says anew whether the answer alone counts.
        judging = next(kind for kind in type(env.task).__mro__ if "judge" in vars(kind))
        alone = "answer_alone" in vars(judging) and env.task.answer_alone
        return cls(env) if alone and not isinstance(env.scene, MovingScene) else None

    def move(self, command: Tensor, fixation: Tensor) -> Tensor:
        """Where commands `(n, 2)` send eyes that are at fixations `(n, 2)`."""
        command = command.clamp(-1, 1)
        if self._eye.moves == "relative":
            command = (fixation + self._eye.reach * command).clamp(-1, 1)
        return command

    def look(self, fixation: Tensor) -> Tensor:
        """The glimpse of every lane from fixations `(n, 2)`, as `observation["glimpse"]`."""
        return self._eye.look_from(fixation)
