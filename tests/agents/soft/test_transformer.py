"""The spatial transformer against slow readings of the paper's equations and against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.interpolate import RBFInterpolator
from torch import Tensor, nn

from saccade.agents.soft.transformer import (
    SpatialTransformer,
    affine_grid,
    density,
    sample,
    spread,
    thin_plate_grid,
    zoom_grid,
)

KINDS = ["affine", "zoom", "tps"]
PARAMETERS = {"affine": 6, "zoom": 3, "tps": 32}


def where(place: int, side: int) -> float:
    """The coordinate of a pixel's centre: -1 is the first's, 1 the last's."""
    return -1 + 2 * place / (side - 1) if side > 1 else 0.0


def slow_sample(image: np.ndarray, x: float, y: float) -> float:
    """Equation 5: the sum over all pixels, weighed by max(0, 1 - distance) in each direction."""
    height, width = image.shape
    column, row = (x + 1) / 2 * (width - 1), (y + 1) / 2 * (height - 1)
    return sum(
        image[n, m] * max(0, 1 - abs(column - m)) * max(0, 1 - abs(row - n))
        for n in range(height)
        for m in range(width)
    )


def near_identity(kind: str, batch: int = 2, seed: int = 0) -> Tensor:
    """Parameters a little beside a zoom by 0.8, in float64."""
    torch.manual_seed(seed)
    start = SpatialTransformer(nn.Identity(), 1, kind=kind, zoom=0.8).last.bias.double().detach()
    return start + 0.1 * torch.randn(batch, len(start), dtype=torch.float64)


def grid_of(kind: str, theta: Tensor, size: tuple[int, int]) -> Tensor:
    if kind == "affine":
        return affine_grid(theta.unflatten(1, (2, 3)), size)
    if kind == "zoom":
        return zoom_grid(theta, size)
    return thin_plate_grid(theta.unflatten(1, (16, 2)), size)


class Nothing(nn.Module):
    """Sees nothing: one feature, 0."""

    def forward(self, images: Tensor) -> Tensor:
        return images.new_zeros(len(images), 1)


def still(kind: str, theta: list[float], **keywords) -> SpatialTransformer:
    """A transformer that cuts every image alike."""
    layer = SpatialTransformer(Nothing(), 1, kind=kind, **keywords)
    with torch.no_grad():
        layer.last.bias.copy_(torch.tensor(theta))
    return layer


@pytest.mark.parametrize("size", [(3, 5), (4, 4), (1, 6)])
def test_affine_and_zoom_are_the_paper_s_equations(size: tuple[int, int]) -> None:
    theta, zoom = torch.randn(2, 2, 3), torch.randn(2, 3)
    affine, attention = affine_grid(theta, size), zoom_grid(zoom, size)
    assert affine.shape == attention.shape == (2, *size, 2)
    for b in range(2):
        (a11, a12, a13), (a21, a22, a23) = theta[b].tolist()
        s, tx, ty = zoom[b].tolist()
        for row in range(size[0]):
            for column in range(size[1]):
                x, y = where(column, size[1]), where(row, size[0])
                by_1 = [a11 * x + a12 * y + a13, a21 * x + a22 * y + a23]
                assert affine[b, row, column].tolist() == pytest.approx(by_1, abs=1e-5)
                by_2 = [s * x + tx, s * y + ty]
                assert attention[b, row, column].tolist() == pytest.approx(by_2, abs=1e-5)


@pytest.mark.parametrize("side", [2, 3, 4])
def test_the_thin_plate_is_scipy_s(side: int) -> None:
    height, width = 7, 5
    ticks = [where(k, side) for k in range(side)]
    lattice = np.array([(x, y) for y in ticks for x in ticks])
    points = np.random.default_rng(0).normal(size=(2, side * side, 2))
    asked = np.array([(where(c, width), where(r, height)) for r in range(height) for c in range(5)])
    grid = thin_plate_grid(torch.from_numpy(points), (height, width))
    for b in range(2):
        spline = RBFInterpolator(lattice, points[b], kernel="thin_plate_spline", degree=1)
        np.testing.assert_allclose(grid[b].flatten(0, 1), spline(asked), atol=1e-9)


