"""The study of subsets in its quick setting: two seeds and a few steps do not decide its claims, the full one does."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qlazy.base.storage import load_arrays
from qlazy.studies import find_study
from qlazy.studies.result import UNDECIDED
from qlazy.studies.subset.study import BARS, CHANCE, OURS, PAPER, TEST, TRUSTED, Settings, make_problem, run
from tests.drawing.looking import faults


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("subset")
    return run(Settings.quick(), folder, progress=False), folder


def test_ours_takes_right_labels_and_chance_the_share_there_is(finished) -> None:
    result, _ = finished
    place = {rule: row for row, rule in enumerate(result.settings.rules)}
    for task, flipped in (("net", 0.4), ("circuit", 0.35)):
        right = result.arrays[f"clean_{task}"].mean(1)
        assert abs(right[place[CHANCE]] - (1 - flipped)) < 0.2
        assert right[place[OURS]] > 1 - flipped + 0.1
        assert np.isnan(result.arrays[f"anew_{task}"][place[TRUSTED]]).all()


def test_the_findings_are_paired_differences_of_the_arrays(finished) -> None:
    result, _ = finished
    rules = list(result.settings.rules)
    for task, bar in BARS.items():
        loop = 100 * result.arrays[f"loop_{task}"]
        gain = loop[rules.index(PAPER)] - loop[rules.index(CHANCE)]
        claim = result.finding(task, f"points of {PAPER} over {CHANCE}")
        assert (claim.theory, claim.relation) == (bar, ">=")
        assert claim.measured == pytest.approx(gain.mean())
        assert claim.error == pytest.approx(gain.std(ddof=1) / len(gain) ** 0.5)
        won = result.finding(task, f"share of seeds won ({PAPER} over {CHANCE})")
        assert won.measured == pytest.approx((gain > 0).mean())
        assert won.verdict == UNDECIDED
        other = result.finding(task, f"points of {PAPER} over {CHANCE}, other data")
        assert other.error == pytest.approx(gain.std(ddof=1) * (1 / len(gain) + TEST / 140) ** 0.5)
        for name in ("small loss", TRUSTED):
            assert result.finding(task, f"points of {name} over {CHANCE}, in the loop").verdict == "reported"


def test_what_it_leaves_behind_is_taken_up_again(finished) -> None:
    result, folder = finished
    assert {path.name for path in folder.iterdir()} == {
        "table.txt",
        "result.npz",
        "accuracy.png",
        "accuracy.svg",
        "report.html",
        "runs",
        "experiments",
    }
    for path in (folder / "experiments").glob("net-*"):
        path.unlink()  # its runs are there still
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").iterdir()}
    again = run(Settings.quick(), folder, progress=False)
    assert {path: path.stat().st_mtime_ns for path in (folder / "runs").iterdir()} == before
    arrays, _ = load_arrays(folder / "result.npz")
    for name, array in result.arrays.items():
        assert np.array_equal(array, again.arrays[name], equal_nan=True)
        assert np.array_equal(array, arrays[name], equal_nan=True)


@pytest.mark.parametrize("task", BARS)
def test_no_example_is_in_two_parts(task) -> None:
    problem = make_problem(task, Settings.quick(), seed=0)
    rows = torch.cat([problem.data.x_train, problem.trusted[0], problem.data.x_test])
    assert len(torch.unique(rows, dim=0)) == len(rows) == 140 + 250


def test_figures_have_no_faults(finished) -> None:
    """Nothing is cut, covered or bare, and each has a caption of its own."""
    result, _ = finished
    assert faults(find_study("subset").figures(result)) == []
