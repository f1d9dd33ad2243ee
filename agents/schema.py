"""What a config may set: keys, types and defaults read off signatures, and values checked by them.

Knows no environment and no learner; jsonargparse decides whether a value fits a type.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jsonargparse import ArgumentError, ArgumentParser

from ..envs.checks import shown
from .errors import UserError, did_you_mean


@dataclass(frozen=True)
class Parameter:
    """One settable key: its type as a config can write it, and its default."""

    type: Any
    default: Any


def parameters_of(target: Callable[..., Any], own: Iterable[str] = ()) -> dict[str, Parameter]:
    """What a config can set of a class's or a function's keywords; see `settable`."""
    return settable(inspect.signature(target, eval_str=True).parameters, own)


def settable(
    signature: Mapping[str, inspect.Parameter], own: Iterable[str] = ()
) -> dict[str, Parameter]:
    """The parameters that YAML can write: those with a default and a type with plain values.

    Left out: those named in `own`, and those that only take Python objects.
    """
    found = {}
    for name, parameter in signature.items():
        if name in own or parameter.default is parameter.empty:
            continue
        kind = _plain_type(parameter.annotation)
        if kind is not None:
            whole = kind is float and isinstance(parameter.default, int)
            found[name] = Parameter(kind, float(parameter.default) if whole else parameter.default)
    return found


_PLAIN = (bool, int, float, str, type(None))


def _plain_type(kind: Any) -> Any:
    """The part of a type that YAML can write, or None where nothing of it can."""
    origin = typing.get_origin(kind)
    members = typing.get_args(kind)
    if kind in _PLAIN or origin is Literal:
        return kind
    if origin in (typing.Union, types.UnionType):
        kept = [plain for member in members if (plain := _plain_type(member)) is not None]
        return typing.Union[tuple(kept)] if set(kept) - {type(None)} else None  # noqa: UP007
    if origin in (dict, Mapping) and members[0] is str:
        return dict[str, Any]
    if origin in (tuple, list) or getattr(origin, "__name__", "") == "Sequence":
        inner = [member for member in members if member is not Ellipsis]
        return kind if all(_plain_type(member) == member for member in inner) else None
    return None


class Checker:
    """Checks the parts of one config and words its errors; holds where keys came from."""

    def __init__(self, source: str, origin: Mapping[str, str]) -> None:
        self.source = source
        self.origin = origin

    def fail(self, key: str, message: str) -> typing.NoReturn:
        raise UserError(f"{self.origin.get(key, self.source)}: {message}")

    def known(self, prefix: str, given: Mapping[str, Any], names: Iterable[str]) -> None:
        names = list(names)
        for key in given:
            if key not in names:
                full = f"{prefix}{key}"
                self.fail(full, f"unknown key '{full}'{did_you_mean(str(key), names, prefix)}")

    def choice(self, part: str, values: dict[str, Any], key: str, names: list[str]) -> str:
        """Take `key` out of a part: it must be there, and one of `names`."""
        full = f"{part}.{key}"
        if key not in values:
            self.fail(full, f"'{full}' is missing (known: {', '.join(names)})")
        value = values.pop(key)
        if value not in names:
            self.fail(full, f"'{full}': unknown {shown(value)}{did_you_mean(str(value), names)}")
        return str(value)

    def part(
        self, part: str, values: Mapping[str, Any], known: Mapping[str, Parameter]
    ) -> dict[str, Any]:
        """The part's values, checked and converted, over the defaults."""
        prefix = f"{part}." if part else ""
        extra = {"env": ["id"], "agent": ["name"]}.get(part, [])
        self.known(prefix, values, [*known, *extra])
        resolved = {key: parameter.default for key, parameter in known.items()}
        for key, value in values.items():
            resolved[key] = self.value(f"{prefix}{key}", value, known[key].type)
        return resolved

    def value(self, full: str, value: Any, kind: Any) -> Any:
        """`value` as `kind`, by jsonargparse; 2e6 is a whole number where one is asked for."""
        members = typing.get_args(kind) or (kind,)
        if isinstance(value, float) and value.is_integer() and int in members:
            value = value if float in members else int(value)
        wrong_bool = isinstance(value, bool) and bool not in members
        # jsonargparse lets null through wherever it stands.
        wrong_null = value is None and type(None) not in members
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("--value", type=kind)
        try:
            if wrong_bool or wrong_null:
                raise ArgumentError(None, "not of this type, whatever the parser makes of it")
            return parser.parse_object({"value": value}).value
        except (ArgumentError, TypeError, ValueError):
            hint = ""
            if isinstance(value, str):
                choices = [name for name in _choices(kind) if isinstance(name, str)]
                hint = did_you_mean(value, choices) if choices else ""
            self.fail(full, f"'{full}' must be {describe(kind)}, got {shown(value)}{hint}")


def _choices(kind: Any) -> list[Any]:
    if typing.get_origin(kind) is Literal:
        return list(typing.get_args(kind))
    return [choice for member in typing.get_args(kind) for choice in _choices(member)]


_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def describe(kind: Any) -> str:
    """A type in words, for messages and for the page of an environment."""
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return " or ".join(repr(member) for member in members)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(member) for member in members)
    if kind is type(None):
        return "null"
    if origin is dict:
        return "keys and values"
    if members:
        inner = {describe(member) for member in members if member is not Ellipsis}
        count = "" if origin is not tuple or Ellipsis in members else f"{len(members)} of "
        return f"a list ({count}{', '.join(sorted(inner))})"
    return _NAMES.get(kind, getattr(kind, "__name__", str(kind)))
