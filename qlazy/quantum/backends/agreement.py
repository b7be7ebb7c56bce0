"""The lock on every backend: it must give what the QNode itself gives, called plainly, row by row, in NumPy.

Before a backend is taken it is held to the QNode at points drawn from a seeded generator: its outputs at two points,
and its derivative along a random direction of the weights, by central differences of plain calls. The first row is
the user's own, where there is one. It is done wherever ``WORK`` allows a plain run: gates times amplitudes.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple, NoReturn, final

import numpy as np
import torch
from numpy.typing import NDArray
from pennylane.tape import QuantumScript

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.models.model import blocks_of
from qlazy.quantum.backends.backend import INPUTS, Backend, Sample, Shapes, TorchBackend
from qlazy.quantum.pennylane.plain import Outputs, PlainQNode, Point, Stops
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

    @cached_property
    def tape(self) -> QuantumScript | None:
        """What the QNode queues; None where it takes none of the points tried.

        Raises UnsupportedModelError where it does not take the user's own.
        """
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

    def require_own(self) -> None:
        """Refuse what the QNode itself does not run: the weights and the row that it was called with."""
        if self._own is not None and self.tape is not None and self._work <= WORK:
            try:
                self._plain.run(self.tape)
            except Exception as error:
                self._refuse_own(error)

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

    def check(self, backend: Backend, runs: int = 1, precision: Precision = DOUBLE) -> str:
        """Hold a backend to the QNode; why it could not be, or nothing. ``runs`` is what a row's derivatives take.

        Raises DisagreementError.
        """
        if self.unchecked:
            self.require_own()
            return self.unchecked
        assert self.tape is not None
        outputs = Outputs(self.tape, len(self._measured[0].values))
        scale = outputs.largest(*(m.values for m in self._measured))
        for measured in self._measured:
            found = _outputs(backend, measured)
            _require_close(
                found, measured.values, precision.values * scale + precision.rounding * outputs.norms
            )
        if runs * self._work > WORK or runs > RUNS:
            return f"derivatives not checked against the QNode's: a row takes {runs} runs"
        self._check_slope(backend, self._measured[0], outputs, precision)
        return ""

    @property
    def stops(self) -> bool:
        """Whether the QNode was seen to stop gradients."""
        return any(m.around is not None and m.around.stops.kept for m in self._measured)

    @cached_property
    def _work(self) -> float:
        return math.inf if self.tape is None else self._plain.work(self.tape)

    @cached_property
    def unchecked(self) -> str:
        """Why no backend can be held to the QNode; empty where it can."""
        if self.tape is None:
            return "not checked against the QNode, which raises an error at every point tried"
        if self._work > WORK:
            return f"not checked against the QNode, too large on {len(self.tape.wires)} wires"
        return "" if self._measured else "not checked against the QNode, not finite at any point tried"

    def _check_slope(
        self, backend: Backend, measured: Measured, outputs: Outputs, precision: Precision
    ) -> None:
        """One number for all outputs: their derivative, each relative to the largest of its measurement."""
        assert measured.slopes is not None
        assert measured.around is not None
        size = np.maximum(outputs.largest(measured.slopes), DOUBLE.rounding / STEPS[0] * outputs.norms)
        weights = self._direction(len(size)) / size
        found = _slope(backend, measured.around, weights)
        for step in STEPS:
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
    def _measured(self) -> tuple[Measured, ...]:
        """The QNode at two points where it is finite, or at one; with its derivative at the first."""
        found: list[Measured] = []
        for params, row in self._places():
            try:
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
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


def _outputs(backend: Backend, measured: Measured) -> Array:
    params, x = torch.from_numpy(measured.params), torch.from_numpy(measured.row[None])
    try:
        return backend.outputs(params, x)[0].detach().numpy()
    except Exception as error:
        raise DisagreementError(f"it raises {type(error).__name__}: {error}") from error


def _slope(backend: Backend, around: Around, weights: Array) -> float:
    """The derivative of the weighted outputs at a point, along its direction."""
    params, x = torch.from_numpy(around.params), torch.from_numpy(around.row[None])
    cotangent = torch.from_numpy(weights)
    try:
        mapped = (
            isinstance(backend, TorchBackend) and not backend.reason
        )  # its outputs have told that vmap runs it
        jacobian = None if mapped else backend.jacobian(params, x)
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
