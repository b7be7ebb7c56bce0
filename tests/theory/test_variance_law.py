"""The variance law against its closed form, against training on circuits that scramble, and where it says nothing."""

from __future__ import annotations

import math

import numpy as np
import pennylane as qml
import pytest
import torch

import qlazy
from qlazy.base.errors import UnsupportedModelError
from qlazy.comparison.run import Run
from qlazy.data.datasets import Dataset
from qlazy.kernels.prediction import LinearizedPath
from qlazy.quantum.scrambled import scrambled_circuit
from qlazy.theory import scrambled_laws as theory
from qlazy.theory.circuit_bounds import output_edges
from qlazy.theory.variance_law import VarianceLawPath, output_margins
from qlazy.training.methods import GradientDescent, GradientFlow
from tests import makers as models
from tests import systems


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


def a_path(alpha: float = 1.0) -> VarianceLawPath:
    factor = systems.normal(5, 3, seed=1)
    outputs = column(0.3, -0.7, 0.1, 0.5, -0.2)
    kernel = (factor @ factor.T)[:, :3]
    return VarianceLawPath(kernel, alpha * outputs, column(0.9, 0.2, -0.4), (1 + outputs, 1 - outputs), alpha)


@pytest.mark.parametrize("target", [0.5, 1.0, 1.5])
def test_one_input_is_the_closed_law(target: float) -> None:
    kernel, f0 = torch.tensor([[1.7]], dtype=torch.float64), column(-0.4)
    path = VarianceLawPath(kernel, f0, column(target), (1 + f0, 1 - f0))
    times = [0.0, 0.3, 1.0, 4.0]
    expected = theory.variance_law(-0.4, target, 1.7, times)
    torch.testing.assert_close(path.flow(times).flatten(), expected, rtol=1e-6, atol=1e-7)


def test_short_steps_are_the_flow() -> None:
    path, times = a_path(), [0.0, 0.5, 2.0]
    flow = path.flow(times)
    errors = [(path.steps(h, [round(t / h) for t in times]) - flow).abs().max().item() for h in (2e-3, 1e-3)]
    assert errors[1] < 2e-3
    assert errors[0] / errors[1] == pytest.approx(2, rel=0.05)  # first order, as Euler's rule


def test_at_a_large_scale_it_is_the_linearised_path() -> None:
    alpha = 1e7
    outputs = column(0.3, -0.7, 0.1)
    factor = systems.normal(3, 3, seed=1)
    kernel, targets = factor @ factor.T, column(0.9, 0.2, -0.4)
    law = VarianceLawPath(
        kernel, torch.zeros(3, 1, dtype=torch.float64), targets, (1 + outputs, 1 - outputs), alpha
    )
    frozen = LinearizedPath(kernel, torch.zeros_like(targets), targets).steps(0.1, [0, 3, 50])
    torch.testing.assert_close(law.steps(0.1, [0, 3, 50]), frozen, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("samples", "ratio"), [(1, 0.4), (3, 0.7)])
def test_it_foretells_training_where_the_frozen_kernel_does_not(samples: int, ratio: float) -> None:
    """Deep scrambled circuits at scale 1: for one input exact as L grows, here to sqrt(2/256); rougher for several."""
    law_gaps, gaps = [], []
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        circuit = scrambled_circuit(3, 256, generator, features=3)
        x = 2 * torch.randn(samples, 3, generator=generator, dtype=torch.float64)
        y = 1.4 * torch.rand(samples, 1, generator=generator, dtype=torch.float64) - 0.7
        data = Dataset("random", x, y, x, y, (), "random inputs and targets")
        run = qlazy.compare(
            {"c": circuit}, data, alphas=(1,), seeds=(seed,), steps=60, centered=False, progress=False
        ).runs[0]
        law_gaps.append(run.law_gap)
        gaps.append(run.output_gap)
    assert np.mean(law_gaps) < ratio * np.mean(gaps)


