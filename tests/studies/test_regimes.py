"""The study in its quick setting: the claims hold, and what it leaves behind can be read again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from qlazy.base.storage import load_arrays
from qlazy.kernels.prediction import kernel_regression
from qlazy.studies import find_study
from qlazy.studies.regimes import circuit_regimes, quadratic_nets
from qlazy.studies.regimes.study import Settings, run
from tests.drawing.looking import faults
from tests.systems import normal


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regimes")
    return run(Settings.quick(), folder, progress=False), folder


def test_no_claim_fails(finished) -> None:
    result, _ = finished
    assert [finding for finding in result.findings if finding.disagrees] == []
    claimed = [finding for finding in result.findings if finding.relation]
    assert len(claimed) == 13  # RF and NT 8 times, NN 3, the Bayes risk 2


def test_the_target_table(finished) -> None:
    """d = 450, seed 100: within .01 of the published table at rho = .1, .5, .9."""
    arrays = finished[0].arrays
    np.testing.assert_allclose(arrays["qf_rf_isotropic"].mean(1), (0.956, 0.837, 0.769), atol=0.01)
    np.testing.assert_allclose(arrays["qf_nt_isotropic"].mean(1), (0.854, 0.372, 0.054), atol=0.01)


def test_what_it_leaves_behind(finished) -> None:
    result, folder = finished
    arrays, settings = load_arrays(folder / "result.npz")
    assert settings["risk"].startswith("R / R0")
    assert np.array_equal(arrays["qf_trained"], result.arrays["qf_trained"])
    for name in ("neurons", "parameters", "samples", "circuits"):
        assert (folder / f"{name}.png").stat().st_size > 10_000
        assert (folder / f"{name}.svg").exists()


def test_equal_counts_are_equal(finished) -> None:
    """No model has more parameters than the circuit beside it, or fewer by as much as one hidden unit."""
    arrays = finished[0].arrays
    features, layers = Settings.quick().circuits.features, arrays["circuit_layers"]
    expected = np.array([circuit_regimes.parameters(features, L) for L in layers])
    for key in [key for key in arrays if key.startswith("circuits_count")]:
        assert (arrays[key] <= expected).all()
        assert (expected - arrays[key] < features + 2).all()


def test_equal_counts_are_not_equal_ranks(finished) -> None:
    """Quadratic units span the forms on R^d and a constant, d (d + 1) / 2 + 1, however many there are."""
    result, _ = finished
    features = Settings.quick().circuits.features
    for key in [key for key in result.arrays if key.startswith("circuits_rank")]:
        count = result.arrays[
            "circuits_count_" + "_".join(key.split("_")[-3 if key.count("_net_") else -2 :])
        ]
        rank = result.arrays[key]
        assert (rank >= 1).all()
        assert (rank <= count[:, None]).all()
        if "quadratic_net" in key:
            assert rank.max() == features * (features + 1) / 2 + 1
    assert any("multiplications" in table.title for table in result.tables)


def test_ranks_are_of_singular_values() -> None:
    left, right = normal(9, 4, seed=1), normal(4, 7, seed=2)
    assert circuit_regimes.rank_of(left @ right) == 4
    assert circuit_regimes.rank_of(left @ right + 1e-12 * normal(9, 7, seed=3)) == 4


def test_multiplications_by_hand() -> None:
    """d = 3, L = 2, 22 parameters: 12 gates on 8 amplitudes; 4 tanh units of 3 + 1 weights; 5 squares of 3 + 2."""
    work = circuit_regimes.multiplications
    state = 12 * 8 * 8
    assert work("circuit", "NN", 3, 2) == state + 3 * 17
    assert work("circuit", "RF", 3, 2) == state + 21 * 17
    assert work("circuit", "NT", 3, 2) == 3 * state + 21
    assert work("tanh net", "NN", 3, 2) == 4 * 4
    assert work("quadratic net", "NN", 3, 2) == 5 * 5


def test_counts_are_those_of_the_models() -> None:
    from qlazy.models.wrappers import Readout

    circuit = circuit_regimes.circuit_of(3, 2, ["Z q[0]", "Z q[1]", "Z q[2]"])
    assert Readout(circuit, 3).num_params == circuit_regimes.parameters(3, 2)


def test_tangent_regression_is_kernel_regression() -> None:
    """Least squares over the columns of J is K' K^+ y with the tangent kernel; n below and above p."""
    circuit = circuit_regimes.circuit_of(2, 1, ["Z q[0]", "Z q[1]"])
    generator = torch.Generator().manual_seed(0)
    params = circuit_regimes.random_angles(circuit, 1, generator)
    assert params.shape == (circuit.num_params,)
    single = circuit_regimes.circuit_of(2, 1, ["Z q[0]"])
    for n in (4, 30):
        x, x_test, y = normal(n, 2, seed=1), normal(7, 2, seed=2), normal(n, 1, seed=3)
        sample = circuit_regimes.Sample(x, y, x_test, normal(7, 1, seed=4))
        train, test = (single.gram(params, a, x).reshape(len(a), n) for a in (x, x_test))
        expected = sample.risk(kernel_regression(train, test, y))
        found = circuit_regimes.tangent_regression(single, params, sample).risk
        assert found == pytest.approx(expected, rel=1e-6)


def test_pauli_words_are_distinct_and_not_the_identity() -> None:
    words = circuit_regimes.pauli_words(3, 63, torch.Generator().manual_seed(0))
    assert len(set(words)) == 63
    assert all(words)


def test_a_turned_task_is_the_same_to_nets() -> None:
    plain, turned = (circuit_regimes.small_task(name, 4).matrix for name in ("qf", "turned"))
    torch.testing.assert_close(torch.linalg.eigvalsh(plain), torch.linalg.eigvalsh(turned))
    assert (turned - torch.diag(turned.diagonal())).norm() > 0.1


def test_few_samples_recover_a_form_that_is_in_the_class() -> None:
    """Noiseless and realisable: risk zero once n is past the number of parameters, for NT and for NN."""
    task = quadratic_nets.make_task("qf", quadratic_nets.target_matrix(6))
    for regime in ("nt", "nn"):
        few = quadratic_nets._regimes_of(task, 6, 300)[regime]
        assert quadratic_nets._risk(task, few, 120, 0) < 1e-6
        assert quadratic_nets._risk(task, few, 8, 0) > 0.05


def test_figures_have_no_faults(finished) -> None:
    """Nothing is cut, covered or bare, and each has a caption of its own."""
    result, _ = finished
    assert faults(find_study("regimes").figures(result)) == []
