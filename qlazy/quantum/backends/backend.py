"""Ways to run a circuit: each gives outputs that autograd passes through, and the Jacobian of every sample."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping
from typing import Any, final

import pennylane as qml
import torch
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.base.torch_private import is_transformed
from qlazy.models.model import blocks_of
from qlazy.quantum.backends.lowered import LoweredCircuit
from qlazy.quantum.pennylane.tracing import is_dynamic

INPUTS = "inputs"  # the data argument's name, as in PennyLane's TorchLayer

Shapes = Mapping[str, tuple[int, ...]]


class Backend(abc.ABC):
    """Outputs (n, c) and, where there is a rule for it, Jacobian (n, c, p) of a circuit."""

    @abc.abstractmethod
    def outputs(self, params: Tensor, x: Tensor) -> Tensor:
        """Outputs (n, c) for parameters (p,) and inputs (n, ...)."""

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor | None:
        """Derivatives (n, c, p), or None where ``torch.func`` on the outputs is the way."""
        return None


@final
class TorchBackend(Backend):
    """default.qubit on torch tensors, a sample at a time under vmap: any derivative, any device torch has."""

    def __init__(self, qnode: qml.QNode, shapes: Shapes) -> None:
        self._qnode, self._shapes = qnode, shapes
        self._blocks = blocks_of({name: math.prod(shape) for name, shape in shapes.items()})

    def outputs(self, params: Tensor, x: Tensor) -> Tensor:
        if len(x) == 0:
            return params.new_zeros(0, self.measure(params, x.new_zeros(x.shape[1:])).numel())
        return torch.func.vmap(self.measure, (None, 0))(params, x)

    def weights(self, params: Tensor) -> dict[str, Tensor]:
        """The flat vector (p,) as the QNode's keyword arguments."""
        return {name: params[self._blocks[name]].reshape(shape) for name, shape in self._shapes.items()}

    def tape(self, params: Tensor, row: Tensor) -> qml.tape.QuantumScript:
        """What the QNode queues for one row."""
        return qml.workflow.construct_tape(self._qnode, level="user")(**{INPUTS: row}, **self.weights(params))

    def measure(self, params: Tensor, row: Tensor) -> Tensor:
        """Outputs (c,) of one row, by a plain call of the QNode."""
        results = self._qnode(**{INPUTS: row}, **self.weights(params))
        results = results if isinstance(results, (tuple, list)) else (results,)
        outputs = torch.cat([torch.as_tensor(r).reshape(-1) for r in results])
        require(
            not outputs.is_complex(), "qnode", "return expectation values or probabilities",
            "returning complex numbers", UnsupportedModelError,
        )  # fmt: skip
        return outputs.to(params.dtype)


@final
class LoweredBackend(Backend):
    """A lowered circuit: the adjoint simulator, or another engine."""

    def __init__(self, circuit: LoweredCircuit) -> None:
        self._circuit = circuit

    @property
    def circuit(self) -> LoweredCircuit:
        return self._circuit

    @property
    def num_wires(self) -> int:
        return self._circuit.lowering.num_wires

    def outputs(self, params: Tensor, x: Tensor) -> Tensor:
        return self._circuit.outputs(params, x.flatten(1))

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor | None:
        if is_transformed(params, x):
            return None
        with torch.no_grad():
            return self._circuit.jacobian(params, x.flatten(1))


def changes_with_row(backend: TorchBackend, num_params: int, row: tuple[int, ...]) -> bool:
    """Whether two rows give different tapes, gate by gate and angle by angle; True where that cannot be told."""
    params = torch.linspace(0.3, 2.9, num_params, dtype=torch.float64)
    rows = torch.linspace(0.1, 0.9, 2 * math.prod(row), dtype=torch.float64).reshape(2, *row)
    try:
        first, second = (_description(backend.tape(params, r)) for r in rows)
    except Exception:  # rows that this QNode does not admit: its own error comes with the user's data
        return True
    return first != second


def measures_on_the_way(backend: TorchBackend, num_params: int, row: tuple[int, ...]) -> bool:
    """Whether the circuit has mid-circuit measurements; False where that cannot be told."""
    params = torch.linspace(0.3, 2.9, num_params, dtype=torch.float64)
    try:
        return is_dynamic(backend.tape(params, torch.full(row, 0.1, dtype=torch.float64)))
    except Exception:  # a row that this QNode does not admit
        return False


def _description(tape: qml.tape.QuantumScript) -> list[Any]:
    angles = [torch.as_tensor(p).tolist() for p in tape.get_parameters(trainable_only=False)]
    return [*((op.name, op.wires.tolist()) for op in tape.operations), angles]
