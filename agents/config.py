"""Configs: what a run was asked for, read from YAML, dotted overrides on top, every key checked.

    env:    {id: saccade/TranslatedDigits-v0, glimpses: 6, ...}   keywords of the environment, gaze
    agent:  {name: ram, learning_rate: 1e-3, ...}                 keywords of the learner
    train:  {total_timesteps: 2_000_000, ...}                     fields of TrainConfig
    seed: 0
    device: cpu
    base: ram_mnist                                               a config that this one changes

Keys, types and defaults of `env` and `agent` are those of the signatures that they end up in, said
there once: the environment id's vector entry point, and the learner's `__init__`. Reading happens
in two steps: the id, its sensor and the agent's name first, then everything against their
signatures.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import gymnasium
import yaml

from ..envs.checks import shown
from ..envs.registration import keywords
from ..envs.sensors import SENSORS
from .errors import UserError, did_you_mean
from .gaze import GAZES
from .learners import LEARNERS
from .schema import Checker, Parameter, parameters_of, settable

# What a run sets itself and a config therefore cannot.
_ENV_OWN = frozenset(
    [
        *("num_envs", "paths", "shard", "split", "placements"),
        *("scene", "task", "device", "autoreset_mode", "render_mode"),
    ]
)
_PARTS = ("env", "agent", "train")
_SCALARS = ("name", "seed", "device")


@dataclass(frozen=True)
class TrainConfig:
    """Budget, evaluation and checkpoints; frequencies in environment steps (timesteps)."""

    total_timesteps: int = 1_000_000
    eval_freq: int = 100_000  # a pass over `validation` every so many steps
    eval_placements: int = 1  # scenes of each image in a pass, also in `saccade evaluate`
    checkpoint_freq: int = 100_000
    patience: int = 0  # evaluations without a better one before stopping; 0: never
    picture_images: int = 8  # validation images whose paths TensorBoard shows
    threads: int = 2
    init: str | None = None  # a run, or the name of one of this seed, whose weights it begins with

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"'train.{name}' must be at least {least}")
        most = 4 * (os.cpu_count() or 1)
        if self.threads > most:
            raise ValueError(f"'train.threads' must be at most {most} on this machine")


_LEAST = dict(
    total_timesteps=1, eval_freq=1, eval_placements=1, checkpoint_freq=1, threads=1
) | dict(patience=0, picture_images=0)


@dataclass(frozen=True)
class EnvConfig:
    """An environment id, the keywords that it is made with, and the gaze that moves its eye."""

    id: str
    keywords: Mapping[str, Any] = field(default_factory=dict)
    gaze: str | None = None  # a name in GAZES; None leaves the eye to the agent


@dataclass(frozen=True)
class AgentConfig:
    """A learner's name in LEARNERS and the keywords that it is made with."""

    name: str
    keywords: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """A resolved config: every key has a value. `name` starts the run folder's name."""

    env: EnvConfig
    agent: AgentConfig
    train: TrainConfig
    seed: int = 0
    device: str = "cpu"
    name: str = "run"

    def to_dict(self) -> dict[str, Any]:
        """The config as YAML shows it."""
        return {
            "name": self.name,
            "env": {"id": self.env.id, "gaze": self.env.gaze, **self.env.keywords},
            "agent": {"name": self.agent.name, **self.agent.keywords},
            "train": dataclasses.asdict(self.train),
            "seed": self.seed,
            "device": self.device,
        }

    def to_yaml(self) -> str:
        """YAML text that `load` reads back as an equal config."""
        return yaml.safe_dump(_yaml_value(self.to_dict()), sort_keys=False, allow_unicode=True)


