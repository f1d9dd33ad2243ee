"""Grad-CAM against the paper's equations read one image and one channel at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from saccade.agents.soft.base import SoftNetwork
from saccade.agents.soft.gradcam import gradcam
from saccade.agents.soft.maps import GRADCAM, maps_of, principal


class Convolutional(SoftNetwork):
    """Normalisation and dropout, which evaluation must switch off; rectifies maps in place."""

    def __init__(self, masks: bool = False) -> None:
        super().__init__()
        self.masks = masks
        self.features = nn.Sequential(
            nn.Conv2d(2, 5, 3, stride=2, padding=1),
            nn.BatchNorm2d(5),
            nn.Conv2d(5, 4, 3, padding=1),
        )
        self.rest = nn.Sequential(
            nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 5 * 4, 3)
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.rest(self.features(images))

    def attention(self, images: Tensor) -> dict[str, Tensor]:
        assert not self.training and not torch.is_grad_enabled()
        return {"mask": images.mean(1)} if self.masks else {}


@pytest.fixture
def network() -> Convolutional:
    torch.manual_seed(0)
    network = Convolutional()
    network(torch.rand(32, 2, 10, 8))  # moves the running means
    return network.eval()


def slow(network: Convolutional, image: Tensor, kind: int) -> Tensor:
    """One image's map: alpha_k one channel at a time, by changing every value of A^k alone."""
    with torch.no_grad():
        maps = network.features(image[None])[0].double()
        rest = network.rest.double()
        step, total = 1e-6, torch.zeros(maps.shape[1:], dtype=torch.float64)
        for k in range(len(maps)):
            alpha = 0.0
            for place in torch.cartesian_prod(*map(torch.arange, maps.shape[1:])).tolist():
                up, down = maps.clone(), maps.clone()
                up[k, place[0], place[1]] += step
                down[k, place[0], place[1]] -= step
                alpha += float(rest(up[None])[0, kind] - rest(down[None])[0, kind]) / (2 * step)
            total += alpha / maps[k].numel() * maps[k]
        network.rest.float()
    return grow(total.clamp(min=0), *image.shape[1:])


def grow(small: Tensor, height: int, width: int) -> Tensor:
    """Bilinear, pixel by pixel: pixel centres of both lie evenly over the same square."""
    rows, columns = small.shape
    large = torch.zeros(height, width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            v = min(max((y + 0.5) * rows / height - 0.5, 0), rows - 1)
            u = min(max((x + 0.5) * columns / width - 0.5, 0), columns - 1)
            top, left = int(v), int(u)
            for row, share in ((top, 1 - (v - top)), (min(top + 1, rows - 1), v - top)):
                for column, part in (
                    (left, 1 - (u - left)),
                    (min(left + 1, columns - 1), u - left),
                ):
                    large[y, x] += share * part * small[row, column]
    return large


def test_it_is_the_papers_equations(network: Convolutional) -> None:
    images = torch.rand(4, 2, 10, 8)
    classes = torch.tensor([2, 0, 1, 1])
    found = gradcam(network, images, classes)
    assert found.shape == (4, 10, 8) and found.dtype == torch.float32
    for image, kind, one in zip(images, classes.tolist(), found, strict=True):
        torch.testing.assert_close(one.double(), slow(network, image, kind), atol=1e-6, rtol=1e-4)
    assert found.max() > 0


def test_without_classes_it_explains_the_answer(network: Convolutional) -> None:
    images = torch.rand(6, 2, 10, 8)
    answers = network(images).argmax(1)
    torch.testing.assert_close(gradcam(network, images), gradcam(network, images, answers))


def test_it_leaves_no_trace(network: Convolutional) -> None:
    images = torch.rand(3, 2, 10, 8)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    expected = gradcam(network, images)
    network.train()
    with torch.inference_mode():  # as where a policy is evaluated
        torch.testing.assert_close(gradcam(network, images), expected)
    assert network.training and not network.features._forward_hooks
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(weights.grad is None for weights in network.parameters())


def test_a_networks_own_map_comes_before_grad_cam() -> None:
    images = torch.rand(2, 2, 10, 8)
    name, maps = principal(Convolutional(masks=True), images)
    assert name == "mask" and torch.equal(maps, images.mean(1))
    assert list(maps_of(Convolutional(), images)) == [GRADCAM]
    assert principal(SoftNetwork(), images) is None


def test_features_must_be_a_module() -> None:
    network = Convolutional()
    del network.features
    network.features = 3
    with pytest.raises(ValueError, match="needs to be a module"):
        gradcam(network, torch.rand(1, 2, 10, 8))
