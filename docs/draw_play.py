"""Draw docs/play.png: what a person sees while playing, and when an episode is over.

python docs/draw_play.py docs/play.png
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

import saccade  # noqa: F401  registers the environments
from saccade.agents.config import env_keywords
from saccade.agents.play import Session
from saccade.envs.files import replace_file

ID = "saccade/ClutteredDigits-v0"
CLICKS = [(-0.2, 0.1), (-0.45, 0.35), (-0.25, 0.55), (-0.35, 0.3), (-0.3, 0.45)]


def main(file: str) -> None:
    session = Session(ID, env_keywords(ID, {"memory": "canvas"}) | {"action": "dict"}, "validation")
    frames = []
    for k, place in enumerate(CLICKS):
        session.click(np.array(place, np.float32))
        if k == 2:
            frames.append(session.frame())
    session.press("4")
    frames.append(session.frame())
    picture = Image.fromarray(np.concatenate(frames, axis=1))
    small = picture.quantize(128, dither=Image.Dither.NONE)
    replace_file(file, lambda target: small.save(target, format="PNG", optimize=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