def load(
    path: str | Path,
    overrides: Mapping[str, Any] | None = None,
    origins: Mapping[str, str] | None = None,
) -> Config:
    """Read a config file, apply dotted overrides such as {"env.glimpses": 4}, check it all.

    `origins` says of overrides where they come from, if not from options of the command line.

    A bare name (`ram_mnist`, `soft/stn_digits`) or a path that is not there is looked for among the
    packaged configs, and so is a `base`, which is first looked for beside the file that names it.
    Raises UserError, one line, naming the key and the nearest right one.
    """
    file = find(path)
    document = _document(file, str(path))
    origin = {}
    for dotted, value in (overrides or {}).items():
        _override(document, dotted, value)
        origin[dotted] = (origins or {}).get(dotted, f"--{dotted}")
    name = file.stem if file.name != "config.yaml" else file.resolve().parent.name
    return resolve({"name": name, **document}, str(path), origin)


def _document(file: Path, source: str, below: tuple[Path, ...] = ()) -> dict[str, Any]:
    """What a file holds, laid over what its `base` holds: key by key within env, agent and train.

    `below` are the files that lead here, so that none is its own base. A base has no name to give.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{source}: {getattr(error, 'strerror', None) or error}") from None
    document = read_yaml(text, source)
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise UserError(f"{source}: should hold keys and values, such as 'seed: 0'")
    if "base" not in document:
        return document
    named = document.pop("base")
    if not isinstance(named, str):
        raise UserError(f"{source}: 'base' must name a config file, got {shown(named)}")
    beside = file.resolve().parent / named
    try:
        base = (beside if beside.is_file() else find(named)).resolve()
    except (OSError, ValueError) as error:  # a name that no file can have
        raise UserError(f"{source}: base {shown(named)}: {error}") from None
    except UserError as error:
        raise UserError(f"{source}: base {error}") from None
    below = (*below, file.resolve())
    if base in below:
        raise UserError(f"{source}: base {named}: leads back to this file, which is then its own")
    merged = _document(base, f"{source}: base {named}", below)
    merged.pop("name", None)
    for key, value in document.items():
        under = merged.get(key)
        if key in _PARTS and isinstance(under, dict) and isinstance(value, dict | None):
            value = {**under, **(value or {})}
        merged[key] = value
    return merged


def load_resolved(path: str | Path) -> Config:
    """Read the config that a run keeps; UserError where a part is gone, as in a file cut short."""
    config = load(path)
    document = read_yaml(Path(path).read_text(encoding="utf-8"), str(path))
    missing = [part for part in (*_SCALARS, *_PARTS) if part not in document]
    if missing:
        raise UserError(f"{path}: is cut short (it has no '{missing[0]}')")
    return config


def find(path: str | Path) -> Path:
    """The file that `path` means: itself, or the packaged config of that name."""
    path = Path(path)
    if path.is_file():
        return path
    packaged = Path(__file__).resolve().parent.parent / "configs"
    parts = path.parts[1:] if path.parts[:1] == ("configs",) else path.parts
    asked = "/".join(parts).removesuffix(".yaml")
    known = {
        file.relative_to(packaged).with_suffix("").as_posix(): file
        for file in sorted(packaged.rglob("*.yaml"))
    }
    if asked in known:
        return known[asked]
    if path.is_dir():
        raise UserError(f"{path}: a folder, not a config file")
    raise UserError(f"{path}: no such config file{did_you_mean(asked, list(known))}")


def resolve(
    document: Mapping[str, Any], source: str = "config", origin: Mapping[str, str] | None = None
) -> Config:
    """Check a nested mapping against the signatures and fill in their defaults.

    `source` opens the message of an error; `origin` names the keys that came from elsewhere.
    """
    check = Checker(source, origin or {})
    check.known("", document, (*_SCALARS, *_PARTS))
    parts: dict[str, dict[str, Any]] = {}
    for part in _PARTS:
        value = document.get(part)
        if value is not None and not isinstance(value, Mapping):
            check.fail(part, f"'{part}' must hold keys and values, got {shown(value)}")
        parts[part] = dict(value or {})

    env_id = check.choice("env", parts["env"], "id", env_ids())
    agent = check.choice("agent", parts["agent"], "name", list(LEARNERS))
    learner = LEARNERS[agent]
    parts["env"] = {**learner.env_defaults, **parts["env"]}
    gaze = {"gaze": Parameter(Literal[tuple(GAZES)] | None, None)}
    sensor = check.choice("env", {"sensor": "retina"} | parts["env"], "sensor", list(SENSORS))
    env_keywords = check.part("env", parts["env"], env_parameters(env_id, sensor) | gaze)
    agent_keywords = check.part(
        "agent", parts["agent"], settable(learner.parameters(), learner.own)
    )
    gaze_name = env_keywords.pop("gaze")
    if gaze_name and agent_keywords.get("location_weight") != 0:
        check.fail(
            "env.gaze",
            f"'env.gaze' {gaze_name!r} moves the eye, so that an agent must not learn where to "
            "look: take agent.name ram and agent.location_weight 0",
        )
    train = check.part("train", parts["train"], parameters_of(TrainConfig))
    scalars = {key: document[key] for key in _SCALARS if key in document}
    fields = {"name": Parameter(str, "run"), "seed": Parameter(int, 0)}
    scalars = check.part("", scalars, fields | {"device": Parameter(str, "cpu")})
    if not 0 <= scalars["seed"] < 1 << 63:
        check.fail("seed", "'seed' must be at least 0 and below 2**63")
    try:
        return Config(
            EnvConfig(env_id, env_keywords, gaze_name),
            AgentConfig(agent, agent_keywords),
            TrainConfig(**train),
            **scalars,
        )
    except ValueError as error:
        raise UserError(f"{source}: {error}") from None


def env_keywords(env_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of an id, all of them: those given, checked, and the others' defaults."""
    check = Checker(env_id, {})
    sensor = check.choice("env", {"sensor": "retina", **given}, "sensor", list(SENSORS))
    return check.part("env", given, env_parameters(env_id, sensor))


