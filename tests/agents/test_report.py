"""The report: one file with everything in it, which a real browser shows without a network."""

import base64
import io
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from saccade.agents.cli import main

pytest.importorskip("matplotlib")

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None
)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--virtual-time-budget=3000"),
)


class Page(HTMLParser):
    """What tags a page has, with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def report(trained, tmp_path_factory):
    """The report of one run under a name that HTML must escape; not to be changed."""
    root = tmp_path_factory.mktemp("report")
    run = shutil.copytree(trained, root / "a<b>&c")
    output = root / "out" / "report.html"
    assert main(["report", str(run), "--output", str(output)]) == 0
    return output


def test_it_holds_tables_curves_paths_and_configs(report, trained):
    page = Page(report.read_text(encoding="utf-8"))
    assert len(page.all("table")) == 5
    assert len(page.all("img")) == 3  # the paths, error against pixels, curves
    assert all(image["alt"] for image in page.all("img"))
    assert "fixed path" in page.text and "a<b>&c" in page.text
    assert (trained / "config.yaml").read_text() in page.text
    for image in page.all("img"):
        head, _, data = image["src"].partition(",")
        assert head == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert min(picture.size) > 200


def test_it_needs_nothing_outside_itself(report):
    text = report.read_text(encoding="utf-8")
    page = Page(text)
    sources = [
        attributes[name]
        for _, attributes in page.tags
        for name in ("src", "href")
        if name in attributes
    ]
    assert all(source.startswith("data:") for source in sources)
    assert not page.all("script") and not page.all("link")
    assert not re.search(r"https?://|url\(|@import", text)
    assert [file.name for file in report.parent.iterdir()] == ["report.html"]


def test_it_may_be_written_again(report, trained, tmp_path, capsys):
    output = shutil.copy(report, tmp_path / "again.html")
    run = shutil.copytree(trained, tmp_path / "run")
    assert main(["report", str(run), "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    assert "a&lt;b" not in output.read_text(encoding="utf-8")


def browse(page, tmp_path, *flags):
    """Run the browser on a page; its output."""
    command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(BROWSER is None, reason="needs a headless Chromium or Chrome")
def test_a_browser_shows_it(report, tmp_path):
    shown = Page(browse(report, tmp_path, "--dump-dom"))
    assert len(shown.all("table")) == 5 and len(shown.all("img")) == 3
    assert "Comparison on validation" in shown.text

    picture = tmp_path / "page.png"
    browse(report, tmp_path, f"--screenshot={picture}", "--window-size=1100,2600")
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(2600, 1100, 3)
    written = (pixels != pixels[0, 0]).any(axis=2)
    rows = np.flatnonzero(written.any(axis=1))
    assert rows[-1] - rows[0] > 1500  # tables, then pictures, all the way down
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 200  # the pictures have been drawn
    assert not written[:, -5:].any()  # nothing runs over the edge


@pytest.mark.skipif(BROWSER is None, reason="needs a headless Chromium or Chrome")
def test_a_narrow_screen_needs_no_sideways_scrolling(report, tmp_path):
    probe = tmp_path / "probe.html"
    script = "document.title = document.documentElement.scrollWidth <= innerWidth ? 'fits' : 'wide'"
    text = report.read_text(encoding="utf-8")
    probe.write_text(
        text.replace("</body>", f"<script>onload = () => {{ {script} }}</script></body>"),
        encoding="utf-8",
    )
    shown = browse(probe, tmp_path, "--dump-dom", "--window-size=500,900")
    assert "<title>fits</title>" in shown
