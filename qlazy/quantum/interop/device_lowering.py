"""Tapes of the device as operations, angles and observables of the simulator. Tapes of one form are read once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, final

import numpy as np
import pennylane as qml
import torch
from numpy.typing import NDArray
from pennylane.exceptions import DeviceError
from torch import Tensor

from qlazy.base.torch_private import is_differentiated, is_followed
from qlazy.quantum.backends.lowered import MAX_WIRES
from qlazy.quantum.interop.device_evolutions import NAME, plain_number
from qlazy.quantum.interop.device_forms import form_of
from qlazy.quantum.interop.device_tapes import TURNS, is_controlled, observables_of
from qlazy.quantum.pennylane.rules.lowering import NotLoweredError, lower
from qlazy.quantum.second_derivatives import Engine
from qlazy.simulator.cones.circuit import by_cones
from qlazy.simulator.observables import Observable
from qlazy.simulator.operations import Operation, PauliRotation

Real = NDArray[np.float64]

KEPT = 64
"""Compiled circuits, and forms, that a device keeps."""
NUMBERS = {float, int, np.ndarray, np.float64}


class Lowered(NamedTuple):
    """A tape as operations, angles (B, T) of its batch, the trainable parameter of each (or -1), and observables."""

    operations: tuple[Operation, ...]
    angles: Real | Tensor
    """A tensor where torch differentiates by the parameters of the tape."""
    owners: tuple[int, ...]
    observables: tuple[Observable, ...]
    num_wires: int
    is_batch: bool
    key: tuple[Any, ...]
    """Equal where one engine runs both."""


@final
class Lowering:
    """What a device has read and compiled, of which the last ``KEPT`` are kept."""

    def __init__(self) -> None:
        self._engines: OrderedDict[tuple[Any, ...], Engine] = OrderedDict()
        self._forms: OrderedDict[tuple[Any, ...], Lowered] = OrderedDict()

    def __reduce__(self) -> tuple[type[Lowering], tuple[()]]:
        """A copy starts anew."""
        return Lowering, ()

    def lowered(self, tape: Any, wires: Any, *, in_torch: bool, differentiated: bool) -> Lowered:
        """The tape, ``in_torch`` where its parameters are tensors that torch may follow, else of plain numbers.

        Raises DeviceError for what the simulator does not take, and, where the tape is ``differentiated``, for
        derivatives that it has not got.
        """
        form = form_of(tape)
        trained = tuple(tape.trainable_params)
        if in_torch:
            numbers = tape.get_parameters(trainable_only=False) if form is None else form.angles
            trained, differentiated = _followed(numbers)
        if form is None:
            return _read(tape, wires, trained, in_torch, differentiated)
        key = in_torch, differentiated, trained, form.key
        known = self._forms.get(key)
        if known is None:
            known = _read(tape, wires, trained, in_torch, differentiated)
        _keep(self._forms, key, known)
        rows = _rows(form.angles, form.entries, in_torch)
        return known._replace(angles=rows, is_batch=form.entries is not None)

    def engine(self, lowered: Lowered) -> Engine:
        """The compiled circuit. Raises DeviceError for one of too many wires."""
        engine = self._engines.get(lowered.key)
        if engine is None:
            if lowered.num_wires > MAX_WIRES:
                raise DeviceError(
                    f"{NAME} takes at most {MAX_WIRES} wires, not {lowered.num_wires}; use qlazy.Circuit"
                )
            engine = by_cones(lowered.num_wires, lowered.operations, lowered.observables, None)
        _keep(self._engines, lowered.key, engine)
        return engine


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    """Put a value last, and let go of the first where there are too many: steps that threads may take at once."""
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > KEPT:
        kept.popitem(last=False)


def _followed(parameters: Sequence[Any]) -> tuple[tuple[int, ...], bool]:
    """The places of those that torch may follow or map over, and whether it does so now."""
    tensors = {n: p for n, p in enumerate(parameters) if isinstance(p, Tensor) and is_followed(p)}
    return tuple(tensors), bool(tensors) and is_differentiated(*tensors.values())


def _read(tape: Any, wires: Any, trained: tuple[int, ...], in_torch: bool, differentiated: bool) -> Lowered:
    if not in_torch and not all(type(p) in NUMBERS for p in tape.get_parameters(trainable_only=False)):
        [tape], _ = qml.transforms.convert_to_numpy_parameters(tape)
    index = {wire: n for n, wire in enumerate(wires or tape.wires)}
    number = {place: n for n, place in enumerate(trained)}
    operations, angles, owners, place = [], [], [], 0
    for op in tape.operations:
        mine = [number.get(place + n, -1) for n in range(len(op.data))]
        place += len(op.data)
        left = iter(mine)
        for operation, angle in _lowered(op, index, differentiated and max(mine, default=-1) >= 0):
            if angle is not None:
                assert isinstance(operation, PauliRotation)
                owner = next(left, -1)  # one number is several angles only where none is trained
                operation = replace(operation, sampled=True, wanted=owner >= 0)
                angles.append(angle)
                owners.append(owner)
            operations.append(operation)
    if differentiated and any(n >= place for n in trained):
        raise DeviceError(f"{NAME} has no derivative by an observable's coefficients; use default.qubit")
    entries = _entries(angles)
    rows = _rows(angles, entries, in_torch)
    measured, width = observables_of(tape, index), max(len(index), 1)
    key = width, tuple(owners), tuple(map(_key, (*operations, *measured)))
    return Lowered(tuple(operations), rows, tuple(owners), measured, width, entries is not None, key)


def _lowered(op: Any, index: dict[Any, int], is_wanted: bool) -> Sequence[Any]:
    """The operations of a gate; refused where derivatives are wanted by numbers that are no angle of a rotation."""
    turn = op.base if is_controlled(op) else op
    if not isinstance(turn, (*TURNS, qml.GlobalPhase)):
        if is_wanted:
            raise DeviceError(f"{NAME} has no derivative by the matrix of {op.name}; use default.qubit")
        op = _with_plain_numbers(op)
    try:
        return list(lower(op, index))
    except NotLoweredError as error:
        raise DeviceError(f"{NAME} does not take this circuit: {error}; use default.qubit") from error


def _with_plain_numbers(op: Any) -> Any:
    if not any(isinstance(value, Tensor) for value in op.data):
        return op
    return qml.ops.functions.bind_new_parameters(op, list(map(plain_number, op.data)))


def _key(part: Operation | Observable) -> tuple[Any, ...]:
    fields = (v.tobytes() if isinstance(v, np.ndarray) else v for v in vars(part).values())
    return type(part), *fields


def _entries(angles: Sequence[Any]) -> int | None:
    """How many entries a batch of angles has; those of one entry fit all."""
    counts = {len(angle) for angle in angles if np.ndim(angle)}
    if len(counts - {1}) > 1:
        found = " and ".join(map(str, sorted(counts)))
        raise ValueError(f"angles of a batch must be one for each of its entries, but there are {found}")
    return max(counts, default=None)


def _rows(angles: Sequence[Any], entries: int | None, in_torch: bool) -> Real | Tensor:
    """Angles, each a number or one for each of the ``entries`` of a batch, as (B, T)."""
    if in_torch:
        shape = () if entries is None else (entries,)
        rows = [row if row.shape == shape else row.expand(shape) for row in map(_double, angles)]
        found = torch.stack(rows).movedim(0, -1) if rows else torch.zeros((*shape, 0), dtype=torch.float64)
        return found.expand(1, -1) if entries is None else found
    array = np.empty((1 if entries is None else entries, len(angles)))
    for n, angle in enumerate(angles):
        array[:, n] = angle if type(angle) in NUMBERS else plain_number(angle)
    return array


def _double(angle: Any) -> Tensor:
    """A number, or one for each entry of a batch, as a tensor of doubles that torch follows to where it came from."""
    if isinstance(angle, Tensor):
        return angle if angle.dtype == torch.float64 and angle.is_cpu else angle.to("cpu", torch.float64)
    return torch.as_tensor(np.asarray(angle, dtype=np.float64))
