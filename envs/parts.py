"""Putting an environment together from parts that are named, or handed in, with their options.

A part (a scene, a task) is a frozen dataclass; its fields are its options, and reach it as plain
keywords of the environment.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, get_type_hints

from .checks import choose, suggest

P = TypeVar("P")


def kind_of(what: str, part: str | P, registry: Mapping[str, type[P]]) -> type[P]:
    """The class of a part given by name, or itself.

    Raises:
        ValueError: no part has this name.
    """
    if isinstance(part, str):
        return registry[choose(what, part, registry)]
    return type(part)


def check_options(options: Iterable[str], kinds: Iterable[type], owner: Callable[..., Any]) -> None:
    """See that every option is a field of one of `kinds`.

    Args:
        owner: what they were given to; a wrong one may have meant a keyword of its own.

    Raises:
        TypeError: an option that no part has, in Python's own words: others' code reads them.
    """
    kinds = list(kinds)
    fields = [name for kind in kinds for name in _fields(kind)]
    parameters = inspect.signature(owner).parameters.values()
    own = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    for name in options:
        if name not in fields:
            names = " or ".join(kind.__name__ for kind in kinds)
            hint = suggest(name, [*fields, *own])
            raise TypeError(f"unexpected keyword argument {name!r} with {names}: {hint}")


def options_of(kind: type) -> dict[str, inspect.Parameter]:
    """A part's options with their types, those that it inherits among them."""
    types = get_type_hints(kind)  # each class's in the words of its own module
    parameters = inspect.signature(kind).parameters
    return {name: p.replace(annotation=types[name]) for name, p in parameters.items()}


def build(part: str | P, kind: type[P], options: Mapping[str, Any]) -> P:
    """The part with those of `options` that are its own; a part handed in keeps the others."""
    own = {name: value for name, value in options.items() if name in _fields(kind)}
    if isinstance(part, str):
        return kind(**own)
    return dataclasses.replace(part, **own)  # type: ignore[type-var]


def _fields(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)]
