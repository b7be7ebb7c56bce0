"""The page: whole in itself, escaped, its figures told apart; and what each kind of result says on it."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import qlazy
from qlazy.base.tables import Table
from qlazy.comparison.figures.all import comparison_figures
from qlazy.comparison.report import comparison_page
from qlazy.drawing.page import Page, inline_svg
from qlazy.drawing.style import INK
from tests.comparison.test_figures import made_up

VOID = {"meta", "br", "link"}


def figure() -> Figure:
    drawing = Figure()
    drawing.subplots().plot([1, 2, 3], color=INK)
    return drawing


class Reader(HTMLParser):
    """What a browser would find: elements that are left open, ids, and whatever would be fetched or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "xlink:href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page() -> str:
    comparison = made_up(("<b>one</b>", "two"))
    return comparison_page(comparison, comparison_figures(comparison), "qlazy compare 'a & b'").html()


def test_a_page_is_whole_in_itself(page) -> None:
    """No script, nothing fetched: every reference is to an id on the page, or data of its own."""
    reader = Reader(page)
    assert reader.open == []
    assert "script" not in reader.tags
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in reader.links)
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)
    assert set(re.findall(r"url\((?!#)", page)) == set()


def test_ids_are_not_shared_between_figures(page) -> None:
    for index, section in enumerate(page.split("<figure")[1:]):
        ids = Reader(section[section.index("<svg") : section.index("</figure>")]).ids
        assert len(ids) > 20
        assert all(name.startswith(f"figure{index}-") for name in ids)


def test_text_is_escaped(page) -> None:
    assert "<b>one</b>" not in page
    assert "&lt;b&gt;one&lt;/b&gt;" in page
    assert "qlazy compare &#x27;a &amp; b&#x27;" in page


def test_sections_in_order(page) -> None:
    places = [
        page.index(text) for text in ('class="lead"', "<figure", "Numbers", "What was asked", "run it again")
    ]
    assert places == sorted(places)


def test_letters_are_of_one_size_in_all_figures(page) -> None:
    """Each figure has the width it was drawn at, in CSS pixels: 96 where its own coordinates have 72."""
    heads = re.findall("<svg[^>]*>", page)
    widths = [float(re.search(r' width="(\d+)"', head)[1]) for head in heads]
    boxes = [float(re.search(r'viewBox="\S+ \S+ (\S+)', head)[1]) for head in heads]
    np.testing.assert_allclose(widths, np.array(boxes) * 96 / 72, atol=0.5)
    assert len(set(widths)) > 2
    assert not re.search(r"svg\s*{[^}]*[ {;]width:", page)


def test_every_table_stands_in_a_box_that_scrolls(page) -> None:
    assert page.count("<table") > 4
    assert page.count("<table") == page.count('<div class="wide"><table')
    assert re.search(r"\.wide {[^}]*overflow-x: auto", page)


def test_a_short_table_is_the_first_thing_on_the_page() -> None:
    """Drift and gaps fall as 1/a in these runs: by the threshold of a tenth, from a = 10 on, or 20 times that."""
    near, far = (
        made_up((name,), alphas=(1.0, 10.0, 100.0), moves=moves)
        for name, moves in (("near", 0.99), ("far", 20.0))
    )
    both = type(near)((*near.runs, *far.runs), {"classes": ["no", "yes"]})
    page = comparison_page(both, {})
    assert page.first is not None
    assert page.html().index(page.first.html()) < page.html().index('class="lead"')
    for row, one in zip(page.first.rows, both.verdict(), strict=True):
        cells = dict(zip(page.first.head, row, strict=True))
        assert cells["model"] == one.model
        assert cells["at a = 1"] == one.decision == "not lazy"
        assert cells["outputs lazy from a"] == ("10" if one.model == "near" else "not at 100")
        assert (
            cells["test accuracy at a = 1"]
            == f"{both.values(one.model, 'test accuracy')[0].mean():.3f} ±0.000"
        )
        assert cells["linearised"] == "1.000 ±0.000"
    single = comparison_page(made_up(("one",), seeds=(0,)), {}).first
    assert single is not None
    assert single.rows[0][:5] == ("one", "one seed", "-", "-", "-")
    assert single.head[5:] == ("test loss at a = 1", "linearised")


