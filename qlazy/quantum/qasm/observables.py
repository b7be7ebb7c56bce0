"""Observables in text: `0.5 Z q[0] Z q[1] - X q[2]`, `sum(k in [0:n-1]) 1/sqrt(n) Z q[k]`.

    observable := ["-"] term { ("+" | "-") term }
    term       := [coefficient ["*"]] ( factors | "(" observable ")" | "sum" "(" name "in" range ")" term )
    factors    := factor { ["*"] factor }
    factor     := ("I" | "X" | "Y" | "Z") qubit

A coefficient is a constant expression of OpenQASM (sums in parentheses), a range or set is that of a `for`, a
qubit is a name or an indexed register. A sum reaches over one term: put several in parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from openqasm3 import ast

from qlazy.quantum.program.classical import Classical, Kind
from qlazy.quantum.program.expression import Expression
from qlazy.quantum.program.program import PauliSum, PauliTerm, check_observable
from qlazy.quantum.qasm.expressions import arithmetic
from qlazy.quantum.qasm.expressions.evaluation import Context, loop_values, number, qubits
from qlazy.quantum.qasm.expressions.values import Binding, Role, Scope
from qlazy.quantum.qasm.parse import parse_expression, parse_range
from qlazy.quantum.qasm.reader import Pragma, Reader
from qlazy.quantum.qasm.source import QasmError

_TOKEN = re.compile(
    r"\s*(?:(?P<name>\$[0-9]+|[^\W\d]\w*)|(?P<number>(?:\d|\.\d)[\w.]*(?:(?<=[eE])[+-]\d+)?)|(?P<mark>\*\*|\S))"
)
_DECIMAL = re.compile(r"[0-9]{1,16}\.?[0-9]{0,16}")
MAX_TERMS = 10_000
_MAX_DEPTH = 32
_PAULIS = ("I", "X", "Y", "Z")


@dataclass(frozen=True)
class _Token:
    text: str
    start: int
    is_name: bool


def read_observable(pragma: Pragma, reader: Reader) -> PauliSum:
    """The Pauli sum that a pragma writes out, evaluated among the global names of the program."""
    observable = PauliSum.collect(_Observable(pragma, reader).terms())
    try:
        check_observable(observable, len(reader.qubits))
    except ValueError as error:
        raise pragma.source.error(str(error), pragma.line, pragma.column) from error
    return observable


class _Observable:
    def __init__(self, pragma: Pragma, reader: Reader):
        self.pragma, self.reader = pragma, reader
        self.tokens = [
            _Token(match[match.lastgroup or 0], match.start(match.lastgroup or 0), match.lastgroup == "name")
            for match in _TOKEN.finditer(pragma.text)
        ]
        self.count = 0
        self.trees: dict[tuple[int, int], ast.Expression] = {}

    def terms(self) -> Iterator[PauliTerm]:
        if not self.tokens:
            self.fail(0, "an observable is needed, such as `Z q[0]`")
        yield from self._sum(0, len(self.tokens), Context(self.pragma.source, self.reader.scope), 1.0, 0)

    def error(self, position: int, message: str) -> QasmError:
        offset = self.tokens[position].start if position < len(self.tokens) else len(self.pragma.text)
        return self.pragma.source.error(message, self.pragma.line, self.pragma.column + offset)

    def fail(self, position: int, message: str) -> NoReturn:
        raise self.error(position, message)

    def _sum(self, start: int, end: int, context: Context, scale: float, depth: int) -> Iterator[PauliTerm]:
        if depth > _MAX_DEPTH:
            self.fail(start, f"an observable may nest at most {_MAX_DEPTH} deep")
        if start >= end:
            self.fail(start, "a term is missing here")
        while start < end:
            sign = -1.0 if self.tokens[start].text == "-" else 1.0
            start += self.tokens[start].text in "+-"
            stop = self._term_end(start, end)
            yield from self._term(start, stop, context, sign * scale, depth)
            start = stop
            if start == end - 1:
                self.fail(start, "a term is missing after this")

    def _term_end(self, start: int, end: int) -> int:
        """Where the next + or - outside brackets stands that joins two terms, and is no sign."""
        position = start
        while position < end:
            if self.tokens[position].text in "([{":
                position = self._closing(position, end)
            elif self.tokens[position].text in "+-" and position > start and not self._is_sign(position):
                return position
            position += 1
        return end

    def _is_sign(self, position: int) -> bool:
        return self.tokens[position - 1].text in ("*", "/", "**", "%")

    def _closing(self, position: int, end: int) -> int:
        depth = 0
        for place in range(position, end):
            depth += (self.tokens[place].text in "([{") - (self.tokens[place].text in ")]}")
            if depth == 0:
                return place
        raise self.error(position, f"`{self.tokens[position].text}` is never closed")

    def _term(self, start: int, end: int, context: Context, scale: float, depth: int) -> Iterator[PauliTerm]:
        body = self._body_start(start, end)
        last = body - 1 if body > start and self.tokens[body - 1].text == "*" else body
        if last > start:
            scale *= self._coefficient(start, last, context)
        if self.tokens[body].text == "sum":
            yield from self._repeated(body, end, context, scale, depth)
        elif self.tokens[body].text == "(":
            close = self._closing(body, end)
            if close != end - 1:
                self.fail(close + 1, "nothing may follow the parenthesis of a sum")
            yield from self._sum(body + 1, close, context, scale, depth + 1)
        else:
            yield self._product(body, end, context, scale)

    def _body_start(self, start: int, end: int) -> int:
        """Where the coefficient of a term ends: at its first Pauli, sum, or parenthesis with Paulis in it."""
        position = start
        while position < end:
            token = self.tokens[position]
            if self._is_pauli(position, end) or (token.text == "sum" and token.is_name):
                return position
            if token.text in "([{":
                close = self._closing(position, end)
                if any(self._is_pauli(place, close) for place in range(position, close)):
                    return position
                position = close
            position += 1
        message = "a term needs a Pauli with its qubit, such as `Z q[0]`; a constant is `c * I q[0]`"
        raise self.error(start, message)

    def _is_pauli(self, position: int, end: int) -> bool:
        return (
            self.tokens[position].text in _PAULIS and position + 1 < end and self.tokens[position + 1].is_name
        )

    def _product(self, start: int, end: int, context: Context, coefficient: float) -> PauliTerm:
        self._count(start)
        factors: dict[int, str] = {}
        position = start
        while position < end:
            if self.tokens[position].text == "*" and position > start:
                position += 1
            if position >= end or not self._is_pauli(position, end):
                self.fail(position, "a Pauli with its qubit is needed here, such as `Z q[0]`")
            stop = self._qubit_end(position + 1, end)
            wire = self._wire(position + 1, stop, context)
            if wire in factors:
                self.fail(position, f"two Paulis on `{self.reader.qubits[wire]}` in one product")
            factors[wire] = self.tokens[position].text
            position = stop
        return PauliTerm(coefficient, tuple(sorted((w, p) for w, p in factors.items() if p != "I")))

    def _qubit_end(self, position: int, end: int) -> int:
        after = position + 1
        while after < end and self.tokens[after].text == "[":
            after = self._closing(after, end) + 1
        return after

    def _wire(self, start: int, end: int, context: Context) -> int:
        register = qubits(self._tree(start, end), context)
        if len(register.wires) != 1:
            self.fail(start, "one qubit is needed here, but this is a register; index it, or write a sum")
        return register.wires[0]

    def _coefficient(self, start: int, end: int, context: Context) -> float:
        if end == start + 1 and _DECIMAL.fullmatch(self.tokens[start].text):
            return float(self.tokens[start].text)
        value = number(self._tree(start, end), context, real=True)
        if isinstance(value, Expression):
            self.fail(start, "the coefficient of an observable must be a constant, but depends on an input")
        if isinstance(value, bool):
            self.fail(start, "the coefficient of an observable must be a number, but is a bool")
        if isinstance(value, Classical):
            self.fail(start, "the coefficient of an observable must be a constant, but is measured")
        return float(value)

    def _repeated(
        self, start: int, end: int, context: Context, scale: float, depth: int
    ) -> Iterator[PauliTerm]:
        head = [token.text for token in self.tokens[start : start + 4]]
        if len(head) < 4 or head[1] != "(" or not self.tokens[start + 2].is_name or head[3] != "in":
            self.fail(start, "a sum is written `sum(k in [0:n-1]) Z q[k]`")
        close = self._closing(start + 1, end)
        if close + 1 >= end:
            self.fail(close, "a term is missing after this")
        loop = parse_range(self.pragma.source, *self._slice(start + 4, close))
        for value in loop_values(loop, context):
            self._count(start)
            kind = Kind("int" if isinstance(value, int) else "float")
            bound = context.attempt(loop, arithmetic.convert, value, kind)
            scope = Scope(context.scope, names={head[2]: Binding(Role.CONSTANT, bound, kind)})
            yield from self._term(close + 1, end, Context(context.source, scope), scale, depth + 1)

    def _count(self, position: int) -> None:
        self.count += 1
        if self.count > MAX_TERMS:
            self.fail(position, f"an observable may have at most {MAX_TERMS:,} terms")

    def _tree(self, start: int, end: int) -> ast.Expression:
        """The expression that some tokens write out, parsed once however often a sum comes back to it."""
        if (start, end) not in self.trees:
            self.trees[start, end] = self._simple(start, end) or parse_expression(
                self.pragma.source, *self._slice(start, end)
            )
        return self.trees[start, end]

    def _simple(self, start: int, end: int) -> ast.Expression | None:
        """`q[3]`, of which there are many, without the parser, which reads the line up to it every time."""
        tokens = self.tokens[start:end]
        if [token.text for token in tokens[1::2]] != ["[", "]"] or not tokens[2].text.isdecimal():
            return None
        name, index = ast.Identifier(tokens[0].text), ast.IntegerLiteral(int(tokens[2].text))
        tree = ast.IndexExpression(name, [index])
        for node, token in ((name, tokens[0]), (index, tokens[2]), (tree, tokens[0])):
            column = self.pragma.column + token.start
            node.span = ast.Span(self.pragma.line, column, self.pragma.line, column)
        return tree

    def _slice(self, start: int, end: int) -> tuple[str, int, int]:
        """The text of some tokens, and where it stands."""
        if start >= end:
            self.fail(start, "something is missing here")
        first, last = self.tokens[start], self.tokens[end - 1]
        text = self.pragma.text[first.start : last.start + len(last.text)]
        return text, self.pragma.line, self.pragma.column + first.start
