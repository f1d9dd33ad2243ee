"""Augmentation: what is drawn for each image, where it is applied, and where it is not."""

from __future__ import annotations

import tracemalloc

import gymnasium as gym
import numpy as np
import pytest
from scipy import ndimage, stats

from saccade.envs.draws import make_key
from saccade.envs.scenes import ClutteredScene, DistortedScene, PairScene, TranslatedScene
from saccade.envs.scenes.augment import Augmentation

ALL = {"rotate": 20, "zoom": 0.2, "shift": 2, "elastic": 1}


def keys(count: int) -> np.ndarray:
    return make_key(5, np.arange(count))


def bars(count: int, side: int = 41) -> np.ndarray:
    """A thick bar along the middle row, which its moments find again."""
    images = np.zeros((count, side, side, 1), np.uint8)
    images[:, side // 2 - 2 : side // 2 + 3, side // 2 - 9 : side // 2 + 10] = 200
    return images


def moments(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre (n, 2), angle in degrees (n,) and area in pixels (n,) of what is bright."""
    mass = images[..., 0] / 200.0
    rows, columns = np.indices(mass.shape[1:]) + 0.5
    area = mass.sum(axis=(1, 2))
    x, y = ((mass * place).sum(axis=(1, 2)) / area for place in (columns, rows))
    dx, dy = columns - x[:, None, None], rows - y[:, None, None]
    xx, yy, xy = ((mass * d).sum(axis=(1, 2)) for d in (dx * dx, dy * dy, dx * dy))
    return np.stack([x, y], 1), np.rad2deg(np.arctan2(2 * xy, xx - yy) / 2), area


def uniformly(values: np.ndarray, most: float) -> bool:
    """Whether values may be uniform within `most` to either side."""
    return stats.kstest(values, stats.uniform(-most, 2 * most).cdf).pvalue > 1e-3


def test_each_draw_is_uniform_over_what_it_may_be():
    images, key = bars(2000), keys(2000)
    centre, angle, area = moments(Augmentation(rotate=30)(images, key))
    assert uniformly(angle, 30) and np.abs(centre - 20.5).max() < 0.1
    centre, angle, _ = moments(Augmentation(shift=4)(images, key))
    assert uniformly(centre[:, 0] - 20.5, 4) and uniformly(centre[:, 1] - 20.5, 4)
    assert np.abs(angle).max() < 0.1 and abs(np.corrcoef(centre.T)[0, 1]) < 0.1
    _, _, area = moments(Augmentation(zoom=0.5)(images, key))
    size = np.log(area / moments(images)[2]) / 2  # of a side
    assert uniformly(size / np.log(1.5), 1.02)


def test_a_bend_moves_its_points_as_far_as_asked():
    # A ramp tells where a pixel was read: far from its ends its value is the place.
    side = 64
    ramp = np.broadcast_to(4 * np.arange(side)[None, None, :, None], (500, side, side, 1))
    found = Augmentation(elastic=2)(ramp.astype(np.uint8), keys(500))
    at = round(side / 3)  # a control point stands here
    moved = found[:, at, at, 0] / 4.0 - at
    assert moved.std() == pytest.approx(2, rel=0.1) and abs(moved.mean()) < 0.3
    column = found[:, 12:-12, at, 0].astype(float) / 4  # what reads inside the image
    assert np.abs(np.diff(column, 2, axis=1)).max() < 1.5  # smooth


def test_a_turn_is_that_of_scipy():
    images = ndimage.gaussian_filter(
        np.random.default_rng(0).integers(0, 256, (40, 28, 28)), (0, 1.5, 1.5)
    )
    images = (images * (np.hypot(*(np.indices((28, 28)) - 13.5)) < 13)).astype(np.uint8)[..., None]
    key = keys(40)
    angle = moments(Augmentation(rotate=25)(bars(40), key))[1]
    found = Augmentation(rotate=25)(images, key)
    for i in range(40):
        wanted = ndimage.rotate(images[i, ..., 0].astype(float), -angle[i], reshape=False, order=1)
        assert np.abs(found[i, ..., 0] - wanted).mean() < 1


def test_nothing_asked_changes_nothing_and_rows_are_on_their_own():
    images, key = bars(30), keys(30)
    assert np.array_equal(Augmentation()(images, key), images)
    together = Augmentation(**ALL)(images, key)
    alone = [Augmentation(**ALL)(images[i : i + 1], key[i : i + 1])[0] for i in range(30)]
    assert np.array_equal(together, np.stack(alone))
    assert len(np.unique(together.reshape(30, -1), axis=0)) == 30
    assert not np.array_equal(Augmentation(**ALL)(images, key, 1), together)


def test_places_are_those_without_it():
    images, index, key = bars(30, 28), np.arange(30), keys(30)
    options = {"canvas": 60, "pieces": 3}
    plain, boxes = ClutteredScene(**options).draw(images, index, key)
    changed, same = ClutteredScene(**options, augment=ALL).draw(images, index, key)
    assert np.array_equal(boxes, same) and not np.array_equal(plain, changed)
    unchanged, _ = ClutteredScene(**options, augment={"elastic": 0}).draw(images, index, key)
    assert np.array_equal(plain, unchanged)
    frames, boxes = TranslatedScene(augment=ALL).draw(images, index, key)
    crops = [f[y0:y1, x0:x1] for f, (x0, y0, x1, y1) in zip(frames, boxes.astype(int), strict=True)]
    assert np.array_equal(np.stack(crops), Augmentation(**ALL)(images, key))


def test_clutter_is_cut_from_images_changed_as_targets_are():
    """Were it as sharp as the images are, sharpness would tell it from the targets."""
    images = np.random.default_rng(0).integers(0, 256, (50, 28, 28, 1), np.uint8)  # all edges
    index, key = np.arange(50), keys(50)
    scene = ClutteredScene(canvas=100, pieces=1, piece_size=28, augment={"elastic": 1.0})
    frames, boxes = scene.draw(images, index, key)
    variances = []
    for frame, (x0, y0, x1, y1) in zip(frames.astype(int), boxes.astype(int), strict=True):
        target = frame[y0:y1, x0:x1].copy()
        frame[y0:y1, x0:x1] = 0
        rows, columns = (np.flatnonzero(frame.any(axis=(1 - axis, 2))) for axis in (0, 1))
        if len(rows) == 28 and len(columns) == 28:  # they do not overlap
            piece = frame[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            variances.append((target.var(), piece.var()))
    target, piece = np.array(variances).mean(axis=0)
    assert len(variances) > 10 and target < 0.7 * images.var()
    assert abs(piece / target - 1) < 0.1


def test_two_targets_are_changed_differently():
    frames, boxes = PairScene(augment=ALL).draw(bars(9, 28), np.zeros(9, int), keys(9))
    left, right = (
        np.stack([f[b[1] : b[3], b[0] : b[2]] for f, b in zip(frames, box, strict=True)])
        for box in boxes.astype(int).transpose(1, 0, 2)
    )
    assert (left != right).any(axis=(1, 2, 3)).all()


def test_only_training_is_augmented():
    seen = {}
    for split in ("train", "validation", "test"):
        for name, augment in (("with", ALL), ("without", None)):
            env = gym.make_vec(
                "saccade/Digits-v0", 16, split=split, reveal="image", augment=augment
            )
            observation, info = env.reset(seed=1)
            seen[split, name] = observation["image"], info["index"]
    for split in ("train", "validation", "test"):
        (image, index), (other, same) = seen[split, "with"], seen[split, "without"]
        assert np.array_equal(index, same)
        assert np.array_equal(image, other) == (split != "train")


def test_an_image_is_changed_anew_each_time():
    env = gym.make_vec("saccade/Digits-v0", 1, reveal="image", augment=ALL)
    env.reset(seed=0)
    shown = [env.reset(options={"index": 3})[0]["image"] for _ in range(5)]
    assert len(np.unique(np.concatenate(shown).reshape(5, -1), axis=0)) == 5


@pytest.mark.parametrize(
    ("augment", "said"),
    [
        ({"rotation": 5}, "augment=.*'rotation'.*did you mean 'rotate'"),
        ({"zoom": 1.5}, "augment's zoom=1.5: a finite number and at most 0.9"),
        ({"shift": -1}, "augment's shift=-1: a number from 0 up"),
        ({"elastic": "much"}, "augment's elastic='much'"),
        (15, "augment=15: give amounts by name"),
    ],
)
def test_refusals(augment, said):
    with pytest.raises(ValueError, match=said):
        gym.make_vec("saccade/Digits-v0", augment=augment)
    with pytest.raises(ValueError, match=said):  # evaluation refuses it too
        gym.make_vec("saccade/Digits-v0", split="test", augment=augment)


def test_a_scene_that_has_it_not_says_so():
    with pytest.raises(TypeError, match="unexpected keyword argument 'augment'"):
        gym.make_vec("saccade/Video-v0", augment=ALL)
    assert DistortedScene().unaugmented() == DistortedScene()


def test_memory_does_not_grow_with_the_lanes():
    images, key = bars(20_000, 28), keys(20_000)
    tracemalloc.start()
    changed = Augmentation(**ALL)(images, key)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2 * changed.nbytes  # beside the images that it makes, little
