"""Dimensions of Lie algebras against published formulas and an independent closure on matrices."""

from __future__ import annotations

import functools
import math

import numpy as np
import pennylane as qml
import pytest
import torch

import qlazy
from qlazy.base.errors import UnsupportedModelError
from qlazy.theory.trainability import lie_algebra, lie_closure

PAULIS = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]).astype(complex),
}
Sums = list[dict[str, float]]


def matrix(terms: dict[str, float]) -> np.ndarray:
    return sum(
        c * functools.reduce(np.kron, [PAULIS[letter] for letter in word]) for word, c in terms.items()
    )


def brute(matrices: list[np.ndarray]) -> int:
    """The dimension of the closure of Hermitian matrices under i[., .]: all pairs of a basis, until it stays."""
    size = len(matrices[0])
    basis = orthonormal([m - np.trace(m) / size * np.eye(size) for m in matrices])
    while True:
        products = [1j * (a @ b - b @ a) for k, a in enumerate(basis) for b in basis[:k]]
        larger = orthonormal([*basis, *products])
        if len(larger) == len(basis):
            return len(basis)
        basis = larger


def orthonormal(matrices: list[np.ndarray]) -> list[np.ndarray]:
    rows = np.stack([np.concatenate([m.real.ravel(), m.imag.ravel()]) for m in matrices])
    _, sizes, vectors = np.linalg.svd(rows, full_matrices=False)
    kept = vectors[sizes > 1e-9 * sizes[0]]
    half, size = kept.shape[1] // 2, len(matrices[0])
    return list((kept[:, :half] + 1j * kept[:, half:]).reshape(-1, size, size))


def on(n: int, **letters: str) -> str:
    return "".join(letters.get(f"q{k}", "I") for k in range(n))


def singles(n: int, letter: str) -> list[str]:
    return [on(n, **{f"q{k}": letter}) for k in range(n)]


def pairs(n: int, letter: str, ring: bool = False) -> list[str]:
    return [on(n, **{f"q{k}": letter, f"q{(k + 1) % n}": letter}) for k in range(n if ring else n - 1)]


def together(words: list[str]) -> dict[str, float]:
    return dict.fromkeys(words, 1.0)


def each(words: list[str]) -> Sums:
    return [{word: 1.0} for word in words]


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_published_dimensions(n: int) -> None:
    """Free fermions so(2n); QAOA of a ring; the hardware-efficient ansatz (arXiv 2105.14377, 2309.05690)."""
    assert lie_closure(pairs(n, "Z") + singles(n, "X")).dimension == n * (2 * n - 1)
    ring = lie_closure([together(pairs(n, "Z", ring=True)), together(singles(n, "X"))])
    assert ring.dimension == 3 * n - 1  # 3n/2 in each of two parity sectors for even n, less one
    assert (
        lie_closure(singles(n, "X") + singles(n, "Y") + pairs(n, "Z"), max_dimension=4096).dimension
        == 4**n - 1
    )
    assert lie_closure(singles(n, "Z")).dimension == n
    assert lie_closure(pairs(n, "X") + pairs(n, "Y")).dimension == n * (n - 1)  # two copies of so(n)


def families(n: int) -> dict[str, Sums]:
    return {
        "TFIM, words": each(pairs(n, "Z") + singles(n, "X")),
        "TFIM, sums": [together(pairs(n, "Z")), together(singles(n, "X"))],
        "XXZ, two sums": [together(pairs(n, "X") + pairs(n, "Y")), together(pairs(n, "Z"))],
        "XXZ, local": [{a: 1.0, b: 1.0} for a, b in zip(pairs(n, "X"), pairs(n, "Y"), strict=True)]
        + each(pairs(n, "Z")),
        "odd coefficients": [
            {**together(pairs(n, "X")), singles(n, "Z")[0]: 0.3},
            {w: 0.1 + k for k, w in enumerate(singles(n, "Y"))},
        ],
        "hardware-efficient": each(singles(n, "X") + singles(n, "Y") + pairs(n, "Z")),
    }


@pytest.mark.parametrize("name", families(3))
@pytest.mark.parametrize("n", [3, 4])
def test_dimensions_are_those_of_a_closure_on_matrices(name: str, n: int) -> None:
    sums = families(n)[name]
    if name in ("hardware-efficient", "odd coefficients") and n > 3:
        return  # hundreds of matrices
    found = lie_closure(sums)
    assert found.complete
    assert found.dimension == brute([matrix(terms) for terms in sums])


