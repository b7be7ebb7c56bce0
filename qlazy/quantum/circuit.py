"""A quantum circuit as a model."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, final

import pennylane as qml
import torch
from torch import Tensor, nn

from qlazy.errors import UnsupportedModel, require
from qlazy.model import Model, blocks_of
from qlazy.quantum.corpus import load_program, program_from_qasm
from qlazy.quantum.pennylane_program import to_qnode
from qlazy.quantum.program import Program

INPUTS = "inputs"  # the data argument's name, as in PennyLane's TorchLayer


@final
class Circuit(Model):
    """A QNode seen as a function of one flat vector of weights: outputs are its measurements.

    ``weight_shapes`` follows PennyLane's TorchLayer: the QNode's data argument is called ``inputs``, every
    other argument is a weight with a shape, given as an integer or a tuple. ``inputs`` is one row of x.
    Angles are in radians with the half-angle convention exp(-i theta P / 2); ``init`` draws every weight
    uniformly from [0, 2 pi). float64 by default; outputs follow the dtype of the parameters.

    Raises UnsupportedModel for a QNode that cannot be differentiated exactly, sample by sample.
    """

    def __init__(self, qnode: qml.QNode, weight_shapes: Mapping[str, int | Sequence[int]]) -> None:
        _check_qnode(qnode)
        self.qnode = qnode
        self._shapes = {name: _shape(name, size) for name, size in weight_shapes.items()}
        _check_signature(qnode, self._shapes)
        self._blocks = blocks_of({name: math.prod(shape) for name, shape in self._shapes.items()})
        require(self.num_params >= 1, "weight_shapes", "name at least one weight", weight_shapes)
        self._seen_rows: set[tuple[int, ...]] = set()
        self.program: Program | None = None

    @classmethod
    def from_program(cls, program: Program) -> Circuit:
        """The circuit of an OpenQASM 3 program: its weights in declared order, one row of x for its data."""
        circuit = cls(*to_qnode(program))
        circuit.program = program
        return circuit

    @property
    def num_params(self) -> int:
        return sum(math.prod(shape) for shape in self._shapes.values())

    @property
    def blocks(self) -> Mapping[str, slice]:
        return self._blocks

    @property
    def backend(self) -> str:
        """How the circuit is run."""
        return "torch"

    def init(self, generator: torch.Generator) -> Tensor:
        uniform = torch.rand(
            self.num_params, generator=generator, dtype=torch.float64, device=generator.device
        )
        return 2 * math.pi * uniform

    def check(self, params: Tensor, x: Tensor) -> None:
        super().check(params, x)
        row = tuple(x.shape[1:])
        if row not in self._seen_rows:
            self._refuse_ignored_inputs(row)
            self._seen_rows.add(row)

    def forward(self, params: Tensor, x: Tensor) -> Tensor:
        if len(x) == 0:
            row = x.new_zeros(x.shape[1:])
            return self._measure(params, row).new_zeros(0, self._measure(params, row).numel())
        return torch.func.vmap(self._measure, (None, 0))(params, x)

    def weights(self, params: Tensor) -> dict[str, Tensor]:
        """The flat vector (p,) as the QNode's keyword arguments."""
        return {name: params[self._blocks[name]].reshape(shape) for name, shape in self._shapes.items()}

    def _measure(self, params: Tensor, row: Tensor) -> Tensor:
        results = self.qnode(**{INPUTS: row}, **self.weights(params))
        results = results if isinstance(results, (tuple, list)) else (results,)
        outputs = torch.cat([torch.as_tensor(r).reshape(-1) for r in results])
        require(
            not outputs.is_complex(), "qnode", "return expectation values or probabilities",
            "returning complex numbers", UnsupportedModel,
        )  # fmt: skip
        return outputs.to(params.dtype)

    def _refuse_ignored_inputs(self, row: tuple[int, ...]) -> None:
        # Two rows that give the same tape, gate by gate and angle by angle, mean that x has no effect.
        if math.prod(row) == 0:
            return
        params = torch.linspace(0.3, 2.9, self.num_params, dtype=torch.float64)
        rows = torch.linspace(0.1, 0.9, 2 * math.prod(row), dtype=torch.float64).reshape(2, *row)
        try:
            first, second = (self._tape(params, r) for r in rows)
        except Exception:  # rows that this QNode does not admit; its own error comes with the user's data
            return
        require(
            not _same_tape(first, second), "qnode", f"depend on `{INPUTS}`", "the same for every input",
            UnsupportedModel,
        )  # fmt: skip

    def _tape(self, params: Tensor, row: Tensor) -> qml.tape.QuantumScript:
        return qml.workflow.construct_tape(self.qnode, level="user")(**{INPUTS: row}, **self.weights(params))

    def __repr__(self) -> str:
        name = self.program.name if self.program else getattr(self.qnode.func, "__name__", "qnode")
        return f"Circuit({name}, num_params={self.num_params}, backend={self.backend})"


