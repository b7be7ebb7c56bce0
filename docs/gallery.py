"""Draw the figures of gallery.md again, by the code and the quick commands that stand there: python docs/gallery.py."""

from __future__ import annotations

import contextlib
import re
import shlex
from pathlib import Path

from PIL import Image

from qlazy.commands.main import main

HERE = Path(__file__).parent
FOLDER = HERE / "gallery"
BLOCKS = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)


def draw(page: str) -> None:
    """Run the page's code in one namespace and its commands, but for studies in full, in the working directory."""
    names: dict[str, object] = {}
    for language, text in BLOCKS.findall(page):
        if language == "python":
            exec(compile(text, "gallery.md", "exec"), names)
        elif "--full" not in text:
            assert main(shlex.split(text)[1:]) == 0, text


def shrink(path: Path) -> None:
    """A palette in place of full colours: figures have few."""
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with contextlib.chdir(FOLDER):
        draw((HERE / "gallery.md").read_text(encoding="utf-8"))
    for drawn in FOLDER.glob("*.png"):
        shrink(drawn)
