"""Random circuits over every kind of operation and observable, and derivatives rebuilt from cotangents."""

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
    Kind,
    Observable,
    Operation,
    PauliRotation,
    PauliSum,
    PauliWord,
    Plan,
    Probabilities,
    Projector,
    Swap,
    Unitary,
    pauli,
)
from tests.simulator.dense import LETTERS, Direction

CZ = np.array([1, 1, 1, -1], dtype=complex)
T = np.exp(1j * np.pi / 4 * np.arange(2))
HADAMARD = np.array([[1, 1], [1, -1]], dtype=complex) / np.sqrt(2)


@dataclass
class Case:
    """A circuit with operands for ``samples`` samples."""

    wires: int
    operations: tuple[Operation, ...]
    observables: tuple[Observable, ...]
    operands: dict[int, Any]
    samples: int

    @property
    def sampled(self) -> bool:
        return any(getattr(operation, "sampled", False) for operation in self.operations)

    def at(self, sample: int) -> dict[int, Any]:
        """The operands of one sample, fixed ones included."""
        return {
            index: operand[sample] if getattr(self.operations[index], "sampled", False) else operand
            for index, operand in self.all_operands().items()
        }

    def all_operands(self) -> dict[int, Any]:
        found = dict(self.operands)
        for index, operation in enumerate(self.operations):
            for name in ("matrix", "angle", "phases"):
                if getattr(operation, name, None) is not None:
                    found[index] = getattr(operation, name)
        return found


def random_operand(rng: np.random.Generator, operation: Operation, samples: int) -> Any:
    batch = (samples,) if operation.sampled else ()  # type: ignore[union-attr]
    size = 2 ** len(operation.wires)
    match operation:
        case Unitary():
            count = int(np.prod(batch))
            found = unitary_group(size, seed=rng).rvs(max(count, 1)).reshape(-1, size, size)[:count]
            return found.reshape(*batch, size, size)
        case PauliRotation():
            return rng.uniform(-4, 4, batch)
        case Diagonal():
            return np.exp(1j * rng.uniform(-4, 4, (*batch, size)))
    raise AssertionError(operation)


def random_operation(
    rng: np.random.Generator, wires: int, kind: str, sampled: bool, wanted: bool
) -> Operation:
    order = tuple(int(w) for w in rng.permutation(wires))
    width = int(rng.integers(1, min(wires, 3) + 1))
    chosen, rest = order[:width], order[width:]
    controls = rest[: int(rng.integers(0, min(len(rest), 2) + 1))]
    control_values = tuple(int(v) for v in rng.integers(0, 2, len(controls)))
    word = "".join(rng.choice(list("XYZ"), width))
    data = {"sampled": sampled, "wanted": wanted}
    match kind:
        case "one":
            return Unitary(order[:1], **data)
        case "one rotation":
            return PauliRotation(word[0], order[:1], **data)
        case "one diagonal":
            return Diagonal(order[:1], **data)
        case "fixed one":
            return Unitary(order[:1], HADAMARD)
        case "fixed rotation":
            return PauliRotation(word, chosen, float(rng.uniform(-4, 4)))
        case "fixed diagonal":
            return Diagonal(order[:2], CZ) if wires > 1 else Diagonal(order[:1], T)
        case "rotation":
            padded = word + "I" * len(rest[:1])
            return PauliRotation(padded, chosen + rest[:1], **data)
        case "controlled rotation":
            return PauliRotation(word, chosen, None, controls, control_values, **data)
        case "dense":
            return Unitary(chosen, None, controls, control_values, **data)
        case "fixed dense":
            return Unitary(order[:1], HADAMARD, order[1:2])
        case "diagonal":
            return Diagonal(chosen, **data)
        case "flip":
            return Flip(order[0])
        case "swap":
            return Swap(order[0], order[1]) if wires > 1 else Flip(order[0])
        case "cnot":
            return Cnot(order[0], order[1]) if wires > 1 else Flip(order[0])
    raise AssertionError(kind)


