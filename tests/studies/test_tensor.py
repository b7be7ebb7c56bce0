"""The study of tensors in its quick setting: every claim holds, and what the paper's two regimes predict."""

from __future__ import annotations

import numpy as np
import pytest

from qlazy.base.storage import load_arrays
from qlazy.studies import find_study
from qlazy.studies.tensor.study import Settings, decompositions, run
from tests.drawing.looking import faults


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tensor")
    return run(Settings.quick(), folder, progress=False), folder


def test_no_claim_fails(finished):
    result, _ = finished
    assert [finding for finding in result.findings if finding.disagrees] == []


def test_a_few_components_do_what_the_lazy_regime_needs_51_for(finished):
    """d = 16, l = 3, r = 2: C(18, 3) / 16 = 51 (arXiv 2010.11356, section 3, for the order of magnitude)."""
    arrays = finished[0].arrays
    below = (arrays["curve_m"] >= 4) & (arrays["curve_m"] <= 32)
    assert arrays["curve_modified"][below].max() <= 0.01
    assert arrays["curve_lazy"][below].mean(1).min() >= 0.5
    assert arrays["curve_lazy"][arrays["curve_m"] == 64].max() < 1e-6


def test_the_needed_m_follows_the_rank_and_not_the_size(finished):
    _, _, bound, lazy, modified = finished[0].arrays["needed"].T
    assert (lazy >= bound).all()
    assert modified.max() <= 6


def test_the_table_shows_what_was_measured(finished):
    result, folder = finished
    text = (folder / "table.txt").read_text()
    assert text == f"{result.table()}\n"
    assert len(result.tables) == 6
    assert "Alexander-Hirschowitz" in text
    arrays, settings = load_arrays(folder / "result.npz")
    np.testing.assert_array_equal(arrays["circuit_lazy"], result.arrays["circuit_lazy"])
    assert settings["loss"].startswith("1/2 ||T - T*||_F^2")


def test_figures(finished):
    names = {path.name for path in finished[1].glob("*.png")}
    assert names == {"errors.png", "needed.png", "redraw.png"}


def test_without_tensorly_the_other_columns_remain(monkeypatch):
    monkeypatch.setattr(decompositions.importlib.util, "find_spec", lambda name: None)
    assert list(decompositions._baselines()) == ["power iteration"]


def test_figures_have_no_faults(finished):
    """Nothing is cut, covered or bare, and each has a caption of its own."""
    result, _ = finished
    assert faults(find_study("tensor").figures(result)) == []
