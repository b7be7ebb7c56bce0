"""Derivatives of programs by transformation of their code, through measurement, branches and bounded loops."""

from qlazy.quantum.derivatives.additive import Additive
from qlazy.quantum.derivatives.derivative import (
    Derivative,
    SampledDerivative,
    additive_form,
    differentiate,
)
from qlazy.quantum.derivatives.elements import find_element
from qlazy.quantum.derivatives.terms import Estimate, Term

__all__ = [
    "Additive",
    "Derivative",
    "Estimate",
    "SampledDerivative",
    "Term",
    "additive_form",
    "differentiate",
    "find_element",
]
