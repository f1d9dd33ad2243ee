"""What an evaluation says in words: whether a gaze is ahead of its controls, and what it sees."""

from __future__ import annotations

from . import gaze, stats

LEARNED = "learned"  # the row of a policy that looks where it chooses


def sentence(control: str, behind: stats.Interval, own: str = LEARNED) -> str:
    """Whether the `own` gaze is ahead of a control, which is `behind` it by a share of error."""
    points = behind.scaled(100)
    ends = f"{points.low:+.2f} to {points.high:+.2f}"
    if behind.low > 0:
        return (
            f"The {own} gaze is ahead of {_CALLED[control]} by {points.estimate:.2f} points"
            f" of error ({ends})."
        )
    better = behind.high < 0
    verdict = "does better than" if better else "is not told apart from"
    if control == "random":
        verdict = "do better than" if better else "are not told apart from"
    return (
        f"**{_CALLED[control].capitalize()} {verdict} the {own} gaze here**: a difference of"
        f" {points.estimate:+.2f} points of error ({ends})."
    )


_CALLED = {
    "random": "random fixations",
    "centre": "the centre alone",
    "fixed path": "the fixed path",
}

# What a gaze may see that no policy does.
_REMARKS = {"image": "sees the whole image before it looks", "box": "is told where the target is"}


def remarks(own: str) -> list[str]:
    """What a gaze sees that no policy does."""
    reveal = gaze.gaze_class(own).reveal if own in gaze.GAZES else ()
    return [
        f"The {own} gaze {_REMARKS[key]}; the classifier sees its glimpses alone." for key in reveal
    ]