def test_the_thin_plate_goes_through_its_points_and_keeps_affine_maps() -> None:
    points = torch.randn(3, 16, 2, dtype=torch.float64)
    torch.testing.assert_close(thin_plate_grid(points, (4, 4)).flatten(1, 2), points)
    theta = torch.randn(3, 2, 3)
    moved = affine_grid(theta, (4, 4)).flatten(1, 2)
    torch.testing.assert_close(
        thin_plate_grid(moved, (9, 6)), affine_grid(theta, (9, 6)), atol=1e-5, rtol=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_is_equation_5(kind: str) -> None:
    image = torch.rand(1, 1, 4, 6, dtype=torch.float64)
    grid = 1.3 * grid_of(kind, near_identity(kind, 1), (3, 5))  # some points lie outside
    found = sample(image, grid)[0, 0]
    for row in range(3):
        for column in range(5):
            x, y = grid[0, row, column].tolist()
            assert float(found[row, column]) == pytest.approx(
                slow_sample(image[0, 0].numpy(), x, y), abs=1e-12
            )


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_grid_and_sampler(kind: str) -> None:
    theta = near_identity(kind).requires_grad_()
    images = torch.rand(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: grid_of(kind, t, (3, 4)), (theta,))
    assert torch.autograd.gradcheck(
        lambda i, t: sample(i, grid_of(kind, t, (3, 4))), (images, theta)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_layer(kind: str) -> None:
    torch.manual_seed(1)
    locate = nn.Sequential(nn.Flatten(), nn.Linear(20, 3), nn.Tanh())
    layer = SpatialTransformer(locate, 3, kind=kind, output=(2, 3), zoom=0.7, oversample=2).double()
    nn.init.normal_(layer.last.weight, std=0.1)
    images = torch.rand(2, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (images,))
    layer(images).square().sum().backward()
    assert all(value.grad.abs().sum() > 0 for value in layer.parameters())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 14), (2, 1, 5)])
def test_it_starts_as_the_identity(kind: str, shape: tuple[int, int, int]) -> None:
    locate = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 7))
    layer = SpatialTransformer(locate, 7, kind=kind)
    images = torch.rand(4, *shape)
    torch.testing.assert_close(layer(images), images, atol=1e-5, rtol=0)
    assert layer.last.out_features == PARAMETERS[kind] and not layer.last.weight.any()


