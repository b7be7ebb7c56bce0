"""Measurements that are functions of expectation values: what to measure, and what to make of it.

A reduced density matrix of k wires is 2^-k times the sum of <P> P over all Pauli words P on them; its purity and
entropy are functions of it. The variance of O is <O^2> - <O>^2.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
import torch
from numpy.typing import NDArray
from pennylane import measurements
from torch import Tensor

from qlazy.quantum.backends.lowered import Compute
from qlazy.quantum.pennylane.rules.lowering import (
    Index,
    NotLoweredError,
    is_constant,
    is_number,
    observable,
    pauli_sum,
    wires_of,
)
from qlazy.quantum.pennylane.symbolic.carriers import formula
from qlazy.quantum.pennylane.symbolic.tensor import Symbolic
from qlazy.quantum.pennylane.tapes import Affine
from qlazy.quantum.program.expression import Expression
from qlazy.simulator.observables import Hermitian, Observable, PauliSum, PauliWord, num_outputs
from qlazy.simulator.operations import MAX_DENSE_WIRES

MAX_REDUCED_WIRES = 4
MAX_MATRIX_WIRES = 3
PAULIS = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], complex),
    "Y": np.array([[0, -1j], [1j, 0]], complex),
    "Z": np.diag([1, -1]).astype(complex),
}


class Read(NamedTuple):
    """A measurement: observables with m results, coefficients (k,), and what is made of both."""

    observables: tuple[Observable, ...]
    compute: Compute | None = None
    """None where the results are the outputs."""
    coefficients: tuple[Expression, ...] = ()

    @property
    def num_results(self) -> int:
        return sum(map(num_outputs, self.observables))


def read(measurement: Any, index: Index) -> Read:
    """How a measurement of the final state is read. Raises NotLoweredError where it is not known how."""
    if measurement.mv is None:
        match measurement:
            case measurements.VarianceMP(obs=measured) if measured is not None:
                return of_observables(measurement, _squared(measured, index))
            case measurements.ProbabilityMP(obs=measured) if measured is not None:
                return _probabilities(measured, index)
            case measurements.PurityMP():
                return Read(_words(measurement.wires, index), lambda r, k: _purity(r)[..., None])
            case measurements.VnEntropyMP():
                count, base = len(measurement.wires), measurement.log_base
                return Read(
                    _words(measurement.wires, index), partial(_entropies, [range(count)], [1.0], base)
                )
            case measurements.MutualInfoMP():
                return _mutual(measurement, index)
            case measurements.ExpectationMP(obs=measured) if measured is not None:
                found = _trained(measured, index)
                if found is not None:
                    return found
    return Read((observable(measurement, index),))


def of_observables(measurement: Any, observables: tuple[Observable, ...]) -> Read:
    """A measurement that is read by these: <O^2> and <O> of a variance, or else its own."""
    is_variance = isinstance(measurement, measurements.VarianceMP)
    return Read(observables, _difference if is_variance else None)


def of_selected(part: Read) -> Read:
    """A measurement of the runs that are kept, whose results are divided by their probability."""

    def compute(results: Tensor, coefficients: Tensor) -> Tensor:
        kept = results[..., 1:] / results[..., :1]
        return kept if part.compute is None else part.compute(kept, coefficients)

    return Read((PauliSum((PauliWord(1.0, "", ()),)), *part.observables), compute, part.coefficients)


def joined(reads: Sequence[Read], combined: Affine | None) -> tuple[Compute, tuple[Expression, ...]]:
    """What is made of the results and coefficients of all measurements, one after the other."""
    sizes = [part.num_results for part in reads]
    counts = [len(part.coefficients) for part in reads]

    def compute(results: Tensor, coefficients: Tensor) -> Tensor:
        parts = zip(reads, results.split(sizes, -1), coefficients.split(counts, -1), strict=True)
        outputs = torch.cat([r if part.compute is None else part.compute(r, k) for part, r, k in parts], -1)
        if combined is None:
            return outputs
        matrix, offset = (torch.from_numpy(a).to(outputs) for a in (combined.matrix, combined.offset))
        return outputs @ matrix.T + offset

    return compute, tuple(c for part in reads for c in part.coefficients)


def _squared(measured: Any, index: Index) -> tuple[Observable, ...]:
    """The observables of <O^2> and <O>."""
    words = measured.pauli_rep
    observables: tuple[Observable, ...]
    if words is not None:
        observables = (pauli_sum(words @ words, index), pauli_sum(words, index))
    else:
        if not measured.has_matrix or len(measured.wires) > MAX_DENSE_WIRES or not is_constant(measured):
            raise NotLoweredError(f"the variance of {measured.name}")
        matrix = np.asarray(qml.matrix(measured), dtype=complex)
        wires = wires_of(measured.wires, index)
        observables = (Hermitian(matrix @ matrix, wires), Hermitian(matrix, wires))
    return observables


def _difference(results: Tensor, _: Tensor) -> Tensor:
    return results[..., :1] - results[..., 1:].square()


def _probabilities(measured: Any, index: Index) -> Read:
    """Projectors on the eigenvectors, in the order in which PennyLane's change of basis has them."""
    wires = measured.wires
    if len(wires) > MAX_DENSE_WIRES or any(isinstance(p, Symbolic) for p in measured.data):
        raise NotLoweredError(f"probabilities of {measured.name}")
    rotation = np.eye(2 ** len(wires), dtype=complex)
    for gate in measured.diagonalizing_gates():
        rotation = np.asarray(qml.matrix(gate, wire_order=wires), dtype=complex) @ rotation
    on = wires_of(wires, index)
    return Read(tuple(Hermitian(np.outer(row.conj(), row), on) for row in rotation))


