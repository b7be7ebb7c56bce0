"""Derivatives of functions that torch differentiates: the rules, and which of them is right for a function."""

from __future__ import annotations

from qlazy.models.derivatives.chosen import Derivatives, Key, kind_of, spread
from qlazy.models.derivatives.rules import (
    Function,
    forward_derivatives,
    hessian_product,
    jacobian_by_rows,
    mapped_jacobian,
    pulled_back,
    second_derivative,
)

__all__ = [
    "Derivatives",
    "Function",
    "Key",
    "forward_derivatives",
    "hessian_product",
    "jacobian_by_rows",
    "kind_of",
    "mapped_jacobian",
    "pulled_back",
    "second_derivative",
    "spread",
]
