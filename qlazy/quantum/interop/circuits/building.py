"""A program put together from matrices and rotations, whichever tool they come from."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.quantum.corpus import program_from_qasm
from qlazy.quantum.interop.circuits.angles import Symbols
from qlazy.quantum.program.expression import Constant, Expression
from qlazy.quantum.program.gates import FIXED
from qlazy.quantum.program.program import Gate, PauliSum, PauliTerm, Program
from qlazy.quantum.program.statements import UNITARY
from qlazy.simulator.operations import MAX_DENSE_WIRES

Matrix = NDArray[np.complex128]
Wires = Sequence[int]

EXACT = 1e-12
NAMED = [(name, controls) for name in FIXED for controls in range(3)]
"""Gates that a matrix is told to be, with so many controls."""


class Builder:
    """Gates in order, on wires 0, 1, ..., with angles of ``symbols``. Phases count: a gate may be controlled."""

    def __init__(self, symbols: Symbols) -> None:
        self.symbols = symbols
        self.gates: list[Gate] = []
        self._controls: tuple[int, ...] = ()
        self._values: tuple[int, ...] = ()

    @contextmanager
    def controlled(self, controls: Wires, values: Sequence[int]) -> Iterator[None]:
        """What is added within acts where the controls have these values, 0 or 1."""
        before = self._controls, self._values
        self._controls, self._values = (*before[0], *controls), (*before[1], *values)
        yield
        self._controls, self._values = before

    def gate(self, name: str, wires: Wires, *angles: Expression) -> None:
        """A base gate of OpenQASM."""
        self._add(Gate(name, angles, tuple(wires), self._controls, self._values))

    def matrix(self, matrix: Matrix, wires: Wires, name: str) -> None:
        """A unitary matrix (2^k, 2^k), first wire first, of a gate that is called ``name`` where it is refused."""
        found = named(matrix)
        if found is not None:
            gate, count = found
            with self.controlled(wires[:count], (1,) * count):
                self.gate(gate, wires[count:])
            return
        must = f"have gates of at most {MAX_DENSE_WIRES} qubits where they are matrices"
        size = len(wires) + len(self._controls)
        require(
            size <= MAX_DENSE_WIRES, "circuit", must, f"one with `{name}` on {size}", UnsupportedModelError
        )
        rows = tuple(tuple(complex(entry) for entry in row) for row in matrix)
        self._add(Gate(UNITARY, (), tuple(wires), self._controls, self._values, rows))

    def phase(self, angle: Expression) -> None:
        """The factor exp(i angle)."""
        if not self._controls:
            return  # nobody sees it
        *controls, last = self._controls
        *values, value = self._values
        flips = [Gate("x", (), (last,))] if value == 0 else []
        gate = Gate("p", (angle,), (last,), tuple(controls), tuple(values))
        self.gates += [*flips, gate, *flips]

    def rotation(self, word: str, angle: Expression, wires: Wires) -> None:
        """exp(-i angle/2 P), P the word of Paulis, a letter a wire."""
        pairs = [(letter, wire) for letter, wire in zip(word, wires, strict=True) if letter != "I"]
        if len(pairs) <= 1:
            for letter, wire in pairs:
                self.gate(f"r{letter.lower()}", (wire,), angle)
            if not pairs:
                self.phase(angle * -0.5)
            return
        before = [gate for letter, wire in pairs for gate in _to_z(letter, wire)]
        ladder = [Gate("x", (), (b,), (a,), (1,)) for (_, a), (_, b) in itertools.pairwise(pairs)]
        self.gates += (
            before + ladder
        )  # what cancels where the rotation is not controlled to act need not be controlled
        self.gate("rz", (pairs[-1][1],), angle)
        self.gates += [*reversed(ladder), *(gate for letter, wire in pairs for gate in _from_z(letter, wire))]

    def diagonal(self, phases: Sequence[Expression], wires: Wires) -> None:
        """diag(exp(i phases)), (2^k,), by products of Z: phases are sums of their signs (Walsh's transform)."""
        count = len(wires)
        for bits in itertools.product((0, 1), repeat=count):
            signs = [(-1) ** sum(a * b for a, b in zip(bits, state, strict=True))
                     for state in itertools.product((0, 1), repeat=count)]  # fmt: skip
            total: Expression = Constant(0.0)
            for sign, phase in zip(signs, phases, strict=True):
                total = total + phase * float(sign)
            part = total * 2.0**-count
            if not any(bits):
                self.phase(part)
            elif part != Constant(0.0):
                self.rotation("".join("IZ"[bit] for bit in bits), part * -2.0, wires)

    def powers(
        self, parts: Sequence[tuple[float, Matrix]], turn: Expression, wires: Wires, name: str
    ) -> None:
        """sum_k exp(i turn e_k) P_k, of pairs of a number e_k and an orthogonal projector P_k (2^k, 2^k)."""
        columns, numbers = [], []
        for number, projector in parts:
            values, vectors = np.linalg.eigh(projector)
            kept = vectors[:, values > 0.5]
            columns.append(kept)
            numbers += [number] * kept.shape[1]
        basis = np.concatenate(columns, 1)
        if np.count_nonzero(np.abs(basis) > EXACT) == len(basis):  # already diagonal: states in another order
            order = np.argmax(np.abs(basis), 0)
            numbers = [numbers[int(np.where(order == state)[0][0])] for state in range(len(basis))]
            basis = np.eye(len(basis), dtype=complex)
        is_diagonal = np.array_equal(basis, np.eye(len(basis)))
        without = Builder(self.symbols)  # what turns into the basis and back need not be controlled
        if not is_diagonal:
            without.matrix(basis.conj().T, wires, name)
        self.gates += without.gates
        self.diagonal([turn * number for number in numbers], wires)
        if not is_diagonal:
            back = Builder(self.symbols)
            back.matrix(basis, wires, name)
            self.gates += back.gates

    def _add(self, gate: Gate) -> None:
        self.gates.append(gate)

    def program(self, name: str, num_qubits: int, observables: Sequence[PauliSum]) -> Program:
        """The program of all gates; its outputs are Z of every qubit where none is given."""
        self.symbols.require_data()
        data = self.symbols.names(self.symbols.data)
        weights = self.symbols.weights
        # A gate without wires is a phase, which the program need not have.
        return Program(
            name, tuple(f"q[{wire}]" for wire in range(num_qubits)), dict.fromkeys(weights, ()),
            dict.fromkeys(data, ()), tuple(self.gates),
            tuple(observables) or tuple(PauliSum.z(wire) for wire in range(num_qubits)),
        )  # fmt: skip


def named(matrix: Matrix) -> tuple[str, int] | None:
    """The base gate, and its number of controls, that a matrix is, phases included; None where it is none."""
    for name, controls in NAMED:
        own = np.array(FIXED[name], dtype=complex)
        if len(own) << controls == len(matrix):
            whole = np.eye(len(matrix), dtype=complex)
            whole[-len(own) :, -len(own) :] = own
            if np.abs(whole - matrix).max() < EXACT:
                return name, controls
    return None


def observables_of(texts: Sequence[str | PauliSum], num_qubits: int) -> list[PauliSum]:
    """Observables from texts such as "0.5 Z q[0] Z q[1]" on the register ``q``, or as they are."""
    plain = [one for one in texts if isinstance(one, str)]
    read = iter(
        program_from_qasm(f"OPENQASM 3.0; qubit[{num_qubits}] q;", plain).observables if plain else ()
    )
    return [next(read) if isinstance(one, str) else one for one in texts]


def pauli_sum(terms: Sequence[tuple[complex, Sequence[tuple[int, str]]]]) -> PauliSum:
    """A sum of words, each a coefficient and pairs of a wire and a letter. Refuses coefficients that are not real."""
    found = []
    for coefficient, factors in terms:
        real = np.isreal(coefficient) and np.isfinite(coefficient)
        require(real, "observables", "have real coefficients", f"with {coefficient}")
        letters = tuple(sorted((wire, letter) for wire, letter in factors if letter != "I"))
        found.append(PauliTerm(float(np.real(coefficient)), letters))
    return PauliSum.collect(found)


def several(given: Any) -> list[Any]:
    """A list of what was given, which may be one alone."""
    return list(given) if isinstance(given, list | tuple) else [given]


def data_names(given: Any) -> list[str]:
    """The names of symbols, or of objects that carry one."""
    names = [getattr(one, "name", one) for one in several(given)]
    for name in names:
        require(isinstance(name, str), "data", "name symbols of the circuit", name, TypeError)
    return names


def _to_z(letter: str, wire: int) -> list[Gate]:
    turn = {"X": [Gate("h", (), (wire,))], "Y": [Gate("rx", (Constant(np.pi / 2),), (wire,))], "Z": []}
    return turn[letter]


def _from_z(letter: str, wire: int) -> list[Gate]:
    return [replace(gate, angles=tuple(-angle for angle in gate.angles)) for gate in _to_z(letter, wire)]
