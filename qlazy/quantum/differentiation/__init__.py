"""Derivatives of programs by transformation of their code, through measurement, branches and bounded loops."""

from qlazy.quantum.differentiation.additive import Additive
from qlazy.quantum.differentiation.derivative import Derivative, additive_form, differentiate
from qlazy.quantum.differentiation.elements import find_element
from qlazy.quantum.differentiation.sampled import Estimate, SampledDerivative
from qlazy.quantum.differentiation.terms import Term

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
