"""Mean tangent kernels by walks, against kernels at random angles and the closed form of the light-cone circuits."""

from __future__ import annotations

import math
import re

import pennylane as qml
import pytest
import torch
from torch import Tensor

import qlazy
from qlazy.base.errors import UnsupportedModelError
from qlazy.theory import light_cone
from qlazy.theory.mean_kernel import MeanKernel, mean_kernel

DEVICE = qml.device("default.qubit", wires=4)


def features(count: int, size: int, seed: int = 3) -> Tensor:
    return 3 * torch.rand(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@qml.qnode(DEVICE)
def mixed(inputs, w, v):  # type: ignore[no-untyped-def]
    """Words that walk together: rotations about one axis and Clifford gates; sums, and outputs that share words."""
    qml.AngleEmbedding(inputs, wires=range(4), rotation="Y")
    for k in range(4):
        qml.CZ([k, (k + 1) % 4])
    for k in range(4):
        qml.RX(w[k], wires=k)
    qml.S(0)
    for k in range(3):
        qml.CNOT([k, k + 1])
    qml.PauliRot(2 * v[0] + 0.3, "XX", wires=[0, 2])
    qml.MultiRZ(-v[1], wires=[1, 2, 3])
    qml.RY(math.pi / 2, wires=1)
    total = qml.Z(0) @ qml.Z(1) + 0.5 * qml.X(2) + 0.7 * qml.Y(3) @ qml.X(1) + 0.2 * qml.Z(2)
    return qml.expval(total), qml.expval(qml.Z(2)), qml.probs(wires=[0, 3])


@qml.qnode(DEVICE)
def entangled(inputs, w):  # type: ignore[no-untyped-def]
    """Data that entangles, and gates of the encoding that are not Clifford."""
    for k in range(4):
        qml.Hadamard(k)
        qml.T(k)
        qml.RZ(inputs[k], wires=k)
    qml.IsingZZ(inputs[0] * inputs[1], wires=[0, 1])
    qml.StronglyEntanglingLayers(w, wires=range(4))
    return qml.expval(qml.Z(0) @ qml.Y(3)), qml.expval(qml.Hermitian(qml.matrix(qml.X(0) @ qml.Z(1)), [1, 2]))


def circuits() -> dict[str, tuple[qlazy.Circuit, Tensor]]:
    return {
        "mixed": (qlazy.Circuit(mixed, {"w": 4, "v": 2}), features(3, 4)),
        "entangled": (qlazy.Circuit(entangled, {"w": (2, 4, 3)}), features(3, 4)),
        "hardware_efficient": (qlazy.load_circuit("hardware_efficient", n=4, layers=2), features(4, 4)),
        "iqp_feature_map": (qlazy.load_circuit("iqp_feature_map"), features(3, 4)),
        "tree_tensor_network": (qlazy.load_circuit("tree_tensor_network"), features(3, 4)),
    }


@pytest.mark.parametrize(
    "name", ["mixed", "entangled", "hardware_efficient", "iqp_feature_map", "tree_tensor_network"]
)
def test_kernel_covariance_mean_and_variances_are_those_of_random_angles(name: str) -> None:
    circuit, x = circuits()[name]
    found = mean_kernel(circuit, x, precision=0.004)
    generator, draws = torch.Generator().manual_seed(5), 800
    with torch.no_grad():
        params = [circuit.init(generator) for _ in range(draws)]
        outputs = torch.stack([circuit(w, x).flatten() for w in params])
        jacobians = torch.stack([circuit.jacobian(w, x).flatten(0, 1) for w in params])
    kernels = jacobians @ jacobians.mT
    centred = outputs - found.mean.flatten()
    products = centred.unsqueeze(1) * centred.unsqueeze(2)
    _assert_within(kernels, found.tangent, found.tangent_error)
    _assert_within(products, found.covariance, found.covariance_error)
    _assert_within(outputs, found.mean.flatten(), torch.zeros(outputs.shape[1], dtype=torch.float64))
    for block, (value, error) in found.variances.items():
        squares = jacobians[..., circuit.blocks[block]].square().mean((1, 2))
        _assert_within(squares, torch.tensor(value), torch.tensor(error))


def _assert_within(draws: Tensor, mean: Tensor, error: Tensor) -> None:
    """4.5 errors, over at most a few hundred entries: once in some thousands by chance, and the seeds are fixed."""
    errors = (draws.var(0) / len(draws) + error**2).sqrt()
    assert ((draws.mean(0) - mean).abs() <= 4.5 * errors + 1e-9).all()


@pytest.mark.parametrize("qubits", [5, 12])
def test_light_cones_have_their_closed_form(qubits: int) -> None:
    circuit, x = qlazy.load_circuit("light_cone", n=qubits), features(4, qubits)
    found = mean_kernel(circuit, x, precision=0.003)
    for mean, error, expected in (
        (found.tangent, found.tangent_error, light_cone.mean_kernel(x)),
        (found.covariance, found.covariance_error, light_cone.covariance(x)),
    ):
        assert ((mean - expected).abs() <= 4 * error + 1e-12).all()
    assert torch.equal(found.mean, torch.zeros(4, 1, dtype=torch.float64))


def test_errors_are_those_of_repetition() -> None:
    circuit, x = qlazy.load_circuit("hardware_efficient", n=3, layers=2), features(2, 3)
    found = [
        mean_kernel(circuit, x, max_walks=4096, precision=1e-6, generator=_seeded(seed)) for seed in range(40)
    ]
    spread = torch.stack([one.tangent for one in found]).std(0)
    claimed = torch.stack([one.tangent_error for one in found]).mean(0)
    assert ((spread / claimed - 1).abs() < 0.5).all()
    again = mean_kernel(circuit, x, max_walks=4096, precision=1e-6, generator=_seeded(7))
    assert torch.equal(again.tangent, found[7].tangent)


def test_results_do_not_depend_on_threads() -> None:
    circuit, x = qlazy.load_circuit("light_cone", n=5), features(3, 5)
    threads = torch.get_num_threads()
    try:
        found: list[MeanKernel] = []
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(mean_kernel(circuit, x, precision=0.05))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0].tangent, found[1].tangent)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_kernel_that_concentrates_says_so() -> None:
    circuit = qlazy.load_circuit("hardware_efficient", n=14, layers=20)
    found = mean_kernel(circuit, features(2, 14), max_walks=8192)
    assert found.walks == 8192
    assert found.relative_error > 0.2


