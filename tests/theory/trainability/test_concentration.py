"""Spreads of kernels against kernels computed otherwise, and shots against what shots do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import qlazy
from qlazy.quantum.pennylane.states import fidelity_kernel
from qlazy.theory.trainability import fidelity_concentration, tangent_concentration
from qlazy.theory.trainability.draws import draw


def inputs(rows: int, features: int, seed: int = 1) -> torch.Tensor:
    return (
        2
        * math.pi
        * torch.rand(rows, features, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    )


def off_diagonal(kernels: torch.Tensor) -> np.ndarray:
    first, second = np.triu_indices(kernels.shape[1], 1)
    return kernels.numpy()[:, first, second]


def test_spreads_are_those_of_dense_kernels() -> None:
    circuit, x = qlazy.load_circuit("data_reuploading", n=3), inputs(6, 6)
    x = x[:, : circuit.program.num_features]
    params = draw(circuit, x, 4, torch.Generator().manual_seed(5)).params
    tangent = torch.stack([qlazy.tangent_kernel(circuit, w, x).to_dense() for w in params]).detach()
    outputs = circuit.program.num_outputs
    traced = tangent.reshape(4, 6, outputs, 6, outputs).diagonal(dim1=2, dim2=4).sum(-1)
    fidelity = torch.stack([fidelity_kernel(circuit, w, x) for w in params])
    for found, kernels in (
        (tangent_concentration(circuit, x, samples=4, seed=5), traced),
        (fidelity_concentration(circuit, x, samples=4, seed=5), fidelity),
    ):
        entries = off_diagonal(kernels)
        assert found.spread.value == pytest.approx(math.sqrt(entries.var(1, ddof=1).mean()))
        assert found.mean.value == pytest.approx(entries.mean())
        assert found.diagonal == pytest.approx(float(kernels.diagonal(dim1=1, dim2=2).mean()))


def test_the_error_over_inputs_is_the_jackknifes() -> None:
    """Variances without one input each, computed one by one; data before weights leaves no error over draws."""
    circuit, x = qlazy.load_circuit("hardware_efficient", n=3), inputs(9, 3)
    kernel = fidelity_kernel(circuit, torch.zeros(18, dtype=torch.float64), x)
    kept = [[k for k in range(9) if k != one] for one in range(9)]
    without = np.array([off_diagonal(kernel[rows][:, rows][None]).var(ddof=1) for rows in kept])
    found = fidelity_concentration(circuit, x, samples=3)
    error = math.sqrt(8 / 9 * ((without - without.mean()) ** 2).sum())
    assert found.spread.error == pytest.approx(error / (2 * found.spread.value))


def test_the_fidelity_kernel_of_a_product_encoding_concentrates_as_known() -> None:
    """RY(x_k) a qubit, x uniform: E F = 2^-n, E F^2 = (3/8)^n, whatever comes after."""
    circuit = qlazy.load_circuit("hardware_efficient", n=3)
    found = fidelity_concentration(circuit, inputs(300, 3), samples=2)
    assert found.mean.value == pytest.approx(1 / 8, rel=0.1)
    assert found.spread.value == pytest.approx(math.sqrt((3 / 8) ** 3 - 1 / 64), abs=4 * found.spread.error)
    assert 0 < found.spread.error < 0.2 * found.spread.value
    assert found.shots == pytest.approx(found.mean.value * (1 - found.mean.value) / found.spread.value**2)


def test_so_many_shots_make_an_error_as_large_as_the_spread() -> None:
    """Both derivatives of an entry from two circuits of S shots: the error of K_ij at the S that was told."""
    circuit, x = qlazy.load_circuit("hardware_efficient", n=3, layers=2), inputs(8, 3)
    found = tangent_concentration(circuit, x, samples=12)
    shots = math.ceil(found.shots)
    chance = np.random.default_rng(0)
    errors = []
    for w in draw(circuit, x, 12, torch.Generator().manual_seed(0)).params:
        jacobian = circuit.jacobian(w, x)[:, 0].numpy()
        outputs = np.stack(
            [
                [circuit(w + s * e, x)[:, 0].numpy() for e in math.pi / 2 * torch.eye(len(w), dtype=w.dtype)]
                for s in (1, -1)
            ]
        )
        for _ in range(40):
            means = 2 * chance.binomial(shots, (1 + outputs) / 2) / shots - 1
            noisy = ((means[0] - means[1]) / 2).T
            errors.append(off_diagonal(torch.from_numpy((noisy @ noisy.T - jacobian @ jacobian.T)[None])))
    # an upper bound to first order: shots of outputs off zero vary less, products of two errors add
    assert 0.5 * found.spread.value < np.sqrt(np.square(errors).mean()) < 1.5 * found.spread.value


def test_inputs_that_nothing_sees_do_not_spread() -> None:
    head = 'OPENQASM 3.0; include "stdgates.inc"; input array[float[64], 1] x; input float w; qubit[2] q;'
    text = head + "ry(x[0]) q[0]; rx(w) q[1];"
    circuit = qlazy.from_qasm(text, data=("x",), observables=("Z q[1]",))
    found = tangent_concentration(circuit, inputs(5, 1), samples=3)
    assert found.spread.value < 1e-12
    assert found.shots == math.inf


def test_refusals() -> None:
    circuit = qlazy.load_circuit("hardware_efficient", n=2)
    for measure in (tangent_concentration, fidelity_concentration):
        with pytest.raises(ValueError, match="`x` must have at least 3 rows"):
            measure(circuit, inputs(2, 2))