def test_sums_and_words_go_two_ways_to_one_number() -> None:
    """One sum among the generators sends all of them the way of linear algebra."""
    words = pairs(4, "Z") + singles(4, "X")
    mixed = lie_closure([*words, {words[0]: 1.0, words[1]: 1.0}])
    assert mixed.dimension == lie_closure(words).dimension == 28


def test_bounds_are_kept() -> None:
    words = singles(6, "X") + singles(6, "Y") + pairs(6, "Z")
    for given in (words, [*words, {words[0]: 1.0, words[1]: 2.0}]):
        found = lie_closure(given, max_dimension=100)
        assert (found.dimension, found.complete, str(found)) == (100, False, "at least 100")
    exact = lie_closure(singles(3, "Z"), max_dimension=3)
    assert (exact.dimension, exact.complete) == (3, True)


def circuit_of(function) -> qlazy.Circuit:  # type: ignore[no-untyped-def]
    return qlazy.Circuit(qml.QNode(function, qml.device("default.qubit", wires=3)), {"w": 3})


def plain(inputs, w):  # type: ignore[no-untyped-def]
    qml.RX(inputs[0], wires=0)
    qml.RX(w[0], wires=0)
    qml.CNOT([0, 1])
    qml.RZ(w[1], wires=1)
    qml.T(1)
    qml.RY(w[2], wires=1)
    qml.CRZ(w[0], wires=[1, 2])
    return qml.expval(qml.Z(0))


def shared(inputs, w):  # type: ignore[no-untyped-def]
    qml.RX(inputs[0], wires=0)
    for k in range(3):
        qml.IsingZZ(w[0], wires=[k, (k + 1) % 3])
    for k in range(3):
        qml.RX(2 * w[1], wires=k)
    qml.RZ(w[2] + 0.5, wires=0)
    return qml.expval(qml.Z(0))


def carried(function) -> list[np.ndarray]:  # type: ignore[no-untyped-def]
    """Generators by finite products of matrices: fixed gates before a rotation carried to the front."""
    one, z = PAULIS["I"], PAULIS["Z"]
    if function is shared:
        return [
            matrix(together(pairs(3, "Z", ring=True))),
            matrix(together(singles(3, "X"))),
            matrix({"ZII": 1.0}),
        ]
    cnot = np.kron(np.eye(4)[[0, 1, 3, 2]], one)
    t = np.kron(np.kron(one, np.diag([1, np.exp(1j * math.pi / 4)])), one)
    controlled = np.kron(one, np.kron(np.diag([0, 1]), z))
    after = t @ cnot
    return [
        matrix({"XII": 1.0}),
        cnot.conj().T @ matrix({"IZI": 1.0}) @ cnot,
        after.conj().T @ matrix({"IYI": 1.0}) @ after,
        after.conj().T @ controlled @ after,
    ]


@pytest.mark.parametrize("function", [plain, shared])
def test_generators_of_circuits_are_those_carried_by_matrices(function) -> None:  # type: ignore[no-untyped-def]
    circuit = circuit_of(function)
    found = lie_algebra(circuit, torch.zeros(1, 1, dtype=torch.float64))
    expected = carried(function)
    assert found.generators == len(expected)
    assert found.dimension == brute(expected)
    assert found.qubits == 3


def test_data_after_weights_turns_too_and_data_before_does_not() -> None:
    def circuit(first: bool) -> qlazy.Circuit:
        def function(inputs, w):  # type: ignore[no-untyped-def]
            if first:
                qml.RX(inputs[0], wires=0)
            qml.RZ(w[0], wires=0)
            if not first:
                qml.RX(inputs[0], wires=0)
            return qml.expval(qml.Z(0))

        return qlazy.Circuit(qml.QNode(function, qml.device("default.qubit", wires=1)), {"w": (2,)})

    x = torch.zeros(1, 1, dtype=torch.float64)
    assert lie_algebra(circuit(True), x).dimension == 1
    assert lie_algebra(circuit(False), x).dimension == 3


def test_refusals() -> None:
    for wrong in ("XX", [], ["XX", "X"], ["XA"], [{"X": math.nan}], [3]):
        with pytest.raises((TypeError, ValueError), match="`generators` must"):
            lie_closure(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`max_dimension` must be a positive whole number"):
        lie_closure(["X"], max_dimension=0)

    def function(inputs, w):  # type: ignore[no-untyped-def]
        qml.RX(w[0], wires=0)
        qml.measure(0)
        qml.RX(w[1], wires=0)
        return qml.expval(qml.Z(0))

    with pytest.raises(UnsupportedModelError):
        lie_algebra(circuit_of(function), torch.zeros(1, 1, dtype=torch.float64))
