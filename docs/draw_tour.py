"""Draw the pictures of docs/tour.md from four trained runs, and print the numbers that it gives.

The runs, about two minutes each:

    saccade train configs/soft/stn_digits.yaml
    saccade train configs/soft/se_digits.yaml
    saccade train configs/soft/ran_digits.yaml
    saccade train configs/ram_translated_digits.yaml

Then, with the folders that they left, in this order:

    python docs/draw_tour.py runs/stn_digits-* runs/se_digits-* runs/ran_digits-* \
        runs/ram_translated_digits-*

writes docs/tour_kinds.png, tour_spatial.png, tour_channel.png, tour_mixed.png and tour_hard.png.
All scenes are of the validation split; the pictures show the first ones, not chosen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from saccade.agents.drawing import Looks, draw, look, together
from saccade.agents.environments import make_env
from saccade.agents.evaluate import load_policy
from saccade.agents.pictures import GAP, save_png
from saccade.agents.rollout import rollout, shown
from saccade.agents.runs import RunFolder
from saccade.agents.soft.masks import MaskBranch
from saccade.agents.soft.se import SqueezeExcitation
from saccade.envs.render import INK, PAGE, as_rgb, font, paint_path, scale_colour, write_caption
from saccade.envs.sensors import fixation_to_pixel

SCENES = 4
TILE, APART, LINE, ZOOM = 64, 6, 18, 3  # of the picture of glimpses
KINDS = ("spatial", "channel", "mixed", "hard")

Parts = list[tuple[nn.Module, Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]]
"""Layers whose output says where a network attends: the layer, its output to that, and back."""


def main(folders: list[str]) -> None:
    if len(folders) != 4:
        sys.exit("give four run folders: stn_digits, se_digits, ran_digits, ram_translated_digits")
    here, looks = Path(__file__).parent, {}
    for kind, folder in zip(KINDS, folders, strict=True):
        config, policy, _ = load_policy(RunFolder.open(folder))
        env = make_env(config, "validation", placements=config.train.eval_placements)
        looks[kind] = look(policy, env, range(SCENES))
        seen, first = looks[kind], looks[KINDS[0]]
        if not np.array_equal(seen.images, first.images):
            sys.exit(f"{folder}: shows other scenes than {folders[0]}: train both on one canvas")
        picture = glimpses(seen) if kind == "hard" else draw(policy, env, range(SCENES)).picture
        save_png(here / f"tour_{kind}.png", picture)
        MEASURES[kind](policy, env)
        env.close()
    titles = {
        "spatial": "spatial: STN",
        "channel": "channel: SE (Grad-CAM)",
        "mixed": "mixed: RAN (mask)",
        "hard": "hard: RAM",
    }
    save_png(here / "tour_kinds.png", together({titles[kind]: looks[kind] for kind in KINDS}))


def glimpses(seen: Looks) -> np.ndarray:
    """Paths, and beside each all that was seen along it: a column a glimpse, a row a scale."""
    assert seen.traces is not None
    sensor, paths = seen.sensor, np.stack([trace.fixations for trace in seen.traces])
    count, times = paths.shape[:2]
    margin = sensor.size // 2
    side = ZOOM * (seen.images.shape[1] + 2 * margin)
    pitch = max(side, sensor.scales * (TILE + APART)) + LINE + GAP
    wide = GAP + side + GAP + times * (TILE + APART)
    page = Image.new("RGB", (wide + GAP, 2 * LINE + count * pitch), PAGE)
    pen = ImageDraw.Draw(page)
    patches = " and ".join(str(sensor.size << s) for s in range(sensor.scales))
    titles = "where it looked", f"all that it saw: patches of {patches} pixels a side"
    for text, left in zip(titles, (GAP, 2 * GAP + side), strict=True):
        pen.text((left, LINE), text, INK, font(13), anchor="lm")
    for n in range(count):
        top, path = 2 * LINE + n * pitch, paths[n]
        how = {"zoom": ZOOM, "margin": margin, "all_outlines": True}
        page.paste(paint_path(seen.images[n], path, sensor, **how), (GAP, top))
        right, said = seen.verdicts[n]
        write_caption(pen, (GAP, top + side + LINE // 2 + 2), said, right, side, 13)
        glimpsed = sensor(
            np.repeat(seen.images[n : n + 1], times, 0), path
        )  # (T, scales * C, s, s)
        for t in range(times):
            left = 2 * GAP + side + t * (TILE + APART)
            for s, patch in enumerate(glimpsed[t]):
                small = np.rint(patch * 255).astype(np.uint8)[:, :, None]
                tile = Image.fromarray(as_rgb(small)).resize((TILE, TILE), Image.Resampling.NEAREST)
                y = top + s * (TILE + APART)
                page.paste(tile, (left, y))
                edge = (left, y, left + TILE - 1, y + TILE - 1)
                pen.rectangle(edge, outline=scale_colour(s), width=2)
            under = top + sensor.scales * (TILE + APART) + LINE // 2 - 2
            pen.text((left + TILE // 2, under), str(t + 1), INK, font(13), anchor="mm")
    return np.array(page)


# ------------------------------------------------------------------ numbers


def measure_spatial(policy: Any, env: Any) -> None:
    """How large the frame is, how much of the target it holds, and what it is worth."""
    network, last = policy.network, policy.network.transformer.last
    sides, held = [], []
    for observation, _ in shown(env):
        images = observation["image"]  # (n, C, H, W), black but for the target
        height, width = images.shape[2:]
        with torch.no_grad():
            corners = network.corners(torch.tensor(images)).numpy()
        low, high = corners[:, None, 0], corners[:, None, 2]  # (n, 1, 2): a zoom does not turn
        x, y = (np.linspace(-1, 1, length) for length in (width, height))
        columns = (x >= low[..., 0]) & (x <= high[..., 0])  # (n, W)
        rows = (y >= low[..., 1]) & (y <= high[..., 1])  # (n, H)
        ink = images.sum(1)
        framed = ink * rows[:, :, None] * columns[:, None]
        held.append(framed.sum((1, 2)) / ink.sum((1, 2)))
        sides.append((high - low)[:, 0, 0] / 2 * (width - 1) + 1)
    side = np.concatenate(sides)
    print(
        f"spatial: the frame is {side.mean():.1f} pixels wide ({spread(side)}) and holds "
        f"{np.concatenate(held).mean():.2%} of the digits' ink"
    )
    parts: Parts = [(last, same, same)]
    error, found = outputs(policy, env, parts)
    print(
        f"  error {error:.2%}; {held_error(policy, env, parts, found)} with the frame at its mean"
    )


def measure_channel(policy: Any, env: Any) -> None:
    """How far gates move from image to image, and what that is worth."""
    parts: Parts = [
        (module.expand, torch.sigmoid, torch.logit)
        for module in policy.network.modules()
        if isinstance(module, SqueezeExcitation)
    ]
    error, found = outputs(policy, env, parts)
    print(
        f"channel: error {error:.2%}; {held_error(policy, env, parts, found)} with all gates held"
    )
    for n, gates in enumerate(found):
        low, high = gates.quantile(0.05, 0), gates.quantile(0.95, 0)  # (C,)
        mean = gates.mean(0)
        print(
            f"  stage {n + 1}: means of the gates {mean.min():.2f} to {mean.max():.2f}; from 5% to "
            f"95% of the images a gate moves by {(high - low).median():.3f} (median); error "
            f"{held_error(policy, env, parts[n : n + 1], found[n : n + 1])} with these held"
        )


def measure_mixed(policy: Any, env: Any) -> None:
    """What values masks have, and what it is worth that they move."""
    parts: Parts = [
        (module, same, same)
        for module in policy.network.modules()
        if isinstance(module, MaskBranch)
    ]
    error, found = outputs(policy, env, parts)
    print(f"mixed: error {error:.2%}; {held_error(policy, env, parts, found)} with all masks held")
    for n, masks in enumerate(found):  # (n, C, h, w)
        drawn = masks.mean(1).flatten()
        print(
            f"  stage {n + 1}: values {spread(masks.flatten().numpy())}, mean {masks.mean():.2f}; "
            f"their mean over channels {spread(drawn.numpy())}; error "
            f"{held_error(policy, env, parts[n : n + 1], found[n : n + 1])} with this one held"
        )


def measure_hard(policy: Any, env: Any) -> None:
    """How much of the image is seen, and how near to the target's middle."""
    seen, sensor = rollout(policy, env), env.unwrapped.sensor
    height, width = env.unwrapped.images.shape[1:3]
    x = fixation_to_pixel(seen.fixations[..., 0], width)  # (n, T)
    y = fixation_to_pixel(seen.fixations[..., 1], height)
    middle = (seen.boxes[..., :2] + seen.boxes[..., 2:] - 1) / 2  # (n, T, 2)
    away = np.hypot(x - middle[..., 0], y - middle[..., 1]).mean(0)  # (T,)
    alone = np.linalg.norm(middle - [(width - 1) / 2, (height - 1) / 2], axis=-1).mean()
    shares = []
    for s in range(sensor.scales):
        extent = sensor.size << s
        columns, rows = (
            (np.arange(length) >= (at - extent // 2)[..., None])
            & (np.arange(length) < (at - extent // 2 + extent)[..., None])
            for at, length in ((x, width), (y, height))
        )  # (n, T, W), (n, T, H)
        shares.append((rows[..., :, None] & columns[..., None, :]).any(1).mean())
    values = seen.fixations.shape[1] * sensor.scales * sensor.size**2
    print(
        f"hard: error {1 - seen.success.mean():.2%}; reads {values} values of {height * width} "
        f"pixels; finest patches cover {shares[0]:.1%} of the image, the widest {shares[-1]:.1%}; "
        f"pixels from the target's middle, glimpse by glimpse: "
        f"{', '.join(f'{one:.1f}' for one in away)}; the image's centre: {alone:.1f}"
    )


MEASURES = {
    "spatial": measure_spatial,
    "channel": measure_channel,
    "mixed": measure_mixed,
    "hard": measure_hard,
}


def outputs(policy: Any, env: Any, parts: Parts) -> tuple[float, list[Tensor]]:
    """The error on the split, and what each part says on every scene of it."""
    found: list[list[Tensor]] = [[] for _ in parts]

    def noting(there: Callable[[Tensor], Tensor], into: list[Tensor]) -> Callable[..., None]:
        return lambda layer, inputs, output: into.append(there(output))

    with ExitStack() as stack:
        for (layer, there, _), into in zip(parts, found, strict=True):
            stack.callback(layer.register_forward_hook(noting(there, into)).remove)
        error = error_of(policy, env)
    return error, [torch.cat(part) for part in found]


def held_error(policy: Any, env: Any, parts: Parts, found: list[Tensor]) -> str:
    """The error where each part says the mean of what it said on the split, whatever it sees."""

    def saying(value: Tensor) -> Callable[..., Tensor]:
        return lambda layer, inputs, output: value.expand_as(output)

    with ExitStack() as stack:
        for (layer, _, back), values in zip(parts, found, strict=True):
            mean = back(values.mean(0, keepdim=True))
            stack.callback(layer.register_forward_hook(saying(mean)).remove)
        return f"{error_of(policy, env):.2%}"


def error_of(policy: Any, env: Any) -> float:
    """The share of wrong answers on the split."""
    wrong = []
    for observation, info in shown(env):
        answers = policy.predict(observation, deterministic=True)[0]["answer"]
        wrong.append(answers != info["label"])
    return float(np.concatenate(wrong).mean())


def spread(values: np.ndarray) -> str:
    low, high = np.quantile(values, (0.05, 0.95))
    return f"{low:.2f} to {high:.2f} from 5% to 95%"


def same(values: Tensor) -> Tensor:
    return values


if __name__ == "__main__":
    main(sys.argv[1:])
