"""qlazy: is this variational circuit learning, or is it a kernel method in disguise?

Circuits and classical nets are measured through one interface: tangent kernels, drift and linearisation.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from qlazy.model import Function, Model
    from qlazy.nets import Net, mlp
    from qlazy.quantum.circuit import Circuit, CircuitLayer
    from qlazy.transforms import Centered, Linearized, Scaled

_HOME = {
    "Centered": "transforms",
    "Circuit": "quantum.circuit",
    "CircuitLayer": "quantum.circuit",
    "Function": "model",
    "Linearized": "transforms",
    "Model": "model",
    "Net": "nets",
    "Scaled": "transforms",
    "mlp": "nets",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    # Names are imported when first used, so that a classical study never waits for PennyLane.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