KINDS = (
    *("one", "one rotation", "one diagonal", "fixed one", "fixed rotation", "fixed diagonal", "rotation"),
    *("controlled rotation", "dense", "fixed dense", "diagonal", "flip", "swap", "cnot", "cnot", "cnot"),
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
def cases(draw: Any, max_wires: int = 5, max_samples: int = 3, kinds: tuple[str, ...] = KINDS) -> Case:
    wires = draw(st.integers(1, max_wires))
    flags = st.tuples(st.sampled_from(kinds), st.booleans(), st.booleans())
    drawn = draw(st.lists(flags, min_size=1, max_size=14))
    seen = draw(st.lists(st.sampled_from(OBSERVABLES), min_size=1, max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    samples = draw(st.integers(1, max_samples))
    operations = tuple(random_operation(rng, wires, *flag) for flag in drawn)
    observables = tuple(random_observable(rng, wires, kind) for kind in seen)
    return make_case(rng, wires, operations, observables, samples)


def make_case(rng: np.random.Generator, wires: int, operations: Any, observables: Any, samples: int) -> Case:
    case = Case(wires, tuple(operations), tuple(observables), {}, samples)
    fixed = case.all_operands()
    for index, operation in enumerate(case.operations):
        if isinstance(operation, Unitary | PauliRotation | Diagonal) and index not in fixed:
            case.operands[index] = random_operand(rng, operation, samples)
    return case


def local_matrix(operation: Operation, operand: Any) -> np.ndarray:
    """The 2x2 matrix of a one-qubit operation for one sample."""
    match operation:
        case PauliRotation():
            letter = LETTERS[operation.word.strip("I")]
            return np.cos(operand / 2) * np.eye(2) - 1j * np.sin(operand / 2) * letter
        case Diagonal():
            return np.diag(operand)
    return operand


def local_change(operation: Operation, operand: Any, change: Any) -> np.ndarray:
    match operation:
        case PauliRotation():
            letter = LETTERS[operation.word.strip("I")]
            return -0.5 * change * (np.sin(operand / 2) * np.eye(2) + 1j * np.cos(operand / 2) * letter)
        case Diagonal():
            return np.diag(change)
    return change


def rebuilt(case: Case, plan: Plan, cotangents: Any, sample: int, direction: Direction) -> np.ndarray:
    """The derivative of all outputs in a direction, from the cotangents alone; zero for what was pruned."""
    operands = case.at(sample)
    for family, cotangent in zip(plan.families, cotangents, strict=True):
        row = cotangent[min(sample, len(cotangent) - 1)]
        for position, member in enumerate(family.wanted):
            factors = family.members[member]
            if direction.index in [factor for factor in factors if isinstance(factor, int)]:
                return _contracted(case, family.kind, factors, operands, row[:, position], direction)
    return np.zeros(plan.num_outputs)


def _contracted(case: Case, kind: Kind, factors: Any, operands: Any, row: Any, direction: Direction) -> Any:
    operand = operands[direction.index]
    match kind:
        case Kind.ROTATION:
            return row * direction.change
        case Kind.DIAGONAL:
            return row @ (direction.change / (1j * operand)).real
        case Kind.DENSE:
            return 2 * np.einsum("ab,cab->c", direction.change, row).real
    product, change = np.eye(2), np.zeros((2, 2))
    for factor in factors:
        is_index = isinstance(factor, int)
        matrix = local_matrix(case.operations[factor], operands[factor]) if is_index else factor
        change = matrix @ change
        if is_index and factor == direction.index:
            change = change + local_change(case.operations[factor], operand, direction.change) @ product
        product = matrix @ product
    algebra = -1j * change @ product.conj().T  # dU = i H U
    axis = [np.trace(LETTERS[letter] @ algebra).real / 2 for letter in "XYZ"]
    return row @ np.array(axis)


def directions(rng: np.random.Generator, case: Case, sample: int) -> list[Direction]:
    """One random direction for every run-time operand that is wanted."""
    found = []
    for index, operand in case.at(sample).items():
        operation = case.operations[index]
        if index in case.operands and operation.wanted:  # type: ignore[union-attr]
            found.append(Direction(index, _random_change(rng, operation, operand)))
    return found


def _random_change(rng: np.random.Generator, operation: Operation, operand: Any) -> Any:
    match operation:
        case PauliRotation():
            return rng.normal()
        case Diagonal():
            return 1j * rng.normal(size=len(operand)) * operand
    h = rng.normal(size=operand.shape) + 1j * rng.normal(size=operand.shape)
    return 1j * (h + h.conj().T) @ operand
