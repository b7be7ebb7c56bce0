"""The part of a circuit that depends on data alone, and what Pauli words are in the states that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, refuse, require
from qlazy.quantum.backends.angles import AngleMap
from qlazy.quantum.backends.lowered import MAX_WIRES, Lowering
from qlazy.quantum.program.expression import Constant, Expression
from qlazy.simulator.observables import PauliSum, PauliWord
from qlazy.simulator.operations import Operation, PauliRotation
from qlazy.simulator.paulis.cliffords import conjugation, wires_of
from qlazy.simulator.paulis.products import Turned, product_states
from qlazy.simulator.paulis.walks import Walked, product_features
from qlazy.simulator.paulis.words import LETTERS
from qlazy.simulator.rotations import RotationCircuit

_CHUNK = 512  # words measured together

Gate = tuple[Operation, Expression | None]


class Encoding(Protocol):
    """States of m inputs."""

    def features(self, walked: Walked) -> NDArray[np.float64]:
        """The signed expectation (walks, g, m) of each word where its walk ended."""


class Split(NamedTuple):
    """A circuit as the encoding of its inputs, and what comes after."""

    encoding: Encoding
    body: list[Gate]


def split_circuit(lowering: Lowering, x: Tensor) -> Split:
    """Data first, weights after; x has shape (m, d).

    Gates on wires that no weight has touched count as encoding. A product state serves any number of wires: one-wire
    gates at the start of each. An encoding that entangles by data is simulated, up to 24 wires.
    Raises UnsupportedModelError where data enters after weights, or together with them.
    """
    gates = list(zip(lowering.operations, lowering.formulas, strict=True))
    first, rest = leading_gates(gates, lowering, products=True)
    if any(_is_encoding(gate, lowering) for gate in rest):
        first, rest = leading_gates(gates, lowering, products=False)
        for gate in rest:
            _require_no_data(gate, lowering)
        return Split(_States(lowering.num_wires, _rotated(first, lowering, x), len(x)), rest)
    return Split(_Products(lowering.num_wires, _rotated(first, lowering, x), len(x)), rest)


def _is_encoding(gate: Gate, lowering: Lowering) -> bool:
    """Whether it must be in the encoding: it depends on data, or is fixed and not a Clifford gate."""
    operation, formula = gate
    if formula is not None and not isinstance(formula, Constant):
        return any(lowering.layout.is_data(name) for name, _ in formula.elements)
    return conjugation(as_fixed(operation, formula))[1] is None


def _require_no_data(gate: Gate, lowering: Lowering) -> None:
    formula = gate[1]
    data = sorted({n for n, _ in formula.elements if lowering.layout.is_data(n)}) if formula else []
    if data:
        refuse(
            "circuit", "encode its data before its weights (re-uploading has no such average)",
            f"one with {', '.join(data)} after weights, or together with them, in {formula} on wires {gate[0].wires}",
            UnsupportedModelError,
        )  # fmt: skip


def leading_gates(gates: list[Gate], lowering: Lowering, *, products: bool) -> tuple[list[Gate], list[Gate]]:
    """Gates before any weight on their wires, and all others; with ``products`` those on one wire alone."""
    touched: set[int] = set()
    first, rest = [], []
    for gate in gates:
        wires, formula = wires_of(gate[0]), gate[1]
        weighted = formula is not None and any(not lowering.layout.is_data(n) for n, _ in formula.elements)
        if weighted or touched.intersection(wires) or (products and len(wires) > 1):
            touched.update(wires)
            rest.append(gate)
        else:
            first.append(gate)
    return first, rest


def as_fixed(operation: Operation, formula: Expression | None) -> Operation:
    """The operation with the constant that its formula is, if it is one."""
    if isinstance(formula, Constant) and isinstance(operation, PauliRotation):
        return replace(operation, angle=formula.value)
    return operation


def _rotated(gates: list[Gate], lowering: Lowering, x: Tensor) -> list[Turned]:
    """Operations, and angles (m,) of those that depend on data."""
    formulas = [f for _, f in gates if f is not None and not isinstance(f, Constant)]
    angles = (
        AngleMap(formulas, lowering.layout).sampled_values(x.new_zeros(0), x).T
        if formulas
        else x.new_zeros(0)
    )
    columns = iter(angles.double().cpu().numpy())
    return [
        (
            as_fixed(operation, formula),
            None if formula is None or isinstance(formula, Constant) else next(columns),
        )
        for operation, formula in gates
    ]


class _Products:
    """A state of each wire."""

    def __init__(self, num_wires: int, gates: Sequence[Turned], samples: int) -> None:
        self._states = product_states(num_wires, gates, samples)

    def features(self, walked: Walked) -> NDArray[np.float64]:
        return product_features(walked, self._states)


class _States:
    """A state of all wires, on the simulator."""

    def __init__(self, num_wires: int, gates: Sequence[Turned], m: int) -> None:
        must = f"have at most {MAX_WIRES} wires where data entangles them"
        require(num_wires <= MAX_WIRES, "circuit", must, f"one of {num_wires}", UnsupportedModelError)
        self._operations = [
            replace(operation, angle=None, sampled=True, wanted=False)
            if isinstance(operation, PauliRotation) and angles is not None
            else operation
            for operation, angles in gates
        ]
        columns = [angles for _, angles in gates if angles is not None]
        self._angles = np.ascontiguousarray(np.stack(columns, axis=1)) if columns else np.zeros((m, 0))
        self._num_wires = num_wires
        self._known: dict[bytes, NDArray[np.floating[Any]]] = {}

    def features(self, walked: Walked) -> NDArray[np.float64]:
        letters = np.zeros((*walked.signs.shape, self._num_wires), np.uint8)
        letters[..., walked.wires] = walked.letters
        distinct, which = np.unique(letters.reshape(-1, self._num_wires), axis=0, return_inverse=True)
        self._measure([word for word in map(bytes, distinct) if word not in self._known])
        table = np.stack([self._known[bytes(word)] for word in distinct])
        signs = walked.signs[..., None].astype(float)
        return np.asarray(signs * table[which.reshape(walked.signs.shape)])

    def _measure(self, words: list[bytes]) -> None:
        for start in range(0, len(words), _CHUNK):
            chunk = words[start : start + _CHUNK]
            circuit = RotationCircuit(
                self._num_wires, self._operations, [PauliSum((_word(w),)) for w in chunk]
            )
            values = circuit.values(np.zeros(0), self._angles)
            self._known.update(zip(chunk, values.T, strict=True))


def _word(letters: bytes) -> PauliWord:
    wires = tuple(wire for wire, letter in enumerate(letters) if letter)
    return PauliWord(1.0, "".join(LETTERS[letters[wire]] for wire in wires), wires)
