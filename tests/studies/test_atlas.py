"""The atlas in its quick setting, and its cells against what they are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest

import qlazy
from qlazy.base.over_seeds import Interval
from qlazy.studies import find_study
from qlazy.studies.atlas import study
from qlazy.studies.atlas.cells import HEAD, Data, difference, kernel_answers, standing
from qlazy.studies.atlas.counts import counts
from qlazy.studies.atlas.page import write_page
from qlazy.studies.atlas.study import DATA, FAMILIES, Settings, run
from tests.drawing.looking import faults


@pytest.fixture(scope="module")
def finished(tmp_path_factory):  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("atlas")
    return run(Settings.quick(), folder, progress=False), folder


def test_what_it_leaves_behind(finished) -> None:  # type: ignore[no-untyped-def]
    result, folder = finished
    assert {path.name for path in folder.iterdir()} >= {
        "laziness.png",
        "gains.png",
        "report.html",
        "atlas.html",
    }
    settings = Settings.quick()
    assert [len(table.rows) for table in result.tables[2:]] == [len(settings.models)] * len(settings.data)
    page = (folder / "atlas.html").read_text()
    assert page.count("<tr>") == 1 + len(settings.models) * len(settings.data)
    assert all(f"<th>{name}</th>" in page for name in HEAD)


def test_what_is_kept_is_taken_up(finished, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    result, folder = finished
    monkeypatch.setattr(study, "on_data", lambda *_: pytest.fail("trained again"))
    assert run(Settings.quick(), folder, progress=False).tables == result.tables


def test_a_cell_is_what_a_comparison_gives(finished) -> None:  # type: ignore[no-untyped-def]
    settings, arrays = Settings.quick(), finished[0].arrays
    data = settings.data[1].load()
    circuit = qlazy.load_circuit(settings.models[0], n=4)
    comparison = qlazy.compare(
        {"one": circuit}, data, alphas=settings.alphas, seeds=range(settings.seeds), steps=settings.steps,
        progress=False,
    )  # fmt: skip
    found = Interval(*arrays["digits: kernel change"][0])
    assert found == pytest.approx(comparison.verdict()[0].intervals["kernel"][0])
    runs = comparison.select("one", 1.0)
    assert kernel_answers(runs, data).mean(1) == pytest.approx([run.regression_test_accuracy for run in runs])


def test_differences_and_what_they_say_of_training() -> None:
    rng = np.random.default_rng(0)
    better = (rng.random((6, 200)) < 0.9).astype(float) - (rng.random((6, 200)) < 0.6)
    found = difference(better)
    assert found.mean == pytest.approx(better.mean())
    assert found.low < found.mean < found.high
    assert standing(found) == "pays"
    assert standing(difference(-better)) == "costs"
    assert standing(difference(np.zeros((6, 200)))) == "undecided"
    assert math.isnan(difference(better[:1]).low)


def test_every_data_set_and_family_of_the_full_setting_fits() -> None:
    for data in DATA:
        loaded = Data(data.name, data.options, data.features, 20, 20).load()
        assert loaded.x_train.shape == (20, 4)
        assert len(loaded.classes) == 2
    assert all(qlazy.load_circuit(name, n=4).program.num_features == 4 for name in FAMILIES)  # type: ignore[union-attr]


def test_cells_sort_by_the_numbers_they_begin_with(finished, tmp_path) -> None:  # type: ignore[no-untyped-def]
    page = write_page(finished[0].tables[2:], tmp_path).read_text()
    assert '<td data-value="' in page
    assert "<td>not lazy</td>" in page or "<td>lazy</td>" in page or "<td>undecided</td>" in page


def test_every_cell_is_counted_once(finished) -> None:  # type: ignore[no-untyped-def]
    settings = Settings.quick()
    circuits, nets = (len(settings.data) * count for count in (2, 1))
    for row in finished[0].tables[0].rows:
        assert sum(map(int, row[2:])) == (circuits if row[0] == "circuits" else nets), row


def test_counts_are_those_of_intervals() -> None:
    arrays = {
        "one: is net": np.array([False, False, True]),
        "one: lazy": np.array(["lazy", "not lazy", "undecided"]),
        "one: less kernel": np.array([[0.1, 0.05, 0.2], [0.0, -0.1, 0.1], [-0.1, -0.2, -0.05]]),
        "one: less twin": np.array([[-0.1, -0.2, -0.05], [0.1, 0.05, 0.2], [np.nan] * 3]),
        "one: less classical": np.array([[0.0, -0.1, 0.1]] * 3),
    }
    arrays |= {
        f"one: {name}": np.array([[0.3] * 3, [0.2] * 3, [0.1] * 3])
        for name in ("kernel change", "output gap")
    }
    table, correlations = counts(arrays)
    assert correlations.rows == (("kernel change", "+1.00"), ("output gap", "+1.00"))
    found = {row[:2]: row[2:] for row in table.rows}
    assert found["circuits", "lazy at a = 1, undecided, not lazy"] == ("1", "0", "1")
    assert found["circuits", "trained, less kernel regression with its own kernel"] == ("1", "1", "0")
    assert found["circuits", "trained, less its unentangled twin"] == ("1", "0", "1")
    assert found["nets", "trained, less kernel regression with its own kernel"] == ("0", "0", "1")
    assert ("nets", "trained, less its unentangled twin") not in found


def test_figures_have_no_faults(finished) -> None:
    """Nothing is cut, covered or bare, and each has a caption of its own."""
    result, _ = finished
    assert faults(find_study("atlas").figures(result)) == []
