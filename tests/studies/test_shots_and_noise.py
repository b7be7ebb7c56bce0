"""The study of shots and noise in its quick setting: every claim holds, and claims can fail."""

from __future__ import annotations

import numpy as np
import pytest

from qlazy.base.storage import load_arrays
from qlazy.studies import find_study
from qlazy.studies.shots_and_noise.study import Settings, measured_kernels, run
from tests.drawing.looking import faults


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shots_and_noise")
    return run(Settings.quick(), folder, progress=False), folder


def test_no_claim_fails(finished):
    assert [finding for finding in finished[0].findings if finding.disagrees] == []


def test_the_naive_trace_is_visibly_too_large(finished):
    arrays = finished[0].arrays
    assert (arrays["shots_bias"] > 4 * arrays["shots_bias_error"]).all()


def test_the_bias_that_is_not_predicted_is_found_out(monkeypatch):
    monkeypatch.setattr(measured_kernels, "naive_excess", lambda weights, *_: weights.square().sum() / 80)
    findings, _, _ = measured_kernels.bias_and_errors(3, 80, 30)
    assert [finding.experiment for finding in findings if finding.disagrees] == ["T9 naive bias"]


def test_noise_weakens_the_kernel_and_laziness_outlives_it(finished):
    arrays = finished[0].arrays
    for channel in ("depolarizing", "amplitude_damping"):
        assert (arrays[f"trace_{channel}"] < 0.9).all()
        assert arrays[f"lazy_{channel}"][:, -1, 1].max() < 0.2 * arrays[f"lazy_{channel}"][:, 0, 1].min()


def test_what_it_leaves(finished):
    result, folder = finished
    assert (folder / "table.txt").read_text() == f"{result.table()}\n"
    arrays, settings = load_arrays(folder / "result.npz")
    np.testing.assert_array_equal(arrays["trace_depolarizing"], result.arrays["trace_depolarizing"])
    assert settings["study"] == "shots_and_noise"
    assert {path.name for path in folder.glob("*.png")} == {"shots.png", "noise.png", "laziness.png"}
    assert "circuits whose trace is within 3 std. errors" in (folder / "report.html").read_text()


def test_figures_have_no_faults(finished):
    """Nothing is cut, covered or bare, and each has a caption of its own."""
    result, _ = finished
    assert faults(find_study("shots_and_noise").figures(result)) == []
