"""What a circuit may consist of: unitaries given at run time, and gates that are fixed or free.

An operation says which wires it touches and where its numbers come from; the numbers themselves (matrices,
angles, phases) are the *operands*, handed over at every run. The first wire is the most significant bit of a
matrix index.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import require

Wires = tuple[int, ...]
ComplexArray = NDArray[np.complex128]

MAX_DENSE_WIRES = 5


@dataclass(frozen=True, eq=False)
class Unitary:
    """A dense unitary on a few wires, applied where every control has its value.

    Operand: a matrix (2^k, 2^k) shared by the batch, or (n, 2^k, 2^k) if ``sampled``; none if ``matrix``
    fixes it. ``wanted`` operands receive a cotangent in a sweep.
    """

    wires: Wires
    matrix: ComplexArray | None = None
    controls: Wires = ()
    control_values: tuple[int, ...] | None = None
    sampled: bool = False
    wanted: bool = True


@dataclass(frozen=True, eq=False)
class PauliRotation:
    """exp(-i angle P / 2) for a Pauli word P of any weight, applied where every control has its value.

    Operand: an angle in radians, of shape () shared or (n,) if ``sampled``; none if ``angle`` fixes it.
    """

    word: str
    wires: Wires
    angle: float | None = None
    controls: Wires = ()
    control_values: tuple[int, ...] | None = None
    sampled: bool = False
    wanted: bool = True


@dataclass(frozen=True, eq=False)
class Diagonal:
    """A diagonal unitary on a few wires.

    Operand: phases of modulus one, (2^k,) shared or (n, 2^k) if ``sampled``; none if ``phases`` fixes them.
    """

    wires: Wires
    phases: ComplexArray | None = None
    sampled: bool = False
    wanted: bool = True


@dataclass(frozen=True)
class Cnot:
    control: int
    target: int

    @property
    def wires(self) -> Wires:
        return (self.control, self.target)


@dataclass(frozen=True)
class Swap:
    first: int
    second: int

    @property
    def wires(self) -> Wires:
        return (self.first, self.second)


@dataclass(frozen=True)
class Flip:
    """The Pauli X gate."""

    wire: int

    @property
    def wires(self) -> Wires:
        return (self.wire,)


Parametric = Unitary | PauliRotation | Diagonal
Operation = Parametric | Cnot | Swap | Flip


def fixed_value(operation: Parametric) -> ComplexArray | float | None:
    """The operand an operation carries with it, or None if it arrives at run time."""
    match operation:
        case Unitary():
            return operation.matrix
        case PauliRotation():
            return operation.angle
        case Diagonal():
            return operation.phases


def operand_shape(operation: Parametric) -> tuple[int, ...]:
    """The shape of one operand, without the batch."""
    size = 2 ** len(operation.wires)
    match operation:
        case Unitary():
            return (size, size)
        case PauliRotation():
            return ()
        case Diagonal():
            return (size,)


def controls_of(operation: Parametric) -> tuple[tuple[int, int], ...]:
    """(wire, value) of every control; the value is 1 where none is given."""
    if isinstance(operation, Diagonal) or not operation.controls:
        return ()
    values = operation.control_values or (1,) * len(operation.controls)
    return tuple(zip(operation.controls, values, strict=True))


def check_operations(num_wires: int, operations: tuple[Operation, ...]) -> None:
    """Refuse wires, words and fixed operands that do not fit, naming the operation."""
    require(num_wires >= 1, "num_wires", "be at least 1", num_wires)
    for index, operation in enumerate(operations):
        name = f"operations[{index}]"
        _check_wires(num_wires, name, operation)
        if isinstance(operation, PauliRotation):
            check_word(f"{name}.word", operation.word, operation.wires)
        if isinstance(operation, Unitary):
            size = len(operation.wires)
            require(
                1 <= size <= MAX_DENSE_WIRES,
                f"{name}.wires",
                f"be 1 to {MAX_DENSE_WIRES} wires",
                operation.wires,
            )
        if not isinstance(operation, Cnot | Swap | Flip):
            _check_fixed(name, operation)


def check_word(name: str, word: str, wires: Wires) -> None:
    require(set(word) <= set("IXYZ"), name, "consist of the letters I, X, Y, Z", word)
    require(len(word) == len(wires), name, f"have one letter for each wire of {wires}", word)


def _check_wires(num_wires: int, name: str, operation: Operation) -> None:
    wires = operation.wires
    if isinstance(operation, Unitary | PauliRotation):
        wires += operation.controls
        values = operation.control_values
        fits = values is None or (len(values) == len(operation.controls) and set(values) <= {0, 1})
        must = f"be 0 or 1 for each control of {operation.controls}"
        require(fits, f"{name}.control_values", must, values)
    check_wires(num_wires, f"{name}.wires", wires)


def check_wires(num_wires: int, name: str, wires: Wires) -> None:
    require(len(wires) > 0, name, "name at least one wire", wires)
    require(all(0 <= wire < num_wires for wire in wires), name, f"lie in 0..{num_wires - 1}", wires)
    require(len(set(wires)) == len(wires), name, "be distinct", wires)


def _check_fixed(name: str, operation: Parametric) -> None:
    value = fixed_value(operation)
    if value is not None:
        shape = operand_shape(operation)
        require(np.shape(value) == shape, f"the operand of {name}", f"have shape {shape}", np.shape(value))
        require(not operation.sampled, f"{name}.sampled", "be False for a fixed operand", operation.sampled)
        if isinstance(operation, Unitary):
            defect = float(np.abs(value @ np.conj(value).T - np.eye(shape[0])).max())
            require(defect < 1e-5, f"{name}.matrix", "be unitary", f"off by {defect:.2g}")
