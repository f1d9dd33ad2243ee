"""The differentiable glimpse model: RAM's own network, trained through the fixation itself.

The networks are RAM's (`ram/networks.py`); the retina that lets gradients pass is
`envs/sensors/differentiable.py`.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from ...envs.checks import at_least, choose, flag, number
from ...envs.sensors import GlimpseSensor
from ...envs.sensors.differentiable import Retina
from ...ram.networks import RAMNetwork
from .base import Criterion, SoftNetwork


class SoftRAM(SoftNetwork):
    """RAM with a retina read bilinearly, trained end to end by back-propagation.

    Hard and soft differ in one thing alone: RAM draws each fixation around a mean, looks from a
    whole pixel and learns the mean by REINFORCE (Mnih et al. 2014); here the mean itself is looked
    from, between the pixels, and what the answers lose flows back through the glimpse into it, and
    so into everything before it. Glimpse network, core, location and answer are the same class
    with the same defaults; the baseline network takes no part.

    The fixation is held on the image as RAM's is. Its gradient passes the bound where it leads
    back inside and stops where it leads further out, or a fixation that once left would never
    return. It is a local gradient: it tells how the glimpse would change a pixel further on, and
    of what no patch covers it tells nothing. Half the image is one unit of a fixation, but the
    glimpse changes with every pixel: at its full weight this gradient drowns the answer's own,
    grows from glimpse to glimpse and stalls learning on cluttered images. `location_weight` scales
    it; at one over half the image's side, it counts by the pixel.

    RAM's environments draw the first fixation at random, with the scene. An image by itself has no
    such draw: in evaluation the first fixation is the centre, and by default in training too.

    Args:
        image_shape: (C, H, W).
        classes: number of answers, at least 2.
        size: side of a patch, in values.
        scales: number of patches, 1 to 5.
        glimpses: how often it looks.
        core: "rnn", the paper's rectified core, or "lstm".
        what: features of what is seen.
        where: features of where it is seen.
        glimpse_features: features of both together.
        hidden: size of the core.
        location_hidden: size of a rectified layer before the location; 0 for none, the paper's.
        location_weight: weight of the gradient that passes into each fixation; 0: where to look
            is not learned.
        answer_every_step: the loss is the mean over the answers after every glimpse, not the last
            alone. The last is the one that counts.
        first_fixation: "center", or "random": in training, anywhere on the image.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        classes: int,
        *,
        size: int = 12,
        scales: int = 3,
        glimpses: int = 6,
        core: Literal["rnn", "lstm"] = "rnn",
        what: int = 128,
        where: int = 128,
        glimpse_features: int = 256,
        hidden: int = 256,
        location_hidden: int = 0,
        location_weight: float = 0.03,
        answer_every_step: bool = True,
        first_fixation: Literal["center", "random"] = "center",
    ) -> None:
        super().__init__()
        channels, self.glimpses = image_shape[0], at_least("glimpses", glimpses, 1)
        self.sensor = GlimpseSensor(size, scales)
        self.location_weight = number("location_weight", location_weight)
        if self.location_weight < 0:
            raise ValueError(f"location_weight={location_weight!r}: at least 0 is needed")
        self.answer_every_step = flag("answer_every_step", answer_every_step)
        self.first_fixation = choose("first_fixation", first_fixation, ("center", "random"))
        self.network = RAMNetwork(
            (channels * self.sensor.scales, self.sensor.size, self.sensor.size),
            at_least("classes", classes, 2),
            core=choose("core", core, ("rnn", "lstm")),
            what=at_least("what", what, 1),
            where=at_least("where", where, 1),
            glimpse_features=at_least("glimpse_features", glimpse_features, 1),
            hidden=at_least("hidden", hidden, 1),
            location_hidden=at_least("location_hidden", location_hidden, 0),
        )
        # Kept, so that the weights of a RAM fit; there is no return to expect here.
        self.network.baseline.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to the scores (B, K) after the last glimpse."""
        states, _ = self._look(images)
        return self.network.answer(states[-1])

    def loss(self, images: Tensor, labels: Tensor, criterion: Criterion) -> tuple[Tensor, Tensor]:
        """The criterion averaged over the steps' answers, and the scores (B, K) of the last."""
        states, _ = self._look(images)
        scores = self.network.answer(states if self.answer_every_step else states[-1:])  # (S, B, K)
        return criterion(scores.flatten(0, 1), labels.repeat(len(scores))), scores[-1]

    def fixations(self, images: Tensor) -> Tensor:
        """Where it looks from, (B, T, 2): x, then y, in [-1, 1]; the first is not its choice."""
        return self._look(images)[1]

    def attention(self, images: Tensor) -> dict[str, Tensor]:
        """How much of each pixel the finest patches cover, summed over the glimpses."""
        looked = self.fixations(images)  # (B, T, 2)
        height, width = images.shape[2:]
        size = self.sensor.size
        columns = coverage(looked[..., 0], width, size)  # (B, T, W)
        rows = coverage(looked[..., 1], height, size)  # (B, T, H)
        with torch.autocast(images.device.type, enabled=False):
            return {"glimpses": rows.mT @ columns}  # (B, H, W)

    def _look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The core's outputs (T, B, hidden) after every glimpse, and the fixations (B, T, 2)."""
        network, batch = self.network, len(images)
        retina = Retina(images, self.sensor.size, self.sensor.scales)
        fixation = images.new_zeros(batch, 2)
        if self.training and self.first_fixation == "random":
            fixation = fixation.uniform_(-1, 1)
        state = network.start(batch)
        states, looked = [], [fixation]
        for t in range(self.glimpses):
            if t:
                # Half precision is too coarse for a place: an eighth of a pixel on 60 x 60.
                with torch.autocast(images.device.type, enabled=False):
                    mean = network.location(state[0].to(images.dtype))
                fixation = hold_inside(mean, self.location_weight)  # (B, 2)
                looked.append(fixation)
            state = network.see(retina(fixation), fixation, state)
            states.append(state[0])
        return torch.stack(states), torch.stack(looked, 1)


def hold_inside(mean: Tensor, weight: float = 1.0) -> Tensor:
    """Clamp to [-1, 1]; `weight` times the gradient passes, outside only where it leads back."""
    return _Inside.apply(mean, weight)


def coverage(fixations: Tensor, length: int, size: int) -> Tensor:
    """What the finest patch covers of each pixel, 0 to 1: fixations (...) to (..., length)."""
    pixel = torch.arange(length, device=fixations.device)
    first = (fixations[..., None] + 1) / 2 * (length - 1) - size // 2
    return (torch.minimum(first + size, pixel + 1) - torch.maximum(first, pixel)).clamp(0, 1)


class _Inside(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mean: Tensor, weight: float) -> Tensor:
        ctx.save_for_backward(mean)
        ctx.weight = weight
        return mean.clamp(-1, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (mean,) = ctx.saved_tensors
        outward = (mean > 1) & (gradient < 0) | (mean < -1) & (gradient > 0)
        return ctx.weight * gradient.masked_fill(outward, 0), None
