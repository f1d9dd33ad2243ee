"""Write the pages that come from the code: `make docs`, or `python docs/build.py`

    docs/envs/ docs/data/ docs/sensors/ docs/wrappers/   a page each, and docs/README.md, the index

Their text is that of docstrings and of the registry; a test fails where they differ. Pictures are
drawn too, those of data that is at hand: no network is used, and what is missing keeps its picture.
`--text` leaves all pictures as they are.
"""

from __future__ import annotations

import argparse
import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import gymnasium
import numpy as np

from saccade.agents import catalog
from saccade.agents.pictures import save_gif, save_png
from saccade.envs import GlimpseObservation, GlimpseVectorObservation
from saccade.envs.datasets import DATASETS, DatasetError, load_dataset
from saccade.envs.files import write_text
from saccade.envs.registration import ENVIRONMENTS
from saccade.envs.render import draw
from saccade.envs.sensors import SENSORS

DOCS = Path(__file__).resolve().parent
WRAPPERS = {wrapper.__name__: wrapper for wrapper in (GlimpseObservation, GlimpseVectorObservation)}
STEPS = 10  # at least, in a moving picture, of whole episodes
COLOURS = 40  # in it
FPS = 3
HELD = 4  # frames that the last one of an episode stays for
LOOK = (-0.2, 0.35)  # where the sensors' pictures look


def text() -> dict[str, str]:
    """Every generated page by its place in `docs/`."""
    pages = {f"envs/{_short(name)}.md": _environment(name) for name in ENVIRONMENTS}
    pages |= {f"data/{name}.md": _data(name) for name in DATASETS}
    pages |= {f"sensors/{name}.md": _sensor(name) for name in SENSORS}
    pages |= {f"wrappers/{name}.md": _wrapper(name) for name in WRAPPERS}
    pages = {place: f"{page}\n[All pages](../README.md)\n" for place, page in pages.items()}
    return pages | {"README.md": _index(pages)}


def pictures() -> dict[str, Callable[[Path], object]]:
    """What draws the pictures, by their places in `docs/`."""
    drawn: dict[str, Callable[[Path], object]] = {}
    for env_id in ENVIRONMENTS:
        drawn[f"envs/{_short(env_id)}.gif"] = lambda file, env_id=env_id: draw_episodes(
            env_id, file
        )
    for name in (name for name in DATASETS if name != "games"):  # nothing to see
        drawn[f"data/{name}.png"] = lambda file, name=name: draw_images(name, file)
    for name in SENSORS:
        drawn[f"sensors/{name}.png"] = lambda file, name=name: draw_sensor(name, file)
    return drawn


# ---------------------------------------------------------------------- text


def _short(env_id: str) -> str:
    return env_id.removeprefix("saccade/")


def _environment(env_id: str) -> str:
    """A page of `saccade envs ID` with a moving picture and an example."""
    title, first, rest = catalog.page(env_id).split("\n\n", 2)
    about, keywords = rest.split("## Keywords\n\n")
    shown = _picture(
        f"envs/{_short(env_id)}.gif",
        f"Episodes of {env_id}",
        "The first scenes of the validation split, by a script that is told where the target is.",
    )
    example = (
        "```python\n"
        "import gymnasium as gym\n"
        "import saccade\n\n"
        f'env = gym.make("{env_id}")\n'
        f'envs = gym.make_vec("{env_id}", num_envs=1024)\n'
        "```\n\n"
    )
    lines = ["| keyword | default | type |", "|---|---|---|"]
    for line in keywords.splitlines():
        name, value = line.strip().split(" = ", 1)
        default, kind = value.split("    ", 1)
        lines.append(f"| `{name}` | `{default}` | {kind} |")
    table = "\n".join(lines)
    return f"{title}\n\n{first}\n\n{shown}{example}{about}## Keywords\n\n{table}\n"


def _data(name: str) -> str:
    loader = DATASETS[name]
    module = inspect.getdoc(inspect.getmodule(loader)) or ""
    said = "\n".join(catalog.markdown(loader))
    shown = _picture(f"data/{name}.png", f"Images of {name}", "Of each class the first of train.")
    use = f'`source="{name}"`, in a config `env.source: {name}`. [Other sources](../data.md).\n'
    return f"# Data: {name}\n\n{said}\n\n{shown}{use}\n{module.partition(': ')[2] or module}\n"


def _sensor(name: str) -> str:
    kind = SENSORS[name]
    options = ", ".join(f"{field.name}={field.default!r}" for field in fields(kind))
    shown = _picture(
        f"sensors/{name}.png",
        f"A scene, and a glimpse of it by {name}",
        "Left: the scene, with the outlines of what is seen. Right: the glimpse.",
    )
    said = "\n".join(catalog.markdown(kind))
    shape = inspect.getdoc(kind.shape) or ""
    use = (
        "```python\n"
        f'gym.make("saccade/ClutteredDigits-v0", sensor="{name}")\n'
        f"saccade.envs.sensors.{kind.__name__}({options})\n"
        "```\n"
    )
    return f"# Sensor: {name}\n\n{shown}{said}\n\n{shape}\n\n{use}"


def _wrapper(name: str) -> str:
    said = "\n".join(catalog.markdown(WRAPPERS[name]))
    return f"# Wrapper: {name}\n\n{said}\n\nHow it is used: [wrapper](../wrapper.md).\n"


