"""A circuit as a function of parameters and inputs: its angles in plain torch, and an engine that takes them.

The engine is the adjoint simulator, or whatever else gives dF/dangle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NoReturn, final

import torch
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, refuse, require_shape
from qlazy.base.torch_private import gradients_along, is_transformed, jacrev, outside_transforms, vmap
from qlazy.quantum.backends.angles import AngleMap, Layout
from qlazy.quantum.backends.autograd import MakeEngine, derivatives, outputs, weighted
from qlazy.quantum.program.expression import Constant, Expression
from qlazy.quantum.second_derivatives import (
    Engine,
    Many,
    ProductRates,
    WithLanes,
    angle_hessians,
    lane_rates,
)
from qlazy.simulator.branching.circuit import BranchedCircuit
from qlazy.simulator.cones.circuit import ConeCircuit, by_cones
from qlazy.simulator.cones.cones import Cones, find_cones
from qlazy.simulator.observables import Observable
from qlazy.simulator.operations import Channel, Operation, PauliRotation
from qlazy.simulator.rotations import RotationCircuit

MAX_WIRES = 24
"""Wires of one state that is held in memory."""
MAX_DECLARED = 20_000
"""Wires of a circuit that is looked at at all."""
LANE_BYTES = 2**26
"""The size of one tensor of second derivatives that is made at a time."""
ANGLES_WORTH = 2
"""How many angles to a parameter may move for all pairs of angles to be cheaper than all directions of parameters."""


def require_wires(count: int, name: str = "qnode", most: int = MAX_WIRES) -> None:
    """Refuse a circuit on more wires than what is to run it takes."""
    if count > most:
        size = f": a state would take {_size(count)}" if most == MAX_WIRES else ""
        refuse(name, f"have at most {most:,} wires", f"one of {count:,}{size}", UnsupportedModelError)


def require_cones(lowering: Lowering, name: str = "qnode") -> None:
    """Refuse a circuit with a light cone whose state would not fit in memory."""
    if lowering.num_wires > MAX_WIRES and lowering.cones.width > MAX_WIRES:
        widest = lowering.cones.widest
        assert widest is not None
        must = f"have at most {MAX_WIRES} wires, or light cones of at most so many, or backend='paulis'"
        actual = (
            f"one of {lowering.num_wires:,} with a cone of {widest.size} (the widest, of output {widest.output}, "
            f"{widest.name}): a state would take {_size(widest.width)}"
        )
        refuse(name, must, actual, UnsupportedModelError)


def _size(wires: int) -> str:
    return f"{2.0 ** (wires - 26):g} GiB" if wires < 60 else f"2^{wires - 26} GiB"


@dataclass(frozen=True, eq=False)
class Lowering:
    """A circuit as the simulator takes it: operations, the formula of each rotation's angle, observables."""

    num_wires: int
    operations: tuple[Operation, ...]
    formulas: tuple[Expression | None, ...]  # one for each operation; None where it has no angle
    observables: tuple[Observable, ...]
    layout: Layout

    @property
    def is_noisy(self) -> bool:
        """Whether there are noise channels among the operations."""
        return any(isinstance(operation, Channel) for operation in self.operations)

    @cached_property
    def cones(self) -> Cones:
        """The light cones of all outputs."""
        return find_cones(self.num_wires, self.operations, self.observables)


