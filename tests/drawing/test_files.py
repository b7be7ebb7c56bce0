"""Figures as files: which are written, what PDFs hold, equal bytes from process to process, and what is replaced."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from qlazy.drawing.files import FORMATS, Drawing, formats_of, replace_figures, save, save_figures, written_as
from qlazy.drawing.style import drawn_in, grid, style

MANY = "".join(map(chr, range(0x21, 0x7F))) + "αβγλ⁻³×÷±−"


def letters(text: str = MANY, formula: str = r"$\|w - w_0\|$") -> Figure:
    with style():
        figure, panels = grid(1, 1, caption="letters")
        panels[0, 0].plot([1, 2], [3, 4])
        panels[0, 0].set_title(text.replace("$", ""))
        panels[0, 0].set_ylabel(formula)
    return figure


def objects(pdf: bytes) -> list[bytes]:
    """The objects of a PDF file, streams of objects unpacked."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    unpacked = []
    for stream in streams:
        try:
            unpacked.append(zlib.decompress(stream))
        except zlib.error:
            continue
    return [pdf, *unpacked]


def test_fonts_of_a_pdf_are_truetype_in_full(tmp_path) -> None:
    """Each font is of type 42, a TrueType file within: no Type 3 font, which journals refuse."""
    (path,) = save(letters(), tmp_path, "letters", ("pdf",))
    everything = b"\n".join(objects(path.read_bytes()))
    assert b"/FontFile2" in everything
    assert b"/CIDFontType2" in everything or b"/Subtype /TrueType" in everything
    assert b"/Type3" not in everything
    fonts = [text for text in objects(path.read_bytes()) if text[:4] in (b"\0\1\0\0", b"true")]
    assert fonts
    with drawn_in({"pdf.fonttype": 3}):  # what matplotlib does unless told
        other = Drawing(letters("letters", "a label")).file("pdf")
    assert b"/Type3" in b"\n".join(objects(other))


MAKE = """
import sys
from qlazy.drawing.files import Drawing
from tests.drawing.test_files import letters
sys.stdout.buffer.write(Drawing(letters()).file("pdf"))
"""


def test_pdfs_have_equal_bytes_in_every_process_and_no_date() -> None:
    run = subprocess.run([sys.executable, "-c", MAKE], capture_output=True, check=True)
    own = Drawing(letters()).file("pdf")
    assert run.stdout == own
    assert b"CreationDate" not in own
    assert b"ModDate" not in own


@pytest.mark.parametrize("formats", [("pdf",), ("svg", "png"), ["pdf", "pdf", "png"], FORMATS])
def test_the_formats_asked_for_are_written(tmp_path, formats) -> None:
    paths = save_figures({"one": letters("a"), "two": letters("b")}, tmp_path, formats)
    kinds = list(dict.fromkeys(formats))
    assert [path.name for path in paths] == [f"{name}.{kind}" for name in ("one", "two") for kind in kinds]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    heads = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert all(path.read_bytes().startswith(heads[path.suffix[1:]]) for path in paths)


def test_formats_of_a_block_stand_where_none_are_named(tmp_path) -> None:
    with written_as(("pdf",)):
        assert formats_of(None) == ("pdf",)
        assert [path.suffix for path in save(letters("a"), tmp_path, "x")] == [".pdf"]
        assert formats_of(("svg",)) == ("svg",)
    assert formats_of(None) == ("png", "svg")


@pytest.mark.parametrize(
    ("formats", "error", "says"),
    [
        (("eps",), ValueError, "'eps'"),
        ((), ValueError, "empty"),
        ("png", TypeError, "'png'"),
        (3, TypeError, "3"),
    ],
)
def test_other_formats_are_refused(formats, error, says) -> None:
    with pytest.raises(error, match=rf"`formats` must be names among png, svg, pdf, but is {says}"):
        formats_of(formats)


def test_figures_are_replaced_whatever_they_were_written_as(tmp_path) -> None:
    """All of qlazy's go, of other names and of other kinds; files of others stay."""
    rng = np.random.default_rng(0)
    mine = {f"mine.{kind}": rng.bytes(100) for kind in FORMATS}
    for name, contents in mine.items():
        (tmp_path / name).write_bytes(contents)
    save_figures({"old": letters("old"), "kept": letters("kept")}, tmp_path, FORMATS)
    replace_figures({"kept": letters("new")}, tmp_path, ("pdf",))
    assert {path.name for path in tmp_path.iterdir()} == {"kept.pdf", *mine}
    assert all(Path(tmp_path, name).read_bytes() == contents for name, contents in mine.items())
