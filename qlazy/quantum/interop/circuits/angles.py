"""Symbols of SymPy as inputs of a program, and its expressions as angles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

from qlazy.base.errors import UnsupportedModelError, refuse, require
from qlazy.quantum.program.expression import Constant, Expression, Input, apply_binary, call
from qlazy.quantum.program.printing import RESERVED

_FUNCTIONS = {
    "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "exp": "exp",
    "log": "log", "sign": "sign", "Abs": "abs", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh",
}  # fmt: skip
"""Functions of SymPy by their names here."""
_LETTERS = re.compile(r"[^\W_]|_")


class Symbols:
    """The symbols of a circuit: those of ``data``, and weights in the order of their first use."""

    def __init__(self, data: Sequence[str]) -> None:
        self.data = tuple(data)
        self._spoken: dict[str, str] = {}

    def names(self, given: Iterable[str]) -> tuple[str, ...]:
        """Names of inputs for names of symbols: their own, with ``_`` for what a name of OpenQASM cannot hold."""
        return tuple(self._name(one) for one in given)

    @property
    def weights(self) -> tuple[str, ...]:
        """The names of the weights."""
        return tuple(name for symbol, name in self._spoken.items() if symbol not in self.data)

    def require_data(self) -> None:
        """Refuse names of data that no angle uses."""
        for name in self.data:
            if name not in self._spoken:
                known = ", ".join(self._spoken) or "none"
                refuse("data", f"name symbols of the circuit, which are {known}", repr(name))
        require(len({*self.data}) == len(self.data), "data", "name each once", list(self.data))

    def expression(self, value: Any) -> Expression:
        """A number or an expression of SymPy as an angle; its symbols are taken up by name."""
        if isinstance(value, int | float):
            return Constant(float(value))
        import sympy

        expression = sympy.sympify(value)
        for symbol in sorted(expression.free_symbols, key=str):
            self._name(str(symbol))
        return self._read(expression)

    def _name(self, symbol: str) -> str:
        if symbol not in self._spoken:
            new = "".join(letter if _LETTERS.match(letter) else "_" for letter in symbol)
            new = new if new and not new[0].isdigit() else f"_{new}"
            while new in RESERVED or new == "q" or new in self._spoken.values():
                new += "_"
            self._spoken[symbol] = new
        return self._spoken[symbol]

    def _read(self, node: Any) -> Expression:
        if node.is_Symbol:
            return Input(self._name(str(node)))
        if node.is_number:
            return Constant(_real(node))
        parts = [self._read(part) for part in node.args]
        kind = type(node).__name__
        if node.is_Add or node.is_Mul:
            operator = "+" if node.is_Add else "*"
            return reduce(lambda left, right: apply_binary(operator, left, right), parts)
        if node.is_Pow:
            half = isinstance(parts[1], Constant) and parts[1].value == 0.5
            return call("sqrt", parts[0]) if half else apply_binary("**", parts[0], parts[1])
        if kind in _FUNCTIONS and len(parts) == 1:
            return call(_FUNCTIONS[kind], parts[0])
        return refuse(
            "circuit", f"have angles made by arithmetic and {', '.join(_FUNCTIONS)}", f"one with `{node}`",
            UnsupportedModelError,
        )  # fmt: skip


def _real(number: Any) -> float:
    value = complex(number)
    require(value.imag == 0, "circuit", "have real angles", f"one with {number}", UnsupportedModelError)
    return value.real
