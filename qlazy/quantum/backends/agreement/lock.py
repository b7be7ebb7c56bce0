"""The lock on every backend: it must give what the QNode itself gives.

Before a backend is taken it is held to the QNode at points drawn from a seeded generator: its outputs at two points,
and its derivative along a random direction of the weights, by central differences of plain calls. One row is
the user's own, where there is one. It is done wherever ``WORK`` allows a plain run: gates times amplitudes.

What agrees with the short way of the reference is taken. Where anything is amiss the long way decides.
"""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray

from qlazy.quantum.backends.agreement.points import drawn_direction
from qlazy.quantum.backends.agreement.reference import STEPS, Around, Measured, Reference
from qlazy.quantum.backends.backend import Backend, TorchBackend
from qlazy.quantum.pennylane.plain import Outputs

Array = NDArray[np.float64]

RUNS = 100
"""Runs for the derivatives of one row, on a device that takes shifts, above which only outputs are checked."""


VISIBLE = 1e4
"""In a sum of derivatives one that is too small to be seen in the differences may add a part in so many."""


class Precision(NamedTuple):
    """How far outputs and derivatives may be off, relative to the largest of the same measurement.

    ``rounding`` is what arithmetic may do to either, relative to the norm of the observable.
    """

    values: float
    slopes: float
    rounding: float


DOUBLE, SINGLE = Precision(1e-9, 1e-5, 1e-12), Precision(1e-4, 1e-3, 1e-6)


class DisagreementError(Exception):
    """A backend gives other numbers than the QNode itself; the message says which."""


@final
class Lock:
    """Holds the backends that are to run a QNode to the QNode as a reference."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference

    def check(self, backend: Backend, precision: Precision = DOUBLE) -> str:
        """Hold a backend to the QNode, outputs and a derivative; why it could not be, or nothing.

        Raises DisagreementError.
        """
        _ = self.reference.quick_slopes  # taken first, the outputs come with them
        return self.check_outputs(backend, precision) or self.check_derivative(backend, precision=precision)

    def check_outputs(self, backend: Backend, precision: Precision = DOUBLE) -> str:
        """Hold the outputs of a backend to the QNode's. As :meth:`check`."""
        refusal = None
        if self.reference.quick is not None:
            try:
                self._hold_outputs(backend, self.reference.quick, precision)
                return ""
            except DisagreementError as reason:  # the long way decides
                refusal = reason
        if self.reference.unchecked:
            self.reference.require_meaning()
            self.reference.require_own()
            return self.reference.unchecked
        if refusal is not None and not self.reference.measured:
            raise refusal
        self._hold_outputs(backend, self.reference.measured, precision)
        return ""

    def check_derivative(self, backend: Backend, runs: int = 1, precision: Precision = DOUBLE) -> str:
        """Hold a derivative to the QNode's. As :meth:`check`; ``runs`` is what the derivatives of a row take."""
        if self.reference.unchecked:
            return self.reference.unchecked
        if runs > RUNS or not self.reference.allows(runs):
            return f"derivatives not checked against the QNode's: a row takes {runs} runs"
        refusal, quick = None, self.reference.quick_slopes
        if quick is not None:
            try:
                self._hold_slope(backend, quick, precision, STEPS[:1])
                return ""
            except DisagreementError as reason:  # the long way decides
                refusal = reason
        if not self.reference.measured:
            raise refusal or DisagreementError("it is not finite beside any point tried")
        self._hold_slope(backend, self.reference.measured[0], precision, STEPS)
        return ""

    def check_call(self, params: Array, row: Array, found: Array, precision: Precision = DOUBLE) -> bool:
        """Hold outputs (c,) that a backend gave at a point to the QNode's; whether that could be done.

        Raises DisagreementError.
        """
        refusal = None
        for expected in self.reference.each_way(params, row):
            if expected is None or not np.isfinite(expected).all():
                return False
            try:
                self._require_close(found, Measured(params, row, expected), precision, expected)
                return True
            except DisagreementError as reason:
                refusal = reason
        assert refusal is not None
        raise refusal

    def _hold_outputs(self, backend: Backend, expected: tuple[Measured, ...], precision: Precision) -> None:
        if isinstance(backend, TorchBackend):  # as slow as the QNode itself
            expected = expected[-1:]
        values = [m.values for m in expected]
        for measured, found in zip(expected, _outputs(backend, expected), strict=True):
            self._require_close(found, measured, precision, *values)

    def _require_close(self, found: Array, measured: Measured, precision: Precision, *values: Array) -> None:
        assert self.reference.tape is not None
        outputs = Outputs(self.reference.tape, len(values[0]))
        tolerance = precision.values * outputs.largest(*values) + precision.rounding * outputs.norms
        _require_close(found, measured.values, tolerance)

    def _hold_slope(
        self, backend: Backend, measured: Measured, precision: Precision, steps: tuple[float, ...]
    ) -> None:
        """Each output's derivative, or one number for all where a derivative of each takes a run more."""
        assert measured.slopes is not None
        assert measured.around is not None
        assert self.reference.tape is not None
        outputs = Outputs(self.reference.tape, len(measured.values))
        size, jacobian = outputs.largest(measured.slopes), _jacobian(backend, measured.around)
        if jacobian is None:
            noise = DOUBLE.rounding / STEPS[0] + precision.rounding
            weights = _weights(np.maximum(size, VISIBLE * noise * outputs.norms))
            found = np.array([_slope(backend, measured.around, weights[0])])
        else:
            weights, found = np.eye(len(size)), jacobian @ measured.around.direction
        for step in steps:
            slopes = measured.slopes
            if step != STEPS[0]:
                plus, minus = self.reference.beside(measured.around, step)
                slopes = (plus - minus) / (2 * step)
            rounding = DOUBLE.rounding / step + precision.rounding
            close = np.abs(weights) @ (precision.slopes * size + rounding * outputs.norms)
            if np.all(np.abs(found - weights @ slopes) <= close):
                return
        raise DisagreementError(_unlike_slopes(found, weights @ measured.slopes, jacobian is None))


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


