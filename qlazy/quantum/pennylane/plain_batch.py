"""Plain runs of one circuit at several points at once, by PennyLane's own matrices of gates, in NumPy.

Default.qubit spends its time on the way to a gate, not in it. Points that queue the same gates on the same wires with
other numbers share that way here: matrices of one kind of gate come from one call, gates act on all states at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.devices import ExecutionConfig
from pennylane.devices.qubit import measure
from pennylane.tape import QuantumScript

from qlazy.quantum.pennylane.surroundings.settings import decomposes_by_graph

States = NDArray[np.complex128]
"""One state a point, (k, 2^n), the first wire the most significant bit."""

BROADCAST = frozenset(
    {
        qml.RX, qml.RY, qml.RZ, qml.PhaseShift, qml.Rot, qml.U2, qml.U3, qml.CRX, qml.CRY, qml.CRZ,
        qml.ControlledPhaseShift, qml.IsingXX, qml.IsingYY, qml.IsingZZ, qml.IsingXY,
    }
)  # fmt: skip
"""Gates whose class gives a matrix for each of many angles."""
CONSTANT = frozenset(
    {
        qml.Hadamard, qml.X, qml.Y, qml.Z, qml.S, qml.T, qml.SX, qml.SWAP, qml.ISWAP, qml.CZ, qml.CY, qml.CH,
        qml.Toffoli, qml.CSWAP, qml.CCZ,
    }
)  # fmt: skip
KNOWN = BROADCAST | CONSTANT | {qml.CNOT}
WIRES = 4
"""A gate acts on so many wires at most: a matrix on more is run by the device, which may have a better way."""
SMALL = 64
"""Amplitudes up to which one product of matrices is faster than sums of slices."""


_CONSTANTS: dict[Any, NDArray[np.complex128]] = {}


class NotTogetherError(Exception):
    """Circuits that are to be run one by one, by the device itself."""


class Gate(NamedTuple):
    """One gate at all points, on the same wires everywhere."""

    at: tuple[Any, ...]
    wires: tuple[Any, ...]


def results_of(tapes: Sequence[QuantumScript], device: Any) -> list[Any]:
    """Results of tapes on a default.qubit: for each measurement, in order, an array with a row for each tape.

    Raises NotTogetherError for tapes of different gates, and for gates without matrices on few wires.
    """
    operations = [found for tape in tapes if (found := _known(tape.operations)) is not None]
    gates = _gates(operations) if len(operations) == len(tapes) else []
    if len(operations) < len(tapes) or not _is_run_as_it_is(gates, tapes[0], device):
        tapes = [_prepared(tape, device) for tape in tapes]
        gates = _gates([tape.operations for tape in tapes])
    num_wires = len(tapes[0].wires)
    states = _evolved(gates, len(tapes), num_wires).reshape(len(tapes), *(2,) * num_wires)
    return [
        _measured(outputs, states) for outputs in zip(*(tape.measurements for tape in tapes), strict=True)
    ]


def _known(operations: Iterable[Any]) -> list[Any] | None:
    """Known gates that operations come down to; None for others, and where the device chooses how these are made."""
    found: list[Any] = []
    for op in operations:
        if type(op) in KNOWN:
            found.append(op)
            continue
        is_whole = op.has_matrix or not op.has_decomposition or isinstance(op, qml.operation.StatePrepBase)
        inner = None if is_whole or decomposes_by_graph() else _known(op.decomposition())
        if inner is None:
            return None
        found += inner
    return found


def _gates(operations: Sequence[Sequence[Any]]) -> list[Gate]:
    """Each gate at all points. Raises NotTogetherError where these differ in more than numbers."""
    if len(set(map(len, operations))) != 1:
        raise NotTogetherError
    return list(map(_gate, zip(*operations, strict=True)))


def _gate(at: tuple[Any, ...]) -> Gate:
    kind, wires = type(at[0]), wires_of(at[0])
    if not all(type(op) is kind and wires_of(op) == wires for op in at[1:]):
        raise NotTogetherError
    return Gate(at, wires)


def wires_of(op: Any) -> tuple[Any, ...]:
    """The wires of a gate or a measurement."""
    if type(op) is qml.CNOT:  # which puts them together anew each time
        return (*op.control_wires.labels, *op.target_wires.labels)
    return tuple(op.wires.labels)


def _is_run_as_it_is(gates: Sequence[Gate], tape: QuantumScript, device: Any) -> bool:
    """Whether the device runs these gates as they are, on wires 0, 1, 2, ..., and then reads expectation values."""
    used = {wire for gate in gates for wire in gate.wires}
    measured = tape.measurements
    return (
        device.wires is not None
        and all(type(m) is qml.measurements.ExpectationMP and m.mv is None for m in measured)
        and all(m.obs is not None and m.obs.pauli_rep is not None for m in measured)
        and used == set(range(len(used)))
        and all(wire in used for m in measured for wire in m.wires)
        and used <= set(device.wires)
    )


def _prepared(tape: QuantumScript, device: Any) -> QuantumScript:
    """The tape as the device runs it, its wires 0, 1, 2, ..."""
    config = device.setup_execution_config(ExecutionConfig(gradient_method=None), tape)
    batch, _ = device.preprocess_transforms(config)([tape])
    if len(batch) != 1 or len(batch[0].measurements) != len(tape.measurements):
        raise NotTogetherError
    return batch[0].map_to_standard_wires()


def _measured(outputs: Sequence[Any], states: NDArray[Any]) -> Any:
    """The results of one measurement, (k, ...): from all states at once where it has no numbers of its own."""
    first = outputs[0]
    if any(type(m) is not type(first) or wires_of(m) != wires_of(first) for m in outputs[1:]):
        raise NotTogetherError
    if any(getattr(m.obs, "data", ()) for m in outputs) or any(m.hash != first.hash for m in outputs[1:]):
        return np.stack([np.asarray(measure(m, state)) for m, state in zip(outputs, states, strict=True)])
    if type(first) is qml.measurements.ExpectationMP and first.mv is None and first.obs.pauli_rep is not None:
        return _expectation(first.obs.pauli_rep, states)
    found = measure(first, states, is_state_batched=True)
    if len(found) != len(states):
        raise NotTogetherError
    return found


def _expectation(words: Any, states: NDArray[Any]) -> NDArray[Any]:
    """The expectation values (k,) of a sum of Pauli words: P |b> is the state of flipped bits, times a phase."""
    amplitudes = states.reshape(len(states), -1)
    basis = np.arange(amplitudes.shape[1])
    total = np.zeros(len(states), np.complex128)
    for word, coefficient in words.items():
        masks = dict.fromkeys("XYZ", 0)
        for wire, letter in word.items():
            masks[letter] |= amplitudes.shape[1] >> (wire + 1)
        signs = 1 - 2.0 * (np.bitwise_count(basis & (masks["Y"] | masks["Z"])) & 1)
        phases = 1j ** masks["Y"].bit_count() * signs * coefficient
        flipped = amplitudes[:, basis ^ (masks["X"] | masks["Y"])] if masks["X"] | masks["Y"] else amplitudes
        total += np.einsum("ki,i,ki->k", flipped.conj(), phases, amplitudes)
    return total if np.iscomplexobj(list(words.values())) else total.real


def _evolved(gates: Sequence[Gate], count: int, num_wires: int) -> States:
    """The states after all gates; those on one wire are multiplied until a gate on more comes."""
    states = np.zeros((count, 2**num_wires), np.complex128)
    states[:, 0] = 1
    basis = np.arange(2**num_wires)
    waiting: dict[int, NDArray[np.complex128]] = {}
    for gate, matrices in zip(gates, _matrices(gates), strict=True):
        if len(gate.wires) == 1:
            (wire,) = gate.wires
            waiting[wire] = matrices @ waiting[wire] if wire in waiting else matrices
            continue
        for wire in gate.wires:
            if wire in waiting:
                states = _after_one(states, waiting.pop(wire), wire)
        if matrices is None:
            control, target = (num_wires - 1 - wire for wire in gate.wires)
            states = states[:, basis ^ ((basis >> control & 1) << target)]
        else:
            states = _after_many(states, matrices, gate.wires)
    for wire, matrices in waiting.items():
        states = _after_one(states, matrices, wire)
    return states


def _matrices(gates: Sequence[Gate]) -> Iterator[Any]:
    """For each gate its matrices, (k, d, d), one a point, or (1, d, d) for all; None for a CNOT."""
    by_kind: dict[Any, list[Any]] = {}
    for gate in gates:
        kind = type(gate.at[0])
        if kind in BROADCAST:
            by_kind.setdefault(kind, []).append([op.data for op in gate.at])
    made = {kind: iter(_of_kind(kind, numbers)) for kind, numbers in by_kind.items()}
    for gate in gates:
        kind = type(gate.at[0])
        if kind is qml.CNOT:
            yield None
        elif kind in CONSTANT:
            yield _constant(kind)
        else:
            yield next(made[kind]) if kind in made else np.stack(list(map(_matrix, gate.at)))


def _of_kind(kind: Any, numbers: list[Any]) -> Any:
    """Matrices (m, k, d, d) of m gates of one kind at k points."""
    if not all(_is_double(n) for gate in numbers for data in gate for n in data):
        raise NotTogetherError
    angles = np.array(numbers, dtype=np.float64)
    matrices = np.asarray(kind.compute_matrix(*angles.reshape(-1, angles.shape[2]).T))
    return matrices.reshape(*angles.shape[:2], *matrices.shape[1:])


def _is_double(number: Any) -> bool:
    """Whether a number is one of double precision: others are rounded on their way."""
    kind = type(number)
    return (
        kind is np.float64
        or kind is float
        or (kind is np.ndarray and number.dtype == np.float64 and not number.ndim)
    )


def _constant(kind: Any) -> NDArray[np.complex128]:
    if kind not in _CONSTANTS:
        _CONSTANTS[kind] = np.asarray(kind.compute_matrix(), dtype=np.complex128)[None]
    return _CONSTANTS[kind]


def _matrix(op: Any) -> NDArray[Any]:
    is_gate = isinstance(op, qml.operation.Operation) and not isinstance(
        op, qml.operation.Channel | qml.operation.StatePrepBase | qml.Projector
    )
    if not is_gate or not op.has_matrix or not 1 <= len(op.wires) <= WIRES or op.batch_size is not None:
        raise NotTogetherError
    return np.asarray(op.matrix())


def _after_one(states: States, matrices: NDArray[Any], wire: int) -> States:
    view = states.reshape(len(states), 2**wire, 2, -1)
    if states.shape[1] <= SMALL:
        return (matrices[:, None] @ view).reshape(states.shape)
    low, high = view[:, :, 0], view[:, :, 1]
    entries = matrices[:, :, :, None, None]
    found = np.empty_like(view)
    for row in (0, 1):
        found[:, :, row] = entries[:, row, 0] * low + entries[:, row, 1] * high
    return found.reshape(states.shape)


def _after_many(states: States, matrices: NDArray[Any], wires: Sequence[int]) -> States:
    count, num_wires = len(states), states.shape[1].bit_length() - 1
    to, back = [wire + 1 for wire in wires], range(1, len(wires) + 1)
    moved = np.moveaxis(states.reshape(count, *(2,) * num_wires), to, back)
    found = matrices @ moved.reshape(count, 2 ** len(wires), -1)
    return np.moveaxis(found.reshape(moved.shape), back, to).reshape(states.shape)
