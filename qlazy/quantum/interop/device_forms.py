"""What two tapes share that differ in numbers alone: a form, which is checked and read once."""

from __future__ import annotations

from typing import Any, NamedTuple

import pennylane as qml

KINDS = {qml.RX, qml.RY, qml.RZ, qml.Rot, qml.IsingXX, qml.IsingYY, qml.IsingZZ, qml.MultiRZ, qml.SWAP, qml.Hadamard,
         qml.PauliX, qml.PauliY, qml.PauliZ, qml.S, qml.T, qml.SX}  # fmt: skip
"""Gates that their class and wires tell, and parameters that are angles of Pauli rotations, one each and in order."""
CONTROLLED = {qml.CNOT, qml.CZ, qml.CY, qml.Toffoli, qml.CRX, qml.CRY, qml.CRZ}
"""The same of gates whose wires PennyLane puts together anew whenever it is asked."""


class Form(NamedTuple):
    """A tape without its numbers, and its numbers."""

    key: tuple[Any, ...]
    """Equal for tapes of one form, whose results are one function of their angles."""
    angles: tuple[Any, ...]
    """Of all gates, each a number or one for each entry of a batch."""
    entries: int | None
    """How many a batch has; None where there is none."""
    wires: frozenset[Any]


def form_of(tape: Any) -> Form | None:
    """None where a tape is not told by gates, wires, words of Paulis and angles of one batch alone."""
    parts: list[Any] = [len(tape.operations)]
    angles: list[Any] = []
    wires: set[Any] = set()
    for op in tape.operations:
        kind = type(op)
        if kind in KINDS:
            labels = op.wires.labels
        elif kind in CONTROLLED:
            labels = op.control_wires.labels + op.target_wires.labels
        else:
            return None
        parts.append((kind, labels))
        wires.update(labels)
        angles += op.data
    for measurement in tape.measurements:
        observable = measurement.obs
        if type(measurement) is not qml.measurements.ExpectationMP or observable is None or observable.data:
            return None
        if (words := observable.pauli_rep) is None:
            return None
        parts.append(tuple((*word.items(), n) for word, n in words.items()))
        wires.update(observable.wires.labels)
    shapes = {tuple(getattr(angle, "shape", ())) for angle in angles} - {()}
    if tape.shots or len(shapes) > 1 or any(len(shape) > 1 for shape in shapes):
        return None
    [entries] = shapes.pop() if shapes else (None,)
    return Form(tuple(parts), tuple(angles), entries, frozenset(wires))
