"""Scrambled circuits: Pauli rotations between Haar-random gates, on which closed forms of the kernel hold."""

from __future__ import annotations

from typing import Any

import pennylane as qml
import torch
from torch import Tensor

from qlazy.base.errors import require
from qlazy.quantum.circuit import Circuit
from qlazy.simulator.operations import MAX_DENSE_WIRES


def scrambled_circuit(
    qubits: int, layers: int, generator: torch.Generator, *, observable: str = "Z", features: int = 0
) -> Circuit:
    """W_L R_L ... W_1 R_1 W_0: random Pauli rotations R_l and Haar-random gates W_l over all qubits.

    One angle a layer; the output is the expectation value of the Pauli word ``observable`` on the first
    qubits. ``features`` d rotates qubit k by RY(x_k) for k < d before everything else; without it the circuit
    takes x of shape (n, 0). The gates are drawn from ``generator``, and the same for every call.
    """
    require(1 <= qubits <= MAX_DENSE_WIRES, "qubits", f"be 1 to {MAX_DENSE_WIRES}", qubits)
    require(layers >= 1, "layers", "be positive", layers)
    require(0 <= features <= qubits, "features", f"be 0 to {qubits}", features)
    gates = list(haar_unitaries(layers + 1, 2**qubits, generator).numpy())
    words = [_pauli_word(qubits, generator) for _ in range(layers)]
    measured = qml.pauli.string_to_pauli_word(observable)
    wires = range(qubits)

    def scrambled(inputs: Any, angles: Any) -> Any:
        for wire in range(features):
            qml.RY(inputs[wire], wires=wire)
        qml.QubitUnitary(gates[0], wires=wires)
        for layer, word in enumerate(words):
            qml.PauliRot(angles[layer] if layers > 1 else angles, word, wires=wires)
            qml.QubitUnitary(gates[layer + 1], wires=wires)
        return qml.expval(measured)

    return Circuit(
        qml.QNode(scrambled, qml.device("default.qubit", wires=qubits)),
        {"angles": (layers,) if layers > 1 else 1},
    )


def haar_unitaries(count: int, dimension: int, generator: torch.Generator) -> Tensor:
    """``count`` unitaries (count, N, N), complex128, from the Haar measure (Mezzadri 2007, arXiv math-ph/0609050)."""
    parts = torch.randn(count, dimension, dimension, 2, generator=generator, dtype=torch.float64)
    unitaries, triangles = torch.linalg.qr(torch.view_as_complex(parts))
    phases = triangles.diagonal(dim1=1, dim2=2)
    return unitaries * (phases / phases.abs()).unsqueeze(1)


def _pauli_word(qubits: int, generator: torch.Generator) -> str:
    """Uniform over all words but the identity."""
    number = int(torch.randint(1, 4**qubits, (), generator=generator))
    return "".join("IXYZ"[number >> 2 * wire & 3] for wire in range(qubits))
