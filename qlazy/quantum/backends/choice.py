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
from torch import Tensor

from qlazy.base.errors import SlowBackendWarning, UnsupportedModelError, refuse, require
from qlazy.quantum.backends.agreement.lock import DOUBLE, SINGLE, DisagreementError, Lock
from qlazy.quantum.backends.agreement.points import Points
from qlazy.quantum.backends.agreement.reference import Reference
from qlazy.quantum.backends.autograd import MakeEngine
from qlazy.quantum.backends.backend import (
    ADJOINT,
    AUTO,
    BRANCHES,
    DEVICE,
    INPUTS,
    LIGHTNING,
    MIXED_DEVICE,
    PAULIS,
    TORCH,
    Choice,
    LoweredBackend,
    Sample,
    Shapes,
    TorchBackend,
    changes_with_row,
)
from qlazy.quantum.backends.device import DeviceCircuit
from qlazy.quantum.backends.lightning import LightningCircuit
from qlazy.quantum.backends.lowered import MAX_DECLARED, MAX_WIRES, Lowering, ReadCircuit, require_wires
from qlazy.quantum.backends.programs import propagating, require_no_branches
from qlazy.quantum.pennylane.device_tracing import device_circuit
from qlazy.quantum.pennylane.plain import NoTangents, PlainQNode, Watch
from qlazy.quantum.pennylane.rules.lowering import NotLoweredError
from qlazy.quantum.pennylane.symbolic.doubles import in_doubles
from qlazy.quantum.pennylane.tapes import transforms_of
from qlazy.quantum.pennylane.tracing import Traced, traced_point, traced_qnode
from qlazy.simulator.paulis.propagation import Truncation

_DYNAMIC = "it measures on its way"
_WRONG = {
    ADJOINT: _DYNAMIC,
    LIGHTNING: _DYNAMIC,
    PAULIS: _DYNAMIC,
    BRANCHES: "it does not measure on its way",
}
SIMULATORS = {
    ADJOINT: "the adjoint simulator",
    BRANCHES: "the branch simulator",
    LIGHTNING: "lightning.qubit",
    PAULIS: "Pauli propagation",
}

NOTHING, EXACT = Sample(), Truncation()
MEASURED = (
    measurements.ExpectationMP, measurements.ProbabilityMP, measurements.VarianceMP, measurements.PurityMP,
    measurements.VnEntropyMP, measurements.MutualInfoMP,
)  # fmt: skip


def choose(
    wanted: str,
    qnode: qml.QNode,
    shapes: Shapes,
    row: tuple[int, ...],
    sample: Sample = NOTHING,
    truncation: Truncation = EXACT,
) -> Choice:
    """The backend for inputs of shape ``row``, held to the QNode where that can be run; ``sample`` is the call's own.

    Words that ``truncation`` drops are the user's wish: what the gates are is held to the QNode on the state simulator.

    Raises UnsupportedModelError where the QNode itself does not run, where it ignores its inputs, and where the
    backend asked for does not take it or gives other numbers.
    """
    plain = PlainQNode(qnode, _exact_device(wanted, qnode))
    reference = Reference(plain, Points(shapes, row, sample))
    lock = Lock(reference)
    if reference.tape is not None:
        _require_outputs(reference.tape, qnode)
    if wanted == DEVICE:
        return _on_device(lock, qnode, shapes, row)
    if wanted == TORCH:
        require_no_branches(reference.is_dynamic)
        return _on_torch(lock, qnode, shapes, row)
    traced = None
    try:
        with _errors_of_the_qnode(), Watch() as watch:
            traced = traced_qnode(qnode, INPUTS, row, shapes)
        reference.see(traced.tapes[0], watch.stops)
        if reference.unable and not plain.queues(traced.tapes, traced_point(INPUTS, row, shapes)):
            raise NotLoweredError("it queues other numbers for formulas than for arrays")
        name = wanted if wanted in (LIGHTNING, PAULIS) and not traced.is_dynamic else _simulator(traced)
        if wanted not in (AUTO, name):
            raise NotLoweredError(_WRONG[wanted])
        if name == PAULIS:
            return _on_words(lock, traced, row, truncation)
        backend = _lowered(traced, row, LightningCircuit if wanted == LIGHTNING else None)
        with _as_not_lowered():
            return Choice(name, backend, unchecked=lock.check(backend))
    except NotLoweredError as reason:
        if reference.is_dynamic or wanted != AUTO:
            reference.require_meaning()
            reference.require_constant_observables()
            simulator = SIMULATORS[BRANCHES if wanted == AUTO else wanted]
            refuse("qnode", f"be a circuit for {simulator}", f"not: {reason}", UnsupportedModelError)
        reference.require_own()  # before a warning
        choice = _on_torch(lock, qnode, shapes, row)
        message = f"running on default.qubit, not on the adjoint simulator, which is much faster: {reason}"
        warnings.warn(message, SlowBackendWarning, stacklevel=2)
        return choice._replace(reason=str(reason))


