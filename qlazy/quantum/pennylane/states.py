"""The states a circuit prepares from its data, and the plain fidelity kernel between them."""

from __future__ import annotations

import pennylane as qml
import torch
from torch import Tensor

from qlazy.quantum.backends.backend import TorchBackend
from qlazy.quantum.backends.choice import on_default_qubit
from qlazy.quantum.circuit import Circuit


def final_states(circuit: Circuit, params: Tensor, x: Tensor) -> Tensor:
    """|psi(x)> (n, N) before measurement, complex128, the first wire the most significant bit.

    Runs on default.qubit, a sample at a time. Raises ValueError for params and x that do not fit.
    """
    circuit.check(params, x)
    tapes = TorchBackend(on_default_qubit(circuit.qnode), circuit.weight_shapes)
    with torch.no_grad():
        rows = [_state(tapes.tape(params, row), circuit.qnode.device.wires) for row in x]
    return torch.stack(rows)


def fidelity_kernel(circuit: Circuit, params: Tensor, x: Tensor, y: Tensor | None = None) -> Tensor:
    """|<psi(x_i)|psi(y_j)>|^2, (n, m), at fixed parameters; y = x if absent.

    The kernel of the embedding alone: trainable gates after the data cancel out. To be set beside the tangent
    kernel as in Shirai, Kubo, Mitarai, Fujii 2021 (arXiv 2111.02951).
    """
    left = final_states(circuit, params, x)
    right = left if y is None else final_states(circuit, params, y)
    return (left.conj() @ right.T).abs().square()


def preparations(circuit: Circuit, params: Tensor, x: Tensor) -> tuple[str, ...]:
    """The names of operators that prepare states of two qubits or more, basis states aside, for the first row of x."""
    circuit.check(params, x)
    with torch.no_grad():
        tape = TorchBackend(on_default_qubit(circuit.qnode), circuit.weight_shapes).tape(params, x[0])
    prepared = [
        op.name
        for op in tape.operations
        if isinstance(inner := getattr(op, "base", op), STATES)
        and not isinstance(inner, qml.BasisState)
        and len(inner.wires) > 1
    ]
    return tuple(dict.fromkeys(prepared))


STATES = (qml.operation.StatePrepBase, qml.MottonenStatePreparation, qml.ArbitraryStatePreparation)


def _state(tape: qml.tape.QuantumScript, wires: qml.wires.Wires | None) -> Tensor:
    order = tape.wires if wires is None else wires
    bare = qml.tape.QuantumScript(tape.operations, [qml.state()])
    (state,) = qml.execute([bare], qml.device("default.qubit", wires=order), diff_method=None)
    return torch.as_tensor(state, dtype=torch.complex128)
