"""A quantum circuit as a model, and as a layer of a torch module."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, final, get_args

import torch
from torch import Tensor, nn

from qlazy.base.errors import (
    UnsupportedModelError,
    generator_or_seed,
    require,
    require_choice,
    require_generator,
    require_instance,
    require_real_dtype,
    whole_of,
)
from qlazy.base.identity import UnkeyedError
from qlazy.base.torch_private import is_differentiated, is_transformed, vmap, within_transform
from qlazy.models.model import (
    Model,
    blocks_of,
    require_cotangent,
    require_hessian,
    require_params,
)
from qlazy.quantum.backends.backend import ADJOINT, BRANCHES, LoweredBackend
from qlazy.quantum.backends.lowered import LoweredCircuit, Lowering
from qlazy.quantum.backends.programs import without_last_measurements
from qlazy.quantum.chosen_backends import ChosenBackends
from qlazy.quantum.interop.qnode_checks import require_qnode, require_signature
from qlazy.quantum.program.program import Program
from qlazy.simulator.cones.cones import Cones
from qlazy.simulator.paulis.circuit import PropagationError
from qlazy.simulator.paulis.propagation import Truncation

if TYPE_CHECKING:
    import pennylane as qml

WITH_LANES = ADJOINT, BRANCHES
"""Backends that run many vectors of parameters as one batch."""
DTYPES = (torch.float64, torch.float32)
BackendName = Literal["auto", "adjoint", "branches", "torch", "lightning", "device", "paulis"]


@final
class Circuit(Model):
    """A QNode seen as a function of one flat vector of weights: outputs are its measurements.

    ``weight_shapes`` follows PennyLane's TorchLayer: the QNode's data argument is called ``inputs``, every
    other argument is a weight with a shape, given as an integer or a tuple. ``inputs`` is one row of x.
    Angles are in radians with the half-angle convention exp(-i theta P / 2); ``init`` draws every weight
    uniformly from [0, 2 pi). float64 by default; outputs follow the dtype of the parameters.

    ``backend`` is how the circuit is run. "adjoint", qlazy's own simulator, takes any exact circuit of
    unitary gates; "branches" any that measures and goes on according to the results, exactly;
    "torch" runs default.qubit under vmap, for third derivatives. "auto"
    takes the first that can, with a warning where that is not the first; ``circuit.backend`` tells which.
    Only by name: "lightning" is lightning.qubit's adjoint method, whose memory does not grow with the batch;
    "device" is the QNode's own device with its shots and noise, differentiated by parameter shifts. With shots
    every call measures anew, from the device's seed: results are random, outputs and Jacobian unbiased,
    and what is quadratic in a Jacobian, a kernel for instance, is not.
    "paulis" propagates Pauli words, for circuits whose light cones are too wide for states: exact while the words fit
    in memory, and otherwise with coefficients under ``cutoff`` and words of more than ``max_weight`` letters dropped;
    :meth:`truncation_error` bounds what that may have changed. It takes noise too: channels of
    fixed strength on one wire each, in a QNode on default.mixed.

    Raises UnsupportedModelError for a QNode that cannot be differentiated exactly, sample by sample.

    Raises TypeError for what is no QNode, ValueError for shapes of weights that are not those of its arguments and for
    an unknown ``backend``.
    """

    def __init__(
        self,
        qnode: qml.QNode | Program,
        weight_shapes: Mapping[str, int | Sequence[int]],
        *,
        backend: BackendName = "auto",
        cutoff: float = 0.0,
        max_weight: int | None = None,
    ) -> None:
        require_choice("backend", backend, get_args(BackendName))
        named = isinstance(weight_shapes, Mapping) and all(isinstance(name, str) for name in weight_shapes)
        must = "be a dict of names to shapes, such as {'weights': (3, 2)}"
        require(named, "weight_shapes", must, weight_shapes, TypeError)
        self._truncation = _truncation(backend, cutoff, max_weight)
        self._shapes = {name: _shape(name, size) for name, size in weight_shapes.items()}
        if not isinstance(qnode, Program):
            require_qnode(qnode, backend)
            require_signature(qnode, self._shapes)
        self._source = without_last_measurements(qnode) if isinstance(qnode, Program) else qnode
        self.program = qnode if isinstance(qnode, Program) else None
        must = "name at least one weight"
        require(self.num_params >= 1 or self.program, "weight_shapes", must, weight_shapes)
        self._wanted = backend
        self.retrace()

    @classmethod
    def from_program(
        cls,
        program: Program,
        *,
        backend: BackendName = "auto",
        cutoff: float = 0.0,
        max_weight: int | None = None,
    ) -> Circuit:
        """The circuit of an OpenQASM 3 program: its weights in declared order, one row of x for its data."""
        circuit = cls(program, program.weights, backend=backend, cutoff=cutoff, max_weight=max_weight)
        circuit._chosen.choose((program.num_features,))
        return circuit

    @property
    def qnode(self) -> qml.QNode:
        """The circuit as a QNode; that of a program is made when it is first asked for."""
        return self._chosen.qnode

    @property
    def num_params(self) -> int:
        return sum(math.prod(shape) for shape in self._shapes.values())

    @property
    def blocks(self) -> Mapping[str, slice]:
        return blocks_of({name: math.prod(shape) for name, shape in self._shapes.items()})

    @property
    def weight_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The QNode's weights in order, with their shapes."""
        return self._shapes

    @property
    def backend(self) -> str:
        """How the circuit is run: "auto" until the shape of its inputs is known, from the first call."""
        return self._wanted if self._chosen.first is None else self._chosen.first[1].name

    @property
    def cones(self) -> Cones:
        """The light cones of the outputs: the wires that each depends on, of which the widest says what a call costs.

        Known once the circuit has run, for the shape of the inputs of its first call; a program's at once. Raises
        UnsupportedModelError for a circuit that measures on its way.
        """
        row = self.row
        require(row is not None, "circuit", "have run once, which tells the shape of its inputs", repr(self))
        assert row is not None
        return self.lowering(torch.empty(0, *row)).cones

    @property
    def row(self) -> tuple[int, ...] | None:
        """The shape of a row of inputs, that of the first call; None before it. A program's is known at once."""
        return None if self._chosen.first is None else self._chosen.first[0]

    @property
    def backend_reason(self) -> str:
        """Why "auto" did not take the adjoint simulator, why rows run one by one, and what could not be checked.

        And where states live, once parameters on another device than the CPU were given.
        Empty where none is the case: outputs and a derivative were then the same as those of plain calls.
        """
        return self._chosen.reason

    def init(self, generator: torch.Generator | int) -> Tensor:
        generator = generator_or_seed(generator)
        uniform = torch.rand(
            self.num_params, generator=generator, dtype=torch.float64, device=generator.device
        )
        return 2 * math.pi * uniform

    def check(self, params: Tensor, x: Tensor) -> None:
        super().check(params, x)
        require(params.dtype in DTYPES, "params", "be float64 or float32", params.dtype)
        require(not x.is_complex(), "x", "be real", x.dtype)
        for name, tensor in (("params", params), ("x", x)):
            require(not tensor.is_neg(), name, "have its signs resolved (`.resolve_neg()`)", "a negated view")
        if self._chosen.are_outdated(x):
            self.retrace()
        self._chosen.choice(params, x)

    def rounded(self, generator: torch.Generator | None = None) -> Circuit:
        """The circuit with coefficients under its ``cutoff`` rounded by chance, to 0 or to the cutoff, at every call.

        Outputs and Jacobians are then random, and right in the mean: ``qlazy.kernels.shots.measured_kernel`` makes a
        kernel without bias of them, with error bars, as from shots. Chance follows ``generator``. Raises
        UnsupportedModelError without backend="paulis" and a cutoff, or with a ``max_weight``, which has a bias.
        """
        must = "have backend='paulis' and a cutoff, and no max_weight"
        fits = self._truncation.cutoff > 0 and not self._truncation.by_weight
        require(fits, "circuit", must, repr(self), UnsupportedModelError)
        if generator is None:
            generator = torch.Generator()
            generator.seed()
        require_generator(generator)
        circuit = copy.copy(self)
        circuit._truncation = self._truncation._replace(
            seed=int(torch.randint(2**62, (), generator=generator))
        )
        circuit.retrace()
        return circuit

    def truncation_error(self, params: Tensor, x: Tensor) -> PropagationError:
        """What backend "paulis" may have changed by dropping words, and how many are left, (n, c) each.

        ``bound``, on the error of an output, is the sum of the coefficients dropped, in size: no expectation is larger
        than 1. ``slope_bound``, on that of its derivative by any angle, is the sum of majorants of their derivatives.
        """
        self.check(params, x)
        backend = self._chosen.choice(params, x).backend
        must = "have backend='paulis'"
        require(self.backend == "paulis", "circuit", must, repr(self), UnsupportedModelError)
        assert isinstance(backend, LoweredBackend)
        return backend.truncation_error(params, x)

    def retrace(self) -> None:
        """Forget how the circuit was traced: the next call looks at the QNode anew.

        Calls do so themselves where a number, array or tensor has changed that the QNode's function or its transforms
        read from closures, globals or objects, themselves or in functions they call; not where it lies outside of
        Python's names: in a file, in a library's own settings, or deep within a library's object.
        """
        self._chosen = ChosenBackends(self._source, self._shapes, self._wanted, self._truncation)

    def keyed_by(self, x: Tensor | None) -> object:
        """What decides the results: gates, formulas of angles and observables for rows like those of ``x``.

        Without ``x``, and where the circuit does not become a list of gates, the program or the QNode's function.
        Raises UnkeyedError for backend "device", whose shots and noise are not known here.
        """
        if self._wanted == "device":
            raise UnkeyedError("a circuit with backend='device', whose shots and noise are not known")
        return self._shapes, self._truncation, self._wanted, self._structure(x)

    def _structure(self, x: Tensor | None) -> object:
        if x is not None:
            with contextlib.suppress(UnsupportedModelError):
                found = self._chosen.gates(x)
                return (
                    self._chosen.choice(None, x).name, found.num_wires, found.operations, found.formulas,
                    found.observables, found.layout,
                )  # fmt: skip
        if isinstance(program := self._source, Program):
            parts = (program.operations, program.observables, program.loops)
            return program.num_qubits, dict(program.weights), dict(program.data), parts
        return (
            self._chosen.function,
            self.qnode.device.name,
            [str(wire) for wire in self.qnode.device.wires or ()],
        )

    def forward(self, params: Tensor, x: Tensor) -> Tensor:
        return self._chosen.backend(params, x).outputs(params, x)

    def on_lanes(self, x: Tensor) -> Callable[[Tensor], Tensor] | None:
        if x.device.type != "cpu" or self._chosen.choice(None, x).name not in WITH_LANES:
            return None
        mapped = vmap(lambda params: self(params, x))

        def outputs(params: Tensor) -> Tensor:
            backend = self._chosen.backend(params[0], x)
            found = backend.lane_outputs(params, x) if isinstance(backend, LoweredBackend) else None
            return mapped(params) if found is None else found

        return outputs

    def lane_work(self, params: Tensor, x: Tensor) -> int:
        choice = self._chosen.choice(params, x)
        if choice.name not in WITH_LANES:
            return super().lane_work(params, x)
        assert isinstance(choice.backend, LoweredBackend)
        return len(x) * choice.backend.circuit.updates

    def gradient_flops(self, params: Tensor, x: Tensor) -> int | None:
        """Of the gates in the adjoint simulator's sweep, forward and back; None on other backends."""
        choice = self._chosen.choice(params, x)
        if choice.name != "adjoint":
            return None
        assert isinstance(choice.backend, LoweredBackend)
        return choice.backend.circuit.gradient_flops(len(x))

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor:
        require_params("model", self)
        self.check(params, x)
        jacobian = self._chosen.backend(params, x, differentiated=True).jacobian(params, x)
        return super().jacobian(params, x) if jacobian is None else jacobian

    def vjp(self, params: Tensor, x: Tensor, cotangent: Tensor) -> Tensor:
        require_params("model", self)
        self.check(params, x)
        require_cotangent(params, x, cotangent)
        backend = self._unrecorded(params, x, cotangent)
        found = None if backend is None else backend.pulled_back(params, x, cotangent)
        return super().vjp(params, x, cotangent) if found is None else found

    def second_derivative(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        self.check_second(params, x, None, tangent)
        backend = self._unrecorded(params, x, tangent)
        found = None if backend is None else backend.second_derivative(params, x, tangent)
        return super().second_derivative(params, x, tangent) if found is None else found

    def hvp(self, params: Tensor, x: Tensor, cotangent: Tensor, tangent: Tensor) -> Tensor:
        self.check_second(params, x, cotangent, tangent)
        if (backend := self._second(params, x, cotangent, tangent)) is not None:
            return backend.hvp(params, x, cotangent, tangent)
        return super().hvp(params, x, cotangent, tangent)

    def hessian(self, params: Tensor, x: Tensor, cotangent: Tensor | None = None) -> Tensor:
        self.check_second(params, x, cotangent)
        require_hessian(self, params, x, cotangent)
        if (backend := self._second(params, x, *(() if cotangent is None else (cotangent,)))) is not None:
            return backend.hessian(params, x, cotangent)
        return super().hessian(params, x, cotangent)

    def _second(self, params: Tensor, x: Tensor, *given: Tensor) -> LoweredBackend | None:
        """The backend where it has a rule for second derivatives, and nothing is recorded."""
        plain = not (is_transformed(params, x, *given) or within_transform())
        recorded = torch.is_grad_enabled() and any(t.requires_grad for t in (params, x, *given))
        backend = self._chosen.backend(params, x, differentiated=True)
        if not plain or recorded or not isinstance(backend, LoweredBackend):
            return None
        return backend if backend.differentiates_twice else None

    def _unrecorded(self, params: Tensor, x: Tensor, given: Tensor) -> LoweredBackend | None:
        """What differentiates a list of gates, where nothing is recorded or transformed."""
        if len(x) == 0 or is_differentiated(params, x, given):
            return None
        backend = self._chosen.backend(params, x, differentiated=True)
        return backend if isinstance(backend, LoweredBackend) else None

    def measured(self, shots: int, generator: torch.Generator | None = None) -> Circuit:
        """The circuit with backend "device" and ``shots`` shots a circuit, one call independent of the next.

        On the QNode's own device where the backend is "device" already, from that device's seed; otherwise on
        default.qubit, seeded from ``generator`` or, without one, by chance. Raises UnsupportedModelError for an
        OpenQASM program that measures on its way: a QNode with ``qml.measure`` takes shots.
        """
        shots = whole_of("shots", shots, 1, "be at least 1")
        import pennylane as qml

        from qlazy.quantum.backends.choice import on_seeded_qubits

        is_circuit = not isinstance(self._source, Program) or self._source.is_unitary
        must = "be a QNode, or an OpenQASM program that does not measure on its way, to take shots"
        require(is_circuit, "model", must, repr(self), UnsupportedModelError)
        if self._wanted == "device":
            must = "be absent for backend='device', whose device has a seed of its own"
            require(generator is None, "generator", must, "given")
            qnode = self.qnode
        else:
            qnode = on_seeded_qubits(self.qnode, generator)
        return Circuit(qml.set_shots(qnode, shots), self._shapes, backend="device")

    def on_device(self, x: Tensor) -> LoweredCircuit:
        """What backend "device" runs for rows like those of ``x``. Raises UnsupportedModelError for another backend."""
        must = "have backend='device' (circuit.measured(shots) has)"
        require(self._wanted == "device", "model", must, repr(self), UnsupportedModelError)
        backend = self._chosen.differentiable(None, x).backend
        assert isinstance(backend, LoweredBackend)
        assert isinstance(backend.circuit, LoweredCircuit)
        return backend.circuit

    def lowering(self, x: Tensor) -> Lowering:
        """Gates, formulas of their angles and observables, for rows like those of ``x``; made once a shape of a row.

        Raises UnsupportedModelError for a circuit that is not one of unitary gates and linear measurements.
        """
        found, must = self._chosen.gates(x), "be one of unitary gates and expectation values"
        require(not found.is_noisy, "circuit", must, "one with noise channels", UnsupportedModelError)
        return found

    def __getstate__(self) -> dict[str, Any]:
        # How the circuit is run is chosen anew: compiled code and formulas do not travel.
        return {name: value for name, value in self.__dict__.items() if name != "_chosen"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self.retrace()

    def __repr__(self) -> str:
        name = self.program.name if self.program else getattr(self.qnode.func, "__name__", "qnode")
        return f"Circuit({name}, num_params={self.num_params}, backend={self.backend})"


class CircuitLayer(nn.Module):
    """A circuit as a torch module, for hybrid nets: ``Net(nn.Sequential(..., CircuitLayer(circuit), ...))``.

    Unlike PennyLane's TorchLayer its weights may be substituted, so that ``torch.func`` sees them. The layout is
    TorchLayer's: the last dimension of x is one row of ``inputs``, the others stay, (..., features) -> (..., c).

    Raises TypeError for what is no Circuit, ValueError for a dtype that is not float32 or float64.
    """

    def __init__(self, circuit: Circuit, *, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        must = "qlazy.Circuit(qnode, weight_shapes)"
        require_instance("circuit", circuit, Circuit, must)
        require_real_dtype("dtype", dtype)
        self.circuit = circuit
        self.weights = nn.Parameter(torch.empty(circuit.num_params, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new angles, uniformly from [0, 2 pi)."""
        nn.init.uniform_(self.weights, 0.0, 2 * math.pi)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 1:
            return self.circuit(self.weights, x.unsqueeze(0)).squeeze(0)
        outputs = self.circuit(self.weights, x.flatten(0, -2))
        return outputs.unflatten(0, x.shape[:-1])

    def __deepcopy__(self, memo: dict[int, Any]) -> CircuitLayer:
        # A circuit is a value, and QNodes do not always copy: share it. Nothing is drawn anew.
        layer = CircuitLayer.__new__(CircuitLayer)
        memo |= {id(self): layer, id(self.circuit): self.circuit}
        layer.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return layer


def _truncation(backend: str, cutoff: float, max_weight: int | None) -> Truncation:
    is_number = isinstance(cutoff, int | float) and not isinstance(cutoff, bool)
    require(is_number and 0 <= cutoff < math.inf, "cutoff", "be a number from 0 up", cutoff)
    is_count = isinstance(max_weight, int) and not isinstance(max_weight, bool) and max_weight >= 1
    require(max_weight is None or is_count, "max_weight", "be a positive integer or None", max_weight)
    must = "come with backend='paulis', which alone drops words"
    require(backend == "paulis" or cutoff == 0, "cutoff", must, f"with {backend!r}")
    require(backend == "paulis" or max_weight is None, "max_weight", must, f"with {backend!r}")
    truncation = Truncation(float(cutoff))
    return truncation if max_weight is None else truncation._replace(max_weight=max_weight)


def _shape(name: str, size: int | Sequence[int]) -> tuple[int, ...]:
    shape: tuple[Any, ...] = (size,)
    if isinstance(size, Iterable) and not isinstance(size, str | bytes):
        shape = tuple(size)
    fits = all(isinstance(s, Integral) and not isinstance(s, bool) and int(s) >= 1 for s in shape)
    require(fits, f"weight_shapes[{name!r}]", "be a positive integer or a tuple of them", size)
    return () if size == 1 else shape  # TorchLayer's convention: 1 is a scalar