def lowering_of(choice: Choice, qnode: qml.QNode, shapes: Shapes, row: tuple[int, ...]) -> Lowering:
    """What the backend runs if that is a lowered circuit of unitary gates; traced for backends that keep none."""
    must = "be one of unitary gates and expectation values"
    if choice.name in (ADJOINT, LIGHTNING, PAULIS):
        assert isinstance(choice.backend, LoweredBackend)
        return choice.backend.circuit.lowering  # some have none, and say so
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
    updated = _updated(qnode, device=device, interface="torch", diff_method="backprop")
    updated.func = in_doubles(updated.func)
    return updated


def on_seeded_qubits(qnode: qml.QNode, generator: torch.Generator | None) -> qml.QNode:
    """The same circuit on a default.qubit of its own, whose samples follow ``generator``, or chance without one."""
    chance = torch.Generator()
    if generator is None:
        chance.seed()
    seed = int(torch.randint(2**31, (), generator=generator or chance))
    device = qml.device("default.qubit", wires=qnode.device.wires, seed=seed)
    return _updated(qnode, device=device, interface="torch", diff_method=None)


def _updated(qnode: qml.QNode, **settings: Any) -> qml.QNode:
    """The same QNode otherwise run, with the function that it has now: PennyLane takes that which it was made with."""
    updated = qnode.update(**settings)
    updated.func = qnode.func
    return updated


def _simulator(traced: Traced) -> str:
    return BRANCHES if traced.is_dynamic else ADJOINT


def _exact_device(wanted: str, qnode: qml.QNode) -> Any:
    """Where a QNode is run plainly: its own device where backend "device" is, default.qubit for pure states."""
    is_own = wanted == DEVICE and qnode.device.name != "lightning.qubit"
    is_own = is_own or (wanted == PAULIS and qnode.device.name == MIXED_DEVICE)
    if is_own or qnode.device.name == "default.qubit":
        return qnode.device
    return qml.device("default.qubit", wires=qnode.device.wires)


def _require_outputs(tape: QuantumScript, qnode: qml.QNode) -> None:
    kinds = [type(m).__name__ for m in tape.measurements if not isinstance(m, MEASURED)]
    must = "return expectation values or probabilities"
    require(tape.measurements, "qnode", must, "returning nothing measured", UnsupportedModelError)
    if not transforms_of(qnode):
        require(not kinds, "qnode", must, f"returning {', '.join(kinds)}", UnsupportedModelError)
    drawn = [op.name for op in tape.operations if _draws(op)]
    must, actual = (
        "give the same at every call",
        f"drawing {', '.join(drawn)} anew each time (without a seed)",
    )
    require(not drawn, "qnode", must, actual, UnsupportedModelError)
    channels = {op.name for op in tape.operations if isinstance(op, qml.operation.Channel)}
    require(
        not channels or qnode.device.name != "default.qubit", "qnode",
        "be free of channels, or run on default.mixed with backend='device'", f"one with {', '.join(channels)}",
        UnsupportedModelError,
    )  # fmt: skip


def _draws(op: Any) -> bool:
    """Whether an operator, or one that it is made of, draws its gates without a seed."""
    parts = getattr(op, "hyperparameters", {})
    if "seed" in parts and parts["seed"] is None:
        return True
    return any(isinstance(part, qml.operation.Operator) and _draws(part) for part in parts.values())


