"""Gates as Pauli rotations and Clifford gates: what words that go back through a circuit can take.

A rotation under k controls is a product of 2^k commuting rotations, by the angle over 2^k each; a diagonal gate one of
rotations about words of Z; a gate on one wire, under controls or not, is diagonal between two rotations of its axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import schur

from qlazy.base.errors import UnsupportedModelError, refuse
from qlazy.simulator.operations import (
    MAX_DENSE_WIRES,
    Channel,
    ComplexArray,
    Diagonal,
    Operation,
    PauliRotation,
    Unitary,
    controls_of,
)
from qlazy.simulator.paulis.cliffords import conjugation, matrix_of, wires_of


class Piece(NamedTuple):
    """A Clifford gate, a channel, or a rotation: by ``scale`` times angle ``number``, or ``scale`` if that is None."""

    operation: Operation
    number: int | None = None
    scale: float = 0.0


def pieces_of(operation: Operation, number: int | None) -> Iterator[Piece]:
    """``operation`` in order; ``number`` is that of its angle where it takes one at every run.

    Raises UnsupportedModelError, naming the gate, for one on several wires that is neither Clifford nor diagonal.
    """
    if isinstance(operation, Channel):
        yield Piece(operation)
    elif isinstance(operation, PauliRotation) and (operation.angle is None or not _is_clifford(operation)):
        scale = 1.0 if operation.angle is None else operation.angle
        yield from _rotations(operation, number, scale)
    elif _is_clifford(operation):
        yield Piece(operation)
    else:
        yield from _fixed(operation)


def _is_clifford(operation: Operation) -> bool:
    return conjugation(operation)[1] is not None


def _rotations(rotation: PauliRotation, number: int | None, scale: float) -> Iterator[Piece]:
    """exp(-i theta/2 prod_k (1 -+ Z_k)/2 P), a sign for each control by its value."""
    controls = controls_of(rotation)
    for taken in product((0, 1), repeat=len(controls)):
        sign = math.prod(1 - 2 * value for (_, value), used in zip(controls, taken, strict=True) if used)
        wires = tuple(wire for (wire, _), used in zip(controls, taken, strict=True) if used)
        yield _turn(
            "Z" * len(wires) + rotation.word,
            wires + rotation.wires,
            number,
            sign * scale / 2 ** len(controls),
        )


def _turn(word: str, wires: tuple[int, ...], number: int | None, scale: float) -> Piece:
    letters = [(letter, wire) for letter, wire in zip(word, wires, strict=True) if letter != "I"]
    return Piece(
        PauliRotation("".join(letter for letter, _ in letters), tuple(wire for _, wire in letters)),
        number,
        scale,
    )


def _fixed(operation: Operation) -> Iterator[Piece]:
    if isinstance(operation, Diagonal):
        yield from _diagonal(operation.wires, operation.phases)
        return
    if isinstance(operation, Unitary) and len(operation.wires) > 1:
        operation = _with_controls(operation)
    if (
        isinstance(operation, Unitary)
        and len(operation.wires) == 1
        and len(operation.controls) < MAX_DENSE_WIRES
    ):
        yield from _one_wire(operation)
        return
    if isinstance(operation, Unitary) and len(wires_of(operation)) <= MAX_DENSE_WIRES:
        matrix = matrix_of(operation)
        if np.allclose(matrix, np.diag(np.diagonal(matrix)), atol=1e-12):
            yield from _diagonal(wires_of(operation), np.diagonal(matrix))
            return
    refuse(
        "circuit", "consist of Pauli rotations, diagonal gates, gates on one wire and Clifford gates",
        f"one with a {type(operation).__name__} on wires {wires_of(operation)}", UnsupportedModelError,
    )  # fmt: skip


def _with_controls(gate: Unitary) -> Unitary:
    """The gate with those of its wires as controls that only let the others act, such as two of a Toffoli gate's."""
    count, half = len(gate.wires), len(gate.matrix) // 2
    tensor = np.asarray(gate.matrix, complex).reshape((2,) * (2 * count))
    for place in range(count if count > 1 else 0):
        blocks = np.moveaxis(tensor, (place, count + place), (0, 1)).reshape(2, 2, half, half)
        for value in (0, 1):
            others = np.eye(2, dtype=complex)[:, :, None, None] * np.eye(half)
            others[value, value] = blocks[value, value]
            if np.allclose(blocks, others, atol=1e-12):
                rest = gate.wires[:place] + gate.wires[place + 1 :]
                values = (*(known for _, known in controls_of(gate)), value)
                return _with_controls(
                    Unitary(rest, others[value, value], (*gate.controls, gate.wires[place]), values)
                )
    return gate


def _diagonal(wires: tuple[int, ...], phases: NDArray[np.complex128]) -> Iterator[Piece]:
    """prod exp(-i theta_S / 2 Z_S): theta_S = -2 times the mean of the phases' angles times (-1)^{bits in S}."""
    angles = np.angle(phases).reshape((2,) * len(wires))
    for chosen in product((0, 1), repeat=len(wires)):
        if any(chosen):
            mean = angles
            for used in chosen:
                mean = mean[0] + (-mean[1] if used else mean[1])
            touched = tuple(wire for wire, used in zip(wires, chosen, strict=True) if used)
            if abs(mean) > 1e-15:
                yield _turn("Z" * len(touched), touched, None, -2 * float(mean) / 2 ** len(wires))


def _one_wire(gate: Unitary) -> Iterator[Piece]:
    """V D V^dagger: the rotation V is free of controls, and D is diagonal with them."""
    triangle, vectors = schur(
        np.asarray(gate.matrix, complex), output="complex"
    )  # diagonal: unitaries are normal
    phi, theta, lam = _euler(vectors)
    [wire] = gate.wires
    for letter, angle in (("Z", -phi), ("Y", -theta), ("Z", -lam)):
        yield _turn(letter, (wire,), None, angle)
    every = np.ones((2,) * len(gate.controls) + (2,), complex)
    every[tuple(value for _, value in controls_of(gate))] = np.diagonal(triangle)
    yield from _diagonal(gate.controls + gate.wires, every.reshape(-1))
    for letter, angle in (("Z", lam), ("Y", theta), ("Z", phi)):
        yield _turn(letter, (wire,), None, angle)


def _euler(matrix: ComplexArray) -> tuple[float, float, float]:
    """RZ(phi) RY(theta) RZ(lam), up to a phase."""
    special = matrix / np.sqrt(np.linalg.det(matrix).astype(complex))
    total, apart = float(np.angle(special[1, 1])), float(np.angle(special[1, 0]))
    return total + apart, 2 * math.atan2(abs(special[1, 0]), abs(special[0, 0])), total - apart
