"""Is a circuit flat? Gradients over random angles and their course over n, the quantum Fisher information, the
dynamical Lie algebra, concentration of kernels, expressibility."""

from __future__ import annotations

from qlazy.theory.trainability.algebra import LieAlgebra, lie_algebra, lie_closure
from qlazy.theory.trainability.concentration import (
    Concentration,
    fidelity_concentration,
    tangent_concentration,
)
from qlazy.theory.trainability.expressibility import Expressibility, expressibility, from_fidelities
from qlazy.theory.trainability.fisher import FisherSpectrum, fisher_spectrum, quantum_fisher_information
from qlazy.theory.trainability.gradients import GradientVariance, gradient_variance
from qlazy.theory.trainability.panel import trainability
from qlazy.theory.trainability.result import Trainability
from qlazy.theory.trainability.scaling import Scaling

__all__ = [
    "Concentration",
    "Expressibility",
    "FisherSpectrum",
    "GradientVariance",
    "LieAlgebra",
    "Scaling",
    "Trainability",
    "expressibility",
    "fidelity_concentration",
    "fisher_spectrum",
    "from_fidelities",
    "gradient_variance",
    "lie_algebra",
    "lie_closure",
    "quantum_fisher_information",
    "tangent_concentration",
    "trainability",
]