def _on_torch(lock: Lock, qnode: qml.QNode, shapes: Shapes, row: tuple[int, ...]) -> Choice:
    backend = TorchBackend(on_default_qubit(qnode), shapes)
    backend.takes_floats = lock.reference.tape is not None
    require_wires(len(qnode.device.wires or ()))
    _require_dependence(lock.reference.sees_rows or changes_with_row(backend, _size(shapes), row), row)

    def check_derivative() -> str:
        with _refused_under_torch(lock):
            unchecked = lock.check_derivative(backend)
        if lock.reference.stops:
            backend.within = NoTangents
        return unchecked

    def check_call(params: Tensor, x: Tensor, found: Tensor | Exception) -> None:
        _require_outcome(params, x, found)
        assert isinstance(found, Tensor)
        call = Sample.of(params, x)
        if call.params is None or call.row is None:
            with _refused_under_torch(lock):
                backend.unchecked = lock.check_outputs(backend)
            return
        precision = DOUBLE if found.dtype == torch.float64 else SINGLE
        with _refused_under_torch(lock):
            outputs = found[0].detach().to("cpu", torch.float64).numpy()
            is_held = lock.check_call(call.params, call.row, outputs, precision)
            if not (is_held and call.is_generic):
                backend.unchecked = lock.check_outputs(backend)

    lock.reference.require_own()
    if lock.reference.unable:
        lock.reference.require_meaning()
        backend.first = _require_outcome
        return Choice(TORCH, backend, unchecked=lock.reference.unable)
    backend.first = check_call
    return Choice(TORCH, backend, check_derivative=check_derivative)


def _require_outcome(params: Tensor, x: Tensor, found: Tensor | Exception) -> None:
    if isinstance(found, Exception):
        with _refused_under_torch():
            raise DisagreementError(f"it raises {type(found).__name__}: {found}") from found


@contextmanager
def _refused_under_torch(lock: Lock | None = None) -> Iterator[None]:
    try:
        yield
    except DisagreementError as reason:
        if lock is not None:
            lock.reference.require_repeatable()
        must = "give the same under torch as called in NumPy (no weight may leave torch: float(), .item(), math, NumPy)"
        refuse("qnode", must, f"not: {reason}", UnsupportedModelError)


def _on_words(lock: Lock, traced: Traced, row: tuple[int, ...], truncation: Truncation) -> Choice:
    is_mixed = traced.qnode.device.name == MIXED_DEVICE
    if is_mixed and traced.qnode.device.readout_err:
        raise NotLoweredError("its device has readout errors")
    backend = _lowered(traced, row, propagating(truncation), noise=is_mixed)
    if isinstance(backend.circuit, ReadCircuit):
        raise NotLoweredError("its outputs are computed from several expectation values")
    if backend.circuit.lowering.is_noisy:
        exact = _lowered(traced, row, propagating(EXACT), noise=True)
        with _as_not_lowered():
            return Choice(PAULIS, backend, unchecked=lock.check(exact))
    try:
        states = _lowered(traced, row, None)
    except UnsupportedModelError:
        return Choice(
            PAULIS, backend, unchecked="not checked against the QNode: its states do not fit in memory"
        )
    with _as_not_lowered():
        return Choice(PAULIS, backend, unchecked=lock.check(states))


def _on_device(lock: Lock, qnode: qml.QNode, shapes: Shapes, row: tuple[int, ...]) -> Choice:
    with _refused_by_shifts(lock):
        with _errors_of_the_qnode():
            circuit = device_circuit(qnode, INPUTS, row, shapes)
            engine = circuit.for_params  # as below
        _require_dependence(INPUTS in circuit.inputs, row)
        backend = LoweredBackend(circuit)
        if qnode.shots:
            return Choice(DEVICE, backend, unchecked="not checked against the QNode, whose shots are random")
        assert isinstance(engine, DeviceCircuit)
        precision = SINGLE if getattr(qnode.device, "c_dtype", None) == np.complex64 else DOUBLE
        runs = engine.circuits_per_sample

        def check_derivative() -> str:
            with _refused_by_shifts(lock), _as_not_lowered():
                return lock.check_derivative(backend, runs, precision)

        with _as_not_lowered():
            unchecked = lock.check_outputs(backend, precision)
        return Choice(
            DEVICE, backend, unchecked=unchecked, check_derivative=None if unchecked else check_derivative
        )


@contextmanager
def _refused_by_shifts(lock: Lock) -> Iterator[None]:
    try:
        yield
    except NotLoweredError as reason:
        lock.reference.require_meaning()
        lock.reference.require_constant_observables()
        refuse("qnode", "be a circuit for parameter shifts", f"not: {reason}", UnsupportedModelError)


def _lowered(
    traced: Traced, row: tuple[int, ...], make: MakeEngine | None, noise: bool = False
) -> LoweredBackend:
    with _errors_of_the_qnode():
        circuit = traced.lowered(make, MAX_WIRES if make is LightningCircuit else MAX_DECLARED, noise)
        circuit.for_params  # noqa: B018 - an engine refuses what it does not take when it is made
    _require_dependence(INPUTS in circuit.inputs, row)
    return LoweredBackend(circuit)


@contextmanager
def _as_not_lowered() -> Iterator[None]:
    try:
        yield
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
