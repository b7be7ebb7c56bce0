"""From operands of single operations to the stacks that a plan runs on, in NumPy.

Callers that differentiate through their operands build the same stacks in their own framework, from
`Family.members`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import require
from qlazy.simulator.compiling.families import Family
from qlazy.simulator.compiling.plan import Plan
from qlazy.simulator.compiling.steps import Factor, Kind, one_qubit_matrix
from qlazy.simulator.operations import Cnot, Flip, Operation, Swap, operand_shape

Operands = Mapping[int, Any]


def fuse_operands(plan: Plan, operations: Sequence[Operation], operands: Operands) -> list[NDArray[Any]]:
    """One stack for each family of the plan; ``operands`` maps the index of an operation to its numbers.

    ValueError if an operand is missing or has the wrong shape. Operations outside the light cone need none.
    """
    return [_stack(family, operations, operands) for family in plan.families]


def _stack(family: Family, operations: Sequence[Operation], operands: Operands) -> NDArray[Any]:
    members = [_member(family, factors, operations, operands) for factors in family.members]
    rank = len(family.operand_shape)
    if family.sampled:
        sizes = {member.shape[0] for member in members if member.ndim > rank}
        require(len(sizes) == 1, "operands", "have one number of samples", sorted(sizes))
        members = [
            np.broadcast_to(member, (*sizes, *member.shape[member.ndim - rank :])) for member in members
        ]
    return np.stack(members)


def _member(
    family: Family, factors: Sequence[Factor], operations: Sequence[Operation], operands: Operands
) -> NDArray[Any]:
    if family.kind is not Kind.FUSED:
        [index] = factors
        assert isinstance(index, int)
        return _operand(index, operations, operands)
    product = np.eye(2)
    for factor in factors:
        matrix = _factor_matrix(factor, operations, operands)
        product = matrix @ product
    return product


def _factor_matrix(factor: Factor, operations: Sequence[Operation], operands: Operands) -> NDArray[Any]:
    if not isinstance(factor, int):
        return factor
    operation = operations[factor]
    assert not isinstance(operation, Cnot | Swap | Flip)
    return one_qubit_matrix(operation, _operand(factor, operations, operands))


def _operand(index: int, operations: Sequence[Operation], operands: Operands) -> NDArray[Any]:
    operation = operations[index]
    assert not isinstance(operation, Cnot | Swap | Flip)
    require(index in operands, "operands", f"hold the operand of operations[{index}]", sorted(operands))
    operand, shape = np.asarray(operands[index]), operand_shape(operation)
    batch = ("n",) if operation.sampled else ()
    fits = operand.ndim == len(batch) + len(shape) and operand.shape[len(batch) :] == shape
    must = f"have shape ({', '.join(map(str, (*batch, *shape)))})"
    require(fits, f"operands[{index}]", must, operand.shape)
    return operand
