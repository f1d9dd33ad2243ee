"""DVAN: canvases, the equations read slowly, and a penalty that knows where maps lie."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from saccade.agents.soft.dvan import DVAN, canvases, diversity_penalty, mean_answer, on_image

SMALL = dict(width=4, hidden=16)


def made(shape=(1, 24, 24), classes=4, seed=0, **keywords) -> DVAN:
    torch.manual_seed(seed)
    return DVAN(shape, classes, **{**SMALL, **keywords})


def some_images(count=5, shape=(1, 24, 24), seed=1, **options) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(seed), **options)


def some_maps(*shape: int, seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    flat = torch.randn(shape, generator=generator, dtype=torch.float64).flatten(-2).mul(2)
    return flat.softmax(-1).view(shape)


def read_slowly(net: DVAN, image: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (T, K) and maps (T, h, w) of one image (C, H, W), equation by equation."""
    height, width = image.shape[1:]
    features = []
    for top, left, tall, wide in canvases(height, width, net.grid, net.crop):
        part = image[None, :, top : top + tall, left : left + wide]
        part = functional.interpolate(part, net.canvas, mode="area")
        features.append(net.features(part)[0])  # (D, h, w)
    mean = torch.stack([canvas.mean((1, 2)) for canvas in features]).mean(0)
    h, c = net.begin(mean).tanh().chunk(2)
    hidden = len(h)
    scores, maps = [], []
    for canvas in features:
        depth, rows, columns = canvas.shape
        for _ in range(net.glimpses):
            logits = torch.zeros(rows, columns)
            for i in range(rows):
                for j in range(columns):
                    if net.attend_by == "state":
                        place = i * columns + j
                        logits[i, j] = net.point.weight[place] @ h + net.point.bias[place]
                    else:
                        towards = net.point.weight @ h + net.point.bias
                        logits[i, j] = canvas[:, i, j] @ towards / math.sqrt(depth)
            weights = logits.exp() / logits.exp().sum()
            seen = (weights * canvas).sum((1, 2))
            gates = net.core.linear(torch.cat((seen, h)))
            i_gate, f_gate, o_gate = gates[: 3 * hidden].sigmoid().chunk(3)
            c = f_gate * c + i_gate * gates[3 * hidden :].tanh()
            h = o_gate * c.tanh()
            scores.append(net.answer(h))
            maps.append(weights)
    return torch.stack(scores), torch.stack(maps)


@pytest.mark.parametrize("attend_by", ["content", "state"])
@pytest.mark.parametrize("glimpses", [1, 2])
def test_it_reads_as_the_equations_say(attend_by, glimpses):
    net = made((2, 24, 20), attend_by=attend_by, glimpses=glimpses).eval()
    images = some_images(3, (2, 24, 20))
    answers, maps = net(images), net.attention(images)
    for b, image in enumerate(images):
        scores, weights = read_slowly(net, image)
        torch.testing.assert_close(answers[b].exp(), scores.softmax(-1).mean(0))
        there = on_image(weights[None], net._boxes(images), (24, 20))[0]
        for t, step in enumerate(there):
            torch.testing.assert_close(maps[f"step {t + 1}"][b], step)


def test_the_loss_is_the_steps_mean_and_the_weighted_penalty():
    images, labels = some_images(), torch.tensor([0, 1, 2, 3, 0])
    net = made(diversity=0.7).eval()
    loss, scores = net.loss(images, labels, functional.cross_entropy)
    steps, maps = zip(*(read_slowly(net, image) for image in images), strict=True)
    steps = torch.stack(steps)  # (B, T, K)
    answers = [functional.cross_entropy(steps[:, t], labels) for t in range(steps.shape[1])]
    penalty = diversity_penalty(torch.stack(maps), net._boxes(images))
    torch.testing.assert_close(loss, torch.stack(answers).mean() + 0.7 * penalty)
    torch.testing.assert_close(scores, net(images))
    net.diversity = 0.0
    alone, _ = net.loss(images, labels, functional.cross_entropy)
    torch.testing.assert_close(alone, torch.stack(answers).mean())


