"""Backend "paulis": the same model as on states, where both run; far beyond, the closed form and its own bounds."""

from __future__ import annotations

import math
import pickle

import pennylane as qml
import pytest
import torch
from torch import Tensor

import qlazy
from qlazy.kernels.shots import measured_kernel
from qlazy.testing import check_model
from qlazy.theory import light_cone

FAMILIES = (
    "brickwork", "convolutional", "data_reuploading", "hardware_efficient", "iqp_feature_map", "light_cone",
    "matrix_product_state", "qaoa_ring", "simplified_two_design", "single_qubit", "strongly_entangling", "tfim",
    "tree_tensor_network",
)  # fmt: skip


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def features(circuit: qlazy.Circuit, count: int = 3) -> Tensor:
    assert circuit.program is not None
    return 3 * torch.rand(count, circuit.program.num_features, generator=rng(1), dtype=torch.float64)


@qml.qnode(qml.device("default.qubit", wires=4))
def mixed(inputs, w):  # type: ignore[no-untyped-def]
    qml.AngleEmbedding(inputs, wires=range(4))
    qml.CRX(w[0], wires=[0, 1])
    qml.Toffoli([0, 1, 2])
    qml.T(1)
    qml.RY(w[1] * inputs[0], wires=3)
    qml.IsingXX(w[2], wires=[2, 3])
    qml.RZ(w[1], wires=0)
    qml.Hadamard(0)
    return qml.expval(qml.Z(0) @ qml.X(3)), qml.probs(wires=[1, 2])


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_the_same_on_words_as_on_states(name: str) -> None:
    states, words = (qlazy.load_circuit(name, backend=backend) for backend in ("adjoint", "paulis"))
    params, x = states.init(rng()), features(states)
    assert words.backend == "paulis"
    torch.testing.assert_close(words(params, x), states(params, x), rtol=0, atol=1e-12)
    torch.testing.assert_close(words.jacobian(params, x), states.jacobian(params, x), rtol=0, atol=1e-12)
    assert float(words.truncation_error(params, x).bound.max()) == 0


def test_qnodes_are_held_to_the_qnode_and_pass_the_laws() -> None:
    circuit = qlazy.Circuit(mixed, {"w": 3}, backend="paulis")
    x = torch.rand(4, 4, generator=rng(), dtype=torch.float64)
    check_model(circuit, circuit.init(rng()), x)
    assert circuit.backend_reason == ""
    params = circuit.init(rng())
    rows = [
        torch.cat([torch.as_tensor(part).reshape(-1) for part in mixed(row.numpy(), params.numpy())])
        for row in x
    ]
    torch.testing.assert_close(circuit(params, x), torch.stack(rows), rtol=0, atol=1e-12)


def test_a_cutoff_travels_with_the_circuit() -> None:
    circuit = qlazy.load_circuit("hardware_efficient", backend="paulis", cutoff=0.3)
    params, x = circuit.init(rng()), features(circuit)
    again = pickle.loads(pickle.dumps(circuit))
    assert torch.equal(again(params, x), circuit(params, x))
    assert again.truncation_error(params, x).bound.max() > 0


def test_a_thousand_qubits_have_their_closed_form() -> None:
    circuit = qlazy.load_circuit("light_cone", n=1000, backend="paulis")
    oracle = light_cone.light_cone(1000)
    params, x = circuit.init(rng()), features(circuit, 2)
    torch.testing.assert_close(circuit(params, x), oracle(params, x), rtol=0, atol=1e-12)
    kernel = qlazy.tangent_kernel(circuit, params, x).to_dense()
    torch.testing.assert_close(kernel, qlazy.tangent_kernel(oracle, params, x).to_dense(), rtol=0, atol=1e-12)


def test_a_cutoff_has_a_bound_where_states_can_tell() -> None:
    states = qlazy.load_circuit("hardware_efficient", n=8, layers=3)
    params, x = states.init(rng()), features(states)
    exact = states(params, x)
    for cutoff in (1e-3, 1e-2, 1e-1):
        words = qlazy.load_circuit("hardware_efficient", n=8, layers=3, backend="paulis", cutoff=cutoff)
        error = words.truncation_error(params, x)
        assert ((words(params, x) - exact).abs().numpy() <= error.bound).all()
        assert (error.root_mean_square <= error.bound).all()
    assert error.bound.max() > 0.1


