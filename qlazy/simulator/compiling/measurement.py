"""Observables as the kernels read them: shifts, diagonal tables and outcome numbers, all in rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.compiling.frames import Frame, Pauli, row_parity
from qlazy.simulator.observables import Hermitian, Observable, PauliSum, Probabilities, Projector, num_outputs
from qlazy.simulator.operations import Wires

TERM = np.dtype([("output", np.int64), ("shift", np.int64), ("table", np.int64)], align=True)
Shifts = dict[int, NDArray[np.complex128]]  # shift -> diagonal table


class Measurement(NamedTuple):
    """As kernels read it: terms (t,), their tables (t, 2^n, 2), and groups (g, 2^n), the output each row is part of."""

    terms: NDArray[np.void]
    tables: NDArray[np.float64]
    groups: NDArray[np.int64]
    num_outputs: int


def compile_measurement(frame: Frame, observables: Sequence[Observable]) -> Measurement:
    size = 2 ** len(frame.labels)
    terms: list[tuple[int, int, int]] = []
    tables: list[NDArray[np.complex128]] = []
    groups: list[NDArray[np.int64]] = []
    output = 0
    for observable in observables:
        if isinstance(observable, Probabilities):
            groups.append(output + _outcomes(frame, observable.wires))
        else:
            for shift, table in _shifts(frame, observable).items():
                terms.append((output, shift, len(tables)))
                tables.append(table)
        output += num_outputs(observable)
    stacked = np.array(tables, dtype=complex).reshape(-1, size)
    return Measurement(
        np.array(terms, TERM), real_table(stacked), np.array(groups, np.int64).reshape(-1, size), output
    )


def real_table(table: NDArray[np.complex128]) -> NDArray[np.float64]:
    return np.ascontiguousarray(np.stack([table.real, table.imag], axis=-1))


def _outcomes(frame: Frame, wires: Wires) -> NDArray[np.int64]:
    """The outcome each row belongs to, first wire most significant."""
    outcome = np.zeros(2 ** len(frame.labels), np.int64)
    for wire in wires:
        label = frame.labels[wire]
        outcome = 2 * outcome + (row_parity(len(frame.labels), label.read) ^ label.offset)
    return outcome


def _shifts(frame: Frame, observable: PauliSum | Hermitian | Projector) -> Shifts:
    match observable:
        case PauliSum():
            return _pauli_shifts(frame, observable)
        case Hermitian():
            return _matrix_shifts(frame, np.asarray(observable.matrix, dtype=complex), observable.wires)
        case Projector():
            wanted = int("".join(map(str, observable.bits)), 2)
            return {0: (_outcomes(frame, observable.wires) == wanted).astype(complex)}


def _pauli_shifts(frame: Frame, observable: PauliSum) -> Shifts:
    num_wires = len(frame.labels)
    shifts: Shifts = defaultdict(lambda: np.zeros(2**num_wires, dtype=complex))
    for word in observable.words:
        pauli = frame.pauli(word.word, word.wires)
        shifts[pauli.flip] += word.coefficient * pauli.phase * (1 - 2 * row_parity(num_wires, pauli.read))
    return shifts


def _matrix_shifts(frame: Frame, matrix: NDArray[np.complex128], wires: Wires) -> Shifts:
    """<k xor shift| O |k> = matrix[j xor f, j], where row k has outcome j and the shift flips the bits f."""
    outcome = _outcomes(frame, wires)
    shifts = {}
    for flipped in range(len(matrix)):
        elements = matrix[outcome ^ flipped, outcome]
        if elements.any():
            bits = (flipped >> (len(wires) - 1 - position) & 1 for position in range(len(wires)))
            shift = 0
            for wire, bit in zip(wires, bits, strict=True):
                shift ^= frame.labels[wire].flip if bit else 0
            shifts[shift] = elements
    return shifts


def measured_paulis(frame: Frame, observables: Sequence[Observable]) -> list[Pauli]:
    """Pauli words that generate an algebra with all observables in it."""
    return [pauli for observable in observables for pauli in _generators(frame, observable)]


def _generators(frame: Frame, observable: Observable) -> list[Pauli]:
    if isinstance(observable, PauliSum):
        return [frame.pauli(word.word, word.wires) for word in observable.words]
    letters = "XZ" if isinstance(observable, Hermitian) else "Z"
    return [frame.pauli(letter, (wire,)) for wire in observable.wires for letter in letters]
