"""Names that mean something to matplotlib, a terminal or a page stand there as they are, or escaped; files as text."""

from __future__ import annotations

import re

import pytest
from matplotlib.text import Text

from qlazy.base.tables import drawable, printable
from qlazy.comparison.compare import compare
from qlazy.comparison.result import Comparison
from qlazy.data.datasets import load_data
from qlazy.models.nets import mlp
from tests.comparison.test_figures import made_up

NAMES = (
    "$x^$", "$", "$$", r"\$", "$\\frac{", "_hidden", "\x1b[2J\x1b]0;title\x07", "a\rb", "\u202egnp", "<b>", "&amp;",
    "\x00", "a/../../b", "line\nline", "\x9b31m", "x" * 100,
)  # fmt: skip
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def test_odd_names_are_drawn_printed_and_kept(tmp_path):
    comparison = made_up(NAMES, alphas=(1.0, 10.0), seeds=(0,))
    for text in (comparison.table(), str(comparison.verdict())):
        assert not STEERS.search(text)
    comparison.save(tmp_path / "kept")
    assert Comparison.load(tmp_path / "kept").models == NAMES
    few = made_up(("$x^$", "_hidden", "\x1b[2J", "<b>"), alphas=(1.0, 10.0), seeds=(0,))
    page = few.report(tmp_path / "page").read_text(encoding="utf-8")
    assert not STEERS.search(page)
    assert "<b>" not in page
    assert {path.name for path in tmp_path.iterdir()} == {"kept", "page"}


def test_a_name_is_no_formula_in_a_figure():
    for name in NAMES:
        text = Text(0, 0, drawable(name), parse_math=True)
        assert text._preprocess_math(text.get_text()) == (text.get_text().replace(r"\$", "$"), False)


def test_what_is_printable_stays():
    assert printable("père, 3 µm\n\tα = 1") == "père, 3 µm\n\tα = 1"
    assert printable("\x1b[2J") == r"\x1b[2J"


@pytest.mark.parametrize("name", ["\ud800", "a\udfffb", "x" * 1001])
def test_names_that_no_file_holds_are_refused_before_the_work(name):
    with pytest.raises(ValueError, match="`models` must have names"):
        compare({name: mlp([3, 2, 1])}, load_data("digits", features=3, train=10, test=10), steps=1)