def test_rounded_by_chance_the_kernel_has_no_bias_and_true_errors() -> None:
    states = qlazy.load_circuit("hardware_efficient", n=5, layers=3)
    words = qlazy.load_circuit("hardware_efficient", n=5, layers=3, backend="paulis", cutoff=0.2)
    params, x = states.init(rng()), features(states)
    expected = qlazy.tangent_kernel(states, params, x).to_dense()
    inside, off = [], []
    for seed in range(60):
        found = measured_kernel(words.rounded(rng(seed)), params, x)
        inside.append(
            ((found.values - expected).abs() <= 2.365 * found.errors).double()
        )  # t of 7 degrees, 95 %
        off.append(found.values - expected)
    coverage = float(torch.stack(inside).mean())
    assert 0.88 < coverage < 0.99
    mean = torch.stack(off)
    assert (mean.mean(0).abs() < 4.5 * mean.std(0) / math.sqrt(60)).all()
    plain = qlazy.tangent_kernel(words, params, x).to_dense()
    assert (plain - expected).abs().max() > 2 * mean.mean(0).abs().max()


def test_training_at_a_hundred_qubits() -> None:
    circuit = qlazy.load_circuit("brickwork", n=100, layers=3, backend="paulis")
    x = features(circuit, 12)
    y = torch.cos(x[:, 49:50])
    data = qlazy.from_arrays(x, y[:, 0], regression=True, train=8)
    found = qlazy.compare({"wide": circuit}, data, alphas=(1, 10), seeds=(0,), steps=20, progress=False)
    first, last = found.runs[0].trace.train_loss[[0, -1]]
    assert last < first
    assert found.values("wide", "kernel change").ravel()[1] < found.values("wide", "kernel change").ravel()[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cutoff": -1.0}, "`cutoff` must be a number from 0 up, but is -1.0"),
        ({"cutoff": "a"}, "`cutoff` must be a number"),
        ({"cutoff": math.nan}, "`cutoff` must be a number"),
        ({"max_weight": 0}, "`max_weight` must be a positive integer"),
        ({"cutoff": 0.1, "backend": "auto"}, "`cutoff` must come with backend='paulis'"),
        ({"max_weight": 3, "backend": "adjoint"}, "`max_weight` must come with backend='paulis'"),
    ],
)
def test_settings_are_refused_in_words(arguments, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        qlazy.load_circuit("brickwork", **{"backend": "paulis", **arguments})


def test_what_does_not_fit_is_refused_with_what_to_do() -> None:
    with pytest.raises(qlazy.UnsupportedModelError, match="backend='paulis'"):
        qlazy.load_circuit("hardware_efficient", n=60, layers=3)
    circuit = qlazy.load_circuit("brickwork")
    with pytest.raises(qlazy.UnsupportedModelError, match="must have backend='paulis'"):
        circuit.truncation_error(circuit.init(rng()), features(circuit))
    with pytest.raises(qlazy.UnsupportedModelError, match="a cutoff, and no max_weight"):
        qlazy.load_circuit("brickwork", backend="paulis").rounded(rng())


@pytest.mark.parametrize("name", ["hardware_efficient", "data_reuploading", "brickwork"])
def test_second_derivatives_are_those_of_states(name: str) -> None:
    states, words = (qlazy.load_circuit(name, backend=backend) for backend in ("adjoint", "paulis"))
    params, x = states.init(rng()), features(states)
    direction = torch.randn(states.num_params, generator=rng(2), dtype=torch.float64)

    def product(model: qlazy.Circuit) -> Tensor:
        gradient = torch.func.grad(lambda w: model(w, x).square().sum())
        return torch.func.jvp(gradient, (params,), (direction,))[1]

    found, expected = product(words), product(states)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_derivatives_by_inputs_are_those_of_states() -> None:
    states, words = (qlazy.Circuit(mixed, {"w": 3}, backend=backend) for backend in ("adjoint", "paulis"))
    params, found = states.init(rng()), []
    for circuit in (states, words):
        x = torch.rand(3, 4, generator=rng(), dtype=torch.float64, requires_grad=True)
        found.append(torch.autograd.grad(circuit(params, x).square().sum(), x)[0])
    torch.testing.assert_close(*found, rtol=0, atol=1e-12)
