"""The page: whole in itself, escaped, its figures told apart; and what each kind of result says on it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

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


def test_a_figure_takes_the_colours_of_the_page() -> None:
    svg = inline_svg(figure(), "p-", 'a "label"')
    root = ElementTree.fromstring(svg)
    assert root.get("aria-label") == 'a "label"'
    assert root.get("width") is None
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