def test_canvases_are_the_image_and_crops_that_reach_every_border():
    boxes = canvases(30, 50, 3, 0.5)
    assert boxes[0] == (0, 0, 30, 50) and len(boxes) == 10
    assert {box[2:] for box in boxes[1:]} == {(15, 25)}
    assert boxes[1][:2] == (0, 0) and boxes[-1][:2] == (15, 25)
    assert [box[:2] for box in boxes[1:4]] == [(0, 0), (0, 12), (0, 25)]  # row by row
    covered = torch.zeros(30, 50)
    for top, left, tall, wide in boxes[1:]:
        covered[top : top + tall, left : left + wide] += 1
    assert covered.min() >= 1
    assert canvases(30, 50, 0, 0.5) == boxes[:1]
    assert canvases(30, 50, 1, 0.5)[1:] == [(7, 12, 15, 25)]


@pytest.mark.parametrize("attend_by", ["content", "state"])
def test_maps_lie_on_the_image_and_sum_to_one(attend_by):
    net, images = made((3, 19, 26), attend_by=attend_by).eval(), some_images(4, (3, 19, 26))
    maps = net.attention(images)
    assert list(maps) == ["mean", *(f"step {t}" for t in range(1, 6))]
    for there in maps.values():
        assert there.shape == (4, 19, 26) and there.min() >= 0
        torch.testing.assert_close(there.sum((1, 2)), torch.ones(4))
    steps = torch.stack([maps[f"step {t}"] for t in range(1, 6)])
    torch.testing.assert_close(maps["mean"], steps.mean(0))
    top, left, tall, wide = canvases(19, 26, 2, 0.6)[2]
    canvas = maps["step 3"][:, top : top + tall, left : left + wide]
    torch.testing.assert_close(canvas.sum((1, 2)), torch.ones(4))  # nothing off its canvas


def test_a_place_of_a_map_lies_where_its_canvas_has_it():
    maps = torch.zeros(1, 1, 2, 3)
    maps[0, 0, 1, 2] = 1
    there = on_image(maps, [(4, 6, 10, 12)], (20, 30))[0, 0]
    expected = torch.zeros(20, 30)
    expected[9:14, 14:18] = 1 / 20
    torch.testing.assert_close(there, expected)


def test_the_penalty_is_the_cosine_of_densities_on_the_image():
    boxes = [(0, 0, 24, 36), (4, 6, 12, 18), (4, 6, 12, 18), (12, 18, 12, 18)]
    maps = some_maps(2, 4, 4, 6)  # cells of 6 x 6 and of 3 x 3 pixels
    densities = on_image(maps, boxes, (24, 36)).flatten(2)
    cosines = [
        functional.cosine_similarity(densities[:, t - 1], densities[:, t], dim=1)
        for t in range(1, 4)
    ]
    torch.testing.assert_close(diversity_penalty(maps, boxes), torch.stack(cosines).mean())


def test_on_one_canvas_the_penalty_is_the_sum_of_products_over_the_norms():
    maps, boxes = some_maps(3, 5, 4, 4), [(2, 3, 17, 11)] * 5
    found = 0.0
    for image in maps:
        for t in range(1, 5):
            products = sum(image[t - 1, i, j] * image[t, i, j] for i in range(4) for j in range(4))
            found += (products / (image[t - 1].norm() * image[t].norm())).item()
    assert diversity_penalty(maps, boxes).item() == pytest.approx(found / 12)


def test_the_penalty_is_nothing_for_disjoint_maps_and_one_for_equal_ones():
    same = [(0, 0, 20, 20)] * 2
    one = some_maps(1, 1, 5, 5)
    assert diversity_penalty(torch.cat((one, one), 1), same).item() == pytest.approx(1)
    half = torch.zeros(1, 2, 4, 4)
    half[0, 0, :, :2], half[0, 1, :, 2:] = 1 / 8, 1 / 8
    assert diversity_penalty(half, same) == 0
    apart = [(0, 0, 10, 10), (10, 0, 10, 10)]  # canvases that share no pixel
    assert diversity_penalty(torch.cat((one, one), 1), apart) == 0
    for seed in range(20):
        others = some_maps(1, 2, 5, 5, seed=seed)
        boxes = [(0, 0, 20, 20), (seed % 7, seed % 5, 9, 12)]
        assert 0 < diversity_penalty(others, boxes) < 1
    assert diversity_penalty(one, same[:1]) == 0


