"""The lock on every backend: it must give what the QNode itself gives, called plainly, row by row, in NumPy.

Before a backend is taken it is held to the QNode at points drawn from a seeded generator: its outputs at two points,
and its derivative along a random direction of the weights, by central differences of plain calls. One row is
the user's own, where there is one. It is done wherever ``WORK`` allows a plain run: gates times amplitudes.

It is done twice at most. First the short way: the QNode is called with NumPy arrays, and its points are run together.
What agrees there is taken. Where anything is amiss the long way decides: the QNode's own device runs the points one by
one, as they are queued on tensors, and in the differences too gradients are stopped where the QNode stops them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import NamedTuple, NoReturn, final

import numpy as np
import torch
from numpy.typing import NDArray
from pennylane.tape import QuantumScript

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.models.model import blocks_of
from qlazy.quantum.backends.backend import INPUTS, Backend, Sample, Shapes, TorchBackend
from qlazy.quantum.pennylane.plain import (
    Outputs,
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

RUNS = 100
"""Runs for the derivatives of one row, on a device that takes shifts, above which only outputs are checked."""


class Precision(NamedTuple):
    """How far outputs and derivatives may be off, relative to the largest of the same measurement.

    ``rounding`` is what arithmetic may do to either, relative to the norm of the observable.
    """

    values: float
    slopes: float
    rounding: float


DOUBLE, SINGLE = Precision(1e-9, 1e-5, 1e-12), Precision(1e-4, 1e-3, 1e-6)

STEPS = (1e-4, 1e-5, 1e-6)
"""Of the differences, in radians: the later ones only where the first disagrees, as for high frequencies."""

SEED, TRIES = 2024, 8


class DisagreementError(Exception):
    """A backend gives other numbers than the QNode itself; the message says which."""


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
class Lock:
    """The QNode as a reference for the backends that are to run it."""

    def __init__(self, plain: PlainQNode, shapes: Shapes, row: tuple[int, ...], sample: Sample) -> None:
        self._plain, self._shapes, self._row, self._sample = plain, shapes, row, sample
        self._blocks = blocks_of({name: math.prod(shape) for name, shape in shapes.items()})
        self._size = sum(math.prod(shape) for shape in shapes.values())
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
        if self._own is not None:
            try:
                return self._checked(self._own, self._plain.tape(self._own, self._seen))
            except Exception as error:
                self._refuse_own(error)
        for params, row in self._places():
            try:
                return self._plain.tape(self._point(params, row), self._seen)
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
        is_run = self._own is not None and self.tape is not None and self._work <= WORK
        if is_run and self._own_outputs is None:
            assert self._own_tape is not None
            try:
                self._plain.run(self._own_tape)
            except Exception as error:
                self._refuse_own(error)

    @cached_property
    def _own_outputs(self) -> Array | None:
        """What the QNode gives for its own call, the short way; None where that raises an error."""
        try:
            with _quietly():
                return self._short_way(self._own) if self._own is not None else None
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
            if self._own is not None:
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
            with _quietly():
                point = self._point(self._probe.params[::-1] + 0.1, 1 - self._probe.rows[-1])
                is_constant = measure_the_same(self._probe.tapes[0], self._plain.quick_tape(point))
        except Exception:  # a point outside the QNode's domain
            return
        must = (
            "have observables of constants alone here (a weight may stand outside: qlazy.Readout trains them)"
        )
        actual = "one with an observable that depends on weights or data"
        require(is_constant, "qnode", must, actual, UnsupportedModelError)

    def check(self, backend: Backend, precision: Precision = DOUBLE) -> str:
        """Hold a backend to the QNode, outputs and a derivative; why it could not be, or nothing.

        Raises DisagreementError.
        """
        _ = self._quick_slopes  # taken first, the outputs come with them
        return self.check_outputs(backend, precision) or self.check_derivative(backend, precision=precision)

    def check_outputs(self, backend: Backend, precision: Precision = DOUBLE) -> str:
        """Hold the outputs of a backend to the QNode's. As :meth:`check`."""
        refusal = None
        if self._quick is not None:
            try:
                self._hold_outputs(backend, self._quick, precision)
                return ""
            except DisagreementError as reason:  # the long way decides
                refusal = reason
        if self.unchecked:
            self.require_meaning()
            self.require_own()
            return self.unchecked
        if refusal is not None and not self._measured:
            raise refusal
        self._hold_outputs(backend, self._measured, precision)
        return ""

    def check_derivative(self, backend: Backend, runs: int = 1, precision: Precision = DOUBLE) -> str:
        """Hold a derivative to the QNode's. As :meth:`check`; ``runs`` is what the derivatives of a row take."""
        if self.unchecked:
            return self.unchecked
        if runs * self._work > WORK or runs > RUNS:
            return f"derivatives not checked against the QNode's: a row takes {runs} runs"
        refusal, quick = None, self._quick_slopes
        if quick is not None:
            try:
                self._hold_slope(backend, quick, precision, STEPS[:1])
                return ""
            except DisagreementError as reason:  # the long way decides
                refusal = reason
        if not self._measured:
            raise refusal or DisagreementError("it is not finite beside any point tried")
        self._hold_slope(backend, self._measured[0], precision, STEPS)
        return ""

    def check_call(self, params: Array, row: Array, found: Array, precision: Precision = DOUBLE) -> bool:
        """Hold outputs (c,) that a backend gave at a point to the QNode's; whether that could be done.

        Raises DisagreementError.
        """
        point, refusal = self._point(params, row), None
        for outputs in (self._short_way, self._long_way):
            try:
                with _quietly():
                    expected = (
                        self._own_outputs if self._is_own(params, row) and not refusal else outputs(point)
                    )
            except UnsupportedModelError:
                raise
            except Exception:  # a point outside the QNode's domain
                return False
            if expected is None or not np.isfinite(expected).all():
                return False
            try:
                self._require_close(found, Measured(params, row, expected), precision, expected)
                return True
            except DisagreementError as reason:
                refusal = reason
        assert refusal is not None
        raise refusal

    def _is_own(self, params: Array, row: Array) -> bool:
        own_params, own_row = self._sample
        return np.array_equal(params, own_params) and np.array_equal(row, own_row)  # type: ignore[arg-type]

    def _short_way(self, point: Point) -> Array:
        if not self._means_one_thing:
            return self._long_way(point)
        return self._plain.quick_outputs([self._plain.quick_tape(point)])[0]

    def _long_way(self, point: Point) -> Array:
        return self._plain.run(self._checked(point, self._plain.tape(point)))

    @property
    def stops(self) -> bool:
        """Whether the QNode was seen to stop gradients."""
        seen = self.__dict__.get("_measured", ())
        return any(m.around is not None and m.around.stops.kept for m in seen)

    @cached_property
    def _work(self) -> float:
        return math.inf if self.tape is None else self._plain.work(self.tape)

    @property
    def unable(self) -> str:
        """Why the QNode is not run, before it is tried."""
        if self.tape is None:
            return "not checked against the QNode, which raises an error at every point tried"
        if self._work > WORK:
            return f"not checked against the QNode, too large on {len(self.tape.wires)} wires"
        return ""

    @cached_property
    def unchecked(self) -> str:
        """Why no backend can be held to the QNode; empty where it can."""
        if self.unable:
            return self.unable
        found = self._quick is not None or self._measured
        return "" if found else "not checked against the QNode, not finite at any point tried"

    def _hold_outputs(self, backend: Backend, expected: tuple[Measured, ...], precision: Precision) -> None:
        if isinstance(backend, TorchBackend):  # as slow as the QNode itself
            expected = expected[-1:]
        values = [m.values for m in expected]
        for measured, found in zip(expected, _outputs(backend, expected), strict=True):
            self._require_close(found, measured, precision, *values)

    def _require_close(self, found: Array, measured: Measured, precision: Precision, *values: Array) -> None:
        assert self.tape is not None
        outputs = Outputs(self.tape, len(values[0]))
        tolerance = precision.values * outputs.largest(*values) + precision.rounding * outputs.norms
        _require_close(found, measured.values, tolerance)

    def _hold_slope(
        self, backend: Backend, measured: Measured, precision: Precision, steps: tuple[float, ...]
    ) -> None:
        """One number for all outputs: their derivative, each relative to the largest of its measurement."""
        assert measured.slopes is not None
        assert measured.around is not None
        assert self.tape is not None
        outputs = Outputs(self.tape, len(measured.values))
        size = np.maximum(outputs.largest(measured.slopes), DOUBLE.rounding / STEPS[0] * outputs.norms)
        weights = self._direction(len(size)) / size
        found = _slope(backend, measured.around, weights)
        for step in steps:
            slopes = measured.slopes
            if step != STEPS[0]:
                plus, minus = self._beside(measured.around, step)
                slopes = (plus - minus) / (2 * step)
            expected = float(weights @ slopes)
            rounding = DOUBLE.rounding / step + precision.rounding
            close = precision.slopes * len(size) + rounding * float(np.abs(weights) @ outputs.norms)
            if abs(found - expected) <= close:
                return
        raise DisagreementError(
            f"its derivative along a random direction is {found:.6g}, where differences of the QNode called row by "
            f"row in NumPy give {float(weights @ measured.slopes):.6g} (in units of the largest)"
        )

    @cached_property
    def _probe(self) -> Probe | None:
        """Weights in (0, 2 pi) with two rows that the QNode takes, the user's own and a drawn one, or one of them."""
        own = self._sample.row
        for params, row in list(self._places())[1:4:2]:  # those with drawn rows
            rows = (row,) if not row.size else (row if own is None else own, row)
            if own is None and row.size:
                rows = (row, row[::-1].copy() if row.ndim and len(row) > 1 else 1 - row)
            before = self._plain.random_states()
            try:
                with _quietly():
                    tapes = tuple(self._plain.quick_tape(self._point(params, one)) for one in rows)
            except Exception:  # a point outside the QNode's domain
                continue
            self._draws = self._plain.random_states() != before  # which the long way tells
            return Probe(params, rows, tapes)
        return None

    def see(self, tape: QuantumScript, stops: bool) -> None:
        """What the QNode queued of tensors, at another point: a run less where that tells what is to be known."""
        if self._probe is not None and not stops:
            self._is_plain = have_same_gates(self._probe.tapes[0], tape) or None

    @property
    def _means_one_thing(self) -> bool:
        """Whether the QNode queues the same of arrays and of tensors, and stops no gradients."""
        if self._is_plain is None and self._probe is not None:
            point = self._point(self._probe.params, self._probe.rows[0])
            try:
                with _quietly():
                    self._is_plain = self._plain.means_one_thing(point, self._probe.tapes[0])
            except Exception:  # which the long way tells
                self._is_plain = False
        return bool(self._is_plain) and not self._draws

    @cached_property
    def _quick(self) -> tuple[Measured, ...] | None:
        """The QNode at the points of the probe, the short way; None where it is not finite or not small."""
        if self._probe is None or self._work > WORK or not self._means_one_thing:
            return None
        values = self._run_quickly(self._probe.tapes)
        return None if values is None else self._at_the_probe(values)

    @cached_property
    def _quick_slopes(self) -> Measured | None:
        """The derivative a step behind the last point of the probe; and its outputs, where they are not known."""
        probe = self._probe
        if probe is None or self._work > WORK or not self._means_one_thing:
            return None
        row, direction = probe.rows[-1], self._direction(self._size) / math.sqrt(self._size)
        try:
            with _quietly():
                behind = self._plain.quick_tape(self._point(probe.params - 2 * STEPS[0] * direction, row))
        except Exception:  # a point outside the QNode's domain
            return None
        if "_quick" not in self.__dict__:
            values = self._run_quickly((*probe.tapes, behind))
            self._quick = None if values is None else self._at_the_probe(values[:-1])
        else:
            values = self._run_quickly((behind,))
        if values is None or self._quick is None:
            return None
        last = self._quick[-1]
        around = Around(probe.params - STEPS[0] * direction, row, direction, Stops())
        return last._replace(around=around, slopes=(last.values - values[-1]) / (2 * STEPS[0]))

    def _run_quickly(self, tapes: tuple[QuantumScript, ...]) -> list[Array] | None:
        try:
            with _quietly():
                values = self._plain.quick_outputs(tapes)
        except Exception:  # a point outside the QNode's domain
            return None
        return values if all(np.isfinite(v).all() for v in values) else None

    def _at_the_probe(self, values: list[Array]) -> tuple[Measured, ...]:
        assert self._probe is not None
        pairs = zip(self._probe.rows, values, strict=True)
        return tuple(Measured(self._probe.params, row, outputs) for row, outputs in pairs)

    @cached_property
    def _measured(self) -> tuple[Measured, ...]:
        """The QNode at two points where it is finite, or at one, the long way; with its derivative at the first.

        Raises UnsupportedModelError where it means another thing on arrays than on tensors.
        """
        _ = self._own_tape
        found: list[Measured] = []
        for params, row in self._places():
            try:
                with _quietly():
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

    def _measure(self, params: Array, row: Array, with_slopes: bool) -> Measured:
        if not with_slopes:
            return Measured(params, row, self._plain.outputs(self._point(params, row)))
        around = Around(params, row, self._direction(len(params)) / math.sqrt(len(params)), Stops())
        if self._seen.kept:  # what is stopped stays what it is here
            self._plain.tape(self._point(params, row), around.stops)
        plus, minus = self._beside(around, STEPS[0])
        slopes = (plus - minus) / (2 * STEPS[0])
        if around.stops.kept:  # a step aside these values are not the QNode's own
            return Measured(params, row, self._plain.outputs(self._point(params, row)), around, slopes)
        return Measured(params + STEPS[0] * around.direction, row, plus, around, slopes)

    def _beside(self, around: Around, step: float) -> Iterator[Array]:
        """Outputs (c,) a step before and a step behind a point."""
        for shift in (step, -step):
            point = self._point(around.params + shift * around.direction, around.row)
            yield self._plain.outputs(point, around.stops.again())

    def _places(self) -> Iterator[tuple[Array, Array]]:
        """Weights in (0, 2 pi) with the user's row and drawn ones in turn; at last the user's own weights."""
        generator = np.random.default_rng(SEED)
        weights, own = self._sample
        for attempt in range(TRIES):
            params = generator.uniform(0, 2 * math.pi, self._size)
            drawn = generator.uniform(-1.0 if attempt % 4 == 3 else 0.0, 1.0, self._row)
            yield params, drawn if own is None or attempt % 2 else own
        if weights is not None and own is not None:
            yield weights, own

    @property
    def _own(self) -> Point | None:
        params, row = self._sample
        return None if params is None or row is None else self._point(params, row)

    def _point(self, params: Array, row: Array) -> Point:
        weights = {name: params[self._blocks[name]].reshape(shape) for name, shape in self._shapes.items()}
        return Point(weights, INPUTS, row)

    def _refuse_own(self, error: Exception) -> NoReturn:
        if isinstance(error, UnsupportedModelError):
            raise error
        must = f"run for `{INPUTS}` of shape {self._row}, one row of x, and weights of shapes {dict(self._shapes)}"
        hint = (
            " (`inputs` is one row: inputs[..., 0] works for both)" if isinstance(error, IndexError) else ""
        )
        raised = UnsupportedModelError(
            f"`qnode` must {must}, but is raising {type(error).__name__}: {error}{hint}"
        )
        raise raised from error

    @staticmethod
    def _direction(count: int) -> Array:
        """Numbers of either sign and like sizes, no two of which cancel by a symmetry of a circuit."""
        generator = np.random.default_rng(SEED)
        return generator.choice([-1.0, 1.0], count) * generator.uniform(0.5, 1.5, count)


