"""Tables as text and as HTML."""

from __future__ import annotations

from xml.etree import ElementTree

from qlazy.base.tables import Table, aligned

TABLE = Table("risk < 1", ("rule", "test", "note"), (("<all>", "56.7", "a & b"), ("none", "-", "")))


def test_columns_stand_under_one_another() -> None:
    assert str(TABLE) == "risk < 1\nrule   test  note\n<all>  56.7  a & b\nnone   -"
    assert aligned([["1", "x"], ["10", "y"]], str.rjust) == " 1  x\n10  y"


def test_html_escapes_every_cell_and_sets_numbers_right() -> None:
    root = ElementTree.fromstring(TABLE.html())
    assert root.findtext("caption") == "risk < 1"
    assert [cell.text for cell in root.iter("td")] == ["<all>", "56.7", "a & b", "none", "-", None]
    assert [cell.get("class") for cell in root.iter("th")] == [None, "number", None]


def test_a_table_without_rows_is_its_head() -> None:
    empty = Table("", ("nothing",), ())
    assert str(empty) == "nothing"
    assert ElementTree.fromstring(empty.html()).findtext(".//th") == "nothing"
