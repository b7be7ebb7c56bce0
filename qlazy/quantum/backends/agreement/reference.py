"""The QNode itself, called plainly, row by row, in NumPy: what it gives at points, how it changes, what it refuses.

It is run twice at most. The short way first: the QNode is called with NumPy arrays, and its points are run together.
The long way where anything is amiss: the QNode's own device runs the points one by one, as they are queued on tensors,
and in the differences too gradients are stopped where the QNode stops them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import NamedTuple, NoReturn, final

import numpy as np
from numpy.typing import NDArray
from pennylane.tape import QuantumScript

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.quantum.backends.agreement.points import Points, drawn_direction
from qlazy.quantum.backends.backend import INPUTS
from qlazy.quantum.pennylane.plain import (
    PlainQNode,
    Point,
    Stops,
    have_same_gates,
    have_same_numbers,
    measure_the_same,
)
from qlazy.quantum.pennylane.tapes import is_dynamic

Array = NDArray[np.float64]

WORK = 2.0**22
"""Updates of an amplitude in a plain run, above which a circuit is not checked: those of 64 gates on 16 qubits."""

CALLS = 6
"""Of a QNode that may draw at random, to see whether it does."""

STEPS = (1e-4, 1e-5, 1e-6)
"""Of the differences, in radians: the later ones only where the first disagrees, as for high frequencies."""


class Around(NamedTuple):
    """A point and a direction (p,) along which the QNode is differentiated, with what it stops at the point."""

    params: Array
    row: Array
    direction: Array
    stops: Stops


class Probe(NamedTuple):
    """Rows at which the QNode runs for one vector of weights (p,), with what it queues there."""

    params: Array
    rows: tuple[Array, ...]
    tapes: tuple[QuantumScript, ...]


class Measured(NamedTuple):
    """Outputs (c,) of the QNode at a point; and their derivative (c,) at one beside it, where it was taken."""

    params: Array
    row: Array
    values: Array
    around: Around | None = None
    slopes: Array | None = None


@final
class Reference:
    """A QNode as it is when its user calls it, at points of its domain."""

    def __init__(self, plain: PlainQNode, points: Points) -> None:
        self._plain, self.points = plain, points
        self._seen = Stops()
        self._is_plain: bool | None = None
        self._draws = False

    @cached_property
    def tape(self) -> QuantumScript | None:
        """What the QNode queues; None where it takes none of the points tried.

        Raises UnsupportedModelError where it does not take the user's own.
        """
        return self._probe.tapes[0] if self._probe is not None else self._own_tape

    @cached_property
    def _own_tape(self) -> QuantumScript | None:
        if self.points.own is not None:
            try:
                return self._checked(self.points.own, self._plain.tape(self.points.own, self._seen))
            except Exception as error:
                self._refuse_own(error)
        for params, row in self.points.places():
            try:
                return self._plain.tape(self.points.at(params, row), self._seen)
            except Exception:  # a point outside the QNode's domain
                continue
        return None

    def _checked(self, point: Point, tape: QuantumScript) -> QuantumScript:
        require(
            self._plain.means_the_same(point, tape), "qnode",
            "queue the same at every call, for NumPy arrays as for torch tensors (`std`, `var`, `repeat` differ)",
            "queueing other gates, wires or numbers", UnsupportedModelError,
        )  # fmt: skip
        return tape

    def require_meaning(self) -> None:
        """Refuse a QNode that queues another thing for arrays than for tensors, or does not take its own call."""
        _ = self._own_tape

    def require_own(self) -> None:
        """Refuse what the QNode itself does not run: the weights and the row that it was called with."""
        is_run = self.points.own is not None and self.tape is not None and self.allows(1)
        if is_run and self._own_outputs is None:
            assert self._own_tape is not None
            try:
                self._plain.run(self._own_tape)
            except Exception as error:
                self._refuse_own(error)

    def require_repeatable(self) -> None:
        """Refuse a QNode whose own call gives other numbers each time, by a random template for instance."""
        own = self.points.own
        if own is None or not self.allows(CALLS):
            return
        calls = [self._tried(self._plain.outputs, own) for _ in range(CALLS)]
        found = [outputs for outputs in calls if outputs is not None]
        require(
            all(np.allclose(found[0], other, rtol=1e-9, atol=1e-9, equal_nan=True) for other in found[1:]), "qnode",
            "give the same at every call", "giving other numbers each time (a random template needs a seed)",
            UnsupportedModelError,
        )  # fmt: skip

    @cached_property
    def _own_outputs(self) -> Array | None:
        """What the QNode gives for its own call, the short way; None where that raises an error."""
        try:
            with quietly():
                return self._short_way(self.points.own) if self.points.own is not None else None
        except Exception:
            return None

    @property
    def is_dynamic(self) -> bool:
        """Whether the circuit measures on its way, after its transforms; False where that cannot be told."""
        if self.tape is None:
            return False
        try:
            return any(map(is_dynamic, self._plain.transformed(self.tape)[0]))
        except Exception as error:  # of a transform that does not take the circuit
            if self.points.own is not None:
                self._refuse_own(error)
            return False

    @property
    def sees_rows(self) -> bool:
        """Whether the QNode was seen to queue other numbers for another row."""
        return (
            self._probe is not None
            and len(self._probe.tapes) == 2
            and not have_same_numbers(*self._probe.tapes)
        )

    def require_constant_observables(self) -> None:
        """Refuse a QNode whose observables were seen to change with weights or data."""
        if self._probe is None:
            return
        try:
            with quietly():
                point = self.points.at(self._probe.params[::-1] + 0.1, 1 - self._probe.rows[-1])
                is_constant = measure_the_same(self._probe.tapes[0], self._plain.quick_tape(point))
        except Exception:  # a point outside the QNode's domain
            return
        must = (
            "have observables of constants alone here (a weight may stand outside: qlazy.Readout trains them)"
        )
        actual = "one with an observable that depends on weights or data"
        require(is_constant, "qnode", must, actual, UnsupportedModelError)

    def _refuse_own(self, error: Exception) -> NoReturn:
        if isinstance(error, UnsupportedModelError):
            raise error
        shapes = dict(self.points.shapes)
        must = f"run for `{INPUTS}` of shape {self.points.row}, one row of x, and weights of shapes {shapes}"
        hint = (
            " (`inputs` is one row: inputs[..., 0] works for both)" if isinstance(error, IndexError) else ""
        )
        raised = UnsupportedModelError(
            f"`qnode` must {must}, but is raising {type(error).__name__}: {error}{hint}"
        )
        raise raised from error

    def see(self, tape: QuantumScript, stops: bool) -> None:
        """What the QNode queued of tensors, at another point: a run less where that tells what is to be known."""
        if self._probe is not None and not stops:
            self._is_plain = have_same_gates(self._probe.tapes[0], tape) or None

    @property
    def stops(self) -> bool:
        """Whether the QNode was seen to stop gradients."""
        seen = self.__dict__.get("measured", ())
        return any(m.around is not None and m.around.stops.kept for m in seen)

    @cached_property
    def work(self) -> float:
        """Gates times amplitudes of one plain run; infinite where the QNode takes no point."""
        return math.inf if self.tape is None else self._plain.work(self.tape)

    def allows(self, runs: int) -> bool:
        """Whether so many plain runs are few enough to be done for a check."""
        return runs * self.work <= WORK

    @property
    def unable(self) -> str:
        """Why the QNode is not run, before it is tried."""
        if self.tape is None:
            return "not checked against the QNode, which raises an error at every point tried"
        if not self.allows(1):
            return f"not checked against the QNode, too large on {len(self.tape.wires)} wires"
        return ""

    @cached_property
    def unchecked(self) -> str:
        """Why no backend can be held to the QNode; empty where it can."""
        if self.unable:
            return self.unable
        found = self.quick is not None or self.measured
        return "" if found else "not checked against the QNode, not finite at any point tried"

    def each_way(self, params: Array, row: Array) -> Iterator[Array | None]:
        """Outputs (c,) at a point by the short way, then by the long one; None outside the QNode's domain."""
        point = self.points.at(params, row)
        is_own = self.points.is_own(params, row)
        yield self._own_outputs if is_own else self._tried(self._short_way, point)
        yield self._tried(self._long_way, point)

    @staticmethod
    def _tried(way: Callable[[Point], Array], point: Point) -> Array | None:
        try:
            with quietly():
                return way(point)
        except UnsupportedModelError:
            raise
        except Exception:  # a point outside the QNode's domain
            return None

    def _short_way(self, point: Point) -> Array:
        if not self._means_one_thing:
            return self._long_way(point)
        return self._plain.quick_outputs([self._plain.quick_tape(point)])[0]

    def _long_way(self, point: Point) -> Array:
        return self._plain.run(self._checked(point, self._plain.tape(point)))

    @cached_property
    def quick(self) -> tuple[Measured, ...] | None:
        """The QNode at the points of the probe, the short way; None where it is not finite or not small."""
        if self._probe is None or not self.allows(1) or not self._means_one_thing:
            return None
        values = self._run_quickly(self._probe.tapes)
        return None if values is None else self._at_the_probe(values)

    @cached_property
    def quick_slopes(self) -> Measured | None:
        """The derivative a step behind the last point of the probe; and its outputs, where they are not known."""
        probe = self._probe
        if probe is None or not self.allows(1) or not self._means_one_thing:
            return None
        row, direction = probe.rows[-1], drawn_direction(self.points.size) / math.sqrt(self.points.size)
        try:
            with quietly():
                behind = self._plain.quick_tape(self.points.at(probe.params - 2 * STEPS[0] * direction, row))
        except Exception:  # a point outside the QNode's domain
            return None
        if "quick" not in self.__dict__:
            values = self._run_quickly((*probe.tapes, behind))
            self.quick = None if values is None else self._at_the_probe(values[:-1])
        else:
            values = self._run_quickly((behind,))
        if values is None or self.quick is None:
            return None
        last = self.quick[-1]
        around = Around(probe.params - STEPS[0] * direction, row, direction, Stops())
        return last._replace(around=around, slopes=(last.values - values[-1]) / (2 * STEPS[0]))

    @cached_property
    def measured(self) -> tuple[Measured, ...]:
        """The QNode at two points where it is finite, or at one, the long way; with its derivative at the first.

        Raises UnsupportedModelError where it means another thing on arrays than on tensors.
        """
        _ = self._own_tape
        found: list[Measured] = []
        for params, row in self.points.places():
            try:
                with quietly():
                    measured = self._measure(params, row, with_slopes=not found)
            except UnsupportedModelError:
                raise
            except Exception:  # a point outside the QNode's domain
                continue
            if all(np.isfinite(p).all() for p in (measured.values, measured.slopes) if p is not None):
                found.append(measured)
            if len(found) == 2:
                break
        return tuple(found)

    def beside(self, around: Around, step: float) -> Iterator[Array]:
        """Outputs (c,) a step before and a step behind a point."""
        for shift in (step, -step):
            point = self.points.at(around.params + shift * around.direction, around.row)
            yield self._plain.outputs(point, around.stops.again())

    def _measure(self, params: Array, row: Array, with_slopes: bool) -> Measured:
        if not with_slopes:
            return Measured(params, row, self._plain.outputs(self.points.at(params, row)))
        around = Around(params, row, drawn_direction(len(params)) / math.sqrt(len(params)), Stops())
        if self._seen.kept:  # what is stopped stays what it is here
            self._plain.tape(self.points.at(params, row), around.stops)
        plus, minus = self.beside(around, STEPS[0])
        slopes = (plus - minus) / (2 * STEPS[0])
        if around.stops.kept:  # a step aside these values are not the QNode's own
            return Measured(params, row, self._plain.outputs(self.points.at(params, row)), around, slopes)
        return Measured(params + STEPS[0] * around.direction, row, plus, around, slopes)

    @cached_property
    def _probe(self) -> Probe | None:
        """Weights in (0, 2 pi) with two rows that the QNode takes, the user's own and a drawn one, or one of them."""
        own = self.points.sample.row
        for params, row in list(self.points.places())[1:4:2]:  # those with drawn rows
            rows = (row,) if not row.size else (row if own is None else own, row)
            if own is None and row.size:
                rows = (row, row[::-1].copy() if row.ndim and len(row) > 1 else 1 - row)
            before = self._plain.random_states()
            try:
                with quietly():
                    tapes = tuple(self._plain.quick_tape(self.points.at(params, one)) for one in rows)
            except Exception:  # a point outside the QNode's domain
                continue
            self._draws = self._plain.random_states() != before  # which the long way tells
            return Probe(params, rows, tapes)
        return None

    @property
    def _means_one_thing(self) -> bool:
        """Whether the QNode queues the same of arrays and of tensors, and stops no gradients."""
        if self._is_plain is None and self._probe is not None:
            point = self.points.at(self._probe.params, self._probe.rows[0])
            try:
                with quietly():
                    self._is_plain = self._plain.means_one_thing(point, self._probe.tapes[0])
            except Exception:  # which the long way tells
                self._is_plain = False
        return bool(self._is_plain) and not self._draws

    def _run_quickly(self, tapes: tuple[QuantumScript, ...]) -> list[Array] | None:
        try:
            with quietly():
                values = self._plain.quick_outputs(tapes)
        except Exception:  # a point outside the QNode's domain
            return None
        return values if all(np.isfinite(v).all() for v in values) else None

    def _at_the_probe(self, values: list[Array]) -> tuple[Measured, ...]:
        assert self._probe is not None
        pairs = zip(self._probe.rows, values, strict=True)
        return tuple(Measured(self._probe.params, row, outputs) for row, outputs in pairs)


@contextmanager
def quietly() -> Iterator[None]:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
