"""The unentangled twin of a circuit: the same circuit with every gate on several qubits left out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, require, require_finite, require_instance
from qlazy.quantum.backends.lowered import Lowering
from qlazy.quantum.backends.programs import without_last_measurements
from qlazy.quantum.circuit import Circuit
from qlazy.quantum.program.expression import Constant, Expression
from qlazy.quantum.program.program import UNITARY, Gate, PauliSum, PauliTerm, Program
from qlazy.simulator.observables import Hermitian, Observable, Probabilities, Projector, without_identities
from qlazy.simulator.observables import PauliSum as MeasuredSum
from qlazy.simulator.operations import Cnot, Diagonal, Flip, Operation, PauliRotation, Swap, Unitary

MEASURED = 6
"""Probabilities of more qubits than these are not written as sums of Pauli words."""

PRODUCT = 1e-12
"""A matrix whose second Schmidt coefficient is below this share of the first is a product."""

_PAULIS = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}
_ROTATIONS = {"X": "rx", "Y": "ry", "Z": "rz"}


def untangled(circuit: Circuit, x: Tensor | None = None) -> Circuit:
    """The circuit without its entangling gates, a model of the same parameters (p,), inputs (n, d) and outputs (n, c).

    Gates on several qubits are left out, a controlled one with its controls; swaps and fixed matrices that are products
    of one-qubit matrices stay, as they entangle nothing, and a circuit without other gates on several qubits is its own
    twin. Weights of the gates that are left out stay declared and unused, so that a seed starts both from the same
    angles. A QNode's gate that the simulator makes of several (a controlled
    phase) leaves its one-qubit parts. ``x``, inputs (1, d) or more, tells a QNode's shape before its first call.

    As the "separable" models of Bowles, Ahmed, Schuld 2024 (arXiv 2403.07059). Raises UnsupportedModelError for a
    circuit that measures on its way, prepares states of several qubits, or is left without data or weights.

    Raises TypeError for what is no Circuit, ValueError for inputs that do not fit it.
    """
    require_instance("circuit", circuit, Circuit, "Circuit(qnode, {'weights': (2, 4, 3)})")
    program = _as_program(circuit, x)
    kept = tuple(part for gate in program.operations for part in _kept(gate))
    twin = replace(program, name=f"{program.name}_untangled", operations=kept, text="", path=None, header="")
    for kind, declared in (("data", program.data), ("weights", program.weights)):
        used = declared.keys() & {name for angle in twin.angles for name, _ in angle.elements}
        require(
            bool(used) or not declared, "circuit", f"use its {kind} in gates on one qubit",
            "left without them when its gates on several qubits are left out", UnsupportedModelError,
        )  # fmt: skip
    return Circuit.from_program(twin)


def _as_program(circuit: Circuit, x: Tensor | None) -> Program:
    if x is not None:
        require_finite("x", x)
        fits = x.ndim >= 2 and len(x) and not x.is_complex()
        require(fits, "x", "hold real inputs (n, d), one or more", f"of shape {tuple(x.shape)}, {x.dtype}")
        circuit.check(circuit.init(torch.Generator().manual_seed(0)), x.double())
    must = "be exact to be cut, without shots or noise"
    require(circuit.backend != "device", "circuit", must, "one with backend='device'", UnsupportedModelError)
    if circuit.program is not None:
        program = without_last_measurements(circuit.program)
        must = "be free of measurements, resets and branches, which cannot be cut in two"
        require(program.is_unitary, "circuit", must, program.name, UnsupportedModelError)
        return program
    row = circuit.row if x is None else tuple(x.shape[1:])
    must = "have run once, or come with inputs `x`, which tell the shape of its rows"
    require(row is not None, "circuit", must, repr(circuit))
    assert row is not None
    must = "take rows of d numbers to be cut"
    require(len(row) == 1, "circuit", must, f"one of rows of shape {row}", UnsupportedModelError)
    rows = torch.zeros(1, *row, dtype=torch.float64) if x is None else x
    _require_no_preparation(circuit, rows)
    return _program_of(circuit, circuit.lowering(rows), *row)


def _require_no_preparation(circuit: Circuit, x: Tensor) -> None:
    """Lowered, the preparation of a state is a list of gates, some of which would be left out."""
    from qlazy.quantum.pennylane.states import preparations

    found = preparations(circuit, circuit.init(torch.Generator().manual_seed(0)), x[:1].double())
    must = "start from basis states, as a state of several qubits cannot be cut in two"
    require(not found, "circuit", must, f"one with {', '.join(found)}", UnsupportedModelError)


def _program_of(circuit: Circuit, lowering: Lowering, features: int) -> Program:
    """A lowered circuit in the gates of a program."""
    (name,) = lowering.layout.data
    parts = zip(lowering.operations, lowering.formulas, strict=True)
    return Program(
        name="circuit",
        qubits=tuple(f"q[{wire}]" for wire in range(lowering.num_wires)),
        weights=dict(circuit.weight_shapes),
        data={name: (features,)},
        operations=tuple(gate for part in parts for gate in _gates(*part)),
        observables=tuple(total for observable in lowering.observables for total in _sums(observable)),
    )


def _gates(operation: Operation, formula: Expression | None) -> Iterator[Gate]:
    """The gate of an operation, as long as it is of one qubit or may be a product; the others are left out here."""
    match operation:
        case PauliRotation(word, wires, angle) if not operation.controls:
            letters, on = without_identities(word, wires)
            given = Constant(float(angle)) if formula is None and angle is not None else formula
            if len(on) == 1 and given is not None:
                yield Gate(_ROTATIONS[letters], (given,), on)
        case Unitary(wires, matrix) if not operation.controls:
            yield Gate(UNITARY, (), wires, matrix=_rows(matrix))
        case Diagonal(wires, phases):
            yield Gate(UNITARY, (), wires, matrix=_rows(np.diag(phases)))
        case Flip(wire):
            yield Gate("x", (), (wire,))
        case Swap(first, second):
            yield Gate("swap", (), (first, second))
        case Cnot():
            return


def _kept(gate: object) -> Iterator[Gate]:
    """What is left of a program's gate: itself, a product of one-qubit gates, or nothing."""
    assert isinstance(gate, Gate)
    if gate.controls:
        return
    if gate.name == "swap" or len(gate.wires) < 2:
        yield gate
    elif gate.matrix is not None and (parts := _factors(np.array(gate.matrix))) is not None:
        for wire, matrix in zip(gate.wires, parts, strict=True):
            yield Gate(UNITARY, (), (wire,), matrix=_rows(matrix))


