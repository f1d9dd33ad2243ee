"""The deep recurrent attention model, DRAM (Ba, Mnih and Kavukcuoglu 2015), beside RAM.

Its networks, and its learner: RAM's rollout and loss around them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from gymnasium.vector import VectorEnv
from torch import Tensor, nn

from .hyperparameters import types_of
from .learner import RAM
from .networks import Filters, LookingNetwork, LSTMCore, State, placed, rectified
from .task import Task, shown


class ConvolutionalGlimpse(nn.Module):
    """G: what is seen times where, g = rect(linear(filters(glimpse))) * linear(fixation).

    The scales are the channels of the first filters. "Where" starts near 1, so that it scales what
    is seen up or down.
    """

    def __init__(self, shape: Sequence[int], filters: Sequence[int], features: int) -> None:
        super().__init__()
        self.filters = Filters(shape, filters)
        self.what = nn.Linear(self.filters.size, features)
        self.where = nn.Linear(2, features)
        nn.init.kaiming_uniform_(self.what.weight, nonlinearity="relu")
        nn.init.zeros_(self.what.bias)
        nn.init.ones_(self.where.bias)

    def forward(self, glimpse: Tensor, fixation: Tensor) -> Tensor:
        """Glimpse (B, scales * C, size, size) and fixation (B, 2) to features (B, features)."""
        what = rectified(self.what(self.filters(glimpse)))  # (B, features)
        return what * placed(self.where, fixation)


class ContextNetwork(nn.Module):
    """C: the whole image in few pixels to the upper layer's first state, c and h = tanh(c)."""

    def __init__(self, shape: Sequence[int], filters: Sequence[int], hidden: int) -> None:
        super().__init__()
        self.filters = Filters(shape, filters)
        self.cells = nn.Linear(self.filters.size, hidden)
        nn.init.xavier_uniform_(self.cells.weight)
        nn.init.zeros_(self.cells.bias)

    def forward(self, context: Tensor) -> State:
        """Context (B, C, h, w) to (h, c), (B, hidden) each."""
        cells = self.cells(self.filters(context))
        return (torch.tanh(cells), cells)


class DRAMNetwork(LookingNetwork):
    """Two LSTM layers: the lower one sees and answers, the upper one looks.

    r1 reads glimpse features and starts at zero; the answer is read off it. r2 reads r1 and starts
    from the context; the next fixation is read off it. Nothing flows from r2 to r1, so that the
    context moves the eye and never tells the answer.

    Args:
        glimpse_shape: (scales * C, size, size).
        context_shape: (C, h, w).
        classes: number of answers.
        through_core: whether gradients of looks go on from r2 into r1.
        halting: whether there is a unit that says when to stop.
    """

    sees: ClassVar[tuple[str, ...]] = ("glimpse", "fixation", "context")
    looks_apart: ClassVar[bool] = True

    def __init__(
        self,
        glimpse_shape: Sequence[int],
        context_shape: Sequence[int],
        classes: int,
        *,
        filters: Sequence[int] = (16, 32),
        features: int = 256,
        context_filters: Sequence[int] = (8, 16),
        hidden: int = 256,
        location_hidden: int = 0,
        through_core: bool = True,
        halting: bool = False,
    ) -> None:
        super().__init__()
        self.glimpse = ConvolutionalGlimpse(glimpse_shape, filters, features)
        self.lower = LSTMCore(features, hidden)
        self.context = ContextNetwork(context_shape, context_filters, hidden)
        self.upper = LSTMCore(hidden, hidden)
        self.through_core = through_core
        self.add_readers(hidden, classes, location_hidden, halting)

    def begin(self, observation: Mapping[str, Tensor]) -> State:
        context = observation["context"]
        return (*self.lower.start(len(context)), *self.context(context))

    def see(self, glimpse: Tensor, fixation: Tensor, state: State) -> State:
        lower = self.lower(self.glimpse(glimpse, fixation), state[:2])
        known = lower[0] if self.through_core else lower[0].detach()
        return (*lower, *self.upper(known, state[2:]))

    def looks_from(self, state: State) -> Tensor:
        return state[2]

    def answers_from(self, state: State) -> Tensor:
        return state[0]


class DRAM(RAM):
    """The deep recurrent attention model, learning where to look in a glimpse environment.

    It learns as `RAM` does, by the same rollout and loss, with a network of two layers
    (`DRAMNetwork`). The environment shows it the whole image in few pixels, `reveal=("context",)`,
    which it reads once, before the first glimpse.

    In the paper the context places glimpse 1. Here glimpse 1 comes with `reset`, from a place drawn
    at random or from the centre, and counts like any other: the first fixation that the context
    places is that of glimpse 2, when glimpse 1 has been seen as well.

    Args:
        env: as RAM's, showing the context; an id is made so.
        num_envs: lanes; an environment that is given decides by itself.
        paths: neighbouring lanes that share a scene; an environment that is given decides.
        filters: how many 3x3 filters each layer has that sees a glimpse; each halves its sides.
        features: features of a glimpse, what is seen times where.
        context_filters: how many 3x3 filters each layer has that sees the context.
        hidden: size of each LSTM layer.
        location_hidden: size of a rectified layer before the location; 0 for none.
        through_core: let REINFORCE's gradient into the lower layer and the glimpse network too;
            the upper layer and the context network learn from it alone.

    The other keywords are RAM's, as are attributes and errors; `network` is a `DRAMNetwork`.
    """

    kind: ClassVar[str] = "saccade.ram.DRAM"
    reveal: ClassVar[tuple[str, ...]] = ("context",)

    def __init__(
        self,
        env: VectorEnv | str | Task,
        *,
        num_envs: int = 256,
        paths: int = 4,
        filters: tuple[int, ...] = (16, 32),
        features: int = 256,
        context_filters: tuple[int, ...] = (8, 16),
        hidden: int = 256,
        location_hidden: int = 0,
        std: float = 0.15,
        std_final: float | None = None,
        answer_every_step: bool = True,
        reward: Literal["success", "log_prob"] = "log_prob",
        discount: float = 1.0,
        baseline: Literal["auto", "learned", "leave_one_out"] = "auto",
        normalize_advantage: bool = True,
        through_core: bool = True,
        location_weight: float = 1.0,
        entropy_weight: float = 0.0,
        label_smoothing: float = 0.0,
        optimizer: Literal["adam", "sgd"] = "adam",
        learning_rate: float = 2e-3,
        schedule: Literal["one-cycle", "cosine", "linear", "constant"] = "one-cycle",
        warmup: float = 0.2,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        max_grad_norm: float = 1.0,
        precision: Literal["float32", "bfloat16"] = "float32",
        log_interval: int = 20,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self._set_up(types_of(DRAM), locals())

    def _build(self) -> DRAMNetwork:
        if not self.task.context_shape:
            raise ValueError(f"DRAM begins with the whole image in few pixels: {shown('context')}")
        h = self.hyperparameters
        sizes = ("filters", "features", "context_filters", "hidden", "location_hidden")
        return DRAMNetwork(
            self.task.glimpse_shape,
            self.task.context_shape,
            self.task.answers,
            through_core=h["through_core"],
            halting=self.task.stop,
            **{name: h[name] for name in sizes},
        )
