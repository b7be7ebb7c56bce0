"""The study of P1 and P2 in its quick setting: the paper's figures, and the reason for them."""

import numpy as np
import pytest
import torch

from qlazy.quantum.interop.loading import load_circuit
from qlazy.studies import find_study
from qlazy.studies.control_flow.study import BITS, INPUTS, Settings, run
from tests.drawing.looking import faults


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("control")
    return run(Settings.quick(), folder, progress=False), folder


def test_no_claim_fails(finished):
    result, _ = finished
    assert [finding for finding in result.findings if finding.disagrees] == []
    assert sum(finding.experiment == "occurrences" for finding in result.findings) == 48


def test_what_the_paper_reports(finished):
    """PLDI 2020, arXiv 2004.01122: P1 stays at 0.5, P2 comes to 0.016 or below, from every seed."""
    arrays = finished[0].arrays
    np.testing.assert_allclose(arrays["loss_p1"][:, -1], 0.5, atol=0.01)
    assert arrays["loss_p2"][:, -1].max() <= 0.016


def test_what_it_leaves_behind(finished):
    names = {path.name for path in finished[1].iterdir()}
    assert names == {"table.txt", "result.npz", "report.html", "experiments"} | {
        f"{figure}.{kind}" for figure in ("losses", "scales") for kind in ("png", "svg")
    }


@pytest.mark.parametrize(("name", "parity_seen"), [("p1", False), ("p2", True)])
def test_what_the_programs_can_represent(name, parity_seen):
    """Walsh coefficients of f(z1, z4): P1 has those of 1 and z4, P2 that of z1 xor z4 as well; 1 has 1/2."""
    model = load_circuit(name)
    outputs = model(model.init(torch.Generator().manual_seed(5)), INPUTS)[:, 0]
    s1, s4 = (1 - 2 * BITS).T
    walsh = {
        w: float((outputs * sign).mean())
        for w, sign in {"1": s1**2, "z1": s1, "z4": s4, "z1z4": s1 * s4}.items()
    }
    assert walsh["1"] == pytest.approx(0.5, abs=1e-12)
    assert walsh["z1"] == pytest.approx(0.0, abs=1e-12)
    assert abs(walsh["z4"]) > 1e-3
    assert (abs(walsh["z1z4"]) > 1e-3) == parity_seen


def test_figures_have_no_faults(finished):
    """Nothing is cut, covered or bare, and each has a caption of its own."""
    result, _ = finished
    assert faults(find_study("control_flow").figures(result)) == []
