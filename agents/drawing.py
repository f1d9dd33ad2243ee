"""Where a policy looks, as a picture: a path, a frame, a map or gates, whichever its kind has.

One way for everyone: TensorBoard, `saccade watch` and the report all draw by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..envs.scenes import MovingScene
from ..envs.sensors import Sensor
from ..envs.words import named, truth, verdict
from . import pictures
from .pictures import Trace, Verdict
from .rollout import Episodes, rollout, shown
from .soft import pictures as soft
from .soft.maps import GRADCAM, maps_of, outlines, tensor

GATED = 200  # scenes over which gates are summed up
MOST_MAPS = 6  # maps shown of one network


@dataclass(frozen=True, eq=False)
class Looks:
    """What a policy saw on N scenes, how that ended, and where it looked.

    images: uint8 (N, H, W, C), as the episodes begin. Of the rest a kind has its own: traces, N,
    of paths through a `sensor`; outlines (N, P, 2) in [-1, 1] of cuts (N, C, h, w); maps (N, H, W)
    by name; gates (M, C) by stage, of M scenes.
    """

    images: NDArray[np.uint8]
    verdicts: Sequence[Verdict]
    sensor: Sensor
    traces: Sequence[Trace] | None = None
    outlines: NDArray[np.float32] | None = None
    cuts: NDArray[np.float32] | None = None
    maps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    gates: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture, uint8 RGB (h, w, 3), what `name` files and curves give it, and how to read it.

    `film` draws frames of the paths; None where nothing moves.
    """

    name: str
    picture: NDArray[np.uint8]
    caption: str
    film: Callable[[], list[NDArray[np.uint8]]] | None = None


def draw(policy: Any, env: Any, scenes: Sequence[int] | NDArray[np.integer]) -> Drawing:
    """Where a policy looks on some scenes of a native vector environment's split."""
    seen = look(policy, env, scenes)
    if seen.traces is not None:
        return _paths(seen)
    if seen.outlines is not None:
        return _frames(seen)
    return _maps(seen)


def look(policy: Any, env: Any, scenes: Sequence[int] | NDArray[np.integer]) -> Looks:
    """Play some scenes and see where the policy looks."""
    core = env.unwrapped
    seen = rollout(policy, env, scenes, keep_frames=True)
    assert seen.frames is not None
    verdicts = verdicts_of(seen, core)
    images, sensor = seen.frames[:, 0], core.sensor
    if not getattr(policy, "whole", False):
        return Looks(images, verdicts, sensor, traces_of(seen, core, verdicts))
    network = policy.network.eval()
    observed = np.concatenate([part["image"] for part, _ in shown(env, scenes)])
    inputs = tensor(policy, observed)
    with torch.no_grad():
        if hasattr(network, "fixations"):
            paths = network.fixations(inputs).cpu().numpy()  # (N, T, 2)
            traces = []
            for n, path in enumerate(paths):
                notes = [truth(core.task, core.answer_names, seen.labels[n])] * len(path)
                boxes = np.repeat(seen.boxes[n, :1], len(path) + 1, axis=0)
                traces.append(Trace(images[n : n + 1], path, verdicts[n], len(path), notes, boxes))
            return Looks(images, verdicts, network.sensor, traces)
        if hasattr(network, "corners"):
            around, cuts = outlines(network, inputs), network.cut(inputs)
            found = {"outlines": around.cpu().numpy(), "cuts": cuts.cpu().numpy()}
            return Looks(images, verdicts, sensor, **found)
    maps = {name: found.cpu().numpy() for name, found in maps_of(network, inputs).items()}
    return Looks(images, verdicts, sensor, maps=maps, gates=_gates(policy, env))


def verdicts_of(seen: Episodes, core: Any) -> list[Verdict]:
    """How each episode in the environment `core` ended, in words."""
    return [
        (
            bool(seen.success[n]),
            verdict(
                core.task,
                core.answer_names,
                success=bool(seen.success[n]),
                labels=seen.labels[n],
                answers=seen.answers[n],
                report={name: values[n] for name, values in seen.reports.items()},
                steps=int(seen.length[n]),
            ),
        )
        for n in range(len(seen))
    ]


def traces_of(seen: Episodes, core: Any, verdicts: Sequence[Verdict]) -> list[Trace]:
    """Episodes in the environment `core`, played with their frames kept, as they are drawn."""
    assert seen.frames is not None
    task, names = core.task, core.answer_names
    moving = isinstance(core.scene, MovingScene)
    said = seen.reports.get("said_box")
    traces = []
    for n, length in enumerate(seen.length):
        if task.judged == "act":
            notes = ["", *(f"moved {named(names, act)}" for act in seen.answers[n, : length - 1])]
        else:
            notes = [truth(task, names, seen.labels[n])] * length
        aimed = task.judged == "aim"
        traces.append(
            Trace(
                frames=seen.frames[n, : length + 1 if moving else 1],
                fixations=seen.fixations[n, :length],
                verdict=verdicts[n],
                glimpses=core.glimpses,
                notes=notes,
                boxes=np.concatenate([seen.boxes[n, :length], seen.last_box[n : n + 1]]),
                aim=seen.aim[n] if aimed else None,
                said=None if said is None else said[n],
                acted=task.judged != "answer",
            )
        )
    return traces


