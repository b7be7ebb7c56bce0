"""Exact batched simulation of circuits, and the adjoint sweep that differentiates them.

It knows unitaries, projectors and observables; parameters and their derivatives belong to the caller, who
hands over small matrices and receives their cotangents. NumPy and numba only.
"""

from __future__ import annotations

from qlazy.simulator.compiling.families import Family
from qlazy.simulator.compiling.plan import Plan, compile_plan
from qlazy.simulator.compiling.steps import Kind
from qlazy.simulator.observables import (
    Hermitian,
    Observable,
    PauliSum,
    PauliWord,
    Probabilities,
    Projector,
    pauli,
)
from qlazy.simulator.operations import Cnot, Diagonal, Flip, Operation, PauliRotation, Swap, Unitary
from qlazy.simulator.run import sweep, sweep_weighted, values
from qlazy.simulator.stacks import fuse_operands

__all__ = [
    "Cnot",
    "Diagonal",
    "Family",
    "Flip",
    "Hermitian",
    "Kind",
    "Observable",
    "Operation",
    "PauliRotation",
    "PauliSum",
    "PauliWord",
    "Plan",
    "Probabilities",
    "Projector",
    "Swap",
    "Unitary",
    "compile_plan",
    "fuse_operands",
    "pauli",
    "sweep",
    "sweep_weighted",
    "values",
]
