"""The study in its quick setting: every claim holds, and what it leaves behind can be read again."""

from __future__ import annotations

import numpy as np
import pytest

from qlazy.base.storage import load_arrays
from qlazy.studies import find_study
from qlazy.studies.result import Finding
from qlazy.studies.wide_circuits.study import Settings, run
from tests.drawing.looking import faults


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wide")
    return run(Settings.quick(), folder, progress=False), folder


def test_no_claim_fails(finished) -> None:
    result, _ = finished
    assert [finding for finding in result.findings if finding.disagrees] == []
    claimed = {finding.experiment.split()[0] for finding in result.findings}
    assert {f"T{number}" for number in range(1, 11)} <= claimed


def test_small_drift_does_not_imply_a_frozen_kernel(finished) -> None:
    """Figure 1 of the study: over the depths drift falls as L^-1/2, kernel change does not fall with it."""
    arrays = finished[0].arrays
    fall = arrays["drift"].mean(1)[-1] / arrays["drift"].mean(1)[0]
    depth = arrays["layers"][-1] / arrays["layers"][0]
    assert fall == pytest.approx(depth**-0.5, rel=0.3)
    assert arrays["kernel_change"][-1].mean() > 0.1


def test_a_kernel_that_froze_would_not_pass(finished) -> None:
    """No change at all, in place of what was measured: neither claim of drift without freezing agrees."""
    result, _ = finished
    deep = f"L={Settings.quick().layers[-1]}"
    follows = result.finding("drift without freezing", f"|dK|/K less law, {deep}")
    moves = result.finding("drift without freezing", f"|dK|/K, {deep}")
    assert follows.agrees
    predicted = result.arrays["predicted_change"][-1]
    frozen = [
        Finding.mean(follows.experiment, follows.quantity, 0.0, -predicted, follows.tolerance),
        Finding.mean(moves.experiment, moves.quantity, moves.theory, 1e-3 * predicted, relation=">="),
    ]
    assert not any(finding.agrees for finding in frozen)
    assert frozen[1].disagrees


def test_what_it_leaves_behind(finished) -> None:
    result, folder = finished
    assert (folder / "table.txt").read_text() == f"{result.table()}\n"
    arrays, settings = load_arrays(folder / "result.npz")
    assert np.array_equal(arrays["drift"], result.arrays["drift"])
    assert settings["settings"]["layers"] == list(Settings.quick().layers)
    assert settings["angle convention"].startswith("exp(-i theta P / 2)")
    for name in ("depth", "dynamics", "width", "structure"):
        assert (folder / f"{name}.png").stat().st_size > 10_000
        assert (folder / f"{name}.svg").exists()


def test_figures_have_no_faults(finished) -> None:
    """Nothing is cut, covered or bare, and each has a caption of its own."""
    result, _ = finished
    assert faults(find_study("wide_circuits").figures(result)) == []
