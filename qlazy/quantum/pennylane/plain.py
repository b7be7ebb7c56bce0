"""The reference of all backends: a QNode called plainly, one row at a time, on numbers in NumPy.

PennyLane's torch interface is no reference: some of its gates lose values or gradients there. So the QNode's
function runs on torch tensors, as its author wrote it, and every number that it queues becomes a NumPy array
before any transform or device sees it.
"""

from __future__ import annotations

import contextlib
import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np
import pennylane as qml
import torch
from numpy.typing import NDArray
from pennylane.ops import Conditional
from pennylane.ops.mid_measure import MidMeasure
from pennylane.tape import QuantumScript
from torch.overrides import TorchFunctionMode

from qlazy.base.chance import random_states, state_of
from qlazy.base.errors import UnsupportedModelError, require
from qlazy.quantum.pennylane.plain_batch import BROADCAST, CONSTANT, NotTogetherError, results_of, wires_of
from qlazy.quantum.pennylane.surroundings.reading import generators_of
from qlazy.quantum.pennylane.symbolic.carriers import numbers_of
from qlazy.quantum.pennylane.symbolic.detaching import stops_gradient
from qlazy.quantum.pennylane.symbolic.doubles import Doubles
from qlazy.quantum.pennylane.tapes import (
    TREE,
    by_cones,
    executed,
    flat,
    is_dynamic,
    is_selective,
    real,
    transforms_of,
)

Array = NDArray[np.float64]


LARGE = 2.0**21
"""Updates of an amplitude in a plain run, from which light cones are looked for."""


@dataclass(frozen=True, eq=False)
class Point:
    """Where a circuit is evaluated: weights by name and one row of inputs, under the name of the data argument."""

    weights: Mapping[str, Array]
    data: str
    row: Array

    @property
    def arguments(self) -> dict[str, Array]:
        return {self.data: self.row, **self.weights}


