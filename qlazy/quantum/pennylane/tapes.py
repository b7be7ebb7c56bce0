"""PennyLane tapes: what transforms leave of them, and those with mid-circuit measurements as statements.

`qml.measure` becomes a measurement into a bit of its own, `qml.cond` a branch. What PennyLane computes from
measured values is a function that can only be called, so a condition is written out as the outcomes for which
it holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.ops import Conditional
from pennylane.ops.mid_measure import MidMeasure
from pennylane.tape import QuantumScript

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.quantum.pennylane.rules.lowering import NotLoweredError, lower_after, walsh
from qlazy.quantum.pennylane.symbolic.arrays import has_formulas, joined
from qlazy.quantum.pennylane.symbolic.carriers import formula
from qlazy.quantum.program.classical import BIT, Classical, Literal, Operation, Register, Variable
from qlazy.quantum.program.expression import Constant, Expression
from qlazy.quantum.program.statements import UNITARY, Block, Branch, Gate, Measure, Reset, Statement, While
from qlazy.simulator.observables import Observable, PauliSum, PauliWord, Probabilities
from qlazy.simulator.operations import Cnot, Diagonal, Flip, PauliRotation, Swap, Unitary
from qlazy.simulator.operations import Operation as SimulatorOperation

TREE = "tree-traversal"

TRIED = (1e-2, 1.0, 1e3)
"""How large the numbers are that are put in the places of results."""
MAX_LOOKED_AT = 10**6
"""Gates, each once for every measurement, that are looked at to find light cones."""
MAX_MEASURED = 10
"""Measurements that one condition may depend on."""
_ROTATIONS = {"X": "rx", "Y": "ry", "Z": "rz"}
_TO_Z = {"X": ("h", "h"), "Y": ("sx", "sxdg"), "Z": ("id", "id")}  # before and after, so that P becomes Z


def is_dynamic(tape: QuantumScript) -> bool:
    """Whether a tape measures or branches while it runs."""
    return any(isinstance(op, MidMeasure | Conditional) for op in tape.operations)


def single_tape(qnode: qml.QNode, **arguments: Any) -> tuple[QuantumScript, Affine | None]:
    """As :func:`tapes_of`, of which there must be one. Raises NotLoweredError besides where there are more."""
    batch, combined = tapes_of(qnode, **arguments)
    if len(batch) != 1:
        raise NotLoweredError(f"its transforms make {len(batch)} circuits of it")
    return batch[0], combined


def tapes_of(qnode: qml.QNode, **arguments: Any) -> tuple[tuple[QuantumScript, ...], Affine | None]:
    """What the QNode queues, after its transforms, and what these make of its results, None for nothing.

    Raises NotLoweredError for transforms whose outputs are not linear in results.
    """
    batch, combine = qml.workflow.construct_batch(qnode, level="user")(**arguments)
    if not batch:
        raise NotLoweredError("its transforms leave no circuit to run")
    combined = _affine(batch, combine) if transforms_of(qnode) else None
    return tuple(map(_of_tensors, batch)), combined


def _of_tensors(tape: QuantumScript) -> QuantumScript:
    """The same tape, where arrays of formulas, which NumPy made, are tensors of formulas."""
    if not any(has_formulas(number) for op in tape.operations for number in op.data):
        return tape
    return tape.copy(operations=[_of_tensor(op) for op in tape.operations], trainable_params=[])


def _of_tensor(op: Any) -> Any:
    if not any(map(has_formulas, op.data)):
        return op
    if isinstance(op, Conditional):
        return Conditional(op.meas_val, _of_tensor(op.base))
    return qml.ops.functions.bind_new_parameters(op, [joined(number) for number in op.data])


def transforms_of(qnode: qml.QNode) -> Any:
    """The transforms of a QNode, which have had two names."""
    return qnode.compile_pipeline if hasattr(qnode, "compile_pipeline") else qnode.transform_program


def executed(
    tapes: Sequence[QuantumScript], device: Any, mcm_method: Any = None, postselect_mode: Any = None
) -> list[Any]:
    """Results of tapes, all handed to the device together, numbers as NumPy has them.

    Exact tree traversal mixes up outputs of measured values with others, so that there each output has its own run.
    """
    parts = [_apart(tape) if mcm_method == TREE else [tape] for tape in tapes]
    results = iter(
        qml.execute(
            [part for group in parts for part in group], device, diff_method=None, interface=None, cache=False,
            mcm_method=mcm_method, postselect_mode=postselect_mode,
        )
    )  # fmt: skip
    return [
        next(results) if len(group) == 1 else tuple(np.squeeze(next(results)) for _ in group)
        for group in parts
    ]


def _apart(tape: QuantumScript) -> list[QuantumScript]:
    if tape.shots or not any(measured_values(m) for m in tape.measurements):
        return [tape]
    return [tape.copy(measurements=[measurement]) for measurement in tape.measurements]


def by_cones(tape: QuantumScript) -> list[QuantumScript]:
    """A tape for each measurement with the gates that reach its wires, one through another; none for too many."""
    if len(tape.measurements) * len(tape.operations) > MAX_LOOKED_AT:
        return []
    touched = [tuple(op.wires) for op in tape.operations]
    pieces = []
    for measurement in tape.measurements:
        wires, kept = set(measurement.wires or tape.wires), []
        for op, own in zip(reversed(tape.operations), reversed(touched), strict=True):
            if not wires.isdisjoint(own):
                kept.append(op)
                wires.update(own)
        pieces.append(QuantumScript(kept[::-1], [measurement]))
    return pieces


@dataclass(frozen=True, eq=False)
class Affine:
    """Outputs as ``matrix`` (c, m) times results (m,), plus ``offset`` (c,)."""

    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]

    def of(self, observables: Sequence[Observable]) -> tuple[Observable, ...]:
        """The observables of the outputs. Raises NotLoweredError where one is no sum of Pauli words."""
        words = [o.words for o in observables if isinstance(o, PauliSum)]
        if len(words) != len(observables):
            raise NotLoweredError("its transforms compute with results that are no sums of Pauli words")
        return tuple(
            PauliSum(
                (
                    PauliWord(float(constant), "", ()),
                    *(
                        replace(w, coefficient=float(c) * w.coefficient)
                        for c, part in zip(row, words, strict=True)
                        for w in part
                    ),
                )
            )
            for row, constant in zip(self.matrix, self.offset, strict=True)
        )


def _affine(tapes: Sequence[QuantumScript], combine: Callable[[Any], Any]) -> Affine | None:
    """What a transform computes from results, seen from what it makes of numbers put in their places.

    These are of both signs and of several sizes, those of probabilities within 0 and 1, so that `abs`, thresholds and
    the like are seen not to be linear.
    """
    shapes = [[m.shape(None, len(tape.wires)) for m in tape.measurements] for tape in tapes]
    count = sum(math.prod(shape) for group in shapes for shape in group)
    chance = np.random.default_rng(0)
    marks = chance.uniform(0.1, 0.9, count)
    trials = [marks, *(chance.uniform(-size, size, count) for size in TRIED for _ in range(8))]
    chances = _are_probabilities(tapes, shapes)
    trials = [
        np.where(chances, np.abs(trial) / max(1.0, np.abs(trial).max(initial=0.0)), trial) for trial in trials
    ]

    def outputs(results: NDArray[np.float64]) -> NDArray[np.float64]:
        left, given = results, []
        for group in shapes:
            parts = []
            for shape in group:
                part, left = np.split(left, [math.prod(shape)])
                parts.append(part.reshape(shape))
            given.append(parts[0] if len(parts) == 1 else tuple(parts))
        return flat(combine(tuple(given))).astype(np.float64)

    try:
        found = [outputs(trial) for trial in trials]
        if all(map(np.array_equal, found, trials)):
            return None
        offset = outputs(np.zeros(count))
        matrix = np.stack([outputs(unit) - offset for unit in np.eye(count)], axis=1)
    except Exception as error:  # of the transform's own, on numbers that are no results
        raise NotLoweredError(f"its transforms compute with its results: {error}") from error
    for trial, made in zip(trials, found, strict=True):
        rounding = 1e-10 * (np.abs(matrix) @ np.abs(trial) + np.abs(offset))
        if not np.all(np.abs(matrix @ trial + offset - made) <= rounding):
            raise NotLoweredError("its transforms compute with its results, and not linearly")
    return Affine(matrix, offset)


def _are_probabilities(
    tapes: Sequence[QuantumScript], shapes: Sequence[Sequence[tuple[int, ...]]]
) -> NDArray[np.bool_]:
    """For every result of the tapes whether it is a probability."""
    kinds = [isinstance(m, qml.measurements.ProbabilityMP) for tape in tapes for m in tape.measurements]
    return np.repeat(kinds, [math.prod(shape) for group in shapes for shape in group])


def flat(result: Any) -> NDArray[Any]:
    """Results of a device or a transform, nested as they may be, one after the other."""
    if isinstance(result, Mapping):
        result = list(result.values())
    if isinstance(result, Sequence):
        return np.concatenate([flat(part) for part in result])
    return np.asarray(result).reshape(-1)


def real(outputs: NDArray[Any]) -> NDArray[np.float64]:
    """Outputs of a complex dtype whose imaginary parts are rounding. Raises UnsupportedModelError for others."""
    if np.iscomplexobj(outputs):
        largest = max(1.0, float(np.abs(outputs).max(initial=0.0)))
        require(
            np.all(np.abs(outputs.imag) <= 1e-12 * largest), "qnode", "return expectation values or probabilities",
            "returning complex numbers", UnsupportedModelError,
        )  # fmt: skip
    return outputs.real.astype(np.float64)


def wire_order(qnode: qml.QNode, tape: QuantumScript) -> tuple[Any, ...]:
    """The wires of the state in PennyLane's order, which `probs()` shows: the device's, or those that are used.

    The latter in increasing order where they are 0, 1, 2, ..., gates' before measurements'; else by first use.
    Raises NotLoweredError for wires that are not on the device.
    """
    if qnode.device.wires is not None:
        unknown = [wire for wire in tape.wires if wire not in qnode.device.wires]
        if unknown:
            raise NotLoweredError(f"wires {unknown} are not on the device")
        return tuple(qnode.device.wires)
    used = qml.wires.Wires.all_wires([op.wires for op in tape.operations])
    only_measured = set(tape.wires) - set(used)
    if set(used) == set(range(len(used))) and only_measured == set(range(len(used), len(tape.wires))):
        return tuple(range(len(tape.wires)))
    return (*used, *only_measured)


def copies_of(tape: QuantumScript, index: Mapping[Any, int]) -> dict[Any, int]:
    """The wires, behind all others, to which measured values that are outputs are copied, to be read there.

    Where PennyLane has deferred the measurements, it has copied them itself.
    """
    values = [value for m in tape.measurements for value in measured_values(m)]
    wires = {m.meas_uid: m.wires for value in values for m in value.measurements}
    if not is_dynamic(tape):
        return {uid: index[wire] for uid, (wire,) in wires.items()}
    return {uid: len(index) + place for place, uid in enumerate(wires)}


def statements_of(tape: QuantumScript, index: Mapping[Any, int]) -> Block:
    """A tape that measures on its way, as statements that discard what is not selected.

    Raises NotLoweredError for what is no gate.
    """
    bits: dict[Any, Variable] = {}
    copies, touched = copies_of(tape, index), set[Any]()
    return tuple(s for op in tape.operations for s in _statements(op, index, bits, copies, touched))


def is_selective(tape: QuantumScript) -> bool:
    """Whether a tape keeps some outcomes of measurements alone."""
    return any(isinstance(op, MidMeasure) and op.postselect is not None for op in tape.operations)


def measured_values(measurement: Any) -> tuple[Any, ...]:
    """The values measured on the way that an output is made of; empty for one of the final state."""
    values = measurement.mv
    if values is None:
        return ()
    return tuple(values) if isinstance(values, Sequence) else (values,)


def of_values(measurement: Any, copies: Mapping[Any, int]) -> tuple[Observable, ...]:
    """The observables of an output made of measured values, on their copies; of a variance those of <v^2> and <v>.

    There v are the values less their mean, which no variance depends on, so that little is lost in the difference.
    """
    values = measured_values(measurement)
    wires = [tuple(copies[m.meas_uid] for m in value.measurements) for value in values]
    if isinstance(measurement, qml.measurements.ProbabilityMP) and all(len(w) == 1 for w in wires):
        return (Probabilities(tuple(wire for (wire,) in wires)),)
    kind = type(measurement)
    if kind not in (qml.measurements.ExpectationMP, qml.measurements.VarianceMP) or len(values) != 1:
        raise NotLoweredError(f"{kind.__name__} of measured values")
    if len(wires[0]) > MAX_MEASURED:
        raise NotLoweredError(f"a value of more than {MAX_MEASURED} measurements")
    numbers = np.array([float(value) for _, value in sorted(values[0].branches.items())])
    if kind is qml.measurements.ExpectationMP:
        return (_diagonal(numbers, wires[0]),)
    numbers -= numbers.mean()
    return _diagonal(numbers**2, wires[0]), _diagonal(numbers, wires[0])


def _diagonal(values: NDArray[np.float64], wires: tuple[int, ...]) -> PauliSum:
    """An observable of given values of bits, in the order of binary numbers, as a sum of words of Z."""
    words = (
        (tuple(w for w, letter in zip(wires, word, strict=True) if letter == "Z"), c)
        for word, c in walsh(values)
    )
    return PauliSum(
        (
            PauliWord(float(np.mean(values)), "", ()),
            *(PauliWord(float(c), "Z" * len(on), on) for on, c in words),
        )
    )


def _statements(
    op: Any,
    index: Mapping[Any, int],
    bits: dict[Any, Variable],
    copies: Mapping[Any, int],
    touched: set[Any],
) -> Iterator[Statement]:
    if isinstance(op, MidMeasure):
        touched |= set(op.wires)
        yield from _measurement(op, index, bits)
        if op.meas_uid in copies:
            yield Branch(bits[op.meas_uid], (Gate("x", (), (copies[op.meas_uid],)),))
    elif isinstance(op, Conditional):
        inner = tuple(_statements(op.base, index, bits, copies, set(index)))
        touched |= set(op.wires)
        yield Branch(_condition(op.meas_val, bits), inner)
    else:
        for operation, angle in lower_after(touched, op, index):
            yield from gates_of(operation, None if angle is None else formula(angle))


def _measurement(op: Any, index: Mapping[Any, int], bits: dict[Any, Variable]) -> Iterator[Statement]:
    (wire,) = op.wires
    bits[op.meas_uid] = bit = Variable(f"m{len(bits)}", BIT)
    yield Measure(index[wire], bit)
    if op.postselect is not None:  # a loop of no round, which runs of the other outcome do not leave
        yield While(Operation("!", (bit,)) if op.postselect else bit, (), 1)
    if op.reset:
        yield Reset(index[wire])


def _condition(value: Any, bits: Mapping[Any, Variable]) -> Classical:
    """The outcomes of measurements for which ``value`` is true."""
    measured = value.measurements
    if len(measured) > MAX_MEASURED:
        raise NotLoweredError(
            f"a condition on {len(measured)} measurements, where at most {MAX_MEASURED} are taken"
        )
    names = [bits.get(m.meas_uid) for m in measured]
    if None in names:
        raise NotLoweredError("a condition on a value that is not measured in the circuit")
    register = Register(tuple(name for name in names if name is not None))
    outcomes = [
        sum(bit << place for place, bit in enumerate(outcome))
        for outcome, result in value.branches.items()
        if bool(result)
    ]
    if len(names) == 1 and len(outcomes) == 1:
        bit = register.bits[0]
        return bit if outcomes == [1] else Operation("!", (bit,))
    if len(outcomes) == 2 ** len(names):
        return Literal(True)
    equal = [Operation("==", (register, Literal(outcome))) for outcome in sorted(outcomes)]
    return reduce(lambda left, right: Operation("||", (left, right)), equal) if equal else Literal(False)


def gates_of(operation: SimulatorOperation, angle: Expression | None) -> Iterator[Gate]:
    """Base gates that do what an operation of the simulator does."""
    match operation:
        case PauliRotation():
            yield from _rotation(operation, angle)
        case Cnot(control, target):
            yield Gate("x", (), (target,), (control,), (1,))
        case Swap(first, second):
            yield Gate("swap", (), (first, second))
        case Flip(wire):
            yield Gate("x", (), (wire,))
        case Unitary(matrix=matrix) if matrix is not None:
            yield _unitary(matrix, operation.wires, operation.controls, operation.control_values)
        case Diagonal(phases=phases) if phases is not None:
            yield _unitary(np.diag(phases), operation.wires, (), None)
        case _:
            raise NotLoweredError(f"{type(operation).__name__} without a constant matrix")


def _rotation(operation: PauliRotation, angle: Expression | None) -> Iterator[Gate]:
    """A rotation about a word: about Z on its last wire, between changes of basis and a chain of CNOTs."""
    turn = angle if operation.angle is None else Constant(operation.angle)
    assert turn is not None
    values = operation.control_values or (1,) * len(operation.controls)
    letters, wires = operation.word, operation.wires
    if len(wires) == 1:
        yield Gate(_ROTATIONS[letters], (turn,), wires, operation.controls, values)
        return
    before = [Gate(_TO_Z[letter][0], (), (wire,)) for letter, wire in zip(letters, wires, strict=True)]
    after = [Gate(_TO_Z[letter][1], (), (wire,)) for letter, wire in zip(letters, wires, strict=True)]
    chain = [Gate("x", (), (target,), (control,), (1,)) for control, target in pairwise(wires)]
    yield from (gate for gate in before if gate.name != "id")
    yield from chain
    yield Gate("rz", (turn,), wires[-1:], operation.controls, values)
    yield from reversed(chain)
    yield from (gate for gate in after if gate.name != "id")


def _unitary(
    matrix: Any, wires: tuple[int, ...], controls: tuple[int, ...], values: tuple[int, ...] | None
) -> Gate:
    rows = tuple(tuple(complex(element) for element in row) for row in np.asarray(matrix))
    return Gate(UNITARY, (), wires, controls, values or (1,) * len(controls), rows)
