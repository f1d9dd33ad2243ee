"""The generated pages are what the code says, and are all there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import gymnasium
import pytest

import saccade.envs
from saccade.envs.datasets import DATASETS
from saccade.envs.sensors import SENSORS

DOCS = Path(__file__).parent.parent / "docs"
SPEC = importlib.util.spec_from_file_location("build", DOCS / "build.py")
build = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(build)
PAGES = build.text()


def test_pages_and_code_agree():
    assert list(build.stale()) == [], "run `make docs`"


def test_a_page_that_says_something_else_is_found(tmp_path, monkeypatch):
    for place, page in PAGES.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(page)
    for name in (path.name for path in DOCS.glob("*.md") if path.name != "README.md"):
        (tmp_path / name).write_text((DOCS / name).read_text())
    for picture in build.pictures():
        if (DOCS / picture).exists():
            (tmp_path / picture).write_bytes(b"")
    monkeypatch.setattr(build, "DOCS", tmp_path)
    assert list(build.stale()) == []
    page = PAGES["envs/Digits-v0.md"].replace("`glimpses` | `6`", "`glimpses` | `7`")
    assert page != PAGES["envs/Digits-v0.md"]
    (tmp_path / "envs/Digits-v0.md").write_text(page)
    (tmp_path / "sensors/eagle.md").write_text("# Sensor: eagle\n")
    (tmp_path / "data/svhn.md").unlink()
    assert set(build.stale()) == {"envs/Digits-v0.md", "sensors/eagle.md", "data/svhn.md"}


def test_everything_has_a_page():
    ids = [name for name in gymnasium.registry if name.startswith("saccade/")]
    wanted = {f"envs/{name.split('/')[1]}.md" for name in ids}
    wanted |= {f"data/{name}.md" for name in DATASETS}
    wanted |= {f"sensors/{name}.md" for name in SENSORS}
    wrappers = [
        name
        for name in saccade.envs.__all__
        if isinstance(kind := getattr(saccade.envs, name), type)
        and issubclass(kind, gymnasium.Wrapper | gymnasium.vector.VectorWrapper)
    ]
    assert wrappers
    wanted |= {f"wrappers/{name}.md" for name in wrappers}
    assert wanted | {"README.md"} == set(PAGES)


@pytest.mark.parametrize("place", PAGES)
def test_links_lead_somewhere(place):
    links = re.findall(r"\]\(([^)#]+)\)", PAGES[place])
    assert links
    for link in links:
        assert link.startswith("http") or ((DOCS / place).parent / link).exists(), link


def test_every_environment_on_digits_has_a_moving_picture():
    for env_id in build.ENVIRONMENTS:
        page = PAGES[f"envs/{env_id.split('/')[1]}.md"]
        assert ".gif)" in page or env_id == "saccade/FashionMNIST-v0"  # never at hand so far


def test_a_picture_is_drawn_alike_twice(tmp_path):
    for name in ("first", "second"):
        build.draw_episodes("saccade/AdditionDigits-v0", tmp_path / f"{name}.gif")
    assert (tmp_path / "first.gif").read_bytes() == (tmp_path / "second.gif").read_bytes()
