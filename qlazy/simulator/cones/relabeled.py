"""A group of pieces as a small circuit on wires 0, 1, ..., and what makes two of them the same circuit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from qlazy.simulator.cones.groups import Group
from qlazy.simulator.observables import (
    Hermitian,
    Observable,
    PauliSum,
    PauliWord,
    Probabilities,
    Projector,
    num_outputs,
    without_identities,
)
from qlazy.simulator.operations import (
    AngleSource,
    Channel,
    Cnot,
    ComplexArray,
    Diagonal,
    Flip,
    Operation,
    PauliRotation,
    Swap,
    Unitary,
    Wires,
)


class Member(NamedTuple):
    """Where a small circuit stands in the whole one.

    Numbers of its shared and its sampled angles, of its outputs, and the factors by which its outputs count.
    """

    shared: tuple[int, ...]
    sampled: tuple[int, ...]
    outputs: tuple[int, ...]
    factors: tuple[float, ...]


class Small(NamedTuple):
    """A circuit on its own wires; circuits with the same ``key`` differ in nothing else."""

    num_wires: int
    operations: tuple[Operation, ...]
    observables: tuple[Observable, ...]
    key: Any
    member: Member


def relabeled(group: Group, operations: Sequence[Operation], sources: Sequence[AngleSource | None]) -> Small:
    """The circuit of a group on wires numbered anew, in their order."""
    places = {wire: place for place, wire in enumerate(sorted(group.wires))}
    numbers = sorted(group.operations)
    moved = tuple(_moved(operations[number], places) for number in numbers)
    angles = [source for number in numbers if (source := sources[number]) is not None]
    observables, outputs, factors = _observables(group, places)
    return Small(
        num_wires=len(places),
        operations=moved,
        observables=observables,
        key=(len(places), tuple(map(_key, moved)), tuple(map(_key_of_observable, observables))),
        member=Member(
            tuple(source.number for source in angles if not source.sampled),
            tuple(source.number for source in angles if source.sampled),
            outputs,
            factors,
        ),
    )


def _moved(operation: Operation, places: Mapping[int, int]) -> Operation:
    match operation:
        case Cnot(control, target):
            return Cnot(places[control], places[target])
        case Swap(first, second):
            return Swap(places[first], places[second])
        case Flip(wire):
            return Flip(places[wire])
        case Channel(wire):
            return replace(operation, wire=places[wire])
        case Diagonal(wires):
            return replace(operation, wires=_at(wires, places))
        case Unitary(wires, _, controls):
            return replace(operation, wires=_at(wires, places), controls=_at(controls, places))
        case PauliRotation(word, wires, _, controls):
            letters, wires = without_identities(word, wires)
            return replace(operation, word=letters, wires=_at(wires, places), controls=_at(controls, places))


def _at(wires: Wires, places: Mapping[int, int]) -> Wires:
    return tuple(places[wire] for wire in wires)


def _observables(
    group: Group, places: Mapping[int, int]
) -> tuple[tuple[Observable, ...], tuple[int, ...], tuple[float, ...]]:
    """The observables on the group's wires, which outputs they are, and factors taken out of single words."""
    words: dict[int, list[PauliWord]] = {}
    others: dict[int, Observable] = {}
    for piece in group.pieces:
        match piece.observable:
            case PauliSum((word,)):
                moved = replace(word, wires=_at(word.wires, places))
                words.setdefault(piece.output, []).append(moved)
            case Hermitian() | Projector() | Probabilities() as other:
                others[piece.output] = replace(other, wires=_at(other.wires, places))
    observables: list[Observable] = []
    outputs: list[int] = []
    factors: list[float] = []
    for output in sorted({*words, *others}):
        observable, factor = others.get(output), 1.0
        if observable is None:
            [first, *rest] = words[output]
            if not rest:
                first, factor = replace(first, coefficient=1.0), float(first.coefficient)
            observable = PauliSum((first, *rest))
        observables.append(observable)
        outputs += range(output, output + num_outputs(observable))
        factors += [factor] * num_outputs(observable)
    return tuple(observables), tuple(outputs), tuple(factors)


def _key(operation: Operation) -> Any:
    match operation:
        case PauliRotation(word, wires, angle, controls, values, sampled, wanted):
            return (word, wires, angle, controls, values, sampled, wanted)
        case Unitary(wires, matrix, controls, values):
            return ("unitary", wires, _bytes(matrix), controls, values)
        case Diagonal(wires, phases):
            return ("diagonal", wires, _bytes(phases))
    return operation


def _key_of_observable(observable: Observable) -> Any:
    if isinstance(observable, Hermitian):
        return ("hermitian", observable.wires, _bytes(observable.matrix))
    return observable


def _bytes(matrix: ComplexArray) -> bytes:
    return np.asarray(matrix, dtype=complex).tobytes()