@contextmanager
def _quietly() -> Iterator[None]:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _outputs(backend: Backend, expected: tuple[Measured, ...]) -> list[Array]:
    """Outputs (c,) at each point."""
    same = all(measured.params is expected[0].params for measured in expected)
    groups = [expected] if same else [(measured,) for measured in expected]
    try:
        return [outputs for group in groups for outputs in _outputs_at(backend, group)]
    except Exception as error:
        raise DisagreementError(f"it raises {type(error).__name__}: {error}") from error


def _outputs_at(backend: Backend, points: tuple[Measured, ...]) -> list[Array]:
    """Outputs (c,) for rows with the same weights. Under torch by plain calls: its first under vmap is held itself."""
    params = torch.from_numpy(points[0].params)
    rows = torch.from_numpy(np.stack([measured.row for measured in points]))
    if isinstance(backend, TorchBackend):
        return [backend.measure(params, row).detach().numpy() for row in rows]
    return list(backend.outputs(params, rows).detach().numpy())


def _slope(backend: Backend, around: Around, weights: Array) -> float:
    """The derivative of the weighted outputs at a point, along its direction."""
    params, x = torch.from_numpy(around.params), torch.from_numpy(around.row[None])
    cotangent = torch.from_numpy(weights)
    try:
        jacobian = None if isinstance(backend, TorchBackend) else backend.jacobian(params, x)
        if jacobian is None:
            with torch.enable_grad():
                pull = torch.func.vjp(lambda w: backend.outputs(w, x), params)[1]
            gradient = pull(cotangent[None])[0]
        else:
            gradient = cotangent @ jacobian[0]
    except Exception as error:
        raise DisagreementError(f"its derivative raises {type(error).__name__}: {error}") from error
    return float(gradient @ torch.from_numpy(around.direction))


def _require_close(found: Array, expected: Array, tolerance: Array) -> None:
    if found.shape != expected.shape:
        raise DisagreementError(f"it has {len(found)} outputs, where the QNode has {len(expected)}")
    worst = int(np.argmax(np.abs(found - expected) - tolerance))
    if not np.all(np.abs(found - expected) <= tolerance):
        raise DisagreementError(
            f"its output {worst} is {found[worst]:.10g}, where the QNode called row by row in NumPy gives "
            f"{expected[worst]:.10g}"
        )
