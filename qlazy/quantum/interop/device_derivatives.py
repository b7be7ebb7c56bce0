"""Jacobians of the device as functions of a tape's parameters in autograd, which give second derivatives.

With autograd PennyLane hands a device tapes of plain numbers and takes the Jacobian that comes back for a constant: a
second derivative would be 0. The parameters as they stood in the tape, boxes of autograd, are kept beside its
measurements (:func:`with_parameters`), and the Jacobian is made a function of them. Third derivatives are refused.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, final

import autograd
import numpy as np
import pennylane as qml
import torch
from autograd.extend import Box, defvjp, primitive
from autograd.tracer import trace_stack
from numpy.typing import NDArray
from pennylane.exceptions import DeviceError

from qlazy.quantum.second_derivatives import DerivativeRates, Engine

Real = NDArray[np.float64]

MARK = "_qlazy_parameters"
THIRD = "qlazy.adjoint has first and second derivatives; use default.qubit for third ones"
OF_A_BATCH = (
    "qlazy.adjoint has first derivatives alone where a batch is trained in autograd; for second ones give its rows one "
    "at a time, or use torch or default.qubit"
)


@qml.transform
def with_parameters(tape: Any) -> Any:
    """The tape with its parameters kept beside its measurements, where autograd differentiates by them."""
    parameters = tape.get_parameters(trainable_only=False)
    if not any(isinstance(p, Box) for p in parameters):
        return (tape,), lambda results: results[0]
    first, *others = tape.measurements
    first = copy.copy(_with_plain_numbers(first))
    setattr(first, MARK, parameters)
    marked = tape.copy(measurements=[first, *others], trainable_params=tape.trainable_params)
    return (marked,), lambda results: results[0]


def _with_plain_numbers(measurement: Any) -> Any:
    """A measurement that PennyLane does not make anew from numbers, but where its own numbers are trained."""
    observable = measurement.obs
    if observable is None or qml.math.get_interface(*observable.data) == "numpy":
        return measurement
    if any(qml.math.requires_grad(data) for data in observable.data):
        return measurement
    numbers = [qml.math.unwrap([data])[0] for data in observable.data]
    return type(measurement)(obs=qml.ops.functions.bind_new_parameters(observable, numbers))


@final
class Jacobians(tuple[Any, ...]):
    """The Jacobians of several tapes, out of the boxes of those traces of autograd that have ended.

    The parameters of a tape lie in a box for each trace that differentiates by them. PennyLane asks for one product
    with the same Jacobian as each of these traces ends, the innermost first, and takes off one box.
    """

    def __iter__(self) -> Iterator[Any]:
        return map(_living, super().__iter__())


def _living(part: Any) -> Any:
    if isinstance(part, tuple | list):
        return type(part)(map(_living, part))
    while isinstance(part, Box) and part._trace > trace_stack.top + 1:
        part = part._value
    return part


def differentiable(engine: Engine, angles: Real, owners: Sequence[int], found: Real, tape: Any) -> Any:
    """A Jacobian ``found`` (B, c, k) by the k trainable parameters of a tape, as a function of them where one is.

    ``angles`` (B, T) are those of the engine, and ``owners`` (T) the place of each one's parameter among the k, or -1.
    """
    parameters = _parameters(tape)
    if parameters is None:
        return found
    point = _Point(engine, angles, owners, found.shape[2])
    if any(isinstance(p, Box) for p in parameters):
        stacked = autograd.numpy.stack([autograd.numpy.reshape(p, ()) for p in parameters])
        return _slopes(stacked, point, found)
    return found


def differentiated_once(products: Sequence[Real], tape: Any) -> Sequence[Any]:
    """Products with a Jacobian, one for each trainable parameter, whose own derivatives are refused and not 0."""
    parameters = _parameters(tape) or ()
    boxes = [p for p in parameters if isinstance(p, Box)]
    if len({box._trace for box in boxes}) > 1 or any(isinstance(box._value, Box) for box in boxes):
        raise DeviceError(OF_A_BATCH)
    return products


def _parameters(tape: Any) -> list[Any] | None:
    """The trainable parameters of a tape as they stood in it, before they became numbers."""
    for measurement in tape.measurements:
        kept = getattr(measurement, MARK, None)
        if kept is not None and tape.trainable_params:
            return [kept[place] for place in tape.trainable_params]
    return None


class _Point:
    """Where a Jacobian was taken."""

    def __init__(self, engine: Engine, angles: Real, owners: Sequence[int], count: int) -> None:
        self._engine, self._angles = engine, angles
        self._owned = np.zeros((count, len(owners)))
        for angle, owner in enumerate(owners):
            if owner >= 0:
                self._owned[owner, angle] = 1.0

    def rates(self, weights: Real) -> Real:
        """The gradient (k,) of the sum of the Jacobian's entries times weights (B, c, k)."""
        along = torch.from_numpy(np.ascontiguousarray(weights @ self._owned))
        none, angles = torch.zeros(0, dtype=torch.float64), torch.from_numpy(self._angles)
        found: Real = DerivativeRates.apply(self._engine, none, angles, along[..., :0], along)[1].numpy()
        return found.sum((0, 1)) @ self._owned.T


@primitive
def _slopes(parameters: Any, point: _Point, found: Real) -> Real:
    """The same for autograd."""
    return found


@primitive
def _rates(weights: Any, parameters: Any, point: _Point) -> Real:
    return point.rates(np.asarray(weights))


def _third(*_: Any) -> Any:
    def refused(*_: Any) -> Any:
        raise DeviceError(THIRD)

    return refused


defvjp(
    _slopes,
    lambda ans, parameters, point, found: lambda weights: _rates(weights, parameters, point),
    argnums=[0],
)
defvjp(_rates, _third, _third, argnums=[0, 1])
