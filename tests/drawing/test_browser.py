"""Pages in a real browser: headless Chromium, run by `make test-browser`, with a screenshot to be looked at."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from qlazy.comparison.figures.all import comparison_figures
from qlazy.comparison.report import comparison_page
from tests.comparison.test_figures import made_up

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
PROBE = """<script>addEventListener("load", () => {
  const boxes = [...document.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect());
  const root = document.documentElement;
  const facts = {
    overflow: root.scrollWidth - innerWidth,
    figures: boxes.filter(box => box.width > 200 && box.height > 100).length,
    ground: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.querySelector("svg text")).fill,
  };
  document.title = JSON.stringify(facts);
});</script>"""
"""What the page looks like from within; the page itself holds no script, the copy under test does."""


def chromium(folder: Path, page: Path, width: int, *options: str) -> str:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on this machine")
    command = [
        program,
        *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
        f"--window-size={width},2400",
        *options,
    ]
    return subprocess.run(
        [*command, page.as_uri()], capture_output=True, check=True, text=True, timeout=120
    ).stdout


@pytest.mark.parametrize("width", [390, 1100])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_comparison_can_be_read(tmp_path, width, scheme) -> None:
    comparison = made_up(("data_reuploading:layers=2", "a_model_with_a_rather_long_name:layers=12"))
    figures = comparison_figures(comparison)
    page = comparison_page(comparison, figures).save(tmp_path)
    probed = tmp_path / "probed.html"
    probed.write_text(page.read_text().replace("</head>", f"{PROBE}</head>"))
    dark = [f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"]

    chromium(tmp_path, page, width, *dark, f"--screenshot={tmp_path / 'page.png'}")
    title = re.search("<title>(.*?)</title>", chromium(tmp_path, probed, width, *dark, "--dump-dom"))
    assert title is not None
    facts = json.loads(unescape(title[1]))
    assert facts["overflow"] <= 0
    assert facts["figures"] == len(figures)
    assert (facts["ground"] == "rgb(255, 255, 255)") == (scheme == "light")
    assert facts["ink"] != facts["ground"]
    assert (tmp_path / "page.png").stat().st_size > 20_000
