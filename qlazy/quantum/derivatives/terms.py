"""One program of a derivative, with the rule by which its runs are weighted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError, refuse
from qlazy.quantum.backends.branches import engine
from qlazy.quantum.backends.lowered import MAX_WIRES, LoweredCircuit, Lowering
from qlazy.quantum.backends.programs import layout_of, measured_sum
from qlazy.quantum.backends.unrolling import unroll_reading
from qlazy.quantum.program.classical import ClassicalError, resolve, variables_of
from qlazy.quantum.program.expression import Expression
from qlazy.quantum.program.partial_derivative import ZERO
from qlazy.quantum.program.printing import to_qasm
from qlazy.quantum.program.program import Program
from qlazy.quantum.program.walker import WalkError
from qlazy.simulator.branching.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Term:
    """The share of ``program`` in a derivative: the mean over its runs of the observable times ``weight``.

    ``weight`` is a formula of inputs and of what the variables of the program hold at its end. Often it is the
    same on all paths, and then a formula of inputs alone.
    """

    program: Program
    weight: Expression

    def to_qasm(self) -> str:
        """The program as OpenQASM 3. Raises UnsupportedModelError where the language has no words for it."""
        return to_qasm(self.program)

    def evaluate(self, params: Tensor, x: Tensor) -> Tensor:
        """The exact share (n, c) for parameters (p,) and rows (n, d).

        Raises UnsupportedModelError where the program is too large for the branch simulator.
        """
        values = input_values(self.program, params, x)
        total = params.new_zeros(len(x), self.program.num_outputs)
        for weight, circuit in self._parts:
            factor = torch.as_tensor(weight.evaluate(values), dtype=params.dtype)
            total = total + factor.reshape(-1, 1) * circuit.outputs(params, x)
        return total

    @cached_property
    def _parts(self) -> tuple[tuple[Expression, LoweredCircuit], ...]:
        """The runs that end with each weight, apart; those of weight zero are left out."""
        try:
            return tuple(self._by_weight())
        except (WalkError, ClassicalError) as error:
            refuse(
                "program", "be one that the branch simulator takes", f"not: {error}", UnsupportedModelError
            )

    def _by_weight(self) -> Iterator[tuple[Expression, LoweredCircuit]]:
        program = self.program
        if program.num_qubits > MAX_WIRES:
            actual = f"{program.num_qubits} qubits"
            refuse("program", f"have at most {MAX_WIRES} qubits", actual, UnsupportedModelError)
        (skeleton, operations, formulas), states = unroll_reading(
            variables_of(self.weight), program.operations, program.num_qubits, program.loops
        )
        groups: dict[Expression, list[int]] = {}
        for track, state in zip(skeleton.final, states, strict=True):
            groups.setdefault(resolve(self.weight, state), []).append(track)
        observables = tuple(measured_sum(observable) for observable in program.observables)
        lowering = Lowering(program.num_qubits, operations, formulas, observables, layout_of(program))
        for weight, tracks in groups.items():
            if weight != ZERO:
                part = Skeleton(program.num_qubits, skeleton.instructions, tuple(tracks))
                yield weight, LoweredCircuit(lowering, partial(engine, part))


def input_values(program: Program, params: Tensor, x: Tensor) -> Mapping[str, Tensor]:
    """The inputs of a program by name, flat in the last axis: weights from (p,), data from rows (n, d)."""
    values: dict[str, Tensor] = {}
    for shapes, flat in ((program.weights, params), (program.data, x)):
        sizes = [math.prod(shape) for shape in shapes.values()]
        starts = accumulate(sizes, initial=0)
        values |= {n: flat[..., i : i + size] for n, i, size in zip(shapes, starts, sizes, strict=False)}
    return values


class Estimate(NamedTuple):
    """An estimate and its standard error, both (n, c)."""

    value: Tensor
    error: Tensor
