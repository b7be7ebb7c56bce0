"""Ways to run a circuit: each gives outputs that autograd passes through, and the Jacobian of every sample."""

from __future__ import annotations

import abc
import contextlib
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import SlowBackendWarning, UnsupportedModelError, require
from qlazy.base.torch_private import is_transformed, outside_transforms, tree_flatten, vmap
from qlazy.models.model import blocks_of
from qlazy.models.rowwise import jacobian_by_rows, outputs_by_rows
from qlazy.quantum.backends.lowered import LoweredCircuit, ReadCircuit
from qlazy.simulator.cones.circuit import ConeCircuit
from qlazy.simulator.paulis.circuit import PauliCircuit, PropagationError
from qlazy.simulator.rotations import RotationCircuit

if TYPE_CHECKING:
    import pennylane as qml

AUTO, ADJOINT, BRANCHES, TORCH, PAULIS = "auto", "adjoint", "branches", "torch", "paulis"
LIGHTNING, DEVICE = "lightning", "device"
MIXED_DEVICE = "default.mixed"
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


class Choice(NamedTuple):
    """A backend by name, why it is not the adjoint simulator, and why it could not be held to the QNode.

    ``check_derivative`` is to be called before its first derivative, where it was not held to the QNode's yet: it says
    why it could not be, or nothing, and raises UnsupportedModelError.
    """

    name: str
    backend: Backend
    reason: str = ""
    unchecked: str = ""
    check_derivative: Callable[[], str] | None = None

    def with_derivatives(self) -> Choice:
        """The choice with its derivatives held to the QNode's."""
        if self.check_derivative is None:
            return self
        return self._replace(unchecked=self.check_derivative(), check_derivative=None)


class Sample(NamedTuple):
    """The weights (p,) and the first row of the call for which a backend is chosen, where they are numbers."""

    params: NDArray[np.float64] | None = None
    row: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, params: Tensor | None, x: Tensor | None) -> Sample:
        """Nothing under a transform of ``torch.func``, and nothing of numbers that are not real and finite."""
        return cls(_numbers(params), _numbers(None if x is None or not len(x) else x[0]))

    @property
    def is_generic(self) -> bool:
        """Whether nothing vanishes or coincides here by chance: no two numbers equal, none a multiple of pi/4."""
        if self.params is None or self.row is None:
            return False
        numbers = np.concatenate([self.params, self.row.ravel()])
        apart = np.abs(numbers / (math.pi / 4) - np.round(numbers / (math.pi / 4))).min(initial=1.0)
        return bool(apart > 1e-3) and len(np.unique(np.abs(numbers))) == len(numbers)


