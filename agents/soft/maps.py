"""The maps that say where a classifier looks: its own, or else Grad-CAM's."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .base import SoftNetwork
from .gradcam import gradcam

GRADCAM = "Grad-CAM"


def maps_of(network: SoftNetwork, images: Tensor) -> dict[str, Tensor]:
    """Maps (B, H, W) of images (B, C, H, W), by name, in evaluation mode; the first counts.

    Those of `network.attention`; where it weighs no places but ends in convolutional `features`,
    Grad-CAM of the class it answers; else none.
    """
    training = network.training
    try:
        network.eval()
        with torch.no_grad():
            found = network.attention(images)
    finally:
        network.train(training)
    if not found and isinstance(getattr(network, "features", None), nn.Module):
        found = {GRADCAM: gradcam(network, images)}
    return found


def principal(network: SoftNetwork, images: Tensor) -> tuple[str, Tensor] | None:
    """The name of the map that counts, and it, (B, H, W); None where there is none."""
    return next(iter(maps_of(network, images).items()), None)


def tensor(classifier: Any, images: NDArray) -> Tensor:
    """Images as its environment shows them, float32 (n, C, H, W), for a classifier's network."""
    return torch.tensor(images, device=classifier.device)