OBSERVABLES = {
    "word": (lambda: qml.expval(qml.Z(0) @ qml.X(1)), [(-1, 1)]),
    "shifted": (lambda: qml.expval(0.5 * qml.I(0) - 2.0 * qml.Z(1)), [(-1.5, 2.5)]),
    "projector": (lambda: qml.expval(qml.Projector([0], wires=[1])), [(0, 1)]),
    "matrix": (lambda: qml.expval(qml.Hermitian(np.diag([3.0, 1.0, 1.0, 3.0]), wires=[0, 1])), [(1, 3)]),
    "two": (lambda: (qml.expval(qml.Z(0)), qml.expval(qml.Y(1))), [(-1, 1), (-1, 1)]),
    "probabilities": (lambda: qml.probs(wires=[1]), [(0, 1), (0, 1)]),
}


def measured(measure) -> qlazy.Circuit:
    @qml.qnode(qml.device("default.qubit", wires=2))
    def circuit(inputs, weights):
        qml.RX(inputs[0], wires=0)
        qml.RY(weights[0], wires=0)
        qml.CNOT([0, 1])
        qml.RX(weights[1] * inputs[1], wires=1)
        return measure()

    return qlazy.Circuit(circuit, {"weights": 2})


@pytest.mark.parametrize("name", OBSERVABLES)
def test_margins_are_those_to_the_edges_of_the_spectrum(name: str) -> None:
    measure, edges = OBSERVABLES[name]
    model, params, x = measured(measure), systems.normal(2, seed=1), systems.normal(4, 2, seed=2)
    low, high = output_edges(model, x)
    assert list(zip(low.tolist(), high.tolist(), strict=True)) == [pytest.approx(pair) for pair in edges]
    outputs = model(params, x)
    below, above = output_margins(qlazy.Scaled(qlazy.Centered(model, params + 1), 3.0), params, x)
    torch.testing.assert_close(below, 3 * (outputs - low))
    torch.testing.assert_close(above, 3 * (high - outputs))


@pytest.mark.parametrize(
    "case", [models.tanh_net(), models.branching_qnode(), models.device_circuit(), models.linearized_circuit(),
             models.case(measured(lambda: qml.expval(qml.Z(0) + qml.X(1))), 2)],
    ids=["net", "measures", "noisy", "linearised", "sum of words"],
)  # fmt: skip
def test_where_it_says_nothing(case) -> None:
    model, params, x = case
    with pytest.raises(UnsupportedModelError):
        output_margins(model, params, x)


def test_a_comparison_keeps_it_beside_the_linearised_path(tmp_path) -> None:
    data = qlazy.load_data("digits", features=3, train=8, test=6)
    found = qlazy.compare(
        {"circuit": qlazy.load_circuit("hardware_efficient", n=3, layers=1), "net": qlazy.mlp([3, 2, 1])}, data,
        alphas=(1, 1e4), seeds=(0,), steps=20, out=tmp_path, progress=False,
    )  # fmt: skip
    circuit, large, net, _ = found.runs
    assert circuit.law_gap != circuit.output_gap
    assert large.law_gap == pytest.approx(
        large.output_gap, rel=0.2
    )  # both are the true kernel at first order
    assert math.isnan(net.law_gap)
    assert net.law_train_outputs is None
    loaded = Run.load(next((tmp_path / "runs").glob("circuit-seed0-a1-*")))
    np.testing.assert_array_equal(loaded.law_test_outputs, circuit.law_test_outputs)
    assert loaded.lipschitz == circuit.lipschitz
    assert np.isnan(found.values("net", "variance-law gap")).all()
    _, head, first, *_ = found.table().splitlines()  # below the title
    assert "variance-law gap" in head
    assert f"{circuit.law_gap:.2e}" in first


def test_gradient_flow_has_it_too() -> None:
    data = qlazy.load_data("digits", features=3, train=6, test=4)
    circuit = qlazy.load_circuit("hardware_efficient", n=3, layers=1)
    arguments = {"data": data, "alphas": (2,), "seeds": (0,), "progress": False}
    flow = qlazy.compare({"c": circuit}, steps=5, method=GradientFlow(3.0), **arguments).runs[0]
    walk = qlazy.compare({"c": circuit}, steps=3000, method=GradientDescent(1e-3), **arguments).runs[0]
    np.testing.assert_allclose(flow.law_train_outputs[-1], walk.law_train_outputs[-1], atol=2e-3)
    np.testing.assert_allclose(flow.law_test_outputs[-1], walk.law_test_outputs[-1], atol=2e-3)