@pytest.mark.parametrize("kind", KINDS)
def test_it_starts_at_the_zoom(kind: str) -> None:
    layer = SpatialTransformer(nn.Flatten(), 21 * 31, kind=kind, output=(11, 16), zoom=0.5)
    images = torch.rand(2, 1, 21, 31)
    corners = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    torch.testing.assert_close(layer.corners(images), corners.expand(2, 4, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_a_known_patch_is_cut_out_exactly(kind: str) -> None:
    images = torch.rand(3, 2, 17, 33)
    top, left, height, width = 6, 10, 5, 9  # the same share of both sides: zoom has one scale
    x, y = where(left + width // 2, 33), where(top + height // 2, 17)
    s = (width - 1) / 32
    if kind == "zoom":
        theta = [s, x, y]
    elif kind == "affine":
        theta = [s, 0, x, 0, s, y]
    else:
        ticks = [-1, -1 / 3, 1 / 3, 1]
        theta = [value for v in ticks for u in ticks for value in (s * u + x, s * v + y)]
    layer = still(kind, theta, output=(height, width))
    patch = images[..., top : top + height, left : left + width]
    torch.testing.assert_close(layer(images), patch, atol=1e-5, rtol=0)
    seen = torch.zeros(3, 17, 33)
    seen[:, top : top + height, left : left + width] = 1
    torch.testing.assert_close(layer.density(images), seen, atol=1e-4, rtol=0)
    right, bottom = where(left + width - 1, 33), where(top + height - 1, 17)
    x, y = where(left, 33), where(top, 17)
    corners = torch.tensor([[x, y], [right, y], [right, bottom], [x, bottom]])
    torch.testing.assert_close(layer.corners(images)[0], corners, atol=1e-5, rtol=0)


def test_a_mirror_turns_the_corners() -> None:
    layer = still("affine", [-1, 0, 0, 0, 1, 0])
    images = torch.rand(1, 1, 4, 5)
    torch.testing.assert_close(layer(images), images.flip(-1))
    mirrored = torch.tensor([[1.0, -1], [-1, -1], [-1, 1], [1, 1]])
    torch.testing.assert_close(layer.corners(images)[0], mirrored)


def test_beyond_the_image_all_is_zero() -> None:
    images = torch.ones(1, 1, 8, 8)
    away = still("zoom", [0.5, 9, 0], output=4)
    assert not away(images).any() and not away.density(images).any()
    beside = still("zoom", [1, 1, 0], output=8)(images)  # reads pixels 3.5, 4.5, ... 10.5
    row = torch.tensor([1.0, 1, 1, 1, 0.5, 0, 0, 0])
    torch.testing.assert_close(beside[0, 0], row.expand(8, 8))
    wild = still("zoom", [float("nan"), 1e30, -1e30], output=4)
    assert not wild.density(images).any()


def test_oversampling_is_the_mean_of_a_finer_cut() -> None:
    images = torch.rand(2, 3, 12, 10)
    theta = [0.7, 0.2, 0.1, -0.1, 0.6, 0.2]
    coarse = still("affine", theta, output=(3, 4), oversample=3)
    fine = still("affine", theta, output=(9, 12))(images)
    torch.testing.assert_close(
        coarse(images), fine.unflatten(2, (3, 3)).unflatten(4, (4, 3)).mean((3, 5))
    )
    assert coarse.grid(images).shape == (2, 9, 12, 2)
    torch.testing.assert_close(coarse.density(images).sum((1, 2)), torch.full((2,), 108.0))


@pytest.mark.parametrize("size", [(6, 9), (7, 1), (1, 1)])
def test_spread_is_the_sampler_s_adjoint(size: tuple[int, int]) -> None:
    torch.manual_seed(2)
    grid = 1.2 * torch.randn(3, 4, 5, 2, dtype=torch.float64)
    values = torch.rand(3, 4, 5, dtype=torch.float64)
    images = torch.rand(3, 1, *size, dtype=torch.float64, requires_grad=True)
    (sample(images, grid)[:, 0] * values).sum().backward()
    torch.testing.assert_close(spread(values, grid, size), images.grad[:, 0])


def test_density_counts_the_points_inside() -> None:
    grid = 2.4 * torch.rand(5, 6, 7, 2, dtype=torch.float64) - 1.2
    # Where a border lies within a pixel of it, a point counts in part: keep those apart.
    grid = torch.where(grid.abs() > 1, grid.sign() * 3, grid)
    inside = (grid.abs() <= 1).all(-1).sum((1, 2))
    found = density(grid, (8, 11))
    assert found.shape == (5, 8, 11) and found.min() >= 0
    torch.testing.assert_close(found.sum((1, 2)), inside.double())


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_does_not_move_the_cut(kind: str) -> None:
    locate = nn.Sequential(nn.Flatten(), nn.Linear(144, 8))
    layer = SpatialTransformer(locate, 8, kind=kind)
    images = torch.rand(2, 1, 12, 12)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(images), images, atol=1e-5, rtol=0)
        assert layer.grid(images).dtype == torch.float32


def test_refusals() -> None:
    for keywords, words in [
        ({"kind": "rotate"}, "affine, zoom, tps"),
        ({"output": 0}, "output=0"),
        ({"output": (3, 0)}, "output="),
        ({"output": (3, 3, 3)}, "output="),
        ({"zoom": 0.0}, "zoom=0.0"),
        ({"zoom": float("nan")}, "zoom=nan"),
        ({"oversample": 0}, "oversample=0"),
    ]:
        with pytest.raises(ValueError, match=words) as refusal:
            SpatialTransformer(nn.Flatten(), 4, **keywords)
        assert "\n" not in str(refusal.value)
    for count in (1, 15):
        with pytest.raises(ValueError, match="no square"):
            thin_plate_grid(torch.zeros(1, count, 2), (4, 4))