def _weights(size: Array) -> Array:
    """One row (1, c) of weights by which outputs whose derivatives have these sizes are seen alike in a sum."""
    return (drawn_direction(len(size)) / np.where(size > 0, size, 1.0))[None]


def _jacobian(backend: Backend, around: Around) -> Array | None:
    """Derivatives (c, p) of the outputs at a point; None where the backend has no faster way than one by one."""
    if isinstance(backend, TorchBackend):
        return None
    try:
        found = backend.jacobian(torch.from_numpy(around.params), torch.from_numpy(around.row[None]))
    except Exception as error:
        raise DisagreementError(f"its derivative raises {type(error).__name__}: {error}") from error
    return None if found is None else found[0].detach().numpy()


def _slope(backend: Backend, around: Around, weights: Array) -> float:
    """The derivative of the weighted outputs at a point, along its direction."""
    params, x = torch.from_numpy(around.params), torch.from_numpy(around.row[None])
    try:
        with torch.enable_grad():
            pull = torch.func.vjp(lambda w: backend.outputs(w, x), params)[1]
        gradient = pull(torch.from_numpy(weights)[None])[0]
    except Exception as error:
        raise DisagreementError(f"its derivative raises {type(error).__name__}: {error}") from error
    return float(gradient @ torch.from_numpy(around.direction))


def _unlike_slopes(found: Array, expected: Array, is_sum: bool) -> str:
    worst = int(np.argmax(np.abs(found - expected)))
    place = "in units of the largest" if is_sum else f"output {worst}"
    return (
        f"its derivative along a random direction is {found[worst]:.6g}, where differences of the QNode called row by "
        f"row in NumPy give {expected[worst]:.6g} ({place})"
    )


def _require_close(found: Array, expected: Array, tolerance: Array) -> None:
    if found.shape != expected.shape:
        raise DisagreementError(f"it has {len(found)} outputs, where the QNode has {len(expected)}")
    worst = int(np.argmax(np.abs(found - expected) - tolerance))
    if not np.all(np.abs(found - expected) <= tolerance):
        raise DisagreementError(
            f"its output {worst} is {found[worst]:.10g}, where the QNode called row by row in NumPy gives "
            f"{expected[worst]:.10g}"
        )
