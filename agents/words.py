"""Words of the command line that more than one command takes: whole numbers, and config keys."""

from __future__ import annotations

import argparse
import re
from typing import Any

from .errors import UserError

_OVERRIDE = re.compile(r"--([a-z_]+\.[\w.]+)(?:=(.*))?", re.DOTALL)


def positive(text: str) -> int:
    """A whole number above 0, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, got '{text}'")
    return int(text)


def natural(text: str) -> int:
    """A whole number from 0 on, for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on, got '{text}'")
    return int(text)


def take_overrides(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """Part `--env.glimpses 4` and `--env.glimpses=4` from the rest."""
    rest: list[str] = []
    overrides: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        match = _OVERRIDE.fullmatch(word)
        if match is None:
            rest.append(word)
            continue
        value = match[2] if match[2] is not None else next(words, None)
        if value is None or (match[2] is None and value.startswith("--")):
            raise UserError(f"--{match[1]}: needs a value")
        overrides[match[1]] = value
    return rest, overrides


def settings(parsed: argparse.Namespace, overrides: dict[str, str]) -> dict[str, Any]:
    """Dotted overrides as values, with what --seed, --device and --name say among them."""
    from . import config

    found = {key: config.read_yaml(value, f"--{key}") for key, value in overrides.items()}
    for key in ("seed", "device", "name"):
        value = getattr(parsed, key)
        if value is not None:
            found[key] = config.read_yaml(value, f"--{key}") if key == "seed" else value
    return found
