"""PennyLane's lightning.qubit as an engine: adjoint derivatives, one sample and one state at a time.

Its memory does not grow with the batch, which tells on many qubits. The device is called directly: through a
QNode its results reach torch as float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, final

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.devices import ExecutionConfig
from pennylane.tape import QuantumScript

from qlazy.quantum.pennylane.operators import Rotation, circuits, steps
from qlazy.quantum.pennylane.rules.lowering import NotLoweredError
from qlazy.simulator.observables import Hermitian, Observable, PauliSum, Probabilities, Projector
from qlazy.simulator.operations import Operation, angle_sources
from qlazy.simulator.rotations import Derivatives, Real

ADJOINT = ExecutionConfig(gradient_method="adjoint")
MAX_PROBABILITY_WIRES = 8


class Measured(NamedTuple):
    """Outputs as ``matrix`` (c, m) times expectation values (m,), plus ``offset`` (c,)."""

    expectations: tuple[Any, ...]
    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]


@final
class LightningCircuit:
    """A circuit of Pauli rotations run on lightning.qubit, always in double precision.

    Arguments and results are those of RotationCircuit; results are rounded to the dtype of ``shared`` last.
    ``threads`` is not used: lightning's are those of OpenMP. Raises NotLoweredError for gates and probabilities
    that the device does not differentiate.
    """

    def __init__(
        self, num_wires: int, operations: Sequence[Operation], observables: Sequence[Observable]
    ) -> None:
        pairs = list(zip(operations, angle_sources(operations), strict=True))
        self._steps = [step for pair in pairs for step in steps(pair[0], range(num_wires), pair[1])]
        self._rotations = [step for step in self._steps if isinstance(step, Rotation) and step.wanted]
        self._trainable = _trainable(self._steps)
        self._measured = _joined([_measured(observable) for observable in observables])
        self._measurements = [qml.expval(operator) for operator in self._measured.expectations]
        self._device = qml.device("lightning.qubit", wires=num_wires, c_dtype=np.complex128)

    @property
    def num_outputs(self) -> int:
        return len(self._measured.offset)

    def values(self, shared: Real, sampled: Real, threads: int = 1) -> Real:
        """Expectation values (n, c) for angles (S,) and (n, T)."""
        return self._outputs(self._device.execute(self._tapes(shared, sampled))).astype(shared.dtype)

    def sweep(self, shared: Real, sampled: Real, threads: int = 1) -> tuple[Real, Derivatives]:
        """Values (n, c), and dF/dangle of every output and sample, (n, c, S) and (n, c, T)."""
        shape = (len(sampled), self.num_outputs)
        found = Derivatives(
            *(np.zeros((*shape, size), shared.dtype) for size in (len(shared), sampled.shape[1]))
        )
        if not self._rotations or not len(sampled):
            return self.values(shared, sampled), found
        tapes = self._tapes(shared, sampled)
        results, derivatives = self._device.execute_and_compute_derivatives(tapes, ADJOINT)
        flat = np.asarray(derivatives).reshape(len(sampled), len(self._measurements), -1)
        for rotation, column in zip(self._rotations, np.moveaxis(flat, 2, 0), strict=True):
            target = found.sampled if rotation.sampled else found.shared
            target[..., rotation.number] = column @ self._measured.matrix.T
        return self._outputs(results).astype(shared.dtype), found

    def weighted(self, weights: Real, shared: Real, sampled: Real, threads: int = 1) -> Derivatives:
        """d/dangle of the outputs times weights (n, c), summed: (S,) and (n, T)."""
        return contracted(weights, self.sweep(shared, sampled)[1])

    def _tapes(self, shared: Real, sampled: Real) -> list[QuantumScript]:
        return [
            QuantumScript(operators, self._measurements, trainable_params=self._trainable)
            for operators in circuits(self._steps, shared, sampled)
        ]

    def _outputs(self, results: Sequence[Any]) -> NDArray[np.float64]:
        expectations = np.array(results, dtype=np.float64).reshape(len(results), len(self._measurements))
        return expectations @ self._measured.matrix.T + self._measured.offset


def contracted(weights: Real, found: Derivatives) -> Derivatives:
    """Derivatives (n, c, S) and (n, c, T) times weights (n, c): (S,), summed over the batch, and (n, T)."""
    return Derivatives(
        np.einsum("nc,nca->a", weights, found.shared), np.einsum("nc,nca->na", weights, found.sampled)
    )


def _trainable(steps: Sequence[Any]) -> list[int]:
    """The places of the wanted angles among all parameters of a tape."""
    sizes = [1 if isinstance(step, Rotation) else step.num_params for step in steps]
    places = accumulate(sizes, initial=0)
    return [
        place
        for step, place in zip(steps, places, strict=False)
        if isinstance(step, Rotation) and step.wanted
    ]


def _measured(observable: Observable) -> Measured:
    match observable:
        case PauliSum(words):
            operators = [_word(word.word, word.wires) for word in words]
            return _one(qml.Hamiltonian([word.coefficient for word in words], operators))
        case Hermitian(matrix, wires):
            return _one(qml.Hermitian(np.asarray(matrix), wires=wires))
        case Projector(bits, wires):
            return _one(qml.Projector(list(bits), wires=wires))
        case Probabilities(wires):
            return _probabilities(wires)
    raise NotLoweredError(f"{type(observable).__name__} is not measured on lightning.qubit")


def _one(operator: Any) -> Measured:
    return Measured((operator,), np.ones((1, 1)), np.zeros(1))


def _word(letters: str, wires: Sequence[int]) -> Any:
    word = qml.pauli.PauliWord(dict(zip(wires, letters, strict=True)))
    return word.operation(wire_order=[0])


def _probabilities(wires: Sequence[int]) -> Measured:
    """p(b) = 2^-k sum_s (-1)^(b . s) <Z^s>: lightning's adjoint method takes expectation values only."""
    if len(wires) > MAX_PROBABILITY_WIRES:
        raise NotLoweredError(
            f"probabilities of {len(wires)} wires, where lightning takes {MAX_PROBABILITY_WIRES}"
        )
    signs = np.array([[1.0]])
    for _ in wires:
        signs = np.kron(signs, [[1.0, 1.0], [1.0, -1.0]])
    signs /= len(signs)
    return Measured(tuple(_z_words(wires)), signs[:, 1:], signs[:, 0])


def _z_words(wires: Sequence[int]) -> Iterator[Any]:
    """Words of Z in the order of binary numbers, the first wire the most significant; the identity left out."""
    for subset in range(1, 2 ** len(wires)):
        bits = f"{subset:0{len(wires)}b}"
        chosen = [wire for wire, bit in zip(wires, bits, strict=True) if bit == "1"]
        yield _word("Z" * len(chosen), chosen)


def _joined(parts: Sequence[Measured]) -> Measured:
    sizes = [part.matrix.shape for part in parts]
    matrix = np.zeros(tuple(np.sum(sizes, axis=0)))
    row = column = 0
    for part, (height, width) in zip(parts, sizes, strict=True):
        matrix[row : row + height, column : column + width] = part.matrix
        row, column = row + height, column + width
    expectations = tuple(operator for part in parts for operator in part.expectations)
    return Measured(expectations, matrix, np.concatenate([part.offset for part in parts]))
