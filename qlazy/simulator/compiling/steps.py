"""From operations to the steps of a sweep: frames, light cone, fusing, and the product state at the start.

A `Step` is an operation seen in rows. Its *generators* are Pauli words that generate the algebra it lives in:
two steps commute if all their generators do, and a step that commutes with everything measured after it
changes no output.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import require
from qlazy.simulator.compiling.frames import Condition, Frame, Label, Pauli, parity
from qlazy.simulator.operations import (
    Cnot,
    ComplexArray,
    Diagonal,
    Flip,
    Operation,
    Parametric,
    PauliRotation,
    Swap,
    Unitary,
    controls_of,
    fixed_value,
)

PAULI_MATRICES = {
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.array([[1, 0], [0, -1]], dtype=complex),
}

Factor = int | ComplexArray


class Kind(IntEnum):
    FUSED = 0
    ROTATION = 1
    DIAGONAL = 2
    DENSE = 3


@dataclass(frozen=True, eq=False)
class Step:
    """One operation in rows, or several one-qubit operations fused into one.

    ``factors`` are the operations it is made of, first applied first: an index where the operand comes at run
    time, the array itself where it is fixed.
    """

    kind: Kind
    factors: tuple[Factor, ...]
    targets: tuple[Label, ...]
    generators: tuple[Pauli, ...]
    controls: tuple[Condition, ...] = ()
    pauli: Pauli | None = None
    sampled: bool = False
    wanted: bool = False

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """The pairs of rows it acts on; none for diagonal and dense steps."""
        match self.kind:
            case Kind.FUSED:
                return (gate_unit(self.targets[0]),)
            case Kind.ROTATION if self.pauli is not None:
                return rotation_units(self.pauli, self.targets[0], self.controls)
        return ()

    @property
    def num_places(self) -> int:
        """How many places for numbers it needs: one for each unit, one if it has none."""
        return max(1, len(self.units))

    @property
    def fixed(self) -> bool:
        return not any(isinstance(factor, int) for factor in self.factors)

    def commutes(self, other: Step) -> bool:
        return all(a.commutes(b) for a in self.generators for b in other.generators)


def place(frame: Frame, operations: Sequence[Operation]) -> list[Step]:
    """Move ``frame`` through the operations; return those that are not free, in rows."""
    steps = []
    for index, operation in enumerate(operations):
        match operation:
            case Cnot():
                frame.cnot(operation.control, operation.target)
            case Swap():
                frame.swap(operation.first, operation.second)
            case Flip():
                frame.invert(operation.wire)
            case _:
                steps += _placed(frame, index, operation)
    return steps


def _placed(frame: Frame, index: int, operation: Parametric) -> list[Step]:
    if isinstance(operation, PauliRotation):
        stripped = _without_identities(index, operation)
        if stripped is None:
            return []
        operation = stripped
    controls = tuple(frame.labels[wire].reads(value) for wire, value in controls_of(operation))
    fixed = fixed_value(operation)
    single = len(operation.wires) == 1 and not controls
    step = Step(
        kind=Kind.FUSED if single else _kind(operation),
        factors=(
            index if fixed is None else one_qubit_matrix(operation, fixed) if single else np.asarray(fixed),
        ),
        targets=tuple(frame.labels[wire] for wire in operation.wires),
        generators=_generators(frame, operation) + tuple(Pauli(0, mask) for mask, _ in controls),
        controls=controls,
        pauli=frame.pauli(operation.word, operation.wires) if isinstance(operation, PauliRotation) else None,
        sampled=operation.sampled,
        wanted=operation.wanted and fixed is None,
    )
    return [step]


def _without_identities(index: int, rotation: PauliRotation) -> PauliRotation | None:
    kept = [
        (letter, wire) for letter, wire in zip(rotation.word, rotation.wires, strict=True) if letter != "I"
    ]
    if kept:
        letters, wires = zip(*kept, strict=True)
        return replace(rotation, word="".join(letters), wires=wires)
    must = "contain X, Y or Z where the rotation is controlled"
    require(not rotation.controls, f"operations[{index}].word", must, rotation.word)
    return None  # a global phase


def _kind(operation: Parametric) -> Kind:
    match operation:
        case PauliRotation():
            return Kind.ROTATION
        case Diagonal():
            return Kind.DIAGONAL
        case Unitary():
            return Kind.DENSE


def _generators(frame: Frame, operation: Parametric) -> tuple[Pauli, ...]:
    match operation:
        case PauliRotation():
            return (frame.pauli(operation.word, operation.wires),)
        case Diagonal():
            return tuple(frame.pauli("Z", (wire,)) for wire in operation.wires)
        case Unitary():
            return tuple(frame.pauli(letter, (wire,)) for wire in operation.wires for letter in "XZ")


def one_qubit_matrix(operation: Parametric, operand: Any) -> NDArray[Any]:
    """The 2x2 matrix of an uncontrolled one-qubit operation; leading batch axes of the operand are kept."""
    match operation:
        case Unitary():
            return np.asarray(operand)
        case Diagonal():
            return np.asarray(operand)[..., :, None] * np.eye(2)
        case PauliRotation():
            half = np.asarray(operand)[..., None, None] / 2
            letter = operation.word.strip("I")
            return np.cos(half) * np.eye(2) - 1j * np.sin(half) * PAULI_MATRICES[letter]


def prune(steps: Sequence[Step], measured: Iterable[Pauli]) -> list[Step]:
    """Drop what is outside the light cone: steps that commute with all that is measured or kept later."""
    cone = _Span(measured)
    kept = []
    for step in reversed(steps):
        if not all(cone.commutes(generator) for generator in step.generators):
            kept.append(step)
            cone.add(step.generators)
    return kept[::-1]


class _Span:
    """A set of independent Pauli words (up to phases), which stays small however many are added."""

    def __init__(self, paulis: Iterable[Pauli]) -> None:
        self.basis: list[Pauli] = []
        self.add(paulis)

    def add(self, paulis: Iterable[Pauli]) -> None:
        for pauli in paulis:
            flip, read = pauli.flip, pauli.read
            for known in self.basis:
                flip, read = min((flip, read), (flip ^ known.flip, read ^ known.read))
            if flip or read:
                self.basis.append(Pauli(flip, read))

    def commutes(self, pauli: Pauli) -> bool:
        return all(known.commutes(pauli) for known in self.basis)


def fuse(steps: Sequence[Step]) -> list[Step]:
    """Multiply one-qubit steps on the same labels where all steps between commute with the later one."""
    result: list[Step] = []
    for step in steps:
        partner = _fusable(result, step)
        if partner is None:
            result.append(step)
        else:
            result[partner] = _product(result[partner], step)
    return result


def _fusable(earlier: Sequence[Step], step: Step) -> int | None:
    if step.kind is not Kind.FUSED:
        return None
    for index in range(len(earlier) - 1, -1, -1):
        other = earlier[index]
        if other.kind is Kind.FUSED and other.targets == step.targets:
            return index
        if not other.commutes(step):
            return None
    return None


def _product(first: Step, second: Step) -> Step:
    *head, last = first.factors
    factors = (*first.factors, *second.factors)
    if isinstance(last, np.ndarray) and isinstance(second.factors[0], np.ndarray):
        factors = (*head, second.factors[0] @ last, *second.factors[1:])
    generators = tuple(dict.fromkeys(first.generators + second.generators))
    sampled, wanted = first.sampled or second.sampled, first.wanted or second.wanted
    return replace(first, factors=factors, generators=generators, sampled=sampled, wanted=wanted)


def split_leading(num_wires: int, steps: Sequence[Step]) -> tuple[dict[int, Step], list[Step]]:
    """Separate, by wire, the one-qubit steps that act first on |0...0>: they make a product state."""
    leading: dict[int, Step] = {}
    rest: list[Step] = []
    wires = {Label(1 << wire, 1 << wire, 0): wire for wire in range(num_wires)}
    for step in steps:
        wire = wires.get(step.targets[0]) if step.kind is Kind.FUSED else None
        if wire is not None and wire not in leading and all(step.commutes(other) for other in rest):
            leading[wire] = step
        else:
            rest.append(step)
    return leading, rest


@dataclass(frozen=True)
class Unit:
    """A one-qubit gate on the pairs (k, k xor flip) whose first row k satisfies the conditions.

    A Pauli rotation is one or two of them, exp(-i angle axis . sigma / 2); a fused gate is one, with no axis.
    """

    flip: int
    conditions: tuple[Condition, ...]
    axis: tuple[float, float, float] = (0.0, 0.0, 0.0)


def gate_unit(target: Label) -> Unit:
    return Unit(target.flip, (target.reads(0),))


def rotation_units(pauli: Pauli, target: Label, controls: tuple[Condition, ...]) -> tuple[Unit, ...]:
    """A rotation about a Pauli word that has X, Y or Z on ``target``."""
    flip, read, phase = pauli.flip, pauli.read, pauli.phase
    across = (phase.real, phase.imag, 0.0)
    if not flip:  # a Z word: any wire of it tells the two rows of a pair apart
        return (Unit(target.flip, ((read, 0), *controls), (0.0, 0.0, phase.real)),)
    if parity(flip & read):  # like Y: the sign is what tells the rows apart
        return (Unit(flip, ((read, 0), *controls), across),)
    lower = (flip & -flip, 0)
    if not read:
        return (Unit(flip, (lower, *controls), across),)
    opposite = (-phase.real, -phase.imag, 0.0)
    return tuple(
        Unit(flip, (lower, (read, value), *controls), axis) for value, axis in enumerate((across, opposite))
    )


def base_conditions(targets: Sequence[Label], controls: Sequence[Condition]) -> tuple[Condition, ...]:
    """The conditions on the rows whose target bits are all 0."""
    return (*(label.reads(0) for label in targets), *controls)


def local_offsets(targets: Sequence[Label]) -> list[int]:
    """What leads from the row with target bits 0 to the row with target bits j, first target first."""
    offsets = [0]
    for label in targets:
        offsets = [offset ^ flip for offset in offsets for flip in (0, label.flip)]
    return offsets
