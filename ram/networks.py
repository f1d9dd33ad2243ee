"""The boxes of the Recurrent Attention Model's figure, one small class each.

Networks only: what is drawn from them and how they learn is in `learner.py` and `loss.py`.
Where the paper adds two linear maps, here one linear map reads both inputs side by side:
the same function, one matrix product.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from .halting import HaltNetwork

State = tuple[Tensor, ...]
"""What a network remembers of an episode, float32, (B, hidden) each.

The rectified core's is (h,), an LSTM's (h, c); several cores' follow each other.
"""


def rectified(values: Tensor) -> Tensor:
    """max(values, 0), written over `values`: no copy to fill, none to keep for the gradient."""
    return functional.relu(values, inplace=True)


def placed(where: nn.Linear, fixation: Tensor) -> Tensor:
    """`where` of a fixation, in float32 whatever the precision: half of it is too coarse."""
    with torch.autocast(fixation.device.type, enabled=False):
        return where(fixation)


class Filters(nn.Sequential):
    """Rectified 3x3 convolutions, (B, C, h, w) to (B, `size`).

    Each halves the sides, but for the first where it has another `stride`.
    """

    def __init__(self, shape: Sequence[int], filters: Sequence[int], stride: int = 2) -> None:
        super().__init__()
        channels, *sides = shape
        for number, count in enumerate(filters):
            step = 2 if number else stride
            layer = nn.Conv2d(channels, count, 3, stride=step, padding=1)
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            self.extend((layer, nn.ReLU(inplace=True)))
            channels, sides = count, [(side + step - 1) // step for side in sides]
        self.append(nn.Flatten())
        self.size = channels * math.prod(sides)


class GlimpseNetwork(nn.Module):
    """f_g: what is seen and where, multiplied together into glimpse features.

    h_g = rect(linear(glimpse)), h_l = rect(linear(fixation)),
    g = rect(linear(h_g) + linear(h_l)).
    """

    def __init__(self, pixels: int, what: int = 128, where: int = 128, features: int = 256) -> None:
        super().__init__()
        self.what = nn.Linear(pixels, what)
        self.where = nn.Linear(2, where)
        self.both = nn.Linear(what + where, features)
        for layer in (self.what, self.where, self.both):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)

    def forward(self, glimpse: Tensor, fixation: Tensor) -> Tensor:
        """Glimpse (B, pixels) and fixation (B, 2), float32, to features (B, features)."""
        seen = torch.cat((self.what(glimpse), placed(self.where, fixation)), 1)  # (B, what + where)
        return rectified(self.both(rectified(seen)))  # (B, features)


class RectifiedCore(nn.Module):
    """f_h of the paper's classifiers: h_t = rect(linear(g_t) + linear(h_(t-1))).

    The recurrent weights start at the identity (Le, Jaitly, Hinton 2015): the state is kept.
    """

    def __init__(self, features: int = 256, hidden: int = 256) -> None:
        super().__init__()
        self.hidden = hidden
        self.linear = nn.Linear(features + hidden, hidden)
        with torch.no_grad():
            nn.init.kaiming_uniform_(self.linear.weight[:, :features], nonlinearity="relu")
            nn.init.eye_(self.linear.weight[:, features:])
        nn.init.zeros_(self.linear.bias)

    def start(self, batch: int) -> State:
        """The state before the first glimpse: zeros."""
        return (self.linear.weight.new_zeros(batch, self.hidden),)

    def forward(self, features: Tensor, state: State) -> State:
        """Features (B, features) and the state before them to the state after them."""
        return (rectified(self.linear(torch.cat((features, state[0]), 1))),)


class LSTMCore(nn.Module):
    """f_h as an LSTM (the paper's for Catch); its four gates come from one matrix product.

    The recurrent weights start orthogonal, the forget gates open (bias 1).
    """

    def __init__(self, features: int = 256, hidden: int = 256) -> None:
        super().__init__()
        self.hidden = hidden
        self.linear = nn.Linear(features + hidden, 4 * hidden)  # input, forget, output, candidate
        with torch.no_grad():
            for rows in self.linear.weight.split(hidden):
                nn.init.xavier_uniform_(rows[:, :features])
                nn.init.orthogonal_(rows[:, features:])
            nn.init.zeros_(self.linear.bias)
            self.linear.bias[hidden : 2 * hidden] = 1.0

    def start(self, batch: int) -> State:
        """The state before the first glimpse: zeros."""
        zeros = self.linear.weight.new_zeros(batch, self.hidden)
        return (zeros, zeros)

    def forward(self, features: Tensor, state: State) -> State:
        """Features (B, features) and the state before them to the state after them."""
        h, c = state
        gates = self.linear(torch.cat((features, h), 1))  # (B, 4 hidden)
        i, f, o = torch.sigmoid(gates[:, : 3 * self.hidden]).chunk(3, 1)  # (B, hidden) each
        c = torch.addcmul(f * c, i, torch.tanh(gates[:, 3 * self.hidden :]))
        return (o * torch.tanh(c), c)


class LocationNetwork(nn.Module):
    """f_l: the mean of the next fixation, linear in the core's output.

    `location_hidden` > 0 puts a rectified layer before it. The last weights start small, so that
    the first means lie near the centre.
    """

    def __init__(self, hidden: int = 256, location_hidden: int = 0) -> None:
        super().__init__()
        self.before = nn.Linear(hidden, location_hidden) if location_hidden else None
        self.mean = nn.Linear(location_hidden or hidden, 2)
        if self.before is not None:
            nn.init.kaiming_uniform_(self.before.weight, nonlinearity="relu")
            nn.init.zeros_(self.before.bias)
        nn.init.orthogonal_(self.mean.weight, gain=0.05)
        nn.init.zeros_(self.mean.bias)

    def forward(self, h: Tensor) -> Tensor:
        """The core's output (..., hidden) to the mean fixation (..., 2): x, then y."""
        if self.before is not None:
            h = rectified(self.before(h))
        return self.mean(h)


class AnswerNetwork(nn.Module):
    """f_a: a linear score for each answer, whose softmax is its probability."""

    def __init__(self, hidden: int = 256, classes: int = 10) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, classes) if classes else None  # there are tasks without
        if self.linear is not None:
            nn.init.xavier_uniform_(self.linear.weight)
            nn.init.zeros_(self.linear.bias)

    def forward(self, h: Tensor) -> Tensor:
        """The core's output (..., hidden) to scores (..., classes)."""
        return h[..., :0] if self.linear is None else self.linear(h)


