"""Verdicts in words, on comparisons that are made up so that every drift, change and gap is known."""

from __future__ import annotations

import math

import pytest

from qlazy.comparison.verdict import SMALL, verdicts
from tests.comparison.test_figures import ALPHAS, made_up


def test_lazy_from_the_scale_where_each_metric_stays_small() -> None:
    """Kernel change and output gap are moves / a: with moves = 50 they come below .1 at a = 1000 alone."""
    (one,) = verdicts(made_up(("one",), moves=50.0))
    assert one.lazy_from["kernel"] == 1000.0
    assert one.least["kernel"] == pytest.approx(50.0)
    assert "by its kernel from a = 1000" in one.sentences()[0]
    assert not one.is_lazy


def test_a_kernel_method_in_disguise() -> None:
    (one,) = verdicts(made_up(("one",), moves=SMALL / 5))
    assert one.is_lazy
    assert "a kernel method in disguise" in one.sentences()[1]


def test_lazy_at_no_scale() -> None:
    (one,) = verdicts(made_up(("one",), moves=1e4))
    assert one.lazy_from["kernel"] is None
    assert f"by its kernel at no scale up to a = {ALPHAS[-1]:g}" in one.sentences()[0]


def test_a_run_that_diverged_is_not_lazy() -> None:
    (one,) = verdicts(made_up(("one",), moves=SMALL / 2, diverged="at step 3"))
    assert one.lazy_from["kernel"] is None
    assert math.isinf(one.least["kernel"])
    assert "diverged" in one.sentences()[1]


def test_every_model_gets_a_line() -> None:
    verdict = made_up().verdict()
    assert [line.split()[0] for line in str(verdict).splitlines()] == ["one", "two"]
    assert [one.model for one in verdict] == ["one", "two"]
    assert " ".join(verdict.sentences()) == str(verdict).replace("\n", " ")


def test_a_notebook_shows_a_paragraph_a_model() -> None:
    shown = made_up(("a < b", "two")).verdict()._repr_html_()
    assert shown.count("<p>") == 2
    assert "a &lt; b is lazy" in shown