def _index(pages: dict[str, str]) -> str:
    lines = ["# Pages", ""]
    own = sorted(path for path in DOCS.glob("*.md") if path.name != "README.md")
    lines += [f"- [{_title(path.read_text(encoding='utf-8'))}]({path.name})" for path in own]
    kinds = {"envs": "Environments", "data": "Data", "sensors": "Sensors", "wrappers": "Wrappers"}
    for folder, title in kinds.items():
        found = [name for name in pages if name.startswith(f"{folder}/")]
        lines += ["", f"## {title}", ""]
        lines += [f"- [{_title(pages[name]).split(': ')[-1]}]({name})" for name in found]
    lines += ["", "The pages of these four lists are made from the code by `make docs`."]
    return "\n".join(lines) + "\n"


def _title(page: str) -> str:
    return page.partition("\n")[0].removeprefix("# ")


def _picture(place: str, name: str, caption: str) -> str:
    """A line that shows a picture, where there is one: some need data that not all have."""
    if not (DOCS / place).exists():
        return ""
    return f"![{name}]({Path(place).name})\n\n*{caption}*\n\n"


# ---------------------------------------------------------------------- pictures


def draw_episodes(env_id: str, file: Path) -> None:
    """A moving picture of a scripted eye that is told where the target is."""
    env = gymnasium.make(
        env_id, action="dict", split="validation", render_mode="rgb_array", reveal=("image",)
    )
    frames: list[np.ndarray] = []
    observation, info = env.reset(seed=0)
    while len(frames) < STEPS:
        terminated = False
        while not terminated:
            frames.append(env.render())
            observation, _, terminated, _, info = env.step(_scripted(env, observation, info))
        frames += [env.render()] * HELD
        observation, info = env.reset()
    env.close()
    save_gif(file, frames, FPS, COLOURS)


def _scripted(env: gymnasium.Env, observation: dict, info: dict) -> dict:
    """Two thirds of the way to the target's middle, give or take, and the right answer."""
    _, height, width = observation["image"].shape
    x0, y0, x1, y1 = info["box"]
    if x1 - x0 > 1.5 * (y1 - y0):  # of both digits: first the left one, then the right
        x0, x1 = ((x0 + x1) / 2, x1) if observation["progress"][0] > 0.5 else (x0, (x0 + x1) / 2)
    middle = np.array([(x0 + x1) / width - 1, (y0 + y1) / height - 1])
    here = observation["fixation"]
    spread = 0.15 * np.array([(x1 - x0) / width, (y1 - y0) / height])
    judged = env.unwrapped.task.judged
    step = here + (1 if judged == "aim" else 2 / 3) * (middle - here)
    jitter = 0 if judged == "aim" else env.np_random.normal(0, 1, 2) * spread
    action = {"fixation": np.clip(step + jitter, -1, 1).astype(np.float32)}
    if judged == "answer":
        action["answer"] = int(info["label"])
    elif judged == "act":  # Catch: under the ball
        paddle = observation["image"][0, -1].nonzero()[0].mean()
        action["answer"] = int(np.sign(np.rint((x0 + x1 - 1) / 2 - paddle))) + 1
    return action


def draw_images(name: str, file: Path) -> None:
    """The first image of each class, of at most ten."""
    shown = load_dataset(name).split("train")
    firsts = np.unique(shown.labels, return_index=True)[1][:10]
    images = [shown.images[place] for place in firsts]
    images = [image[0] if image.ndim == 4 else image for image in images]  # a clip's first
    tiles = [
        np.broadcast_to(image, (*image.shape[:2], 3)).repeat(2, 0).repeat(2, 1) for image in images
    ]
    gap = np.full((tiles[0].shape[0], 4, 3), 247, np.uint8)
    save_png(file, np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], 1))


def draw_sensor(name: str, file: Path) -> None:
    """A cluttered scene, and what the sensor sees of it."""
    env = gymnasium.make(
        "saccade/ClutteredDigits-v0", sensor=name, split="validation", first_fixation="center"
    ).unwrapped
    observation, _ = env.reset(options={"fixation": LOOK})
    image, path = env.images[0], observation["fixation"][None]
    picture = draw(image, path, env.sensor, observation["glimpse"])
    save_png(file, picture)


# ---------------------------------------------------------------------- the command


def stale() -> Iterator[str]:
    """Pages that are not what the code says, or that nothing stands for."""
    pages = text()
    for place, page in pages.items():
        file = DOCS / place
        if not file.is_file() or file.read_text(encoding="utf-8") != page:
            yield place
    for folder in ("envs", "data", "sensors", "wrappers"):
        for file in (DOCS / folder).glob("*"):
            place = f"{folder}/{file.name}"
            if place not in pages and place not in pictures():
                yield place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", action="store_true", help="leave the pictures as they are")
    options = parser.parse_args()
    os.environ["SACCADE_OFFLINE"] = "1"
    for folder in ("envs", "data", "sensors", "wrappers"):
        (DOCS / folder).mkdir(exist_ok=True)
    if not options.text:
        for place, drawing in pictures().items():
            try:
                drawing(DOCS / place)
            except DatasetError as error:
                print(f"{place} is left as it is: {str(error).split(' and ')[0]}")
    for place in stale():
        (DOCS / place).unlink(missing_ok=True)
    for place, page in text().items():
        write_text(DOCS / place, page)
    print(f"{len(text())} pages in {DOCS}")


if __name__ == "__main__":
    main()