@dataclass(eq=False)
class Stops(TorchFunctionMode):
    """The tensors whose gradients a QNode stops, by ``detach`` or ``no_grad``.

    Kept in a first run, and handed out again in later ones: differences are then what torch's gradients mean.
    """

    kept: list[torch.Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._left: list[torch.Tensor] | None = None

    def again(self) -> Stops:
        """Hand out from the first again."""
        self._left = list(self.kept)
        return self

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if not isinstance(found, torch.Tensor) or not stops_gradient(func):
            return found
        if self._left is None:
            self.kept.append(found.clone())
            return found
        return self._left.pop(0)


class Watch(TorchFunctionMode):
    """Sees whether gradients are stopped within."""

    stops = False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        self.stops = self.stops or (isinstance(found, torch.Tensor) and stops_gradient(func))
        return found


class NoTangents(TorchFunctionMode):
    """``no_grad`` as it means backwards, forwards as well, where torch lets derivatives through."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        stops = isinstance(found, torch.Tensor) and not torch.is_grad_enabled()
        return found.detach() if stops else found


@final
class PlainQNode:
    """A QNode on a device without shots, as a function from points to outputs (c,)."""

    def __init__(self, qnode: qml.QNode, device: Any) -> None:
        self._qnode, self._device = qnode, device
        self._takes_arrays = True

    def outputs(self, point: Point, stops: Stops | None = None) -> Array:
        """What the QNode's measurements give, in order. Raises what the QNode raises."""
        return self.run(self.tape(point, stops))

    def tape(self, point: Point, stops: Stops | None = None) -> QuantumScript:
        """What the QNode queues at a point, in NumPy. Raises what the QNode raises."""
        try:
            tensors = {name: torch.from_numpy(value.copy()) for name, value in point.arguments.items()}
            with torch.enable_grad(), stops or Stops(), Doubles():
                tape = self._construct(**tensors)
        except Exception as error:  # from a function that wants arrays, perhaps
            try:
                return self._of_arrays(point)
            except Exception:
                raise error from None
        return tape.copy(
            operations=[in_numpy(op) for op in tape.operations],
            measurements=[in_numpy(measurement) for measurement in tape.measurements],
            trainable_params=[],
        )

    def quick_tape(self, point: Point) -> QuantumScript:
        """What the QNode queues at a point, called with NumPy arrays; with tensors where it does not take those.

        Raises what the QNode raises.
        """
        if self._takes_arrays:
            with contextlib.suppress(
                Exception
            ):  # from a function written for torch, or outside of its domain
                return self._of_arrays(point)
        tape = self.tape(point)
        self._takes_arrays = False
        return tape

    def means_one_thing(self, point: Point, tape: QuantumScript) -> bool:
        """Whether the QNode's function queues this tape of tensors as well, and stops none of their gradients."""
        other = self.tape(point, stops := Stops())
        return not stops.kept and have_same_numbers(tape, other)

    def quick_outputs(self, tapes: Sequence[QuantumScript]) -> list[Array]:
        """Outputs (c,) of tapes, which are run together where they are of the same gates. Raises as :meth:`run`."""
        pieces = [self._pieces(tape) for tape in tapes]
        if all(pieces):
            runs = [self._on_few_wires.quick_outputs(alike) for alike in zip(*pieces, strict=True)]
            return [np.concatenate(parts) for parts in zip(*runs, strict=True)]
        if self._device.name == "default.qubit" and not any(map(is_dynamic, tapes)):
            with contextlib.suppress(Exception):  # the device itself has the word
                return self._together(tapes)
        return [self.run(tape) for tape in tapes]

    def _together(self, tapes: Sequence[QuantumScript]) -> list[Array]:
        batches = [self.transformed(tape) for tape in tapes]
        if len({len(batch) for batch, _ in batches}) != 1 or any(
            is_dynamic(t) for b, _ in batches for t in b
        ):
            raise NotTogetherError
        runs = [results_of(group, self._device) for group in zip(*(b for b, _ in batches), strict=True)]
        found = []
        for place, (_, combine) in enumerate(batches):
            results = [[measured[place] for measured in run] for run in runs]
            found.append(real(flat(combine(tuple(r[0] if len(r) == 1 else tuple(r) for r in results)))))
        return found

    def means_the_same(self, point: Point, tape: QuantumScript) -> bool:
        """Whether the QNode's function queues this tape on NumPy arrays as well; True where it does not take them.

        Raises UnsupportedModelError where it draws from a global generator of random numbers, be it that a rare number
        only makes a difference; it may where it seeds that generator itself.
        """
        try:
            other = self._without_chance(point)
        except UnsupportedModelError:
            raise
        except Exception:  # a function written for torch
            return True
        return have_same_numbers(tape, other)

    def queues(self, tapes: Sequence[QuantumScript], point: Point) -> bool:
        """Whether the QNode, called with arrays at a point, queues these tapes; True where it does not take them."""
        try:
            found, _ = self.transformed(self._of_arrays(point))
        except Exception:  # a function written for torch, or outside of its domain
            return True
        return len(found) == len(tapes) and all(map(have_same_numbers, tapes, found))

    def random_states(self) -> dict[str, object]:
        """Where each generator stands from which the QNode's function may draw: the global ones and those it reads."""
        own = {
            f"its generator {i} ({type(g).__name__})": state_of(g) for i, g in enumerate(self._generators, 1)
        }
        return {**random_states(), **own}

    @cached_property
    def _generators(self) -> list[Any]:
        return generators_of(self._qnode.func)

    def _without_chance(self, point: Point) -> QuantumScript:
        before = self.random_states()
        tape = self._of_arrays(point)
        drawn = set(before)
        for _ in range(3):  # other threads draw too, though hardly in every one of these calls
            now = self.random_states()
            drawn = {name for name in drawn if now[name] != before[name]}
            if not drawn:
                break
            before = now
            self._of_arrays(point)
        actual = (
            f"drawing random numbers from {', '.join(drawn)} (for noise there are shots and default.mixed)"
        )
        require(not drawn, "qnode", "queue the same at every call", actual, UnsupportedModelError)
        return tape

    def _of_arrays(self, point: Point) -> QuantumScript:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._construct(**{name: value.copy() for name, value in point.arguments.items()})

    def _construct(self, **arguments: Any) -> QuantumScript:
        """What a call of the QNode begins with, PennyLane's check of what it returns included."""
        try:
            return copy.copy(self._qnode).construct((), arguments)
        except qml.exceptions.QuantumFunctionError:
            tape = qml.workflow.construct_tape(self._qnode, level="top")(**arguments)
            if tape.measurements:
                raise
            return tape  # which is refused in other words

    def transformed(self, tape: QuantumScript) -> tuple[Sequence[QuantumScript], Callable[[Any], Any]]:
        """What the QNode's transforms make of a tape, and of the results."""
        program = transforms_of(self._qnode)
        return program([tape]) if program else ([tape], lambda results: results)

    def work(self, tape: QuantumScript) -> float:
        """Gates times amplitudes: what a run costs, in updates of one amplitude of a state or a density matrix.

        A large circuit is run by the light cones of its measurements where that is less.
        """
        return sum(map(self._work_of, self._pieces(tape))) or self._work_of(tape)

    @property
    def _on_few_wires(self) -> PlainQNode:
        return PlainQNode(self._qnode, qml.device("default.qubit"))

    def _pieces(self, tape: QuantumScript) -> list[QuantumScript]:
        """A tape for each measurement, where the circuit is large and they are together much smaller."""
        is_exact = self._device.name == "default.qubit" and not transforms_of(self._qnode)
        whole = self._work_of(tape) if is_exact and not is_dynamic(tape) else 0.0
        pieces = by_cones(tape) if whole > LARGE else []
        return pieces if sum(map(self._work_of, pieces)) < whole / 4 else []

    def _work_of(self, tape: QuantumScript) -> float:
        wires = len(tape.wires) * (2 if self._device.name == "default.mixed" else 1)
        return sum(_gates(op) for op in tape.operations) * 2.0 ** min(wires, 900)

    def run(self, tape: QuantumScript) -> Array:
        """Outputs (c,) of a tape. Raises what the device raises, and UnsupportedModelError for complex ones."""
        if pieces := self._pieces(tape):
            return np.concatenate([self._on_few_wires.run(piece) for piece in pieces])
        options = self._qnode.execute_kwargs
        method = options.get("mcm_method")
        batch, combine = self.transformed(tape)
        if method is None and any(map(is_dynamic, batch)) and self._device.name == "default.qubit":
            method = (
                TREE if all(map(_by_tree, batch)) else None
            )  # deferring is wrong on some nested conditions
        return real(flat(combine(executed(batch, self._device, method, options.get("postselect_mode")))))


def _by_tree(tape: QuantumScript) -> bool:
    """Whether tree traversal runs it, or should: it has no entropies, and conditions within conditions need it.

    It gives branches that end in postselection wrong shares (PennyLane 0.45), which deferring does not.
    """
    kinds = (qml.measurements.ExpectationMP, qml.measurements.ProbabilityMP, qml.measurements.VarianceMP)
    is_nested = any(
        isinstance(op, Conditional) and isinstance(op.base, Conditional) for op in tape.operations
    )
    return is_nested or (not is_selective(tape) and all(isinstance(m, kinds) for m in tape.measurements))


@final
class Outputs:
    """The outputs of a tape in groups, one a measurement, with the size that each may reach."""

    def __init__(self, tape: QuantumScript, num_outputs: int) -> None:
        sizes = [_length(measurement, len(tape.wires)) for measurement in tape.measurements]
        norms = [_norm(measurement) for measurement in tape.measurements]
        if sum(sizes) == num_outputs:
            self._groups = np.repeat(np.arange(len(sizes)), sizes)
            self.norms: Array = np.repeat(norms, sizes)
        else:  # a transform has made other outputs of them
            self._groups, self.norms = np.arange(num_outputs), np.full(num_outputs, sum(norms))

    def largest(self, *values: Array) -> Array:
        """The largest magnitude in each output's group, (c,), over all ``values`` (c,)."""
        top = np.max(np.abs(values), axis=0)
        return np.array([top[self._groups == group].max() for group in self._groups])


def in_numpy(part: Any) -> Any:
    """An operator or measurement with NumPy arrays in place of tensors."""
    if isinstance(part, Conditional):
        return Conditional(part.meas_val, in_numpy(part.base))
    if type(part) in BROADCAST:
        return type(part)(*map(_array, part.data), wires=part.wires)
    if type(part) in CONSTANT or isinstance(part, MidMeasure) or not _has_tensors(part):
        return part
    if isinstance(part, qml.operation.Operator):
        with contextlib.suppress(Exception):  # some operators are bound, others rebuilt, few do both
            bound = qml.ops.functions.bind_new_parameters(
                part, [_array(parameter) for parameter in part.data]
            )
            if not _has_tensors(bound):
                return bound
    leaves, structure = qml.pytrees.flatten(part)
    return qml.pytrees.unflatten([_array(leaf) for leaf in leaves], structure)


def have_same_numbers(tape: QuantumScript, other: QuantumScript) -> bool:
    """Whether two tapes queue the same gates and measurements with the same numbers."""
    parts, others = ([*t.operations, *t.measurements] for t in (tape, other))
    return len(parts) == len(others) and all(map(_alike, parts, others))


def measure_the_same(tape: QuantumScript, other: QuantumScript) -> bool:
    """Whether two tapes end in the same measurements, with the same numbers in their observables."""
    pairs = zip(tape.measurements, other.measurements, strict=False)
    return len(tape.measurements) == len(other.measurements) and all(
        _alike(one, two) and np.allclose(_values(one), _values(two)) for one, two in pairs
    )


def _values(measurement: Any) -> list[float]:
    """The numbers that an output computes from what is measured on the way, whose order is drawn, by size."""
    return sorted(getattr(measurement.mv, "branches", {}).values())


def have_same_gates(tape: QuantumScript, other: QuantumScript) -> bool:
    """Whether two tapes queue gates and measurements of the same kinds on the same wires."""
    parts, others = ([*t.operations, *t.measurements] for t in (tape, other))
    return len(parts) == len(others) and all(
        type(part) is type(o) and wires_of(part) == wires_of(o) for part, o in zip(parts, others, strict=True)
    )


def _alike(part: Any, other: Any) -> bool:
    """Whether two parts of tapes are of one kind, on the same wires, with the same numbers."""
    part, other = (p.base if isinstance(p, Conditional) else p for p in (part, other))
    if type(part) is not type(other):
        return False
    if getattr(part, "mv", None) is not None:  # in an order that is drawn
        return True
    if part.wires != other.wires:
        return False
    numbers, others = (_numbers(p) for p in (part, other))
    return len(numbers) == len(others) and all(map(_is_close, numbers, others))


def _numbers(part: Any) -> Sequence[Any]:
    return part.data if isinstance(part, qml.operation.Operator) else getattr(part.obs, "data", ())


def _is_close(number: Any, other: Any) -> bool:
    if number is other or (type(number) is type(other) is np.float64 and number == other):
        return True
    one, two = (np.asarray(n.toarray() if hasattr(n, "toarray") else _array(n)) for n in (number, other))
    return one.shape == two.shape and np.allclose(one, two, rtol=1e-6, atol=1e-6, equal_nan=True)


def _has_tensors(part: Any) -> bool:
    return any(isinstance(leaf, torch.Tensor) for leaf in qml.pytrees.flatten(part)[0])


def _gates(op: Any) -> int:
    if op.has_matrix or not op.has_decomposition:
        return 1
    try:
        return sum(_gates(part) for part in op.decomposition())
    except Exception:  # a decomposition that PennyLane itself cannot take
        return 1


def _array(leaf: Any) -> Any:
    leaf = numbers_of(leaf)
    return leaf.detach().resolve_conj().numpy() if isinstance(leaf, torch.Tensor) else leaf


def _length(measurement: Any, wires: int) -> int:
    return math.prod(measurement.shape(None, wires))


def _norm(measurement: Any) -> float:
    if isinstance(measurement, qml.measurements.VarianceMP):
        return _size(measurement) ** 2
    return _size(measurement) if isinstance(measurement, qml.measurements.ExpectationMP) else 1.0


def _size(measurement: Any) -> float:
    """What the values that are averaged may reach."""
    if measurement.mv is not None:
        return float(max(abs(value) for value in measurement.mv.branches.values()))
    words = None if measurement.obs is None else measurement.obs.pauli_rep
    if words is not None:
        return float(sum(abs(coefficient) for coefficient in words.values()))
    numbers = [np.abs(np.asarray(p)).max() for p in getattr(measurement.obs, "data", ()) if np.size(p)]
    return float(max([1.0, *numbers]))