class BaselineNetwork(nn.Module):
    """The return that is to be expected, linear in the core's output; it starts at 0."""

    def __init__(self, hidden: int = 256) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, h: Tensor) -> Tensor:
        """The core's output (..., hidden) to the expected return (...)."""
        return self.linear(h).squeeze(-1)


class LookingNetwork(nn.Module, abc.ABC):
    """What a learner of looks knows of its network: its state, and what is read off that.

    A subclass makes its own boxes and then those that read, by `add_readers`.

    Attributes:
        sees: the observation's parts that it looks at.
        looks_apart: whether looks are read off a state of their own, which answers never are.
    """

    sees: ClassVar[tuple[str, ...]] = ("glimpse", "fixation")
    looks_apart: ClassVar[bool] = False

    def add_readers(self, hidden: int, classes: int, location_hidden: int, halting: bool) -> None:
        """Make the boxes that read states of `hidden` values."""
        self.location = LocationNetwork(hidden, location_hidden)
        self.answer = AnswerNetwork(hidden, classes)
        self.baseline = BaselineNetwork(hidden)
        self.halt = HaltNetwork(hidden, classes) if halting else None

    @abc.abstractmethod
    def begin(self, observation: Mapping[str, Tensor]) -> State:
        """The state before the first glimpse, where the first observation (B, ...) may matter."""

    @abc.abstractmethod
    def see(self, glimpse: Tensor, fixation: Tensor, state: State) -> State:
        """One glimpse (B, scales * C, size, size) at a fixation (B, 2): the next state."""

    @abc.abstractmethod
    def looks_from(self, state: State) -> Tensor:
        """What location, baseline and halting are read off, (B, hidden)."""

    @abc.abstractmethod
    def answers_from(self, state: State) -> Tensor:
        """What the answer is read off, (B, hidden)."""


class RAMNetwork(LookingNetwork):
    """All boxes together: see a glimpse, then read location, answer and baseline off the core.

    Args:
        glimpse_shape: (scales * C, size, size).
        classes: number of answers.
        filters: 3x3 filters in each layer before "what", the first at every pixel, the others at
            every second; None: it sees the pixels themselves.
        gain: what glimpses are multiplied with, so that scenes that are mostly dark weigh as much.
        halting: whether there is a unit that says when to stop.
    """

    def __init__(
        self,
        glimpse_shape: Sequence[int],
        classes: int,
        *,
        filters: Sequence[int] | None = None,
        core: Literal["rnn", "lstm"] = "rnn",
        what: int = 128,
        where: int = 128,
        glimpse_features: int = 256,
        hidden: int = 256,
        location_hidden: int = 0,
        gain: float = 1.0,
        halting: bool = False,
    ) -> None:
        super().__init__()
        self.gain = gain
        self.filters = Filters(glimpse_shape, filters, stride=1) if filters else None
        pixels = self.filters.size if self.filters else math.prod(glimpse_shape)
        self.glimpse = GlimpseNetwork(pixels, what, where, glimpse_features)
        self.core: RectifiedCore | LSTMCore
        if core == "rnn":
            self.core = RectifiedCore(glimpse_features, hidden)
        else:
            self.core = LSTMCore(glimpse_features, hidden)
        self.add_readers(hidden, classes, location_hidden, halting)

    def start(self, batch: int) -> State:
        """The core's state before the first glimpse."""
        return self.core.start(batch)

    def begin(self, observation: Mapping[str, Tensor]) -> State:
        return self.start(len(observation["glimpse"]))

    def looks_from(self, state: State) -> Tensor:
        return state[0]

    def answers_from(self, state: State) -> Tensor:
        return state[0]

    def see(self, glimpse: Tensor, fixation: Tensor, state: State) -> State:
        if self.gain != 1:
            glimpse = self.gain * glimpse
        pixels = glimpse.flatten(1) if self.filters is None else self.filters(glimpse)
        return self.core(self.glimpse(pixels, fixation), state)