def _trained(measured: Any, index: Index) -> Read | None:
    """The expectation of a sum whose coefficients are formulas; None for constant ones."""
    words = measured.pauli_rep
    if words is not None:
        if all(map(is_number, words.values())):
            return None
        observables = tuple(
            PauliSum((PauliWord(1.0, "".join(w.values()), wires_of(tuple(w), index)),)) for w in words
        )
        return _weighted(observables, [formula(c) for c in words.values()])
    if not isinstance(measured, qml.Hermitian) or not isinstance(measured.data[0], Symbolic):
        return None
    if len(measured.wires) > MAX_MATRIX_WIRES:
        raise NotLoweredError(f"a matrix of weights or inputs on more than {MAX_MATRIX_WIRES} wires")
    matrix, size = measured.data[0].to(torch.complex128), 2 ** len(measured.wires)
    parts = [
        (torch.from_numpy(reduce(np.kron, (PAULIS[letter] for letter in word)).T.copy()) * matrix).sum()
        / size
        for word in _letters(len(measured.wires))
    ]
    return _weighted(_words(measured.wires, index), [formula(torch.view_as_real(part)[0]) for part in parts])


def _weighted(observables: tuple[Observable, ...], coefficients: list[Expression]) -> Read:
    return Read(observables, lambda r, k: (r * k).sum(-1, keepdim=True), tuple(coefficients))


def _mutual(measurement: Any, index: Index) -> Read:
    first, second = measurement.raw_wires
    wires = [*first, *second]
    places = [range(len(first)), range(len(first), len(wires)), range(len(wires))]
    compute = partial(_entropies, places, [1.0, 1.0, -1.0], measurement.log_base)
    return Read(_words(qml.wires.Wires(wires), index), compute)


def _words(wires: Any, index: Index) -> tuple[Observable, ...]:
    """All 4^k Pauli words on the wires, the identity first."""
    if len(wires) > MAX_REDUCED_WIRES:
        raise NotLoweredError(f"a density matrix of more than {MAX_REDUCED_WIRES} wires")
    on = wires_of(wires, index)
    return tuple(PauliSum((PauliWord(1.0, word, on),)) for word in _letters(len(wires)))


def _letters(count: int) -> list[str]:
    return ["".join(letters) for letters in itertools.product("IXYZ", repeat=count)]


def _purity(results: Tensor) -> Tensor:
    return results.square().sum(-1) / math.isqrt(results.shape[-1])


def _entropies(
    places: Sequence[Sequence[int]], signs: Sequence[float], base: float | None, results: Tensor, _: Tensor
) -> Tensor:
    """The sum of signs times entropies of the density matrices of wires at ``places``, (..., 1)."""
    count = round(math.log(results.shape[-1], 4))
    letters = _letters(count)
    total = results.new_zeros(results.shape[:-1])
    for kept, sign in zip(places, signs, strict=True):
        chosen = [
            n for n, word in enumerate(letters) if all(word[p] == "I" for p in range(count) if p not in kept)
        ]
        total = total + sign * _entropy(results[..., chosen])
    return total[..., None] / (math.log(base) if base else 1.0)


def _entropy(results: Tensor) -> Tensor:
    """-tr rho ln rho from all <P>, (..., 4^k)."""
    size = math.isqrt(results.shape[-1])
    words = [reduce(np.kron, (PAULIS[c] for c in word)) for word in _letters(size.bit_length() - 1)]
    basis: NDArray[Any] = np.array(words).reshape(len(words), -1) / size
    flat = results.to(results.dtype.to_complex()) @ torch.from_numpy(basis).to(results.dtype.to_complex())
    values = torch.linalg.eigvalsh(flat.unflatten(-1, (size, size)))
    # A pure part has no share, and no derivative either: its slope is infinite times nothing.
    counts = values > 8 * torch.finfo(values.dtype).eps
    safe = torch.where(counts, values, 1.0)
    return -(safe * safe.log()).sum(-1)