def full_id(name: str) -> str:
    """An id of this suite, also by what stands behind the slash; UserError for another."""
    known = env_ids()
    env_id = name if name in known else f"saccade/{name}"
    if env_id not in known:
        raise UserError(f"{name}: no such environment{did_you_mean(name, known)}")
    return env_id


def env_ids() -> list[str]:
    """The ids of this suite in Gymnasium's registry, sorted."""
    return sorted(name for name in gymnasium.registry if name.startswith("saccade/"))


def env_parameters(env_id: str, sensor: str = "retina") -> dict[str, Parameter]:
    """The settable keywords of an id seen through a sensor, with the id's own defaults."""
    return settable(keywords(env_id, sensor), _ENV_OWN)


_MOST_VALUES = 10_000


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, but 1e-3 is a number and a key may stand only once.

    Aliases may not unfold a short file into values without end.
    """

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and _unfolded(node, {}) > _MOST_VALUES:
            raise yaml.constructor.ConstructorError(
                None, None, f"its aliases unfold to more than {_MOST_VALUES:,} values"
            )
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if isinstance(name, str) and name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{name}' stands twice", key.start_mark
                )
            seen.add(name if isinstance(name, str) else id(key))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def _unfolded(node: yaml.Node, known: dict[int, float]) -> float:
    """How many values a node stands for, each alias counted anew; one within itself: no end."""
    if id(node) not in known:
        known[id(node)] = math.inf
        inner: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            inner = node.value
        elif isinstance(node, yaml.MappingNode):
            inner = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_unfolded(part, known) for part in inner)
    return known[id(node)]


def read_yaml(text: str, source: str) -> Any:
    """The value of YAML text; UserError with `source` and the line where it is not YAML."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (ValueError, RecursionError) as error:  # a date that is none, brackets without end
        raise UserError(f"{source}: not valid YAML: {str(error).splitlines()[0]}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise UserError(f"{source}: {line}not valid YAML: {problem}") from None


def _override(document: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    place = document
    for parent in parents:
        inner = place.get(parent)
        if not isinstance(inner, dict):
            inner = place[parent] = {}
        place = inner
    place[last] = value


def _yaml_value(value: Any) -> Any:
    """Tuples as lists, so that the file has no tags."""
    if isinstance(value, Mapping):
        return {key: _yaml_value(inner) for key, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [_yaml_value(inner) for inner in value]
    return value