def test_descending_the_penalty_alone_drives_maps_apart():
    boxes = [(0, 0, 24, 24), (0, 0, 16, 16), (8, 8, 16, 16)]
    logits = torch.randn(4, 3, 36, generator=torch.Generator().manual_seed(0), requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.2)
    for _ in range(60):
        penalty = diversity_penalty(logits.softmax(-1).view(4, 3, 6, 6), boxes)
        optimizer.zero_grad()
        penalty.backward()
        optimizer.step()
    assert penalty < 0.05


def test_gradients_of_maps_and_answers():
    boxes = [(0, 0, 9, 8), (1, 2, 6, 5), (3, 2, 6, 5)]
    maps = some_maps(2, 3, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: diversity_penalty(m, boxes), maps)
    assert torch.autograd.gradcheck(lambda m: on_image(m, boxes, (9, 8)), maps)
    scores = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(mean_answer, scores)
    torch.testing.assert_close(mean_answer(scores).exp(), scores.softmax(-1).mean(1))


@pytest.mark.parametrize("attend_by", ["content", "state"])
def test_gradients_through_attention(attend_by):
    net = made((1, 8, 8), width=1, hidden=3, attend_by=attend_by).double().eval()
    images = some_images(1, (1, 8, 8), dtype=torch.float64).requires_grad_()

    def looked(images: Tensor) -> tuple[Tensor, ...]:
        return net(images), *net.attention(images).values()

    assert torch.autograd.gradcheck(looked, images, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 60, 60), (3, 17, 40), (2, 3, 2)])
def test_sizes_and_channels(shape):
    net = made(shape).eval()
    for size in (shape[1:], (33, 21)):
        images = some_images(shape=(shape[0], *size))
        assert net(images).shape == (5, 4)
        assert net.attention(images)["mean"].shape == (5, *size)
    assert len(made(shape, grid=0, glimpses=3).attention(images)) == 4


def test_half_precision_trains_and_maps_still_sum_to_one():
    net, images = made(), some_images().contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        loss, scores = net.loss(images, torch.tensor([0, 1, 2, 3, 0]), functional.cross_entropy)
        maps = net.attention(images)
    loss.backward()
    assert scores.dtype == torch.float32
    torch.testing.assert_close(maps["mean"].sum((1, 2)), torch.ones(5))
    assert all(p.grad.isfinite().all() for p in net.parameters())


def test_training_lowers_the_loss_and_looks_at_the_sign():
    """A sign of 6 x 6 pixels anywhere on a dim ground."""
    generator = torch.Generator().manual_seed(0)
    signs = torch.zeros(2, 6, 6)
    signs[0, 2:4], signs[1, :, 2:4] = 1, 1

    def batch(count: int) -> tuple[Tensor, Tensor, Tensor]:
        labels = torch.randint(2, (count,), generator=generator)
        images, where = torch.zeros(count, 1, 24, 24), torch.zeros(count, 24, 24)
        for b, (top, left) in enumerate(torch.randint(19, (count, 2), generator=generator)):
            images[b, 0, top : top + 6, left : left + 6] = signs[labels[b]]
            where[b, max(top - 3, 0) : top + 9, max(left - 3, 0) : left + 9] = 1
        return images, labels, where

    net = made(classes=2)
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    losses = []
    for _ in range(60):
        images, labels, _ = batch(64)
        loss, _ = net.loss(images, labels, functional.cross_entropy)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    images, _, where = batch(64)
    first = net.eval().attention(images)["step 1"]
    # The sign and the rim that convolutions mix it with lie on a quarter of the image or less.
    assert (first * where).sum((1, 2)).mean() > 0.5


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        (dict(grid=-1), "grid=-1"),
        (dict(crop=0), "crop=0"),
        (dict(crop=1.5), "crop=1.5"),
        (dict(glimpses=0), "glimpses=0"),
        (dict(attend_by="taste"), "attend_by='taste'"),
        (dict(width=0), "width=0"),
        (dict(hidden=0), "hidden=0"),
        (dict(diversity=-1), "diversity=-1"),
        (dict(classes=1), "classes=1"),
    ],
)
def test_what_does_not_fit_is_refused(keywords, said):
    with pytest.raises(ValueError, match=said):
        made(**keywords)