def test_a_figure_takes_the_colours_of_the_page() -> None:
    svg = inline_svg(figure(), "p-", 'a "label"')
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == 'a "label"'
    assert root.get("width") == "614"  # 6.4 inches of 96 pixels: no figure is blown up beside another
    assert INK not in svg
    assert "var(--ink)" in svg
    assert "#ffffff" not in svg


def test_the_same_page_every_time(tmp_path) -> None:
    pages = [
        Page("t", ("x",), {"a": "b"}, (Table("", ("c",), (("1",),)),), {"f": figure()}, "again").save(
            tmp_path / name
        )
        for name in ("one", "two")
    ]
    assert pages[0].read_bytes() == pages[1].read_bytes()


def again(call: str, **names: object) -> object:
    """What the call gives that a page says, run as it stands."""
    return eval(call, {"qlazy": qlazy, **names})


ASKED = {
    "as it is": {},
    "logistic, Adam": {"loss": qlazy.Logistic(), "method": qlazy.Adam(0.03), "centered": False},
    "batches": {"method": qlazy.SGD(0.1, 3, momentum=0.5, seed=4), "seeds": (3, 1)},
    "flow": {"method": qlazy.GradientFlow(2.0), "alphas": (0.3, 1 / 3)},
    "own loss": {"loss": torch.nn.MSELoss(), "method": torch.optim.AdamW},
    "shares": {"normalized": True, "until_loss": 0.95},
    "infinite net": {"baselines": (qlazy.InfiniteNet(),)},
    "learnt": {"features": True, "alphas": (1,), "steps": 8},
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.filterwarnings("ignore::qlazy.LearningRateWarning")
def test_what_a_page_says_to_run_it_again_gives_the_same_runs(asked) -> None:
    data = qlazy.load_data("iris", classes=("setosa", "versicolor"), features=2, train=12, test=20)
    models = {"net": qlazy.mlp([2, 3, 1])}
    given = {"alphas": (1, 10), "seeds": (0, 1), "steps": 4, **asked}
    first = qlazy.compare(models, data, progress=False, **given)
    second = again(
        comparison_page(first, {}).command,
        models=models,
        data=data,
        **{name: given.get(name) for name in ("loss", "method", "baselines")},
    )
    assert second.settings == first.settings
    assert len(second.features) == len(first.features)
    assert [one.name for one in second.baselines] == [one.name for one in first.baselines]
    for one, other in zip(first.runs, second.runs, strict=True):
        np.testing.assert_array_equal(one.trace.params, other.trace.params)
        np.testing.assert_array_equal(one.linear_params, other.linear_params)


def test_a_verdict_says_how_it_was_made(tmp_path) -> None:
    data = qlazy.load_data("iris", classes=("setosa", "versicolor"), features=2, train=12, test=20)
    circuit = qlazy.load_circuit("hardware_efficient", n=2, layers=1)
    first = qlazy.check(
        circuit, data, alphas=(1, 1 / 3), seeds=(5, 2), steps=3, loss=qlazy.Logistic(), method=qlazy.Adam(0.02),
        centered=False, small=0.2, panels=("lazy",), progress=False,
    )  # fmt: skip
    first.save(tmp_path / "kept")
    page = qlazy.Verdict.load(tmp_path / "kept").report(tmp_path).read_text(encoding="utf-8")
    (call,) = re.findall(r"<h2>To run it again</h2>\n<pre>(.*?)</pre>", page, re.DOTALL)
    second = again(html.unescape(call), model=circuit, data=data)
    assert second.facts == first.facts
    assert second.table() == first.table()