def _factors(matrix: NDArray[np.complex128]) -> list[NDArray[np.complex128]] | None:
    """One-qubit unitaries whose tensor product the matrix is, None where it is none: its operator Schmidt rank is 1."""
    size = len(matrix) // 2
    if size == 1:
        return [matrix]
    split = matrix.reshape(2, size, 2, size).transpose(0, 2, 1, 3).reshape(4, size * size)
    left, values, right = np.linalg.svd(split, full_matrices=False)
    if values[1] > PRODUCT * values[0]:
        return None
    rest = _factors((values[0] / np.sqrt(2) * right[0]).reshape(size, size))
    return None if rest is None else [np.sqrt(2) * left[:, 0].reshape(2, 2), *rest]


def _rows(matrix: NDArray[np.complex128]) -> tuple[tuple[complex, ...], ...]:
    return tuple(tuple(complex(entry) for entry in row) for row in matrix)


def _sums(observable: Observable) -> Iterator[PauliSum]:
    """The outputs of an observable as sums of Pauli words."""
    match observable:
        case MeasuredSum(words):
            terms = [PauliTerm(w.coefficient, _factors_of(w.word, w.wires)) for w in words]
            yield PauliSum.collect(terms or [PauliTerm(0.0)])
        case Projector(bits, wires):
            yield _projection(bits, wires)
        case Probabilities(wires):
            must = f"give probabilities of at most {MEASURED} qubits to be cut"
            require(len(wires) <= MEASURED, "circuit", must, f"of {len(wires)}", UnsupportedModelError)
            for bits in itertools.product((0, 1), repeat=len(wires)):
                yield _projection(bits, wires)
        case Hermitian(matrix, wires):
            yield _decomposed(np.asarray(matrix), wires)


def _factors_of(word: str, wires: Sequence[int]) -> tuple[tuple[int, str], ...]:
    letters = zip(wires, word, strict=True)
    return tuple(sorted((wire, letter) for wire, letter in letters if letter != "I"))


def _projection(bits: Sequence[int], wires: Sequence[int]) -> PauliSum:
    """|bits><bits|, the product of (I + (-1)^b Z) / 2."""
    terms = []
    for on in itertools.product((0, 1), repeat=len(wires)):
        sign = (-1) ** sum(bit for bit, here in zip(bits, on, strict=True) if here)
        word = "".join("IZ"[here] for here in on)
        terms.append(PauliTerm(sign / 2 ** len(wires), _factors_of(word, wires)))
    return PauliSum.collect(terms)


def _decomposed(matrix: NDArray[np.complex128], wires: Sequence[int]) -> PauliSum:
    """tr(P M) / 2^k over all words P."""
    terms = []
    for word in itertools.product("IXYZ", repeat=len(wires)):
        total = np.eye(1)
        for letter in word:
            total = np.kron(total, _PAULIS[letter])
        coefficient = float(np.einsum("ij,ji->", total, matrix).real) / len(matrix)
        if coefficient:
            terms.append(PauliTerm(coefficient, _factors_of("".join(word), wires)))
    return PauliSum.collect(terms or [PauliTerm(0.0)])
