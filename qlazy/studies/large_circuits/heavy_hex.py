"""Circuits on a heavy-hex map of 127 qubits: rows of qubits, joined by single ones between them."""

from __future__ import annotations

from qlazy.quantum.circuit import Circuit
from qlazy.quantum.interop.loading import from_qasm

QUBITS = 127
_ROWS = ((0, 14), (0, 15), (0, 15), (0, 15), (0, 15), (0, 15), (1, 15))  # columns from and to


def heavy_hex_bonds() -> list[tuple[int, int]]:
    """The 144 pairs of neighbours, qubits numbered row by row, those between two rows after the first of them."""
    places: dict[tuple[int, int], int] = {}
    joints: list[tuple[int, int, int]] = []
    count = 0
    for row, (start, end) in enumerate(_ROWS):
        for column in range(start, end):
            places[row, column] = count
            count += 1
        if row + 1 < len(_ROWS):
            for column in range(2 * (row % 2), 15, 4):
                joints.append((row, column, count))
                count += 1
    along = [(place, places[r, c + 1]) for (r, c), place in places.items() if (r, c + 1) in places]
    across = [pair for r, c, q in joints for pair in ((places[r, c], q), (q, places[r + 1, c]))]
    return sorted((min(pair), max(pair)) for pair in [*along, *across])


def heavy_hex_circuit(layers: int, cutoff: float = 0.0) -> Circuit:
    """RY by data, then layers of RY, RZ and CZ on every bond; the output is sum_k Z_k / sqrt(127)."""
    last = QUBITS - 1
    lines = [
        "OPENQASM 3.0;",
        'include "stdgates.inc";',
        f"pragma qlazy.observable sum(k in [0:{last}]) 1/sqrt({QUBITS}) Z q[k]",
        "@qlazy.data",
        f"input array[float[64], {QUBITS}] features;",
        f"input array[float[64], {layers}, {QUBITS}, 2] theta;",
        f"qubit[{QUBITS}] q;",
        f"for int k in [0:{last}] {{ ry(features[k]) q[k]; }}",
    ]
    for layer in range(layers):
        rotations = f"ry(theta[{layer}, k, 0]) q[k]; rz(theta[{layer}, k, 1]) q[k];"
        lines.append(f"for int k in [0:{last}] {{ {rotations} }}")
        lines += [f"cz q[{one}], q[{other}];" for one, other in heavy_hex_bonds()]
    return from_qasm("\n".join(lines), backend="paulis", cutoff=cutoff)
