"""Choosing a backend: the fastest that takes the circuit, and is seen to agree with the QNode itself."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pennylane as qml
import torch
from pennylane import measurements
from pennylane.tape import QuantumScript

from qlazy.base.errors import SlowBackendWarning, UnsupportedModelError, refuse, require
from qlazy.quantum.backends.agreement import DOUBLE, SINGLE, DisagreementError, Lock, Precision
from qlazy.quantum.backends.autograd import MakeEngine
from qlazy.quantum.backends.backend import (
    ADJOINT,
    AUTO,
    BRANCHES,
    DEVICE,
    INPUTS,
    LIGHTNING,
    TORCH,
    Backend,
    Choice,
    LoweredBackend,
    Sample,
    Shapes,
    TorchBackend,
    changes_with_row,
)
from qlazy.quantum.backends.device import DeviceCircuit
from qlazy.quantum.backends.lightning import LightningCircuit
from qlazy.quantum.backends.lowered import Lowering, require_wires
from qlazy.quantum.backends.programs import require_no_branches
from qlazy.quantum.pennylane.device_tracing import device_circuit
from qlazy.quantum.pennylane.lowering import NotLoweredError
from qlazy.quantum.pennylane.plain import NoTangents, PlainQNode
from qlazy.quantum.pennylane.tapes import transforms_of
from qlazy.quantum.pennylane.tracing import Traced, traced_qnode
from qlazy.simulator.rotations import RotationCircuit

_DYNAMIC = "it measures on its way"
_WRONG = {ADJOINT: _DYNAMIC, LIGHTNING: _DYNAMIC, BRANCHES: "it does not measure on its way"}
SIMULATORS = {
    ADJOINT: "the adjoint simulator",
    BRANCHES: "the branch simulator",
    LIGHTNING: "lightning.qubit",
}

NOTHING = Sample()
MEASURED = (
    measurements.ExpectationMP, measurements.ProbabilityMP, measurements.VarianceMP, measurements.PurityMP,
    measurements.VnEntropyMP, measurements.MutualInfoMP,
)  # fmt: skip


def choose(
    wanted: str, qnode: qml.QNode, shapes: Shapes, row: tuple[int, ...], sample: Sample = NOTHING
) -> Choice:
    """The backend for inputs of shape ``row``, held to the QNode where that can be run; ``sample`` is the call's own.

    Raises UnsupportedModelError where the QNode itself does not run, where it ignores its inputs, and where the
    backend asked for does not take it or gives other numbers.
    """
    lock = Lock(PlainQNode(qnode, _exact_device(wanted, qnode)), shapes, row, sample)
    if lock.tape is not None:
        _require_outputs(lock.tape, qnode)
    if wanted == DEVICE:
        return _on_device(lock, qnode, shapes, row)
    if wanted == TORCH:
        require_no_branches(lock.is_dynamic)
        return _on_torch(lock, qnode, shapes, row)
    traced = None
    try:
        with _errors_of_the_qnode():
            traced = traced_qnode(qnode, INPUTS, row, shapes)
        name = LIGHTNING if wanted == LIGHTNING and not traced.is_dynamic else _simulator(traced)
        if wanted not in (AUTO, name):
            raise NotLoweredError(_WRONG[wanted])
        backend = _lowered(traced, row, LightningCircuit if wanted == LIGHTNING else RotationCircuit)
        return Choice(name, backend, unchecked=_held(lock, backend))
    except NotLoweredError as reason:
        if lock.is_dynamic or wanted != AUTO:
            simulator = SIMULATORS[BRANCHES if wanted == AUTO else wanted]
            refuse("qnode", f"be a circuit for {simulator}", f"not: {reason}", UnsupportedModelError)
        lock.require_own()
        choice = _on_torch(lock, qnode, shapes, row)
        message = f"running on default.qubit, not on the adjoint simulator, which is much faster: {reason}"
        warnings.warn(message, SlowBackendWarning, stacklevel=2)
        return choice._replace(reason=str(reason))


def lowering_of(choice: Choice, qnode: qml.QNode, shapes: Shapes, row: tuple[int, ...]) -> Lowering:
    """What the backend runs if that is a lowered circuit of unitary gates; traced for backends that keep none."""
    must = "be one of unitary gates and expectation values"
    if choice.name in (ADJOINT, LIGHTNING):
        assert isinstance(choice.backend, LoweredBackend)
        return choice.backend.circuit.lowering
    try:
        if choice.name == BRANCHES or choice.reason:
            raise NotLoweredError(choice.reason or _DYNAMIC)
        with _errors_of_the_qnode():
            traced = traced_qnode(qnode, INPUTS, row, shapes)
            if traced.is_dynamic:
                raise NotLoweredError(_DYNAMIC)
            return traced.lowered().lowering
    except NotLoweredError as reason:
        refuse("circuit", must, f"not: {reason}", UnsupportedModelError)


def on_default_qubit(qnode: qml.QNode) -> qml.QNode:
    """The same circuit, transforms included, where torch can differentiate it."""
    device = qnode.device
    if device.name != "default.qubit":
        device = qml.device("default.qubit", wires=device.wires)
    return qnode.update(device=device, interface="torch", diff_method="backprop")


def on_seeded_qubits(qnode: qml.QNode, generator: torch.Generator | None) -> qml.QNode:
    """The same circuit on a default.qubit of its own, whose samples follow ``generator``, or chance without one."""
    chance = torch.Generator()
    if generator is None:
        chance.seed()
    seed = int(torch.randint(2**31, (), generator=generator or chance))
    device = qml.device("default.qubit", wires=qnode.device.wires, seed=seed)
    return qnode.update(device=device, interface="torch", diff_method=None)


def _simulator(traced: Traced) -> str:
    return BRANCHES if traced.is_dynamic else ADJOINT


def _exact_device(wanted: str, qnode: qml.QNode) -> Any:
    """Where a QNode is run plainly: its own device where backend "device" is, default.qubit for pure states."""
    is_own = wanted == DEVICE and qnode.device.name != "lightning.qubit"
    if is_own or qnode.device.name == "default.qubit":
        return qnode.device
    return qml.device("default.qubit", wires=qnode.device.wires)


def _require_outputs(tape: QuantumScript, qnode: qml.QNode) -> None:
    kinds = [type(m).__name__ for m in tape.measurements if not isinstance(m, MEASURED)]
    must = "return expectation values or probabilities"
    require(tape.measurements, "qnode", must, "returning nothing measured", UnsupportedModelError)
    if not transforms_of(qnode):
        require(not kinds, "qnode", must, f"returning {', '.join(kinds)}", UnsupportedModelError)
    channels = {op.name for op in tape.operations if isinstance(op, qml.operation.Channel)}
    require(
        not channels or qnode.device.name != "default.qubit", "qnode",
        "be free of channels, or run on default.mixed with backend='device'", f"one with {', '.join(channels)}",
        UnsupportedModelError,
    )  # fmt: skip


def _on_torch(lock: Lock, qnode: qml.QNode, shapes: Shapes, row: tuple[int, ...]) -> Choice:
    backend = TorchBackend(on_default_qubit(qnode), shapes)
    require_wires(len(qnode.device.wires or ()))
    _require_dependence(changes_with_row(backend, _size(shapes), row), row)
    try:
        unchecked = lock.check(backend)
        if not unchecked and lock.stops:
            backend.within = NoTangents
        return Choice(TORCH, backend, unchecked=unchecked)
    except DisagreementError as reason:
        must = "give the same under torch as called in NumPy (no weight may leave torch: float(), .item(), math, NumPy)"
        refuse("qnode", must, f"not: {reason}", UnsupportedModelError)


def _on_device(lock: Lock, qnode: qml.QNode, shapes: Shapes, row: tuple[int, ...]) -> Choice:
    try:
        with _errors_of_the_qnode():
            circuit = device_circuit(qnode, INPUTS, row, shapes)
            engine = circuit.for_params  # as below
        _require_dependence(INPUTS in circuit.inputs, row)
        backend = LoweredBackend(circuit)
        if qnode.shots:
            return Choice(DEVICE, backend, unchecked="not checked against the QNode, whose shots are random")
        assert isinstance(engine, DeviceCircuit)
        precision = SINGLE if getattr(qnode.device, "c_dtype", None) == np.complex64 else DOUBLE
        return Choice(DEVICE, backend, unchecked=_held(lock, backend, engine.circuits_per_sample, precision))
    except NotLoweredError as reason:
        refuse("qnode", "be a circuit for parameter shifts", f"not: {reason}", UnsupportedModelError)


def _lowered(traced: Traced, row: tuple[int, ...], make: MakeEngine) -> Backend:
    with _errors_of_the_qnode():
        circuit = traced.lowered(make)
        circuit.for_params  # noqa: B018 - an engine refuses what it does not take when it is made
    _require_dependence(INPUTS in circuit.inputs, row)
    return LoweredBackend(circuit)


def _held(lock: Lock, backend: Backend, runs: int = 1, precision: Precision = DOUBLE) -> str:
    try:
        return lock.check(backend, runs, precision)
    except DisagreementError as reason:
        raise NotLoweredError(str(reason)) from reason


@contextmanager
def _errors_of_the_qnode() -> Iterator[None]:
    try:
        yield
    except (NotLoweredError, UnsupportedModelError):
        raise
    except Exception as error:  # the QNode's own, which comes again with the user's data if it is real
        raise NotLoweredError(f"it raises {type(error).__name__}: {error}") from error


def _require_dependence(depends: bool, row: tuple[int, ...]) -> None:
    require(
        depends or math.prod(row) == 0, "qnode", f"depend on `{INPUTS}`", "the same for every input",
        UnsupportedModelError,
    )  # fmt: skip


def _size(shapes: Shapes) -> int:
    return sum(math.prod(shape) for shape in shapes.values())
