"""The single environment: one lane of the vector environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from .actions import as_array
from .core import GlimpseVectorEnv

# What others' code takes for the mark of a vector environment.
_OF_MANY = ("num_envs", "autoreset_mode", "single_action_space", "single_observation_space")


class GlimpseEnv(gym.Env):
    """Look at a scene through a glimpse sensor, step by step, and do what its task asks.

    ## Description
    Each episode hides one scene behind a sensor that sees a small part at a time (Mnih, Heess,
    Graves and Kavukcuoglu 2014). The agent moves the eye, and its task judges one of three things:

    - its *answers*, each when it is due: name the target, or several of them in turn;
    - its *acts*: an answer at every step is a motor command, which the scene carries out;
    - its *aims*: where the actions send the eye, at the last step or at every one; nothing is said.

    Where to look is the problem: no glimpse shows all of the scene sharply. A scene that moves goes
    on by one moment a step, whatever the agent does: what it decides on has moved when it looks
    again.

    ## Action Space
    `action=` chooses it; K is the number of answers that the task knows (the classes, where it
    asks for a name), fixations are `(x, y)` in [-1, 1], x to the right and y down. Equal scores are
    parted by lot.

    | `action` | space | meaning |
    |---|---|---|
    | `"box"` | `Box(-1, 1, (2 + K,))` | next fixation, a score an answer; the best counts |
    | `"dict"` | `Dict(fixation=Box(-1, 1, (2,)), answer=Discrete(K))` | RAM's own |
    | `"grid"` | `MultiDiscrete([rows, columns, K])` | the fixation is a cell of `grid=(7, 7)` |
    | `"discrete"` | `Discrete(rows * columns + K)` | look at a cell, or answer and end |
    | `"fixation"` | `Box(-1, 1, (2,))` | the eye alone; `answerer=` answers |

    Where aims are judged, K = 0 and the parts that answer are left out. Where acts are judged,
    there is no `"discrete"`: it cannot look and act in one step. Where a task asks for m further
    numbers in [-1, 1], they follow the scores (`box`), the fixation (`fixation`), or are
    `measures=Box(-1, 1, (m,))` (`dict`). A mode that cannot say what a task asks for is refused.

    With `moves="relative"` the fixation is a move, times `reach`, from the present one. With
    `stop=True` one slot is added: above 0 (`box`, `fixation`), 1 (`dict`, `grid`) answers now, or
    makes this aim the last. `discrete` answers when it likes; where aims are judged, `stop` adds
    one action to it, which takes the present fixation. Where every step counts there is no stop.

    ## Observation Space
    `Dict` of `glimpse`, float32 in [0, 1]; `fixation`, float32 `(2,)`; `progress`, float32 `(1,)`,
    glimpses seen / T. `sensor=` chooses what a glimpse is; c is the fixated pixel:

    | `sensor` | shape of `glimpse` | shows |
    |---|---|---|
    | `"retina"` | `(scales * C, size, size)` | patches `size * 2**s` wide around c, box-averaged |
    | `"fovea"` | `(2 * C, size, size)` | the finest patch, and the whole image, box-averaged |
    | `"logpolar"` | `(C, rings, wedges)` | cells around c, wider the further out |
    | `"bilinear"` | as the retina | the retina's patches, from between the pixels |

    `memory="canvas"` adds `canvas`, float32 `(C + 1, H, W)` in [0, 1]: all that was seen so far,
    in place, each pixel at the finest resolution that it was seen at (0 where it was not), and a
    last plane that is 1 where it was seen at full resolution. `reveal=` adds `image`, float32
    `(C, H, W)` in [0, 1], `box`, float32 `(4,)`, the target's `(x0, y0, x1, y1)` in pixels, and
    `context`, float32 `(C, context_size, context_size)` in [0, 1], the whole image box-averaged.

    ## Rewards
    The task's. Unless its options say otherwise, an episode's rewards add up to 0 to 1, and naming
    one target is worth 1 for a right last answer, else 0. `glimpse_cost`, where the task has it, is
    taken off every step that brings a new glimpse. `reward="dense"`, where it has that, pays what
    each step gains.

    ## Starting State
    Glimpse 1 comes with `reset`, from a fixation drawn uniformly (`first_fixation="center"`: from
    the centre; `options={"fixation": (x, y)}`: from there), and a moving scene stands at its first
    moment. Training walks shuffled epochs without replacement and draws fresh scenes; validation
    and test show the same scenes to everyone, in order. `options={"index": i}` picks an image,
    `{"restart": True}` starts the walk again.

    ## Episode End
    Step T terminates, with the answer that is due then; of Q questions, number q is due at step
    ceil(q T / Q). The eye does not move any more, though an aim that is judged counts: the last
    observation repeats glimpse T, and of a moving scene it shows, from the same place, the frame
    after the last move. Earlier with `stop=True`, or in `"discrete"` with an answer to the last
    question: there an answer takes the place of a look, and a look with no glimpse left terminates
    without an answer. There is no truncation.

    ## Information
    `index` at every step, with `label` and `box`, the truth of the question that is open, on the
    present frame; `is_success` and `answer` (the last one given, -1: none) at the last step, and
    what the task tells beside them.

    ## Arguments
    As in `GlimpseVectorEnv`; `gym.spec(id).kwargs` lists an id's own values.

    ## Vectorized environment
    `gym.make_vec(id, num_envs=N)` makes the native one; lane i equals this environment with
    `shard=(i, N)` and the same seed.

    ## Version History
    v0: first release.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium's interface)
        name: value for name, value in GlimpseVectorEnv.metadata.items() if name != "autoreset_mode"
    }

    def __init__(self, **keywords: Any) -> None:
        for name in ("num_envs", "autoreset_mode", "device"):
            if keywords.get(name) is not None:
                raise ValueError(
                    f"{name} belongs to vector environments: use gym.make_vec(id, {name}=...), "
                    "or vector_kwargs for Gymnasium's own"
                )
        self.core = GlimpseVectorEnv(1, **keywords, autoreset_mode=AutoresetMode.DISABLED)
        self.metadata = {**self.metadata}  # to be changed without changing others'
        self.render_mode = self.core.render_mode
        self.observation_space = self.core.single_observation_space
        self.action_space = self.core.single_action_space
        self._lift = _lift_dict if self.core.action_mode == "dict" else _lift

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Begin an episode; see `GlimpseVectorEnv.reset` for the options."""
        if seed is not None:
            super().reset(seed=seed)
        start = self.core.begin(seed, options)
        return _first(self.core.observe(start)), self._truth()

    def step(self, action: Any) -> tuple[dict[str, NDArray], float, bool, bool, dict[str, Any]]:
        """Look again, or answer at the last step."""
        core = self.core
        reward, ends, last = core.turn(self._lift(action))
        ended = bool(ends[0])
        info = self._truth()
        if ended:
            # Numbers and truths as Python's own, arrays as they are.
            info |= {name: v[0].copy() if v.ndim > 1 else v[0].item() for name, v in last.items()}
        if self.render_mode == "human":
            core.show()
        return _first(core.observe()), float(reward[0]), ended, False, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Which actions are allowed now, bool `(actions,)`; for `action="discrete"`."""
        return self.core.action_masks()[0]

    def render(self) -> NDArray[np.uint8] | None:
        """A frame, uint8 `(h, w, 3)`; None for a window, which draws itself."""
        frames = self.core.render()
        return None if frames is None else frames[0]

    def close(self) -> None:
        """Close the window, where there is one."""
        self.core.close()

    def _truth(self) -> dict[str, Any]:
        truth = self.core.truth
        return {
            "label": int(truth["label"][0]),
            "index": int(truth["index"][0]),
            "box": truth["box"][0].copy(),
        }

    def __getattr__(self, name: str) -> Any:
        """What the vector environment tells about itself: `glimpses`, `classes`, `sensor`, ..."""
        if name.startswith("_") or name == "core" or name in _OF_MANY:
            raise AttributeError(name)
        return getattr(self.core, name)


def _lift(action: Any) -> Any:
    return as_array(action, "action")[None]


def _lift_dict(action: Any) -> Any:
    if not isinstance(action, Mapping):
        return action
    return {name: as_array(value, f"action[{name!r}]")[None] for name, value in action.items()}


def _first(observation: dict[str, NDArray]) -> dict[str, NDArray]:
    return {name: values[0] for name, values in observation.items()}
