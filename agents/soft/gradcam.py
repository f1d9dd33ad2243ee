"""Grad-CAM (Selvaraju et al. 2017): which places spoke for a class, in any convolutional network.

It explains a network that weighs no places; where one does, its own maps are in `attention`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def gradcam(network: nn.Module, images: Tensor, classes: Tensor | None = None) -> Tensor:
    """Equations 1 and 2, in evaluation mode: relu(sum_k alpha_k A^k), brought to the image's size.

    A^k are the maps that leave `network.features`, alpha_k the mean over positions of the gradient
    of the class's score in them. The maps must lie over the whole image, so that growing them
    bilinearly puts them in their places.

    Args:
        network: scores (B, K) of images; its module `features` ends in maps (B, C, h, w).
        images: (B, C, H, W).
        classes: the class of each image, (B,); None: the one with the largest score.

    Returns:
        Maps (B, H, W), not negative, not scaled.
    """
    features = network.features
    if not isinstance(features, nn.Module):
        raise ValueError(f"{type(network).__name__}.features: {features!r}, needs to be a module")
    kept: list[Tensor] = []

    def cut(module: nn.Module, inputs: Any, maps: Tensor) -> Tensor:
        kept.append(maps.detach().requires_grad_())  # the gradient need go back no further
        return kept[-1].clone()  # what follows may work in place

    training = network.training
    hook = features.register_forward_hook(cut)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            scores = network.eval()(images)  # (B, K)
            picked = scores.argmax(1) if classes is None else classes
            chosen = scores.gather(1, picked[:, None]).sum()  # images do not touch one another
            (gradient,) = torch.autograd.grad(chosen, kept[-1])  # (B, C, h, w)
    finally:
        hook.remove()
        network.train(training)
    maps = kept[-1].detach()
    alpha = gradient.mean((2, 3), keepdim=True)  # (B, C, 1, 1)
    weighed = functional.relu((alpha * maps).sum(1, keepdim=True))  # (B, 1, h, w)
    return functional.interpolate(weighed.float(), images.shape[2:], mode="bilinear")[:, 0]
