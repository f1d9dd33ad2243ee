"""A comparison as one HTML page that needs nothing else: no network, no files beside it.

Tables, figures, pictures of where agents look and configs, all inside the file. Needs the extra
`report`.
"""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path
from typing import Any

from ..envs.files import write_text
from . import comparison as words
from . import figures
from .compare import Comparison
from .errors import UserError
from .evaluate import load_policy
from .groups import Group
from .pictures import png_bytes
from .watch import draw_run

GENERATOR = "saccade report"
_TEMPLATE = Path(__file__).with_name("report.html.jinja")
_MARK = f'<meta name="generator" content="{GENERATOR}">'


def write(comparison: Comparison, file: Path) -> Path:
    """Write the page to `file`, which may be an earlier report and nothing else."""
    check_output(file)
    page = html(comparison)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, page)
    return file


def html(comparison: Comparison) -> str:
    """The page; MissingExtra without jinja2 or matplotlib."""
    try:
        import jinja2
    except ImportError:
        raise figures.MissingExtra(
            'a report needs jinja2, run `pip install "saccade[report]"`'
        ) from None
    from .. import __version__

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["emphasis"] = _emphasis
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    sections = [
        {
            "title": section.title,
            "scope": words.scope(comparison, section),
            "tables": words.tables(section),
            "sentences": words.sentences(section),
            "looks": [_looks(comparison, group) for group in section.groups],
        }
        for section in comparison.sections
    ]
    return template.render(
        generator=GENERATOR,
        title=f"Comparison on {comparison.split}",
        split=comparison.split,
        version=__version__,
        runs=len(comparison.runs),
        sections=sections,
        figures=_figures(comparison),
        legend=words.legends(comparison),
        configs=[
            {"run": run.path.name, "text": run.config.read_text(encoding="utf-8")}
            for run in comparison.runs
        ],
    )


def check_output(file: Path) -> None:
    """UserError where `file` is there and no report."""
    if not file.exists():
        return
    try:
        ours = file.is_file() and _MARK in file.read_text(encoding="utf-8")[:1000]
    except (OSError, UnicodeDecodeError):
        ours = False
    if not ours:
        raise UserError(f"--output {file}: is there and no report; give another file")


def _figures(comparison: Comparison) -> list[dict[str, str]]:
    found = [
        {
            "source": _data(figures.error_against_pixels(comparison)),
            "label": "Error against pixels seen",
            "caption": "Error against the distinct pixels of an image that were seen, with 95%"
            " intervals; hollow: the same models on random fixations.",
        }
    ]
    curves = figures.learning_curves(comparison)
    if curves is not None:
        found.append(
            {
                "source": _data(curves),
                "label": "Learning curves",
                "caption": "Learning curves over environment steps; the band is over seeds.",
            }
        )
    return found


def _looks(comparison: Comparison, group: Group) -> dict[str, str]:
    """Where a group's first seed looks on the first scenes of the split."""
    seed = group.seeds[0]
    config, policy, file = load_policy(seed.run, device="cpu")
    drawing = draw_run(config, policy, comparison.split)
    return {
        "source": _data(png_bytes(drawing.picture)),
        "label": group.label,
        "caption": f"seed {config.seed} on the first scenes of {comparison.split}, checkpoint"
        f" {file.stem}; {drawing.caption}",
    }


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _emphasis(text: Any) -> Any:
    """Markdown's two kinds of emphasis as HTML, after everything else was escaped."""
    from markupsafe import Markup, escape

    safe = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", str(escape(text)))
    return Markup(re.sub(r"\*(.+?)\*", r"<em>\1</em>", safe))


if __name__ == "__main__":
    from .cli import main

    sys.exit(main(["report", *sys.argv[1:]]))
