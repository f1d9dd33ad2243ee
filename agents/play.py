"""A person in an agent's place: what is typed and clicked becomes actions, and the score is kept.

Nothing here knows a window. A person is shown what an agent is given, through the same registered
environment; the scene itself only when an episode is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ..envs.canvas import Canvas
from ..envs.render import PAD, PAGE, TAIL, draw, layout, write_caption
from ..envs.scenes import MovingScene
from ..envs.words import APART
from .errors import UserError
from .stats import wilson
from .tables import Table, interval_text

BAR = 30  # height of the lines above and below the picture
UNSEEN = 46  # the gray of what was not seen; black is something seen
_MOVES = {"left": "left", "right": "right", "down": "stay", "space": "stay"}


@dataclass(frozen=True)
class Episode:
    """How one ended: success, its rewards' sum, and how many glimpses it took."""

    success: bool
    reward: float
    glimpses: int


class Session:
    """Episodes of one environment, played by a person.

    State: the environment, what is seen and was said in the present episode, and the score.

    Args:
        env_id: a registered id.
        keywords: of the environment; a person's `action` is always `"dict"`.
        split: whose images.
        seed: what the scenes of `train` follow from.

    Raises:
        UserError: keywords that the environment refuses.
    """

    def __init__(
        self, env_id: str, keywords: Mapping[str, Any], split: str = "train", seed: int = 0
    ) -> None:
        if keywords.get("action", "dict") != "dict":
            raise UserError(f"env.action={keywords['action']!r}: a person plays with 'dict'")
        asked = {**keywords, "action": "dict", "split": split, "render_mode": "rgb_array"}
        try:
            self._env = gymnasium.make(env_id, **asked)
        except (ValueError, TypeError, OSError, gymnasium.error.Error) as error:
            raise UserError(f"{env_id}: {error}") from error
        self.env_id = env_id
        core: Any = self._env.unwrapped
        self.task, self._sensor, self._glimpses = core.task, core.sensor, core.glimpses
        self.names: tuple[str, ...] = self.task.answer_names(core.classes)
        self._due = self.task.due(self._glimpses)
        parts = self._env.action_space
        assert isinstance(parts, gymnasium.spaces.Dict)
        self._may_stop, self.drags = "stop" in parts.spaces, "measures" in parts.spaces
        self._shape: tuple[int, int, int] = core.image_shape
        self._canvas = Canvas(self._sensor, 1, self._shape)
        self._seen = Canvas(self._sensor, 1, self._shape)
        self._keep = keywords.get("memory") == "canvas"
        self._moving = isinstance(core.scene, MovingScene)
        self._reach = core.reach if core.moves == "relative" else None
        self.score: list[Episode] = []
        self.hint = ""
        self.typed = ""  # of an answer that was not given yet
        self._begin(seed)

    # ------------------------------------------------------------------ what a person does

    def click(self, fixation: NDArray[np.float32], size: NDArray[np.float32] | None = None) -> None:
        """Look there; where aims are judged, say so. `size`: width and height of a box, pixels."""
        if self.over:
            self.go_on()
        elif self.task.judged == "act":
            self.point = fixation
        elif self.task.judged == "answer" and self._is_due() and self._pending() is None:
            self.hint = "The answer is due: type it first."
        elif self.task.judged == "answer" and self.seen == self._glimpses:
            self.hint = "That was the last glimpse: press Enter to answer."
        else:
            self._step(fixation, self._pending() or 0, size=size)

    def press(self, key: str) -> None:
        """A key by its name: a digit, "return", "backspace", "left", "right", "down", "space"."""
        self.hint = ""
        if self.over:
            self.go_on()
        elif self.task.judged == "act":
            self._act(key)
        elif key == "backspace":
            self.typed = self.typed[:-1]
        elif key == "return":
            self._finish()
        elif key.isdigit() and self.task.judged == "answer":
            self._type(key)

    def go_on(self) -> None:
        """The next episode, when one is over."""
        if self.over:
            self._begin(None)

    def _type(self, digit: str) -> None:
        places = range(len(self.names))
        typed = (self.typed + digit).lstrip("0") or "0"
        self.typed = typed if int(typed) in places else digit if int(digit) in places else ""
        if not self.typed:
            self.hint = f"There are answers 0 to {len(self.names) - 1}."
        elif len(self.names) <= 10 and self.seen == self._glimpses:
            self._finish()

    def _finish(self) -> None:
        """Enter: the last answer, or an earlier one where the task lets one stop."""
        answer, last = self._pending(), self.seen == self._glimpses
        if self.task.judged == "aim":
            if self._may_stop:
                self._step(self.point, 0, stop=True)
            return
        if answer is None:
            self.hint = "Type an answer first."
        elif last:
            self._step(self._path[-1], answer)
        elif self._may_stop:
            self._step(self._path[-1], answer, stop=True)
        else:
            self.hint = "There are glimpses left: click where to look next."

    def _act(self, key: str) -> None:
        name = _MOVES.get(key, key)
        if name in self.names:
            self._step(self.point, self.names.index(name))
        elif key.isdigit() and int(key) < len(self.names):
            self._step(self.point, int(key))

    def _pending(self) -> int | None:
        return int(self.typed) if self.typed else None

    def _is_due(self) -> bool:
        return self.seen in self._due

    # ------------------------------------------------------------------ episodes

    def _begin(self, seed: int | None) -> None:
        observation, _ = self._env.reset(seed=seed)
        self._canvas.clear(slice(None))
        self._seen.clear(slice(None))
        self._path: list[NDArray[np.float32]] = []
        self.seen, self.over, self._reward = 0, False, 0.0
        self.typed = ""
        self.said: list[str] = []
        self._look(observation)
        self.point = self._path[-1]

    def _look(self, observation: Mapping[str, Any]) -> None:
        """Take in a glimpse, and paint it where it was seen."""
        self._glimpse, fixation = observation["glimpse"], observation["fixation"]
        seen = round(float(observation["progress"][0]) * self._glimpses)
        if seen > self.seen:
            self._path.append(fixation.copy())
        self.seen = seen
        for canvas, values in (
            (self._canvas, self._glimpse),
            (self._seen, np.ones_like(self._glimpse)),
        ):
            if not self._keep:
                canvas.clear(slice(None))
            canvas.paint(values[None], fixation[None])

    def _step(
        self,
        fixation: NDArray[np.float32],
        answer: int,
        *,
        size: NDArray[np.float32] | None = None,
        stop: bool = False,
    ) -> None:
        """One action; an answer counts where it is due, or stops."""
        self.hint = ""
        command = np.asarray(fixation, np.float32)
        if self._reach is not None:
            command = ((command - self._path[-1]) / np.float32(self._reach)).clip(-1, 1)
        action: dict[str, Any] = {"fixation": command}
        if self.names and self.task.judged != "aim":
            action["answer"] = answer
        if self._may_stop:
            action["stop"] = int(stop)
        if self.drags:
            sides = np.array(self._shape[1::-1], np.float32)
            asked = np.full(2, 1, np.float32) if size is None else size
            share = 2 * (asked - 1) / np.maximum(sides - 1, 1) - 1
            action["measures"] = share.clip(-1, 1).astype(np.float32)
        if self.task.judged == "answer" and (self._is_due() or stop):
            self.said.append(self.names[answer])
            self.typed = ""
        observation, reward, terminated, _, info = self._env.step(action)
        self._reward += float(reward)
        self._look(observation)
        if terminated:
            self.over = True
            self.score.append(Episode(bool(info["is_success"]), self._reward, self.seen))

    # ------------------------------------------------------------------ what a person sees

    def frame(self) -> NDArray[np.uint8]:
        """The picture now, uint8 `(h, w, 3)`: what an agent is given, and the truth at the end."""
        if self.over:
            rendered: Any = self._env.render()
            return self._barred(rendered)
        values = self._canvas.picture()[0, :-1]  # (C, H, W)
        seen = self._seen.picture()[0, :1] > 0
        picture = np.where(seen, np.rint(255 * values), UNSEEN).astype(np.uint8)
        first = max(0, len(self._path) - TAIL) if self._moving else 0
        drawn = draw(
            picture.transpose(1, 2, 0),
            np.array(self._path[first:]),
            self._sensor,
            self._glimpse,
            caption=self._status(),
            first=first + 1,
        )
        return self._barred(drawn)

    def fixation_at(self, x: float, y: float) -> NDArray[np.float32] | None:
        """The fixation under a place of the frame, in its pixels; None beside the image."""
        height, width, _ = self._shape
        place = layout(height, width, self._sensor)
        at = (np.array([x, y - BAR]) - PAD) / place.zoom - place.margin
        sides = np.array([width, height])
        if ((at < 0) | (at >= sides)).any():
            return None
        fixation = 2 * (at - 0.5) / np.maximum(sides - 1, 1) - 1
        return fixation.clip(-1, 1).astype(np.float32)

    def box_size(self, pixels: NDArray[np.floating]) -> NDArray[np.float32]:
        """Width and height on the image of an extent on the frame, at least one pixel each."""
        place = layout(*self._shape[:2], self._sensor)
        return np.maximum(np.abs(pixels) / place.zoom, 1).astype(np.float32)

    @property
    def todo(self) -> str:
        """What can be done now, in a line."""
        if self.hint:
            return self.hint
        if self.over:
            return "Click, or press a key, for the next one.  Esc ends."
        if self.task.judged == "act":
            return "Left, right, or down to stay; click where to look next.  Esc ends."
        stop = "  Enter answers now." if self._may_stop and self.typed else ""
        if self.task.judged == "aim":
            last = self.task.every_step or self.seen == self._glimpses
            where = "Click the target." if last else "Click where to look next."
            stop = "  Enter: it is where the mouse is." if self._may_stop else ""
            return where + (" Drag a box around it." if self.drags and last else "") + stop
        keys = "Type" if len(self.names) > 10 else "Press"
        which = f" ({self._question()})" if len(self._due) > 1 else ""
        if self.seen == self._glimpses:
            enter = ", then Enter" if len(self.names) > 10 else ""
            return f"{keys} your answer{which}{enter}: {self._choices()}"
        if self._is_due():
            return f"{keys} your answer{which}, then click where to look: {self._choices()}"
        return "Click where to look next." + stop

    def _question(self) -> str:
        return f"{min(len(self.said) + 1, len(self._due))} of {len(self._due)}"

    def _choices(self) -> str:
        if list(self.names) == [str(k) for k in range(len(self.names))]:
            return f"0 to {len(self.names) - 1}"
        return ", ".join(f"{k} {name}" for k, name in enumerate(self.names))

    def _status(self) -> str:
        parts = [f"glimpse {self.seen}/{self._glimpses}"]
        if self.said:
            parts.append("said " + " ".join(self.said))
        if self.typed:
            parts.append(f"answer {self.names[int(self.typed)]}")
        return APART.join(parts)

    def _barred(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A frame with a line of the score above and one of what to do below."""
        from PIL import Image, ImageDraw

        height, width = frame.shape[:2]
        page = Image.new("RGB", (width, height + 2 * BAR), PAGE)
        page.paste(Image.fromarray(frame), (0, BAR))
        pen = ImageDraw.Draw(page)
        right = sum(one.success for one in self.score)
        score = f"score {right} of {len(self.score)}"
        above = f"{score}{APART}{self.env_id.partition('/')[2]}: {self.task.goal}"
        for text, y in ((above, BAR // 2 + 2), (self.todo, height + BAR + BAR // 2 - 4)):
            write_caption(pen, (PAD, y), text, None, width - 2 * PAD, 14)
        return np.array(page)

    # ------------------------------------------------------------------ the score

    def table(self) -> list[str]:
        """The score as lines of a table; an interval of 95%."""
        if not self.score:
            return ["No episode was played to its end."]
        count = len(self.score)
        right = sum(one.success for one in self.score)
        rows = (
            ("environment", self.env_id),
            ("episodes", str(count)),
            ("success", f"{right}: {interval_text(wilson(right, count), 100)} %"),
            ("reward", f"{np.mean([one.reward for one in self.score]):.3f}"),
            ("glimpses", f"{np.mean([one.glimpses for one in self.score]):.2f}"),
        )
        return Table(("you", ""), rows).lines()

    def close(self) -> None:
        """Close the environment."""
        self._env.close()
