"""The environment itself, many lanes at once: clocks, seeding, autoreset and infos.

It joins a scene, an eye, an action mode and a task, and knows none of them by name. The single
environment (`single.py`) is one lane of it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from gymnasium import error
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from .actions import ACTIONS
from .arrays import as_planes, find_device, on_host, uploader
from .asking import Asking
from .checks import at_least, choose, fits, flag, pair
from .datasets import Source, folder_options, load_dataset
from .draws import uniform
from .eye import Eye, Memory, Moves
from .fit import check_fit, checked_scores
from .layout import final_infos, lane_bytes, observation_space, with_masks
from .options import check_seed, read_options
from .parts import build, check_options, kind_of
from .scenes import SCENES, Scene
from .sensors import MOST_SIZE, SENSORS, Sensor
from .stage import Stage
from .tasks import TASKS, Task, Turn
from .viewer import Viewer
from .walk import SPLITS, Split, Walk

Answerer = Callable[[dict[str, NDArray], NDArray[np.bool_]], NDArray[np.floating]]

_REVEALS = ("image", "box", "context")
RENDER_MODES = ("human", "rgb_array")
_MOST_GLIMPSES = 1_000_000
_MOST_CELLS = 1000  # along a side of the grid
_FIRST_FIXATION = 3  # the stream of draws that places glimpse 1


class GlimpseVectorEnv(VectorEnv):
    """Glimpse environments in a batch: the native vector environment behind every id.

    Made by `gym.make_vec(id, num_envs)`; see `GlimpseEnv` for actions, observations and rewards.
    Lane i of N equals a single environment made with `shard=(i, N)` and the same seed.

    Args:
        num_envs: number of lanes, n.
        source: a data set's name, a folder of pictures by class, an `.npz` file, a `Dataset`, or
            `(images, labels)`.
        image_size, fit, unreadable: how a folder of pictures is read, see `ImageFolder`; its images
            are 64x64 where no size is given.
        scene: a scene's name or a `Scene`; its options go by keyword (`canvas`, `pieces`, ...).
        task: a task's name or a `Task`; its options too (`reward`, `glimpse_cost`, ...).
        split: `"train"` (shuffled epochs, scenes fresh every time), `"validation"` or `"test"`
            (in order, each scene a pure function of scene, split and index).
        glimpses: T, glimpses and steps an episode.
        sensor: a sensor's name or a `Sensor`; its options too (`rings`, `wedges`, ...).
        size, scales: of a sensor that goes by name, where it has them.
        action: `"box"`, `"dict"`, `"grid"`, `"discrete"` or `"fixation"`.
        grid: rows and columns of cells for `"grid"` and `"discrete"`.
        stop: whether the agent may end an episode before the last glimpse.
        moves, reach: `"absolute"`, or `"relative"` with the longest move along an axis.
        memory: `"canvas"` adds all that was seen so far in place to the observation.
        min_glimpses: glimpses to be seen before `action_masks` allows an answer.
        first_fixation: glimpse 1 from a place drawn at `"random"`, or from the `"center"`.
        paths: M; each run of M neighbouring lanes shares image and scene, not fixations.
        placements: scenes an image in evaluation splits; `index % N` is the image.
        shard: `(i, n)`: this environment is part i of n.
        reveal: more observation keys, of `"image"`, `"box"` and `"context"`.
        context_size: side of the `"context"`, the whole image in so many pixels.
        answerer: for `action="fixation"`: `answerer(observation, episode_start)` gives scores
            `(n, K)`; it keeps its own state for each lane, and sees the present glimpse of lanes
            that go on once more where `reset_mask` resets others.
        device: a PyTorch device, such as `"cuda"`, that images, glimpses and all that is seen live
            on: observations are tensors there. What else a lane is at stays on the host, a few
            numbers a lane, as NumPy: actions (tensors will do), rewards, ends and infos. Scenes are
            those of the NumPy path. None: NumPy alone.
        autoreset_mode: Gymnasium's, as a member or by value.
        render_mode: None, `"rgb_array"` (a frame a lane) or `"human"` (a window on lane 0).

    Raises:
        ValueError: an argument out of range, named in one line.
        TypeError: an unexpected keyword argument.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (Gymnasium's interface)
        "render_modes": list(RENDER_MODES),
        "render_fps": 4,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    _viewer: Viewer | None = None  # here too, for `close` after a constructor that refused

    def __init__(
        self,
        num_envs: int = 1,
        *,
        source: Source = "digits",
        image_size: int | Sequence[int] | None = None,
        fit: Literal["crop", "pad", "stretch"] = "crop",
        unreadable: Literal["skip", "refuse"] = "skip",
        scene: str | Scene = "plain",
        task: str | Task = "classify",
        split: Split = "train",
        glimpses: int = 6,
        sensor: Literal["retina", "fovea", "logpolar", "bilinear"] | Sensor = "retina",
        size: int = 8,
        scales: int = 1,
        action: str = "box",
        grid: Sequence[int] = (7, 7),
        stop: bool = False,
        moves: Moves = "absolute",
        reach: float = 0.5,
        memory: Memory | None = None,
        min_glimpses: int = 1,
        first_fixation: Literal["random", "center"] = "random",
        paths: int = 1,
        placements: int = 1,
        shard: tuple[int, int] = (0, 1),
        reveal: Sequence[str] = (),
        context_size: int = 12,
        answerer: Answerer | None = None,
        device: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        self.num_envs = n = at_least("num_envs", num_envs, 1)
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = choose("render_mode", render_mode, (None, *RENDER_MODES))
        self.split = choose("split", split, SPLITS)
        self.glimpses = at_least("glimpses", glimpses, 1, _MOST_GLIMPSES)
        self.min_glimpses = at_least("min_glimpses", min_glimpses, 1, self.glimpses)
        self.paths = at_least("paths", paths, 1)
        self.placements = at_least("placements", placements, 1)
        self.first_fixation = choose("first_fixation", first_fixation, ("random", "center"))
        named = (reveal,) if isinstance(reveal, str) else tuple(reveal or ())
        self.reveal = tuple(choose("reveal", name, _REVEALS) for name in named)

        # What is seen.
        dataset = load_dataset(source, folder_options(source, image_size, fit, unreadable))
        self.classes = dataset.classes
        self.num_classes = dataset.num_classes
        self._shown = dataset.split(split)  # copied and pickled as the handle that it is
        self._labels = self._shown.labels
        kinds = (
            kind_of("scene", scene, SCENES),
            kind_of("task", task, TASKS),
            kind_of("sensor", sensor, SENSORS),
        )
        check_options(options, kinds, GlimpseVectorEnv.__init__)
        built = build(scene, kinds[0], options)
        self.scene = built if split == "train" else built.unaugmented()
        self.image_shape = self.scene.frame_shape(dataset.shape)  # (H, W, C)
        # An id has values for these: they are not told apart from what is asked for, and a sensor
        # that is handed in brings its own.
        own = {"size": size, "scales": scales} if isinstance(sensor, str) else {}
        self.sensor = build(sensor, kinds[2], options | own)
        self.context_size = at_least("context_size", context_size, 1, MOST_SIZE)
        context = self.context_size if "context" in self.reveal else None
        room = n * lane_bytes(self.sensor, self.image_shape, self.reveal, memory, context)
        height, width = self.image_shape[:2]
        fits(
            f"num_envs={n} lanes of {height}x{width} pixels",
            room,
            "take fewer lanes, a smaller canvas, or a sensor of fewer values",
        )
        self.device = find_device(device)
        eye = (self.sensor, n, self.image_shape, moves, reach, memory, context)
        self.eye = Eye(*eye, self.device)
        self._upload = uploader(self.device)
        self.moves, self.reach = moves, reach

        # What is asked, and how it is answered.
        self.action_mode = choose("action", action, ACTIONS)
        self.grid = pair("grid", grid, "(rows, columns)", 1, _MOST_CELLS)
        self.task = build(task, kinds[1], options)
        self.answers = self.task.answers(self.num_classes)
        self.stop = flag("stop", stop)
        self._action = ACTIONS[action](self.answers, self.grid, self.stop, self.task.measures)
        self._memory = self.task.memory(n)
        if answerer is not None and not callable(answerer):
            raise ValueError(f"answerer of type {type(answerer).__name__}: a function is needed")
        self._answerer = answerer
        check_fit(self, self._shown, callable(answerer), stop)

        self.single_observation_space = observation_space(
            self.sensor, self.image_shape, self.reveal, memory, context
        )
        self.single_action_space = self._action.single_space
        self.observation_space = batch_space(self.single_observation_space, n)
        self.action_space = batch_space(self.single_action_space, n)

        # What each lane does now.
        self.split_length = len(self._labels) * (1 if split == "train" else self.placements)
        self._walk = Walk(split, self.split_length, n, shard, self.paths)
        self._begun = False  # whether reset() has been called
        self._every = np.ones(n, np.bool_)
        self._silent = np.full(n, -1)
        self._said: dict[str, NDArray] = {}
        self.key = np.zeros(n, np.uint64)  # where a lane's draws come from, anew each episode
        self._seen = np.zeros(n, np.int64)  # glimpses seen, 1 to T
        self._ended = np.zeros(n, np.bool_)  # lanes that wait for a reset
        steps = np.arange(self.glimpses + 1) / self.glimpses
        self._progress = steps.astype(np.float32)[:, None]
        self._index = np.zeros(n, np.int64)
        self._scores = np.zeros((n, self.answers), np.float32)
        shown = (self._shown, self.image_shape, n, self.glimpses)
        self._stage = Stage(self.scene, *shown, self.device)
        self._asking = Asking(self.task, self._stage, self.glimpses)
        self.answer_names = self.task.answer_names(self.classes)
        if render_mode is not None:
            fps = self.metadata["render_fps"]
            how = (self.sensor, n, self.glimpses, self._stage.moving, fps)
            self._viewer = Viewer(self.task, self.answer_names, *how)

    # ------------------------------------------------------------------ Gymnasium's interface

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Begin new episodes.

        Args:
            seed: one integer for all lanes: starts the walk and all draws anew. None goes on.
            options: `index` (an image's place in the split, or one a lane), `fixation` of glimpse
                1 (`(2,)` or `(n, 2)`), `restart=True` (the walk begins again), `reset_mask`
                (bool `(n,)`: only these lanes).

        Raises:
            ValueError: an unknown option, or one that does not fit.
        """
        start = self.begin(seed, options)
        return self.observe(start), self._infos(start)

    def step(
        self, actions: Any
    ) -> tuple[dict[str, NDArray], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict]:
        """Move every lane by one step; see `GlimpseEnv` for what an action does.

        Raises:
            gymnasium.error.ResetNeeded: before `reset`, or, with autoreset disabled, after the end.
            ActionError: an action outside its space.
        """
        waiting = self._ended if np.count_nonzero(self._ended) else None
        reward, ends, last = self.turn(actions, waiting)
        infos: dict[str, Any] = {}
        start = waiting  # lanes whose next observation opens an episode
        if waiting is not None:
            self._begin(waiting.nonzero()[0])
        if np.count_nonzero(ends):
            if self.autoreset_mode == AutoresetMode.SAME_STEP:
                infos = final_infos(
                    self._look(), {**self._infos(ends), **with_masks(last, ends)}, ends
                )
                self._begin(ends.nonzero()[0])
                start = ends
            else:
                infos = with_masks(last, ends)
        self.show()
        infos.update(self._infos())
        truncated = np.zeros(self.num_envs, np.bool_)
        return self.observe(start), reward, ends.copy(), truncated, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """A frame a lane, uint8 `(h, w, 3)` each; None for a window, which draws itself."""
        if self._viewer is None:
            raise error.Error("render() needs render_mode='rgb_array' or 'human' when made")
        if not self._begun:
            raise error.ResetNeeded("render() before reset(): call env.reset() first")
        if self.render_mode == "human":
            return None
        return self._frames(self.num_envs)

    def close_extras(self, **kwargs: Any) -> None:
        """Close the window, where there is one."""
        if self._viewer:
            self._viewer.close()

    # ------------------------------------------------------------------ beyond Gymnasium

    @property
    def images(self) -> Any:
        """The frame before the eye in every lane, uint8 `(n, H, W, C)`; not to be changed.

        A tensor where there is a device.
        """
        return self._stage.frames

    @property
    def truth(self) -> dict[str, NDArray]:
        """What `info` tells of every lane: `label`, `index` and `box`; views, not to be changed."""
        return {"label": self._asking.label, "index": self._index, "box": self._asking.box}

    @property
    def labels(self) -> NDArray[np.int64]:
        """The right answer to each of the task's questions, int64 `(n, Q)`, in every lane."""
        return self._asking.labels

    @property
    def said(self) -> dict[str, NDArray]:
        """What the newest actions meant: `answer` `(n,)`, -1 for none, and `aim` `(n, 2)`."""
        return self._said

    def action_masks(self) -> NDArray[np.bool_]:
        """Which actions are allowed now, bool `(n, actions)`; for discrete action spaces.

        Raises:
            AttributeError: the action mode has no masks.
        """
        masks = self._action.masks(self._seen >= self.glimpses, self._seen < self.min_glimpses)
        if masks is None:
            raise AttributeError(
                f"action={self.action_mode!r} has no action masks: all are allowed"
            )
        return masks

    def walk_state(self) -> dict[str, Any]:
        """Where the walk stands, to be stored: `seed`, `episode` and `visit` `(n,)`, and `labels`.

        The last tells whether the labels are the same where it goes on.
        """
        return {**self._walk.state(), "labels": zlib.crc32(self._labels.tobytes())}

    def restore_walk(self, state: Mapping[str, Any]) -> None:
        """Go on from a `walk_state()`: the next `reset()` shows what it would have shown there.

        Raises:
            ValueError: it is that of another number of lanes, or of images with other labels.
        """
        if state.get("labels") not in (None, zlib.crc32(self._labels.tobytes())):
            raise ValueError(
                f"split {self.split!r} has other images now than where this began: put them back"
            )
        self._walk.restore(state)
        self._begun = False

    # ------------------------------------------------------------------ inside

    def begin(self, seed: int | None, options: Mapping[str, Any] | None) -> NDArray[np.bool_]:
        """Carry out a reset and no more; the lanes that began anew, bool `(n,)`."""
        asked = read_options(options or {}, self.num_envs, self.split_length)
        lanes = asked.lanes
        if not self._begun and len(lanes) < self.num_envs:
            raise error.ResetNeeded("the first reset() begins all lanes: leave out reset_mask")
        if seed is not None:
            if len(lanes) < self.num_envs:
                raise ValueError("a seed is for all lanes: leave out reset_mask, or the seed")
            super().reset(seed=check_seed(seed))
            self._walk.start(int(seed), lanes)
        elif self._walk.seed is None:  # never seeded: the system's choice
            self._walk.start(int(self.np_random.integers(1 << 62)), lanes)
        if asked.restart:
            self._walk.restart(lanes)
        self._begin(lanes, asked.index, asked.fixation)
        self._begun = True
        self.show()
        start = np.zeros(self.num_envs, np.bool_)
        start[lanes] = True
        return start

    def turn(
        self, actions: Any, waiting: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], dict[str, NDArray]]:
        """Carry out the actions of a step and no more; lanes that wait for a reset rest.

        Returns:
            Reward and ends `(n,)`, and of the lanes that end `is_success` and `answer` `(n,)` and
            what the task reports.
        """
        if not self._begun:
            raise error.ResetNeeded("step() before reset(): call env.reset() first")
        if self.autoreset_mode == AutoresetMode.DISABLED and np.count_nonzero(self._ended):
            raise error.ResetNeeded(
                f"step() after the end of the episode in lane {int(self._ended.argmax())}: call "
                "reset(), or reset(options={'reset_mask': ended}) in a vector environment"
            )
        live = None if waiting is None else ~waiting
        batch = self._action.read(actions, self.num_envs, live)
        if self._answerer is not None:
            batch["scores"] = self._scores
        answered, ends = self._asking.answers(self._action, batch, self._seen)
        if live is not None:
            ends, answered = ends & live, answered & live
        looks = ~ends if live is None else live & ~ends

        answer = self._silent.copy()
        lanes = answered.nonzero()[0]
        if lanes.size and self.answers:
            answer[lanes] = self._action.answer(batch, lanes, self.key[lanes])
        aim = self.eye.aim(self._action.fixation(batch))
        if self._action.answers_apart:
            aim = np.where(answered[:, None], self.eye.fixation, aim)
        self._said = {"answer": answer, "aim": aim}
        if self._stage.moving:
            here = slice(None) if live is None else live.nonzero()[0]
            self.eye.refresh(here, self._stage.advance(here, answer))
            self._asking.follow()
        turn = Turn(
            answered=answered,
            answer=answer,
            asked=self._asking.asked,
            ends=ends,
            looks=looks,
            label=self._asking.label,
            box=self._asking.box,
            fixation=self.eye.fixation,
            aim=aim,
            scores=self._action.scores(batch) if self.task.needs_scores else None,
            measures=self._action.numbers(batch) if self.task.measures else None,
            live=live,
            world=self._stage.world,
            frame=self.image_shape[:2],
            glimpses=self.glimpses,
        )
        success, reward = self.task.judge(turn, self._memory)
        if waiting is not None:
            reward[waiting] = 0.0
        last = {"is_success": success, "answer": answer}
        if np.count_nonzero(ends):
            last |= self.task.report(turn, self._memory)

        looking = np.count_nonzero(looks)
        if looking:
            self.eye.move(aim, None if looking == self.num_envs else looks)
            self._seen = self._seen + looks
        if self._viewer:
            self._viewer.follow(self._seen, self.eye.fixation, ends, self._said, last)
        self._asking.go_on(answered & ~ends)
        self._ended = ends
        return reward, ends, last

    def _begin(
        self,
        lanes: NDArray[np.int64],
        index: NDArray[np.int64] | None = None,
        fixation: NDArray[np.float32] | None = None,
    ) -> None:
        """Start an episode in `lanes`: choose the image, draw the scene, place the eye."""
        chosen, scene_key, lane_key = self._walk.next(lanes, index)
        image = chosen if self.placements == 1 else chosen % len(self._labels)
        self.eye.show(lanes, self._stage.begin(lanes, image, scene_key))
        self._index[lanes] = chosen
        self._asking.begin(lanes)
        self.key[lanes] = lane_key
        self._seen[lanes] = 1
        self._ended = self._ended.copy()
        self._ended[lanes] = False
        for name, values in self.task.memory(len(lanes)).items():
            self._memory[name][lanes] = values
        if fixation is None:
            fixation = np.zeros((len(lanes), 2), np.float32)
            if self.first_fixation == "random":
                fixation = (2 * uniform(lane_key, _FIRST_FIXATION, 2) - 1).astype(np.float32)
        self.eye.place(lanes, fixation)
        if self._viewer:
            self._viewer.begin(lanes, self.eye.fixation, self.labels)

    def observe(self, start: NDArray[np.bool_] | None = None) -> dict[str, NDArray]:
        """What every lane sees now, in fresh arrays, seen by the answerer too where there is one.

        Args:
            start: lanes whose episode has just begun, bool `(n,)`; None for none.
        """
        observation = self._look()
        if self._answerer is not None:
            begun = np.zeros(self.num_envs, np.bool_) if start is None else start.copy()
            scores = self._answerer(observation, begun)
            self._scores = checked_scores(scores, self.num_envs, self.answers)
        return observation

    def _look(self) -> dict[str, Any]:
        observation = self.eye.observe()
        observation["progress"] = self._upload(self._progress[self._seen])
        if "image" in self.reveal:
            observation["image"] = as_planes(self.images)
        if "box" in self.reveal:
            observation["box"] = self._upload(self._asking.box)
        return observation

    def _infos(self, lanes: NDArray[np.bool_] | None = None) -> dict[str, Any]:
        """What is true of every lane, or of those in `lanes` alone, laid out as Gymnasium does."""
        truth = self.truth
        if lanes is not None and np.count_nonzero(lanes) < self.num_envs:
            return with_masks(truth, lanes)
        infos: dict[str, Any] = {}
        for name, values in truth.items():
            infos[name] = values.copy()
            infos[f"_{name}"] = self._every.copy()
        return infos

    def show(self) -> None:
        """Draw the window, where there is one."""
        if self._viewer and self.render_mode == "human":
            self._viewer.show(self._frames(1)[0])

    def _frames(self, lanes: int) -> tuple[NDArray[np.uint8], ...]:
        assert self._viewer is not None
        images, glimpse = on_host(self.images[:lanes]), on_host(self.eye.look()[:lanes])
        return tuple(
            self._viewer.frame(lane, images[lane], glimpse[lane], self._asking.box[lane])
            for lane in range(lanes)
        )
