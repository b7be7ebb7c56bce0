"""Random circuits over every kind of operation and observable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.stats import unitary_group

from qlazy.simulator import (
    Cnot,
    Diagonal,
    Flip,
    Hermitian,
    Observable,
    Operation,
    PauliRotation,
    PauliSum,
    PauliWord,
    Probabilities,
    Projector,
    RotationCircuit,
    Swap,
    Unitary,
)

CZ = np.array([1, 1, 1, -1], dtype=complex)
T = np.exp(1j * np.pi / 4 * np.arange(2))
HADAMARD = np.array([[1, 1], [1, -1]], dtype=complex) / np.sqrt(2)


def pauli(word: str, *wires: int) -> PauliSum:
    return PauliSum((PauliWord(1.0, word, wires),))


@dataclass
class Case:
    """A circuit with angles, shared (S,) and sampled (n, T)."""

    wires: int
    operations: tuple[Operation, ...]
    observables: tuple[Observable, ...]
    shared: np.ndarray
    sampled: np.ndarray

    def circuit(self) -> RotationCircuit:
        return RotationCircuit(self.wires, self.operations, self.observables)

    def rotations(self) -> list[tuple[int, PauliRotation, int]]:
        """Index, rotation and its number among its like, for those that take an angle."""
        found = [
            (index, operation)
            for index, operation in enumerate(self.operations)
            if isinstance(operation, PauliRotation) and operation.angle is None
        ]
        return [
            (index, rotation, sum(other.sampled == rotation.sampled for _, other in found[:position]))
            for position, (index, rotation) in enumerate(found)
        ]

    def at(self, sample: int) -> dict[int, float]:
        """The angles of one sample, by the index of the operation."""
        return {
            index: float(self.sampled[sample, number] if rotation.sampled else self.shared[number])
            for index, rotation, number in self.rotations()
        }


def random_unitary(rng: np.random.Generator, wires: int) -> np.ndarray:
    return np.asarray(unitary_group(2**wires, seed=rng).rvs()).reshape(2**wires, 2**wires)


def random_operation(
    rng: np.random.Generator, wires: int, kind: str, sampled: bool, wanted: bool
) -> Operation:
    order = tuple(int(w) for w in rng.permutation(wires))
    width = int(rng.integers(1, min(wires, 3) + 1))
    chosen, rest = order[:width], order[width:]
    controls = rest[: int(rng.integers(0, min(len(rest), 2) + 1))]
    control_values = tuple(int(v) for v in rng.integers(0, 2, len(controls)))
    word, angle = "".join(rng.choice(list("XYZ"), width)), float(rng.uniform(-4, 4))
    match kind:
        case "one":
            return PauliRotation(word[0], order[:1], sampled=sampled, wanted=wanted)
        case "rotation":
            return PauliRotation(
                word + "I" * len(rest[:1]), chosen + rest[:1], None, (), None, sampled, wanted
            )
        case "controlled rotation":
            return PauliRotation(word, chosen, None, controls, control_values, sampled, wanted)
        case "fixed rotation":
            return PauliRotation(word, chosen, angle, controls, control_values)
        case "fixed one":
            return Unitary(order[:1], random_unitary(rng, 1))
        case "fixed dense":
            return Unitary(chosen, random_unitary(rng, width), controls, control_values)
        case "fixed diagonal":
            return Diagonal(chosen, np.exp(1j * rng.uniform(-4, 4, 2**width)))
        case "flip":
            return Flip(order[0])
        case "swap":
            return Swap(order[0], order[1]) if wires > 1 else Flip(order[0])
        case "cnot":
            return Cnot(order[0], order[1]) if wires > 1 else Flip(order[0])
    raise AssertionError(kind)


KINDS = (
    *("one", "one", "one", "rotation", "rotation", "controlled rotation", "controlled rotation"),
    *("fixed rotation", "fixed one", "fixed dense", "fixed diagonal", "flip", "swap", "cnot", "cnot", "cnot"),
)
OBSERVABLES = ("word", "sum", "hermitian", "projector", "probabilities", "identity")


def random_observable(rng: np.random.Generator, wires: int, kind: str) -> Observable:
    order = tuple(int(w) for w in rng.permutation(wires))
    width = int(rng.integers(1, min(wires, 3) + 1))
    chosen = order[:width]
    match kind:
        case "word":
            return pauli("".join(rng.choice(list("XYZ"), width)), *chosen)
        case "sum":
            words = ("".join(rng.choice(list("IXYZ"), width)) for _ in range(4))
            return PauliSum(tuple(PauliWord(float(rng.normal()), word, chosen) for word in words))
        case "hermitian":
            a = rng.normal(size=(2**width, 2**width)) + 1j * rng.normal(size=(2**width, 2**width))
            return Hermitian(a + a.conj().T, chosen)
        case "projector":
            return Projector(tuple(int(b) for b in rng.integers(0, 2, width)), chosen)
        case "probabilities":
            return Probabilities(chosen)
        case "identity":
            return PauliSum((PauliWord(0.7, "", ()),))
    raise AssertionError(kind)


@st.composite
def cases(draw: Any, max_wires: int = 5, sizes: tuple[int, ...] = (1, 2, 3)) -> Case:
    wires = draw(st.integers(1, max_wires))
    flags = st.tuples(st.sampled_from(KINDS), st.booleans(), st.booleans())
    drawn = draw(st.lists(flags, min_size=1, max_size=14))
    seen = draw(st.lists(st.sampled_from(OBSERVABLES), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    operations = [random_operation(rng, wires, *flag) for flag in drawn]
    observables = [random_observable(rng, wires, kind) for kind in seen]
    return make_case(rng, wires, operations, observables, draw(st.sampled_from(sizes)))


def make_case(rng: np.random.Generator, wires: int, operations: Any, observables: Any, samples: int) -> Case:
    case = Case(wires, tuple(operations), tuple(observables), np.empty(0), np.empty((samples, 0)))
    kinds = [rotation.sampled for _, rotation, _ in case.rotations()]
    case.shared = rng.uniform(-4, 4, kinds.count(False))
    case.sampled = rng.uniform(-4, 4, (samples, kinds.count(True)))
    return case


def layered(wires: int, layers: int, samples: int, observables: Any, sampled: bool = True) -> Case:
    operations: list[Any] = [PauliRotation("Y", (q,), sampled=sampled) for q in range(wires)]
    for _ in range(layers):
        operations += [PauliRotation(letter, (q,)) for q in range(wires) for letter in "YZ"]
        operations += [Cnot(q, (q + 1) % wires) for q in range(wires)]
    return make_case(np.random.default_rng(7), wires, operations, observables, samples)