@final
class TorchBackend(Backend):
    """default.qubit on torch tensors, a sample at a time: under vmap, or row by row where vmap cannot run the QNode.

    Under vmap it has any derivative, on any device torch has. ``reason`` says why it runs row by row, once it does.
    """

    def __init__(self, qnode: qml.QNode, shapes: Shapes, reason: str = "") -> None:
        self._qnode, self._shapes, self.reason = qnode, shapes, reason
        self.within: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext
        """What the QNode is called in."""
        self.takes_floats = True
        """Whether rows of whole numbers are numbers like others; they are indices, or have bits, where it does not."""
        self.unchecked = ""
        """Why its first call could not be held to the QNode."""
        self._imaginary_unseen = False
        self.first: Callable[[Tensor, Tensor, Tensor | Exception], None] | None = None
        """Told of the first call: parameters, inputs and outputs, plain numbers of one row or more, or an error."""
        self._blocks = blocks_of({name: math.prod(shape) for name, shape in shapes.items()})

    def outputs(self, params: Tensor, x: Tensor) -> Tensor:
        if len(x) == 0:
            return params.new_zeros(0, self.measure(params, x.new_zeros(x.shape[1:])).numel())
        x = self._rows(params, x)
        if self.first is None or is_transformed(params, x):
            return self._outputs(params, x)
        return self._first_outputs(self.first, params, x)

    def _first_outputs(
        self, tell: Callable[[Tensor, Tensor, Tensor | Exception], None], params: Tensor, x: Tensor
    ) -> Tensor:
        try:
            found = self._outputs(params, x)
        except UnsupportedModelError:
            raise
        except Exception as error:
            tell(params, x, error)
            raise
        if not is_transformed(found):
            with outside_transforms():
                tell(params, x, found)
            self.first = None
        return found

    def _outputs(self, params: Tensor, x: Tensor) -> Tensor:
        if not self.reason:
            try:
                found = vmap(self.measure, (None, 0))(params.clone(), x.clone())
                if self._imaginary_unseen and not is_transformed(params, x):
                    with torch.no_grad():
                        self.measure(params, x[0])
                return found
            except UnsupportedModelError:
                raise
            except Exception as error:  # what vmap cannot run, or the QNode's own error, which comes again
                found = outputs_by_rows(self.measure, params, x)
                self._run_by_rows(f"torch.func.vmap cannot run it ({type(error).__name__})")
                return found
        return outputs_by_rows(self.measure, params, x)

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor | None:
        if is_transformed(params, x) or len(x) == 0:
            return None
        x = self._rows(params, x)
        if not self.reason:
            with torch.no_grad():  # tells whether vmap runs it
                self.outputs(params, x[:1])
        return jacobian_by_rows(self.measure, params, x) if self.reason else None

    def _rows(self, params: Tensor, x: Tensor) -> Tensor:
        """Inputs in the dtype of the parameters, and where the QNode takes whole numbers alone in one wide enough."""
        if x.is_floating_point() or (x.dtype == torch.bool and not self.takes_floats):
            return x
        return x.to(params.dtype if self.takes_floats else torch.int64)

    def _run_by_rows(self, reason: str) -> None:
        self.reason = reason
        message = f"running row by row on default.qubit, which is slow: {reason}"
        warnings.warn(message, SlowBackendWarning, stacklevel=2)

    def weights(self, params: Tensor) -> dict[str, Tensor]:
        """The flat vector (p,) as the QNode's keyword arguments."""
        return {name: params[self._blocks[name]].reshape(shape) for name, shape in self._shapes.items()}

    def tape(self, params: Tensor, row: Tensor) -> qml.tape.QuantumScript:
        """What the QNode queues for one row."""
        import pennylane as qml  # here, so that programs can do without

        return qml.workflow.construct_tape(self._qnode, level="user")(**{INPUTS: row}, **self.weights(params))

    def measure(self, params: Tensor, row: Tensor) -> Tensor:
        """Outputs (c,) of one row, by a plain call of the QNode; those of nested results one after the other."""
        with self.within():
            results, _ = tree_flatten(self._qnode(**{INPUTS: row}, **self.weights(params)))
        outputs = torch.cat([torch.as_tensor(r).reshape(-1) for r in results])
        return (self._real(outputs) if outputs.is_complex() else outputs).to(params.dtype)

    def _real(self, outputs: Tensor) -> Tensor:
        """Outputs of a complex dtype, as of observables with coefficients such as 1+0j, without their rounding."""
        self._imaginary_unseen = is_transformed(outputs)
        if not self._imaginary_unseen:
            largest = max(1.0, float(outputs.detach().abs().max()))
            rounding = 1e-12 if outputs.dtype == torch.complex128 else 1e-5
            require(
                bool((outputs.detach().imag.abs() <= rounding * largest).all()), "qnode",
                "return expectation values or probabilities", "returning complex numbers", UnsupportedModelError,
            )  # fmt: skip
        return outputs.real


