"""Draw docs/gaze.png: the paths of every gaze over a few cluttered scenes, and their saliency.

python docs/draw_gaze.py docs/gaze.png
"""

from __future__ import annotations

import sys

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from PIL import Image, ImageDraw

import saccade  # noqa: F401  registers the environments
from saccade.agents.gaze import GAZES
from saccade.agents.gazed import GazedVectorEnv
from saccade.agents.saliency import saliency_map
from saccade.envs.files import replace_file
from saccade.envs.render import INK, PAGE, font, paint_path

SCENES = 5  # the first of the validation split, not chosen
ZOOM, GAP, MARGIN = 3, 8, 92  # the margin holds the rows' names
COLOURS = np.array([(8, 8, 20), (66, 24, 90), (160, 46, 72), (231, 120, 38), (252, 240, 170)])


def main(file: str) -> None:
    env = gymnasium.make_vec(
        "saccade/ClutteredDigits-v0",
        num_envs=SCENES,
        split="validation",
        reveal=("image", "box"),
        autoreset_mode=AutoresetMode.DISABLED,
    )
    observation, info = env.reset(seed=0)
    frames, boxes, sensor = env.unwrapped.images.copy(), info["box"], env.unwrapped.sensor
    maps = [heat(one, *frames.shape[1:3]) for one in saliency_map(observation["image"])]
    rows = {name: [] for name in GAZES}
    for name, cells in rows.items():
        paths = path_of(GazedVectorEnv(env, name))
        for frame, path, box in zip(frames, paths, boxes, strict=True):
            look = (frame, path, sensor)
            cells.append(paint_path(*look, zoom=ZOOM, margin=0, box=box, all_outlines=True))
    rows["saliency map"] = maps
    side = ZOOM * frames.shape[1] + GAP
    page = Image.new("RGB", (MARGIN + SCENES * side + GAP, len(rows) * side + GAP), PAGE)
    pen = ImageDraw.Draw(page)
    for row, (name, cells) in enumerate(rows.items()):
        top = GAP + row * side
        pen.text((GAP, top + side // 2), name.replace(" ", "\n"), INK, font(15), anchor="lm")
        for column, cell in enumerate(cells):
            page.paste(cell, (MARGIN + column * side, top))
    picture = page.quantize(128, dither=Image.Dither.NONE)
    replace_file(file, lambda target: picture.save(target, format="PNG", optimize=True))


def path_of(env: GazedVectorEnv) -> np.ndarray:
    """The fixations (n, T, 2) of an episode on the first scenes; the agent only answers."""
    observation, _ = env.reset(options={"restart": True})
    path = [observation["fixation"]]
    for _ in range(env.unwrapped.glimpses - 1):
        observation, *_ = env.step(np.zeros(env.action_space.shape, np.float32))
        path.append(observation["fixation"])
    return np.stack(path, axis=1)


def heat(map_: np.ndarray, height: int, width: int) -> Image.Image:
    """A saliency map, at least 0, in colours from dark to bright, at the size of its scene."""
    place = map_ / max(map_.max(), 1e-9) * (len(COLOURS) - 1)
    steps = np.arange(len(COLOURS))
    colours = np.stack([np.interp(place, steps, COLOURS[:, c]) for c in range(3)], axis=-1)
    small = Image.fromarray(np.rint(colours).astype(np.uint8))
    return small.resize((width * ZOOM, height * ZOOM), Image.Resampling.NEAREST)


if __name__ == "__main__":
    main(sys.argv[1])