@final
class LoweredCircuit:
    """A lowered circuit, run by an engine: the adjoint simulator by light cones unless another is given."""

    def __init__(self, lowering: Lowering, make: MakeEngine | None = None) -> None:
        self._make, self._lowering = make, lowering

    @cached_property
    def angles(self) -> AngleMap:
        """The angles as functions of parameters and rows, compiled when they are first asked for."""
        formulas = [f for f in self._lowering.formulas if f is not None and not isinstance(f, Constant)]
        with outside_transforms():
            return AngleMap(formulas, self._lowering.layout)

    @property
    def lowering(self) -> Lowering:
        """Operations, formulas and observables, as they were compiled."""
        return self._lowering

    def run_by(self, make: MakeEngine) -> LoweredCircuit:
        """The same circuit on another engine."""
        return LoweredCircuit(self._lowering, make)

    @property
    def num_wires(self) -> int:
        return self._lowering.num_wires

    @property
    def updates(self) -> int:
        """Updates of an amplitude that the widest light cone, or all branches, take for one row, at most."""
        engine = self.for_params
        if isinstance(engine, BranchedCircuit):
            return engine.updates
        width = min(self.lowering.num_wires, self.lowering.cones.width)
        return max(2**width, 1) * len(self.lowering.operations)

    def gradient_flops(self, samples: int) -> int | None:
        """Of the gates in one sweep forward and back; None on engines that do not sweep."""
        engine = self.for_params
        return engine.gradient_flops(samples) if isinstance(engine, RotationCircuit | ConeCircuit) else None

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the weights and data that its angles use."""
        formulas = [formula for formula in self._lowering.formulas if formula is not None]
        return frozenset(name for formula in formulas for name, _ in formula.elements)

    @cached_property
    def for_params(self) -> Engine:
        """Differentiates the angles that depend on a parameter."""
        return self._compiled(self.angles.trainable)

    @cached_property
    def for_all(self) -> Engine:
        """Differentiates every angle: for gradients with respect to inputs too."""
        return self._compiled([True] * len(self.angles.sampled))

    def outputs(self, params: Tensor, x: Tensor) -> Tensor:
        """Expectation values (n, c) for parameters (p,) and rows (n, d)."""
        return outputs(self._engine(x), *self.angle_values(params, x))

    def lane_outputs(self, params: Tensor, x: Tensor) -> Tensor | None:
        """Outputs (l, n, c) at many parameter vectors (l, p), in one run; None on engines without lanes.

        Angles of both weights and data alone go through ``torch.func``: all else takes the way of one vector.
        """
        engine = self._engine(x)
        if not isinstance(engine, WithLanes):
            return None
        shared = self.angles.shared_on_lanes(params, x)
        if any(is_sampled and moves for is_sampled, moves in self.angles.kinds):
            sampled, dim = vmap(lambda w: self.angle_values(w, x)[1])(params), 0
        else:  # of data alone
            sampled, dim = self.angle_values(params[0].detach(), x)[1], None
        many = Many(engine, len(params), (0, dim), shared, sampled)
        return outputs(many.engine, many.none, many.angles).unflatten(0, (len(params), len(x)))

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor:
        """Derivatives (n, c, p), from one sweep and the formulas of the angles."""
        by_shared, by_sampled = derivatives(self._engine(x), *self.angle_values(params, x))
        return self.angles.partials.pull(by_shared, by_sampled, params, x)

    def pulled_back(self, params: Tensor, x: Tensor, cotangent: Tensor) -> Tensor:
        """J^T u (p,) for u (n, c), without a graph: one sweep, and autograd through the angles."""
        engine = self.for_params
        require_shape("cotangent", cotangent, (len(x), engine.num_outputs))
        with torch.enable_grad():
            leaf = params.detach().requires_grad_()
            angles = self.angle_values(leaf, x)
            found = weighted(engine, cotangent, *(part.detach() for part in angles))
            pairs = [pair for pair in zip(angles, found, strict=True) if pair[0].requires_grad]
            return gradients_along(pairs, [leaf])[0] if pairs else torch.zeros_like(params)

    def second_derivative(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor | None:
        """D^2 h[v, v] (n, c) for v (p,), without a graph; None where angles are not linear in each parameter.

        With the angles moving by t = J_a v it is the rate of J t along t.
        """
        partials = self.angles.partials
        if partials.second:
            return None
        with torch.no_grad():
            along = [part[0] for part in partials.push(tangent.unsqueeze(0), params, x)]
            still = [torch.zeros_like(part) for part in along]
            return ProductRates.apply(self.for_params, *self.angle_values(params, x), *along, *along, *still)

    def hessian_products(
        self, params: Tensor, x: Tensor, weights: Tensor | None, directions: Tensor
    ) -> Tensor:
        """H v for directions v (k, p): (k, p) of sum(weights * outputs), or (n, c, k, p) of every output.

        J_a^T H_a J_a v + sum_a g_a D^2 a v, with a the angles, J_a their derivatives, and g_a, H_a those of the outputs
        by them. The engine is the adjoint simulator, which has second derivatives in lanes.
        """
        engine, partials = self.for_params, self.angles.partials
        assert isinstance(engine, RotationCircuit | ConeCircuit)
        angles, sums = self.angle_values(params, x), self._sums(params, x, weights)
        by_shared, by_sampled = lane_rates(engine, sums, angles, partials.push(directions, params, x))
        pulled = partials.pull(by_shared.flatten(1, 2), by_sampled.flatten(1, 2), params, x)
        products = pulled.unflatten(1, (sums.shape[1], len(directions)))
        if partials.second:
            shared, sampled = (torch.einsum("nwc,nca->nwa", sums, d) for d in derivatives(engine, *angles))
            products = products + partials.second.contract(shared, sampled, directions, params, x)
        return products if weights is None else products.sum((0, 1))

    def hessian(self, params: Tensor, x: Tensor, weights: Tensor | None) -> Tensor:
        """H (p, p) of sum(weights * outputs), or (n, c, p, p) of every output, some samples or directions at a time.

        Of all angles from one way back for each; where they or what they take are too many, along the parameters.
        """
        angles, moving = len(self.angles.kinds), sum(moves for _, moves in self.angles.kinds)
        sums, number = self.for_params.num_outputs if weights is None else 1, params.element_size()
        size = LANE_BYTES // max(1, sums * angles**2 * number)
        if moving > ANGLES_WORTH * len(params) or not size:
            size = max(1, LANE_BYTES // (max(1, len(x)) * sums * len(params) * number))
            units = torch.eye(len(params), dtype=params.dtype).split(size)
            return torch.cat([self.hessian_products(params, x, weights, some) for some in units], dim=-2)
        if weights is None:
            return torch.cat([self._by_angles(params, rows, None) for rows in x.split(size)])
        pairs = zip(x.split(size), weights.split(size), strict=True)
        return torch.stack([self._by_angles(params, *pair) for pair in pairs]).sum(0)

    def _by_angles(self, params: Tensor, x: Tensor, weights: Tensor | None) -> Tensor:
        """J_a^T H_a J_a + sum_a g_a D^2 a."""
        engine, partials = self.for_params, self.angles.partials
        assert isinstance(engine, RotationCircuit | ConeCircuit)
        angles, sums = self.angle_values(params, x), self._sums(params, x, weights)
        counts = [part.shape[-1] for part in angles]
        second = angle_hessians(engine, sums, angles)
        first = None
        if partials.second:
            first = torch.cat(
                [torch.einsum("nwc,nca->nwa", sums, d) for d in derivatives(engine, *angles)], -1
            )
        if weights is not None and len(x) and not any(map(all, self.angles.kinds)):  # all samples move alike
            x, second = x[:1], second.sum(0, keepdim=True)
            first = None if first is None else first.sum(0, keepdim=True)

        def pulled(rows: Tensor) -> Tensor:
            """(n, w, k, S + T) as (n, w, k, p)."""
            by_shared, by_sampled = rows.flatten(1, 2).split(counts, -1)
            return partials.pull(by_shared, by_sampled, params, x).unflatten(1, rows.shape[1:3])

        found = pulled(pulled(second).transpose(2, 3))
        if first is not None:
            by_shared, by_sampled = first.split(counts, -1)
            units = torch.eye(len(params), dtype=params.dtype)
            found = found + partials.second.contract(by_shared, by_sampled, units, params, x)
        return found if weights is None else found.sum((0, 1))

    def _sums(self, params: Tensor, x: Tensor, weights: Tensor | None) -> Tensor:
        """Weights (n, w, c) of w sums of outputs: the one given, or each output alone."""
        outputs = self.for_params.num_outputs
        if weights is None:
            return torch.eye(outputs, dtype=params.dtype).expand(len(x), -1, -1)
        require_shape("cotangent", weights, (len(x), outputs))
        return weights.unsqueeze(1)

    def _engine(self, x: Tensor) -> Engine:
        # Inside a transform of torch.func there is no telling cheaply, and too many derivatives are never wrong.
        return self.for_all if x.requires_grad or is_transformed(x) else self.for_params

    def angle_values(self, params: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """The angles that all samples share, (S,), and those of each sample, (n, T)."""
        sampled = self.angles.sampled_values(params, x)
        # Without a sampled angle the empty (n, 0) still says how many samples there are.
        return self.angles.shared_values(params, x), sampled if sampled.ndim == 2 else x.new_empty(len(x), 0)

    def _compiled(self, wanted: Sequence[bool]) -> Engine:
        lowering = self._lowering
        flags = iter(zip(self.angles.sampled, wanted, strict=True))
        operations = [
            operation if formula is None else _with_angle(operation, formula, flags)
            for operation, formula in zip(lowering.operations, lowering.formulas, strict=True)
        ]
        if self._make is not None:
            return self._make(lowering.num_wires, operations, lowering.observables)
        cones = lowering.cones if lowering.num_wires > MAX_WIRES else None
        return by_cones(lowering.num_wires, operations, lowering.observables, cones)


def _with_angle(operation: Operation, formula: Expression, flags: Any) -> Operation:
    assert isinstance(operation, PauliRotation)
    if isinstance(formula, Constant):
        return replace(operation, angle=formula.value)
    sampled, wanted = next(flags)
    return replace(operation, sampled=sampled, wanted=wanted)


Compute = Callable[[Tensor, Tensor], Tensor]
"""Results (..., m) of circuits and coefficients (..., k) to outputs (..., c), sample by sample."""


@final
class ReadCircuit:
    """Lowered circuits, and what their results and coefficients, formulas of weights and data, are made into."""

    def __init__(
        self,
        circuits: Sequence[LoweredCircuit],
        compute: Compute,
        coefficients: Sequence[Expression],
        layout: Layout,
    ) -> None:
        self._circuits, self._compute, self._layout = tuple(circuits), compute, layout
        self._formulas = tuple(coefficients)

    def run_by(self, make: MakeEngine) -> ReadCircuit:
        """The same circuits on another engine."""
        circuits = [circuit.run_by(make) for circuit in self._circuits]
        return ReadCircuit(circuits, self._compute, self._formulas, self._layout)

    @cached_property
    def _coefficients(self) -> AngleMap:
        with outside_transforms():
            return AngleMap(self._formulas, self._layout)

    @property
    def lowering(self) -> NoReturn:
        """There is none: raises UnsupportedModelError."""
        must = "be one circuit of unitary gates and expectation values with constant coefficients"
        refuse("circuit", must, "one whose outputs are computed from several", UnsupportedModelError)

    @property
    def num_wires(self) -> int:
        return max(circuit.lowering.num_wires for circuit in self._circuits)

    @property
    def updates(self) -> int:
        """As :attr:`LoweredCircuit.updates`, of all circuits."""
        return sum(circuit.updates for circuit in self._circuits)

    def gradient_flops(self, samples: int) -> int | None:
        """As :meth:`LoweredCircuit.gradient_flops`, of all circuits."""
        found = [circuit.gradient_flops(samples) for circuit in self._circuits]
        return None if None in found else sum(one for one in found if one is not None)

    @property
    def inputs(self) -> frozenset[str]:
        """The names of the weights and data that angles and coefficients use."""
        named = frozenset(name for formula in self._formulas for name, _ in formula.elements)
        return named.union(*(circuit.inputs for circuit in self._circuits))

    @property
    def for_params(self) -> tuple[Engine, ...]:
        return tuple(circuit.for_params for circuit in self._circuits)

    def outputs(self, params: Tensor, x: Tensor) -> Tensor:
        """Outputs (n, c) for parameters (p,) and rows (n, d)."""
        return self._compute(self._results(params, x), self._values(params, x))

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor:
        """Derivatives (n, c, p), by the chain rule through the results and the coefficients."""
        by_result, by_coefficient = vmap(jacrev(self._compute, (0, 1)))(
            self._results(params, x), self._values(params, x)
        )
        slopes = torch.cat([circuit.jacobian(params, x) for circuit in self._circuits], 1)
        if not self._formulas:
            return by_result @ slopes
        is_sampled = torch.tensor(self._coefficients.sampled)
        parts = by_coefficient[..., ~is_sampled], by_coefficient[..., is_sampled]
        return by_result @ slopes + self._coefficients.partials.pull(*parts, params, x)

    def _results(self, params: Tensor, x: Tensor) -> Tensor:
        return torch.cat([circuit.outputs(params, x) for circuit in self._circuits], 1)

    def _values(self, params: Tensor, x: Tensor) -> Tensor:
        """Coefficients (n, k), in order."""
        angles = self._coefficients
        if not self._formulas:
            return params.new_empty(len(x), 0)
        shared = angles.shared_values(params, x).expand(len(x), -1)
        if not any(angles.sampled):
            return shared
        order = torch.argsort(torch.tensor(angles.sampled, dtype=torch.int8), stable=True)
        return torch.cat([shared, angles.sampled_values(params, x)], 1)[:, torch.argsort(order)]