@final
@dataclass(frozen=True, eq=False)
class LoweredBackend(Backend):
    """A lowered circuit: the adjoint simulator, or another engine."""

    circuit: LoweredCircuit | ReadCircuit

    @property
    def num_wires(self) -> int:
        return self.circuit.num_wires

    def outputs(self, params: Tensor, x: Tensor) -> Tensor:
        return self.circuit.outputs(params, _flat(x, params))

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor | None:
        return self.circuit.jacobian(params, _flat(x, params))

    def lane_outputs(self, params: Tensor, x: Tensor) -> Tensor | None:
        """Outputs (l, n, c) at many parameter vectors (l, p); None where there is no faster way than one by one."""
        if isinstance(self.circuit, ReadCircuit):
            return None
        return self.circuit.lane_outputs(params, _flat(x, params))

    def pulled_back(self, params: Tensor, x: Tensor, cotangent: Tensor) -> Tensor | None:
        """J^T u (p,) for u (n, c); None where the formulas of the angles are not known."""
        if isinstance(self.circuit, ReadCircuit):
            return None
        return self.circuit.pulled_back(params, _flat(x, params), cotangent)

    def second_derivative(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor | None:
        """D^2 h[v, v] (n, c) for v (p,); None where angles are not linear in each parameter."""
        if isinstance(self.circuit, ReadCircuit):
            return None
        return self.circuit.second_derivative(params, _flat(x, params), tangent)

    def truncation_error(self, params: Tensor, x: Tensor) -> PropagationError:
        """What dropping words may have changed, for an engine that propagates them."""
        engine = self.circuit.for_params
        assert isinstance(engine, PauliCircuit)
        assert isinstance(self.circuit, LoweredCircuit)
        with torch.no_grad():
            angles = self.circuit.angle_values(params, _flat(x, params))
        return engine.error(*(part.numpy() for part in angles))

    @property
    def differentiates_twice(self) -> bool:
        """Whether there is a rule for second derivatives: on the adjoint simulator, of outputs that are its own."""
        plain = isinstance(self.circuit, LoweredCircuit)
        return plain and isinstance(self.circuit.for_params, RotationCircuit | ConeCircuit)

    @torch.no_grad()
    def hvp(self, params: Tensor, x: Tensor, weights: Tensor, tangent: Tensor) -> Tensor:
        """H v (p,), of the sum of outputs with weights (n, c)."""
        assert isinstance(self.circuit, LoweredCircuit)
        return self.circuit.hessian_products(params, _flat(x, params), weights, tangent.unsqueeze(0))[0]

    @torch.no_grad()
    def hessian(self, params: Tensor, x: Tensor, weights: Tensor | None) -> Tensor:
        """H (p, p) of that sum, or of every output, (n, c, p, p)."""
        assert isinstance(self.circuit, LoweredCircuit)
        return self.circuit.hessian(params, _flat(x, params), weights)


def _flat(x: Tensor, params: Tensor) -> Tensor:
    """Rows (n, d) in the dtype of the parameters: whole numbers become what the QNode computes with."""
    return x.reshape(len(x), math.prod(x.shape[1:])).to(params.dtype)


def changes_with_row(backend: TorchBackend, num_params: int, row: tuple[int, ...]) -> bool:
    """Whether some rows give different tapes, gate by gate and angle by angle; True where that cannot be told."""
    params = torch.linspace(0.3, 2.9, num_params, dtype=torch.float64)
    found: list[Any] = []
    for probe in _probe_rows(row):
        with contextlib.suppress(Exception):  # a row that this QNode does not admit
            found.append(_description(backend.tape(params, probe)))
        if any(other != found[0] for other in found[1:]):
            return True
    return len(found) < 2


def _probe_rows(row: tuple[int, ...]) -> Iterator[Tensor]:
    """Rows within (0, 1), constant ones far apart, at random, of zeros and ones, and of length one."""
    size = math.prod(row)
    yield from torch.linspace(0.1, 0.9, 2 * size, dtype=torch.float64).reshape(2, *row)
    yield from (torch.full(row, value, dtype=torch.float64) for value in (-3.1, -1.6, -0.4, 1.7, 3.2))
    chance = torch.Generator().manual_seed(0)
    yield from 8 * torch.rand(4, *row, generator=chance, dtype=torch.float64) - 4
    yield from torch.randint(2, (4, *row), generator=chance)
    wide = torch.rand(2, max(size, 1), generator=chance, dtype=torch.float64)[:, :size]
    yield from torch.nn.functional.normalize(wide, dim=1).reshape(2, *row)


def _description(tape: qml.tape.QuantumScript) -> list[Any]:
    angles = [torch.as_tensor(p).tolist() for p in tape.get_parameters(trainable_only=False)]
    return [*((op.name, op.wires.tolist()) for op in tape.operations), angles]


def _numbers(tensor: Tensor | None) -> NDArray[np.float64] | None:
    if tensor is None:
        return None
    if is_transformed(tensor) or not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
        return None
    with outside_transforms():  # of another tensor
        return tensor.detach().to("cpu", torch.float64).numpy().copy()
