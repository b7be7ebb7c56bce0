"""What a pass acts on: pairs of rows for one-qubit gates and rotations, groups of rows for wider gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qlazy.simulator.frames import Condition, Label, Pauli, parity


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
