"""What a classifier of whole images needs to know of an environment."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from gymnasium.vector import AutoresetMode


@dataclass(frozen=True)
class Sight:
    """The images that are seen, (C, H, W), and the number of answers."""

    image_shape: tuple[int, int, int]
    classes: int

    @classmethod
    def of(cls, env: Any) -> Sight:
        """That of a native vector environment; ValueError where a classifier cannot take it."""
        core = env.unwrapped
        if not hasattr(core, "walk_state"):
            raise ValueError(
                f"a classifier learns in a native vector environment, not in {type(core).__name__}:"
                " make it with gymnasium.make_vec(id, num_envs=..., action='dict', glimpses=1,"
                " reveal=('image',), autoreset_mode='Disabled')"
            )
        mode = env.metadata.get("autoreset_mode")
        if mode != AutoresetMode.DISABLED:
            raise ValueError(f"autoreset mode {mode}: take autoreset_mode='Disabled'")
        if core.action_mode != "dict":
            raise ValueError(
                f"a classifier acts by 'dict', not {core.action_mode!r}: set env.action"
            )
        if core.glimpses != 1:
            raise ValueError(
                f"glimpses={core.glimpses}: a classifier sees the whole image and answers at once,"
                " set env.glimpses to 1"
            )
        if "image" not in core.reveal:
            raise ValueError("a classifier needs to see the image: set env.reveal to [image]")
        height, width, channels = core.image_shape
        return cls((channels, height, width), int(core.answers))

    def to_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self)