REFUSED = {
    "data_reuploading": "encode its data before its weights",
    "qaoa_ring": "a weight that another rotation has already",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_average_does_not_cover_is_refused_by_name(name: str) -> None:
    circuit = qlazy.load_circuit(name)
    assert circuit.program is not None
    with pytest.raises(UnsupportedModelError, match=re.escape(REFUSED[name])):
        mean_kernel(circuit, features(2, circuit.program.num_features))


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (lambda w: qml.CRX(w[0], wires=[0, 1]), "multiple of|controls"),
        (lambda w: (qml.RX(w[0], 0), qml.T(0)), "not a Clifford gate"),
        (lambda w: (qml.RX(w[0], 0), qml.RY(0.3, 0)), "by 0.3, not a multiple"),
        (lambda w: qml.RX(w[0] * w[1], 0), "not a whole multiple"),
        (lambda w: qml.RX(0.5 * w[0], 0), "not a whole multiple"),
        (lambda w: qml.RX(w[0] ** 2, 0), "not a whole multiple"),
    ],
)
def test_gates_that_are_not_covered_are_named(gate, message) -> None:  # type: ignore[no-untyped-def]
    @qml.qnode(DEVICE)
    def qnode(inputs, w):  # type: ignore[no-untyped-def]
        qml.AngleEmbedding(inputs, wires=range(4))
        gate(w)
        return qml.expval(qml.Z(0))

    with pytest.raises(UnsupportedModelError, match=message):
        mean_kernel(qlazy.Circuit(qnode, {"w": 2}), features(2, 4))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sizes"), [("hardware_efficient", {"layers": 3}), ("brickwork", {}), ("tree_tensor_network", {})]
)
def test_against_five_thousand_kernels(name: str, sizes: dict[str, int]) -> None:
    """No entry further than 3.5 errors, at eight qubits."""
    circuit, x = qlazy.load_circuit(name, n=8, **sizes), features(4, 8)
    found = mean_kernel(circuit, x, precision=0.003)
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        jacobians = torch.stack(
            [circuit.jacobian(circuit.init(generator), x).flatten(0, 1) for _ in range(5000)]
        )
    kernels = jacobians @ jacobians.mT
    errors = (kernels.var(0) / 5000 + found.tangent_error**2).sqrt()
    assert float(((kernels.mean(0) - found.tangent).abs() / errors).max()) < 3.5


@pytest.mark.slow
def test_sixteen_thousand_parameters_to_a_hundredth() -> None:
    circuit = qlazy.load_circuit("brickwork", n=1000, layers=8, backend="paulis")
    assert circuit.num_params > 15_900
    assert mean_kernel(circuit, features(2, 1000)).relative_error <= 0.01
