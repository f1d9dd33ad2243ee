"""The README's Python runs as it is printed, and its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=["gymnasium", "stable-baselines3"])
def test_examples_run(block, tmp_path):
    # The example's budget is a reader's; the test only wants it to run.
    shorter = block.replace("total_timesteps=1_000_000", "total_timesteps=6_000")
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", shorter],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    if "print" in block:
        assert re.match(r"\(1, 8, 8\) \d (True|False)", run.stdout)
    else:
        assert list(tmp_path.glob("runs/ppo/*/events*"))
        assert (tmp_path / "runs/ppo/digits.zip").exists()


def test_linked_files_exist():
    for link in re.findall(r"\]\(([\w/.-]+)\)", README.read_text()):
        assert (README.parent / link).exists(), link


def test_make_knows_both_commands():
    makefile = (README.parent / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README.read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
