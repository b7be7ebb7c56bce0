"""Exact batched simulation of circuits and of programs that branch, and the adjoint sweeps that differentiate them.

It knows rotations by angles, fixed unitaries, measurements and observables; where angles come from belongs to the
caller. NumPy and numba only.
"""

from __future__ import annotations

from qlazy.simulator.branching.circuit import BranchedCircuit
from qlazy.simulator.branching.skeleton import Skeleton
from qlazy.simulator.cones.circuit import ConeCircuit, by_cones
from qlazy.simulator.cones.cones import Cones, find_cones
from qlazy.simulator.observables import Hermitian, Observable, PauliSum, PauliWord, Probabilities, Projector
from qlazy.simulator.operations import Cnot, Diagonal, Flip, Operation, PauliRotation, Swap, Unitary
from qlazy.simulator.rotations import Derivatives, RotationCircuit

__all__ = [
    "BranchedCircuit",
    "Cnot",
    "ConeCircuit",
    "Cones",
    "Derivatives",
    "Diagonal",
    "Flip",
    "Hermitian",
    "Observable",
    "Operation",
    "PauliRotation",
    "PauliSum",
    "PauliWord",
    "Probabilities",
    "Projector",
    "RotationCircuit",
    "Skeleton",
    "Swap",
    "Unitary",
    "by_cones",
    "find_cones",
]
