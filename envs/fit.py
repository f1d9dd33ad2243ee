"""Whether the parts of an environment go together, said in one line where they do not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .actions import ACTIONS
from .arrays import on_host
from .datasets import ImageSet
from .scenes import SCENES, MovingScene, Scene
from .tasks import Task


def fitting_actions(task: Task) -> tuple[str, ...]:
    """The names of the action modes that can say what a task asks for."""
    apart = task.judged == "act"  # it needs a look and a command at every step
    return tuple(
        name
        for name, mode in ACTIONS.items()
        if not (apart and mode.answers_apart)
        and (mode.has_numbers or not task.measures)
        and (mode.has_scores or not task.needs_scores)
    )


def may_stop(task: Task) -> bool:
    """Whether an agent may end an episode early: not where every step counts."""
    return task.judged != "act" and not task.every_step


def check_fit(env: Any, shown: ImageSet, has_answerer: bool, stop: bool) -> None:
    """See that data, scene, task, action mode and answerer of a `GlimpseVectorEnv` go together.

    Raises:
        ValueError: they do not.
    """
    task, scene, action = env.task, env.scene, env.action_mode
    name = type(task).__name__
    _check_shown(scene, shown, task)
    if task.targets > scene.targets:
        raise ValueError(
            f"{name} asks about {task.targets} targets, {type(scene).__name__} shows "
            f"{scene.targets}: use a scene that shows as many, like scene='pair'"
        )
    if not set(task.world) <= set(scene.tells):
        tellers = [known for known, kind in SCENES.items() if set(task.world) <= set(kind.tells)]
        raise ValueError(
            f"{name} reads {', '.join(task.world)} of the scene's world, {type(scene).__name__} "
            f"tells of {', '.join(scene.tells) or 'nothing'}: use a scene that does"
            + (f", like scene={tellers[0]!r}" if tellers else "")
        )
    steps = scene.episode_steps(env.image_shape) if isinstance(scene, MovingScene) else None
    if steps not in (None, env.glimpses):
        raise ValueError(
            f"glimpses={env.glimpses}: an episode of {type(scene).__name__} on a canvas of "
            f"{env.image_shape[0]}x{env.image_shape[1]} pixels has {steps} steps, take "
            f"glimpses={steps}"
        )
    if task.questions > env.glimpses:
        raise ValueError(
            f"glimpses={env.glimpses}: {name} has {task.questions} questions, each after a glimpse "
            "of its own; take more"
        )
    able = fitting_actions(task)
    if action not in able:
        if task.needs_scores:
            why = "needs a score for each answer, which it does not carry"
        elif task.measures:
            why = f"asks for {task.measures} numbers, which it cannot say"
        else:
            why = "needs a look and a command at every step, of which it says one"
        raise ValueError(
            f"action={action!r}: {task} {why}; use one of {', '.join(map(repr, able))}"
        )
    if stop and not may_stop(task):
        raise ValueError(f"stop=True: every step of {name} counts, leave stop out")
    if has_answerer and (action != "fixation" or not env.answers):
        why = "belongs to action='fixation'" if env.answers else f"has nothing to say in {name}"
        raise ValueError(f"answerer: it {why}; leave it out")
    if action == "fixation" and env.answers and not has_answerer:
        raise ValueError(
            "action='fixation' moves the eye alone: give an answerer, "
            "answerer(observation, episode_start) -> scores"
        )


def _check_shown(scene: Scene, shown: ImageSet, task: Task) -> None:
    if scene.shows != shown.holds:
        remedy = "use scene='video'"
        if scene.shows == "clips":
            remedy = "give source=Dataset.from_clips(clips, labels), or another scene"
        raise ValueError(
            f"{type(scene).__name__} shows {scene.shows}, the source holds {shown.holds}: {remedy}"
        )
    if task.judged == "aim" and shown.holds == "clips" and shown.boxes is None:
        raise ValueError(
            f"{type(task).__name__} asks where the target is, of which these clips tell nothing: "
            "give Dataset.from_clips(clips, labels, boxes)"
        )


def checked_scores(scores: Any, lanes: int, answers: int) -> NDArray[np.float32]:
    """An answerer's scores, float32 `(lanes, answers)`.

    Raises:
        ValueError: of another shape, or not finite.
    """
    array = np.asarray(on_host(scores), np.float32)
    if array.shape != (lanes, answers) or not np.isfinite(array).all():
        raise ValueError(
            f"the answerer gave scores of shape {array.shape}: finite numbers of shape "
            f"{(lanes, answers)} are needed"
        )
    return array