class CircuitLayer(nn.Module):
    """A circuit as a torch module, for hybrid nets: ``Net(nn.Sequential(..., CircuitLayer(circuit), ...))``.

    Unlike PennyLane's TorchLayer its weights may be substituted, so that ``torch.func`` sees them.
    """

    def __init__(self, circuit: Circuit, *, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.circuit = circuit
        self.weights = nn.Parameter(torch.empty(circuit.num_params, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new angles, uniformly from [0, 2 pi)."""
        nn.init.uniform_(self.weights, 0.0, 2 * math.pi)

    def forward(self, x: Tensor) -> Tensor:
        return self.circuit(self.weights, x)

    def __deepcopy__(self, memo: dict[int, Any]) -> CircuitLayer:
        # A circuit is a value, and QNodes do not always copy: share it, copy the weights.
        copy = CircuitLayer(self.circuit, dtype=self.weights.dtype)
        copy.weights = nn.Parameter(self.weights.detach().clone(), requires_grad=self.weights.requires_grad)
        return copy


def load(name_or_path: str | os.PathLike[str], **sizes: int) -> Circuit:
    """A circuit from the corpus by name, or from an OpenQASM 3 file by path, with its sizes overridden.

    ``load("hardware_efficient", n=6, layers=3)``. Raises ValueError for an unknown name or size, and QasmError
    with file, line and column for a program that is wrong or outside the language covered.
    """
    return Circuit.from_program(load_program(name_or_path, **sizes))


def from_qasm(
    text: str, *, observables: Sequence[str] = (), data: Sequence[str] = (), **sizes: int
) -> Circuit:
    """A circuit from the text of an OpenQASM 3 program.

    ``observables`` are outputs such as "Z q[1]" or "0.5 Z q[0] Z q[1] - X q[2]", ``data`` the names of the
    inputs that are data, for a text that does not say so itself. Raises as :func:`load`.
    """
    return Circuit.from_program(program_from_qasm(text, observables=observables, data=data, **sizes))


def _shape(name: str, size: int | Sequence[int]) -> tuple[int, ...]:
    shape = (size,) if isinstance(size, int) else tuple(size)
    require(
        all(isinstance(s, int) and s >= 1 for s in shape), f"weight_shapes[{name!r}]",
        "be a positive integer or a tuple of them", size,
    )  # fmt: skip
    return () if size == 1 else shape  # TorchLayer's convention: 1 is a scalar


def _check_qnode(qnode: object) -> None:
    require(
        isinstance(qnode, qml.QNode), "qnode", "be a pennylane.QNode (not a TorchLayer or a plain function)",
        type(qnode).__name__, TypeError,
    )  # fmt: skip
    assert isinstance(qnode, qml.QNode)
    require(
        qnode.device.name == "default.qubit" and qnode.diff_method in ("best", "backprop"), "qnode",
        "run on default.qubit with diff_method 'best' or 'backprop'",
        f"on {qnode.device.name} with {qnode.diff_method!r}", UnsupportedModel,
    )  # fmt: skip
    require(
        qnode.interface in ("auto", "torch"), "qnode", "have interface 'auto' or 'torch'", qnode.interface,
        UnsupportedModel,
    )  # fmt: skip
    require(not qnode.shots, "qnode", "be exact (shots=None)", f"with {qnode.shots}", UnsupportedModel)


def _check_signature(qnode: qml.QNode, shapes: Mapping[str, tuple[int, ...]]) -> None:
    arguments = inspect.signature(qnode.func).parameters
    require(INPUTS in arguments, "qnode", f"take its data as `{INPUTS}`", f"taking {list(arguments)}")
    require(INPUTS not in shapes, "weight_shapes", f"not name `{INPUTS}`", list(shapes))
    if any(a.kind is inspect.Parameter.VAR_KEYWORD for a in arguments.values()):
        return
    required = [n for n, a in arguments.items() if n != INPUTS and a.default is inspect.Parameter.empty]
    unknown = sorted(set(shapes) - set(arguments))
    missing = sorted(set(required) - set(shapes))
    require(
        not unknown and not missing, "weight_shapes", f"name the QNode's weights {required}", list(shapes)
    )


def _same_tape(first: qml.tape.QuantumScript, second: qml.tape.QuantumScript) -> bool:
    def description(tape: qml.tape.QuantumScript) -> list[Any]:
        return [(op.name, op.wires.tolist()) for op in tape.operations]

    def angles(tape: qml.tape.QuantumScript) -> list[Any]:
        return [torch.as_tensor(p).tolist() for p in tape.get_parameters(trainable_only=False)]

    return description(first) == description(second) and angles(first) == angles(second)
