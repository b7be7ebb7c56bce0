"""Choosing a backend: the fastest that takes the circuit, and is seen to agree with the QNode itself."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pennylane as qml
import torch

from qlazy.base.errors import SlowBackendWarning, UnsupportedModelError, refuse, require
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
    Shapes,
    TorchBackend,
    changes_with_row,
    measures_on_the_way,
)
from qlazy.quantum.backends.lightning import LightningCircuit
from qlazy.quantum.backends.lowered import Lowering, require_wires
from qlazy.quantum.backends.programs import require_no_branches
from qlazy.quantum.pennylane.device_tracing import device_circuit
from qlazy.quantum.pennylane.lowering import NotLoweredError
from qlazy.quantum.pennylane.tracing import Traced, traced_qnode
from qlazy.simulator.rotations import RotationCircuit

_DYNAMIC = "it measures on its way"
_WRONG = {ADJOINT: _DYNAMIC, LIGHTNING: _DYNAMIC, BRANCHES: "it does not measure on its way"}
SIMULATORS = {
    ADJOINT: "the adjoint simulator",
    BRANCHES: "the branch simulator",
    LIGHTNING: "lightning.qubit",
}

TOLERANCE = 1e-9
"""How far outputs of a lowered circuit may be from the QNode's own, at a probe point."""

PROBE_WIRES = 12


def choose(wanted: str, qnode: qml.QNode, shapes: Shapes, row: tuple[int, ...]) -> Choice:
    """The backend for inputs of shape ``row``.

    Raises UnsupportedModelError where the circuit ignores its inputs, or the backend asked for does not take it.
    """
    if wanted == DEVICE:
        return Choice(DEVICE, _on_device(qnode, shapes, row))
    reference = TorchBackend(on_default_qubit(qnode), shapes)
    if wanted == TORCH:
        require_no_branches(measures_on_the_way(reference, _size(shapes), row))
        require_wires(len(qnode.device.wires or ()))
        _require_dependence(changes_with_row(reference, _size(shapes), row), row)
        return Choice(TORCH, reference)
    traced, dynamic = None, False
    try:
        with _errors_of_the_qnode():
            traced = traced_qnode(qnode, INPUTS, row, shapes)
        dynamic = traced.is_dynamic
        name = LIGHTNING if wanted == LIGHTNING and not dynamic else BRANCHES if dynamic else ADJOINT
        if wanted not in (AUTO, name):
            raise NotLoweredError(_WRONG[wanted])
        make: MakeEngine = LightningCircuit if wanted == LIGHTNING else RotationCircuit
        check = TorchBackend(by_tree_traversal(qnode), shapes) if dynamic else reference
        return Choice(name, _lowered(check, traced, shapes, row, make))
    except NotLoweredError as reason:
        dynamic = dynamic or (traced is None and measures_on_the_way(reference, _size(shapes), row))
        if dynamic or wanted != AUTO:
            simulator = SIMULATORS[BRANCHES if wanted == AUTO else wanted]
            refuse("qnode", f"be a circuit for {simulator}", f"not: {reason}", UnsupportedModelError)
        _require_dependence(changes_with_row(reference, _size(shapes), row), row)
        message = f"running on default.qubit, not on the adjoint simulator, which is much faster: {reason}"
        warnings.warn(message, SlowBackendWarning, stacklevel=2)
        return Choice(TORCH, reference, str(reason))


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


def by_tree_traversal(qnode: qml.QNode) -> qml.QNode:
    """The same circuit run branch by branch, without derivatives."""
    return on_default_qubit(qnode).update(mcm_method="tree-traversal", diff_method=None)


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


def _on_device(qnode: qml.QNode, shapes: Shapes, row: tuple[int, ...]) -> Backend:
    try:
        with _errors_of_the_qnode():
            circuit = device_circuit(qnode, INPUTS, row, shapes)
            circuit.for_params  # noqa: B018 - as below
    except NotLoweredError as reason:
        refuse("qnode", "be a circuit for parameter shifts", f"not: {reason}", UnsupportedModelError)
    _require_dependence(INPUTS in circuit.inputs, row)
    return LoweredBackend(circuit)


def _lowered(
    reference: TorchBackend, traced: Traced, shapes: Shapes, row: tuple[int, ...], make: MakeEngine
) -> Backend:
    with _errors_of_the_qnode():
        circuit = traced.lowered(make)
        circuit.for_params  # noqa: B018 - an engine refuses what it does not take when it is made
    backend = LoweredBackend(circuit)
    _require_dependence(INPUTS in circuit.inputs, row)
    _require_agreement(backend, reference, shapes, row)
    return backend


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


def _require_agreement(
    backend: LoweredBackend, reference: TorchBackend, shapes: Shapes, row: tuple[int, ...]
) -> None:
    # A QNode that computes outside torch would leave constants in its formulas: its values tell. Symbolic
    # tensors refuse to become numbers, so that this is a second lock, and not worth a large state.
    if backend.num_wires > PROBE_WIRES:
        return
    params = torch.linspace(-1.0, 2.3, _size(shapes), dtype=torch.float64)
    x = torch.linspace(0.9, -0.7, math.prod(row), dtype=torch.float64).reshape(row)
    try:
        expected = reference.measure(params, x)
    except Exception:  # the probe is outside the QNode's domain
        return
    difference = float((backend.outputs(params, x.unsqueeze(0))[0] - expected).abs().max())
    if not difference <= TOLERANCE:
        raise NotLoweredError(f"its formulas miss what it computes outside torch (off by {difference:.1g})")


def _size(shapes: Shapes) -> int:
    return sum(math.prod(shape) for shape in shapes.values())
