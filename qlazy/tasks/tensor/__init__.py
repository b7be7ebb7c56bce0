"""Over-parametrised symmetric tensor decomposition: what features buy that the tangent kernel cannot.

A symmetric tensor of order l in dimension d as a :class:`~qlazy.Model`, whose components are vectors or amplitudes
of circuits; the lazy solution, exact; the modified descent of Wang, Wu, Lee, Ma, Ge 2020 (arXiv 2010.11356), which
needs fewer components by orders of magnitude; and other ways to decompose, to set beside both.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qlazy.tasks.tensor.baselines import parafac, power_iteration, symmetric_parafac
    from qlazy.tasks.tensor.circuit import CircuitDescent, CircuitTensor, decompose_with_circuits, real_ansatz
    from qlazy.tasks.tensor.decomposition import Decomposition, random_target
    from qlazy.tasks.tensor.descent import Descended, Descent, decompose, decompose_many
    from qlazy.tasks.tensor.entries import index_tuples, multiplicities, symmetric_dimension
    from qlazy.tasks.tensor.lazy import TangentFit, generic_components, tangent_fit
    from qlazy.tasks.tensor.model import SymmetricTensor

_NAMES = {
    "baselines": ("parafac", "power_iteration", "symmetric_parafac"),
    "circuit": ("CircuitDescent", "CircuitTensor", "decompose_with_circuits", "real_ansatz"),
    "decomposition": ("Decomposition", "random_target"),
    "descent": ("Descended", "Descent", "decompose", "decompose_many"),
    "entries": ("index_tuples", "multiplicities", "symmetric_dimension"),
    "lazy": ("TangentFit", "generic_components", "tangent_fit"),
    "model": ("SymmetricTensor",),
}
_HOME = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    # Names are imported when first used: vectors as components do not wait for PennyLane.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
