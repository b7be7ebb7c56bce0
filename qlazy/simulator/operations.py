"""What a circuit may consist of: rotations, whose angles may arrive at run time, and gates that are fixed.

The first wire is the most significant bit of a matrix index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import require

Wires = tuple[int, ...]
ComplexArray = NDArray[np.complex128]

MAX_DENSE_WIRES = 5


@dataclass(frozen=True, eq=False)
class Unitary:
    """A fixed unitary ``matrix`` (2^k, 2^k) on k wires, applied where every control has its value."""

    wires: Wires
    matrix: ComplexArray
    controls: Wires = ()
    control_values: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class PauliRotation:
    """exp(-i angle P / 2) for a Pauli word P of any weight, applied where every control has its value.

    Without a fixed ``angle``, in radians, it takes one at every run: the same for the whole batch, or one for
    each sample if ``sampled``; derivatives by it are computed where they are ``wanted``.
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
    """A fixed diagonal unitary on k wires: ``phases`` (2^k,) of modulus one."""

    wires: Wires
    phases: ComplexArray


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


@dataclass(frozen=True)
class Channel:
    """Noise on one wire by its Pauli transfer, in the Heisenberg picture: X -> x X, Y -> y Y, Z -> z Z + offset.

    Pauli propagation alone takes it: states have none.
    """

    wire: int
    x: float
    y: float
    z: float
    offset: float = 0.0

    @property
    def wires(self) -> Wires:
        return (self.wire,)


Operation = Unitary | PauliRotation | Diagonal | Cnot | Swap | Flip | Channel


class AngleSource(NamedTuple):
    """Where a rotation finds its angle: among the shared or the sampled ones, and its number there."""

    sampled: bool
    number: int
    wanted: bool


def angle_sources(operations: Sequence[Operation]) -> list[AngleSource | None]:
    """For each operation the source of its angle, None where none arrives at run time.

    The rotations without a fixed angle are numbered in order, shared and sampled apart.
    """
    counts = {False: 0, True: 0}
    sources: list[AngleSource | None] = []
    for operation in operations:
        if isinstance(operation, PauliRotation) and operation.angle is None:
            sources.append(AngleSource(operation.sampled, counts[operation.sampled], operation.wanted))
            counts[operation.sampled] += 1
        else:
            sources.append(None)
    return sources


def unshared(operations: Sequence[Operation]) -> tuple[list[Operation], NDArray[np.int64]]:
    """The operations with every angle sampled, and where their angles (S + T) are among shared, then sampled ones."""
    sources = [source for source in angle_sources(operations) if source is not None]
    num_shared = sum(not source.sampled for source in sources)
    order = [source.number + source.sampled * num_shared for source in sources]
    changed = [
        replace(operation, sampled=True)
        if isinstance(operation, PauliRotation) and operation.angle is None
        else operation
        for operation in operations
    ]
    return changed, np.array(order, np.int64)


def controls_of(operation: Unitary | PauliRotation) -> tuple[tuple[int, int], ...]:
    """(wire, value) of every control; the value is 1 where none is given."""
    values = operation.control_values or (1,) * len(operation.controls)
    return tuple(zip(operation.controls, values, strict=True))


def check_operations(num_wires: int, operations: tuple[Operation, ...]) -> None:
    """Refuse wires, words, matrices and angles that do not fit, naming the operation."""
    require(num_wires >= 1, "num_wires", "be at least 1", num_wires)
    for index, operation in enumerate(operations):
        name = f"operations[{index}]"
        _check_wires(num_wires, name, operation)
        match operation:
            case PauliRotation(word, wires, angle):
                check_word(f"{name}.word", word, wires)
                must = "contain X, Y or Z where the rotation is controlled"
                require(not operation.controls or set(word) != {"I"}, f"{name}.word", must, word)
                fits = angle is None or not operation.sampled
                require(fits, f"{name}.sampled", "be False for a fixed angle", operation.sampled)
            case Unitary(wires, matrix):
                must = f"be 1 to {MAX_DENSE_WIRES} wires"
                require(len(wires) <= MAX_DENSE_WIRES, f"{name}.wires", must, wires)
                _check_unitary(f"{name}.matrix", matrix, (2 ** len(wires),) * 2)
            case Diagonal(wires, phases):
                _check_unitary(f"{name}.phases", phases, (2 ** len(wires),))


def _check_unitary(name: str, value: ComplexArray, shape: tuple[int, ...]) -> None:
    """``value`` is a matrix, or the diagonal of one."""
    require(np.shape(value) == shape, name, f"have shape {shape}", np.shape(value))
    adjoint = np.conj(value).T
    excess = value * adjoint - 1 if len(shape) == 1 else value @ adjoint - np.eye(shape[0])
    defect = float(np.abs(excess).max())
    require(defect < 1e-5, name, "be unitary", f"off by {defect:.2g}")


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
