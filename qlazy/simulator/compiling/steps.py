"""From operations to the steps of a sweep: frames, light cone, fusing, and the product state at the start.

A `Step` is an operation seen in rows. Its *generators* are Pauli words that generate the algebra it lives in:
two steps commute if all their generators do, and a step that commutes with everything measured after it
changes no output.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from qlazy.simulator.compiling.frames import Condition, Frame, Label, Pauli, parity
from qlazy.simulator.compiling.gates import AXES, Axis, Factor, Gate, fold, quaternion, rotation
from qlazy.simulator.operations import (
    AngleSource,
    Cnot,
    ComplexArray,
    Diagonal,
    Flip,
    Operation,
    PauliRotation,
    Swap,
    Unitary,
    angle_sources,
    controls_of,
)


@dataclass(frozen=True, eq=False)
class Step:
    """An operation in rows, by what it commutes with."""

    generators: tuple[Pauli, ...]

    def commutes(self, other: Step) -> bool:
        return all(a.commutes(b) for a in self.generators for b in other.generators)


@final
@dataclass(frozen=True, eq=False)
class GateStep(Step):
    """One-qubit gates on pairs of rows: a gate of one qubit, or a Pauli rotation, which is one or two of them.

    A gate of one qubit keeps its ``target``: those on the same one are fused.
    """

    gates: tuple[Gate, ...]
    target: Label | None = None


@final
@dataclass(frozen=True, eq=False)
class DiagonalStep(Step):
    """Fixed phases (2^k,) by the bits of the targets."""

    targets: tuple[Label, ...]
    phases: ComplexArray


@final
@dataclass(frozen=True, eq=False)
class DenseStep(Step):
    """A fixed matrix (2^k, 2^k) on the targets."""

    targets: tuple[Label, ...]
    controls: tuple[Condition, ...]
    matrix: ComplexArray


def place(frame: Frame, operations: Sequence[Operation]) -> list[Step]:
    """Move ``frame`` through the operations; return those that are not free, in rows."""
    steps: list[Step] = []
    sources = angle_sources(operations)
    for index, operation in enumerate(operations):
        match operation:
            case Cnot():
                frame.cnot(operation.control, operation.target)
            case Swap():
                frame.swap(operation.first, operation.second)
            case Flip():
                frame.invert(operation.wire)
            case PauliRotation():
                stripped = _without_identities(operation)
                if stripped is not None:
                    steps.append(_rotation_step(frame, stripped, sources[index]))
            case Diagonal(wires, phases):
                steps.append(_diagonal_step(frame, wires, np.asarray(phases)))
            case Unitary():
                steps.append(_unitary_step(frame, operation))
    return steps


def _without_identities(rotation: PauliRotation) -> PauliRotation | None:
    kept = [
        (letter, wire) for letter, wire in zip(rotation.word, rotation.wires, strict=True) if letter != "I"
    ]
    if kept:
        letters, wires = zip(*kept, strict=True)
        return replace(rotation, word="".join(letters), wires=wires)
    return None  # a global phase


def _rotation_step(frame: Frame, operation: PauliRotation, source: AngleSource | None) -> GateStep:
    angle = source or operation.angle or 0.0
    target, controls = frame.labels[operation.wires[0]], _controls(frame, operation)
    pauli = frame.pauli(operation.word, operation.wires)
    if len(operation.wires) == 1 and not controls:
        return _local_step(target, rotation(AXES[operation.word], angle), (pauli,))
    gates = tuple(
        Gate(flip, conditions, (rotation(axis, angle),))
        for flip, conditions, axis in _pairs(pauli, target, controls)
    )
    return GateStep((pauli, *_reading(controls)), gates)


def _diagonal_step(frame: Frame, wires: tuple[int, ...], phases: ComplexArray) -> Step:
    generators = tuple(frame.pauli("Z", (wire,)) for wire in wires)
    targets = tuple(frame.labels[wire] for wire in wires)
    if len(targets) == 1:
        return _local_step(targets[0], Factor(quaternion(np.diag(phases))), generators)
    return DiagonalStep(generators, targets, phases)


def _unitary_step(frame: Frame, operation: Unitary) -> Step:
    generators = tuple(frame.pauli(letter, (wire,)) for wire in operation.wires for letter in "XZ")
    targets = tuple(frame.labels[wire] for wire in operation.wires)
    controls, matrix = _controls(frame, operation), np.asarray(operation.matrix)
    if len(targets) == 1 and not controls:
        return _local_step(targets[0], Factor(quaternion(matrix)), generators)
    return DenseStep((*generators, *_reading(controls)), targets, controls, matrix)


def _local_step(target: Label, factor: Factor, generators: tuple[Pauli, ...]) -> GateStep:
    return GateStep(generators, (Gate(target.flip, (target.reads(0),), (factor,)),), target)


def _controls(frame: Frame, operation: Unitary | PauliRotation) -> tuple[Condition, ...]:
    return tuple(frame.labels[wire].reads(value) for wire, value in controls_of(operation))


def _reading(controls: Sequence[Condition]) -> tuple[Pauli, ...]:
    return tuple(Pauli(0, mask) for mask, _ in controls)


def _pairs(
    pauli: Pauli, target: Label, controls: tuple[Condition, ...]
) -> list[tuple[int, tuple[Condition, ...], Axis]]:
    """A rotation about a Pauli word that has X, Y or Z on ``target``: flips, conditions and axes of its gates."""
    flip, read, phase = pauli.flip, pauli.read, pauli.phase
    across = (phase.real, phase.imag, 0.0)
    if not flip:  # a Z word: any wire of it tells the two rows of a pair apart
        return [(target.flip, ((read, 0), *controls), (0.0, 0.0, phase.real))]
    if parity(flip & read):  # like Y: the sign is what tells the rows apart
        return [(flip, ((read, 0), *controls), across)]
    lower = (flip & -flip, 0)
    if not read:
        return [(flip, (lower, *controls), across)]
    opposite = (-phase.real, -phase.imag, 0.0)
    return [(flip, (lower, (read, value), *controls), axis) for value, axis in enumerate((across, opposite))]


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
            result[partner] = _fused(result[partner], step)
    return result


def _fusable(earlier: Sequence[Step], step: Step) -> int | None:
    target = _target(step)
    if target is None:
        return None
    for index in range(len(earlier) - 1, -1, -1):
        if _target(earlier[index]) == target:
            return index
        if not earlier[index].commutes(step):
            return None
    return None


def _target(step: Step) -> Label | None:
    return step.target if isinstance(step, GateStep) else None


def _fused(first: Step, second: Step) -> Step:
    assert isinstance(first, GateStep)
    assert isinstance(second, GateStep)
    [earlier], [later] = first.gates, second.gates
    gate = replace(earlier, factors=fold(earlier.factors, later.factors))
    return replace(
        first, generators=tuple(dict.fromkeys(first.generators + second.generators)), gates=(gate,)
    )


def split_leading(num_wires: int, steps: Sequence[Step]) -> tuple[dict[int, GateStep], list[Step]]:
    """Separate, by wire, the one-qubit steps that act first on |0...0>: they make a product state."""
    leading: dict[int, GateStep] = {}
    rest: list[Step] = []
    wires = {Label(1 << wire, 1 << wire, 0): wire for wire in range(num_wires)}
    for step in steps:
        wire = wires.get(step.target) if isinstance(step, GateStep) and step.target is not None else None
        if wire is not None and wire not in leading and all(step.commutes(other) for other in rest):
            assert isinstance(step, GateStep)
            leading[wire] = step
        else:
            rest.append(step)
    return leading, rest