def together(looks: Mapping[str, Looks]) -> NDArray[np.uint8]:
    """Several policies on the same scenes, a column each under its name."""
    margin = max(_margin(seen) for seen in looks.values())
    frame = soft.Frame.of(next(iter(looks.values())).images, margin)
    return soft.side_by_side(
        {name: _panels(seen, frame) for name, seen in looks.items()},
        {name: seen.verdicts for name, seen in looks.items()},
    )


def _paths(seen: Looks) -> Drawing:
    assert seen.traces is not None
    traces, sensor = seen.traces, seen.sensor
    caption = "numbered from the first glimpse, the last in yellow"
    if traces[0].moving:
        caption += "; of each scene some moments, from left to right"
    if traces[0].aim is not None:
        caption += "; a cross where the last aim went, dashes round the target"
    return Drawing(
        "paths",
        pictures.paths_grid(traces, sensor),
        f"{caption}.",
        lambda: pictures.episode_frames(traces, sensor),
    )


def _frames(seen: Looks) -> Drawing:
    """The input, where it was cut, what was cut out, and the answer."""
    assert seen.cuts is not None
    frame = soft.Frame.of(seen.images, _margin(seen))
    columns = {
        "input": [soft.plain(image, frame) for image in seen.images],
        "where it is cut": _panels(seen, frame),
        "what is cut out": [soft.cut_out(cut, frame) for cut in seen.cuts],
    }
    return Drawing(
        "attention",
        soft.sheet(columns, seen.verdicts),
        "the image, the frame that the network found in it, what it cut out there and classified.",
    )


def _maps(seen: Looks) -> Drawing:
    """The input, every map over it, the answer; gates under all."""
    frame = soft.Frame.of(seen.images)
    columns = {"input": [soft.plain(image, frame) for image in seen.images]}
    for name in list(seen.maps)[:MOST_MAPS]:
        pairs = zip(seen.images, seen.maps[name], strict=True)
        columns[name] = [soft.weighed(image, weights, frame) for image, weights in pairs]
    said, below = [], []
    if seen.maps:
        below.append(soft.key())
    if seen.gates:
        width = soft.sheet_width(len(columns), frame.size[0], len(seen.images))
        below += soft.gate_charts(seen.gates, width)
        scenes = len(next(iter(seen.gates.values())))
        said.append(f"Bars: gates, their mean over {scenes} images; lines: from 5% to 95% of them.")
    if GRADCAM in seen.maps:
        said.append("Grad-CAM: which places spoke for the answer.")
    note = " ".join(said)
    picture = soft.sheet(columns, seen.verdicts, below, note)
    what = "the image, maps over it and the answer." if seen.maps else "the image and the answer."
    return Drawing("attention", picture, f"{what} {note}".strip())


def _margin(seen: Looks) -> int:
    """Image pixels to show around the images."""
    height, width = seen.images.shape[1:3]
    if seen.traces is not None:
        return pictures.path_margin(height, width, seen.sensor)
    return 0 if seen.outlines is None else soft.margin_for(seen.outlines, height, width)


def _panels(seen: Looks, frame: soft.Frame) -> list[Any]:
    """The panel of each scene that says most: the path, the frame, the map, or the image alone."""
    if seen.traces is not None:
        how = (seen.sensor, frame.zoom, frame.margin)
        return [trace.last(*how) for trace in seen.traces]
    if seen.outlines is not None:
        pairs = zip(seen.images, seen.outlines, strict=True)
        return [soft.outlined(image, outline, frame) for image, outline in pairs]
    if seen.maps:
        weights = next(iter(seen.maps.values()))
        pairs = zip(seen.images, weights, strict=True)
        return [soft.weighed(image, one, frame) for image, one in pairs]
    return [soft.plain(image, frame) for image in seen.images]


def _gates(policy: Any, env: Any) -> dict[str, NDArray[np.float32]]:
    """Gates by stage over scenes spread through the split; empty where a network has none."""
    network = policy.network
    if not hasattr(network, "gates"):
        return {}
    spread = np.linspace(0, env.unwrapped.split_length - 1, GATED).astype(np.int64)
    found: dict[str, list[NDArray[np.float32]]] = {}
    for observation, _ in shown(env, np.unique(spread)):
        with torch.no_grad():
            gates = network.gates(tensor(policy, observation["image"]))
        for name, values in gates.items():
            found.setdefault(name, []).append(values.cpu().numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}
