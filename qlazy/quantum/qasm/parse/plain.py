"""Plain gate lines, `rz(pi / 2) q[3];`, read without the parser, which takes most of the time of a long text.

A line is plain if all of it is calls of gates without modifiers, on qubits that are named or indexed by an integer, at
arguments made of numbers, names, elements, + - * / and parentheses, and if it stands between statements of the
program itself: outside all braces, behind a line that ends in a semicolon. Everything else is left to the parser,
which sees blanks in place of the plain lines. Both give the same trees, spans included.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from openqasm3 import ast
from openqasm3.parser import qasm3Lexer

Node = TypeVar("Node", bound=ast.QASMNode)

_KEYWORDS = {name.strip("'") for name in qasm3Lexer.literalNames} | {"true", "false", "pragma"}
_QUBIT = r"(?:[A-Za-z_]\w*(?:\[[0-9]+\])?|\$[0-9]+)"
_CALL = re.compile(
    r"(?P<name>[A-Za-z_]\w*)[ \t]*(?:\((?P<arguments>[^;\n$]*)\))?[ \t]*"
    rf"(?P<qubits>(?<=[ \t)]){_QUBIT}(?:[ \t]*,[ \t]*{_QUBIT})*)[ \t]*;[ \t]*",
    re.ASCII,
)
_OPERAND = re.compile(r"(?P<name>[A-Za-z_]\w*|\$[0-9]+)(?:\[(?P<index>[0-9]+)\])?", re.ASCII)
_TOKEN = re.compile(
    r"[ \t]*(?:(?P<real>(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.])|[0-9]+[eE][+-]?[0-9]+(?![\w.]))"
    r"|(?P<whole>[0-9]{1,15}(?![\w.]))|(?P<name>[A-Za-z_]\w*)|(?P<mark>[-+*/(),\[\]]))",
    re.ASCII,
)
# Where what is a comment to one reader may be none to another, or the lexer has rules of its own.
_MIXED = re.compile(r"(?m)\b(?:def)?cal|^[ \t]*(?:#?pragma\b|@).*(?:/\*|\*/)")


class _NotPlain(Exception):
    """Something that the parser has to read."""


def plain_gates(text: str, uncommented: str) -> tuple[list[ast.QuantumGate], str]:
    """The calls of gates on plain lines, in order, and the text with blanks in their place."""
    if _MIXED.search(text):
        return [], text
    gates: list[ast.QuantumGate] = []
    lines = text.split("\n")
    offset, depth, ready = 0, 0, False
    for number, line in enumerate(uncommented.split("\n"), 1):
        stripped = line.strip()
        calls = _calls(line, number, offset) if ready and stripped.endswith(";") else []
        if calls:
            gates += calls
            start, stop = line.index(stripped), len(line.rstrip())
            whole = lines[number - 1]
            lines[number - 1] = whole[:start] + " " * (stop - start) + whole[stop:]
        elif stripped:
            attached = stripped.startswith("@")
            if not attached and not stripped.startswith(("pragma", "#pragma")):
                depth += line.count("{") - line.count("}")
            if depth < 0 or (gates and "OPENQASM" in line):
                return [], text  # a brace within a string, or a version that does not stand first
            ready = depth == 0 and not attached and stripped.endswith(";")
        offset += len(line) + 1
    return gates, "\n".join(lines)


def _calls(line: str, number: int, offset: int) -> list[ast.QuantumGate]:
    """The calls that make up a line; none where there is anything else."""
    calls = []
    position = len(line) - len(line.lstrip(" \t"))
    try:
        while position < len(line):
            match = _CALL.match(line, position)
            if match is None:
                return []
            calls.append(_call(match, number, offset))
            position = match.end()
    except _NotPlain:
        return []
    return calls


def _call(match: re.Match[str], number: int, offset: int) -> ast.QuantumGate:
    name = match["name"]
    _refuse_keyword(name)
    arguments = [] if match["arguments"] is None else _Arguments(match, number).read()
    node = ast.QuantumGate(
        modifiers=[],
        name=_counted(name, number, offset + match.start()),
        arguments=arguments,
        qubits=[
            _operand(each, match.start("qubits"), number, offset)
            for each in _OPERAND.finditer(match["qubits"])
        ],
    )
    semicolon = match.end("qubits") + match[0][match.end("qubits") - match.start() :].index(";")
    return _at(node, number, match.start(), semicolon)


def _operand(
    match: re.Match[str], shift: int, number: int, offset: int
) -> ast.Identifier | ast.IndexedIdentifier:
    _refuse_keyword(match["name"])
    start = shift + match.start()
    if match["index"] is None:
        return _at(ast.Identifier(match["name"]), number, start)
    if len(match["index"]) > 15:
        raise _NotPlain
    index = _at(ast.IntegerLiteral(int(match["index"])), number, shift + match.start("index"))
    return _at(
        ast.IndexedIdentifier(_counted(match["name"], number, offset + start), [[index]]),
        number,
        start,
        shift + match.end("index"),
    )


def _refuse_keyword(name: str) -> None:
    if name in _KEYWORDS:
        raise _NotPlain


def _at(node: Node, number: int, start: int, end: int | None = None) -> Node:
    """``node`` with its place: from the column of its first token to that of its last."""
    node.span = ast.Span(number, start, number, start if end is None else end)
    return node


def _counted(name: str, number: int, start: int) -> ast.Identifier:
    """A name whose columns count from the start of the text, a flaw of the parser that `Source.error_at` undoes."""
    return _at(ast.Identifier(name), number, start, start + len(name) - 1)


def _ends(node: ast.QASMNode) -> tuple[int, int]:
    assert node.span is not None
    return node.span.start_column, node.span.end_column


class _Arguments:
    """What stands between the parentheses of a call."""

    def __init__(self, match: re.Match[str], number: int):
        self.text, self.shift, self.number = match["arguments"], match.start("arguments"), number
        self.position = 0
        self.kind, self.token, self.start = "", "", 0
        self._advance()

    def read(self) -> list[ast.Expression]:
        values = []
        while self.kind:
            values.append(self._sum())
            if self.token == ",":
                self._advance()
            elif self.kind:
                raise _NotPlain
        return values

    def _advance(self) -> None:
        match = _TOKEN.match(self.text, self.position)
        if match is None:
            if self.text[self.position :].strip(" \t"):
                raise _NotPlain
            self.kind = self.token = ""
            return
        self.kind = match.lastgroup or ""
        self.token, self.start, self.position = match[self.kind], match.start(self.kind), match.end()

    def _expect(self, token: str) -> int:
        """The column of ``token``, which is passed."""
        if self.token != token:
            raise _NotPlain
        column = self.shift + self.start
        self._advance()
        return column

    def _sum(self) -> ast.Expression:
        return self._chain("+-", lambda: self._chain("*/", self._signed))

    def _chain(self, symbols: str, part: Callable[[], ast.Expression]) -> ast.Expression:
        left = part()
        while self.kind == "mark" and self.token in symbols:
            operator = ast.BinaryOperator[self.token]
            self._advance()
            right = part()
            node = ast.BinaryExpression(operator, left, right)
            left = _at(node, self.number, _ends(left)[0], _ends(right)[1])
        return left

    def _signed(self) -> ast.Expression:
        if self.token != "-":
            return self._single()
        start = self._expect("-")
        inner = self._signed()
        return _at(ast.UnaryExpression(ast.UnaryOperator["-"], inner), self.number, start, _ends(inner)[1])

    def _single(self) -> ast.Expression:
        kind, token, start = self.kind, self.token, self.shift + self.start
        self._advance()
        match kind:
            case "real":
                return _at(ast.FloatLiteral(float(token)), self.number, start)
            case "whole":
                return _at(ast.IntegerLiteral(int(token)), self.number, start)
            case "name":
                return self._named(token, start)
        if token != "(":
            raise _NotPlain
        inner = self._sum()
        return _at(inner, self.number, start, self._expect(")"))

    def _named(self, name: str, start: int) -> ast.Expression:
        _refuse_keyword(name)
        node = _at(ast.Identifier(name), self.number, start)
        if self.token == "(":
            raise _NotPlain  # a function
        if self.token != "[":
            return node
        self._advance()
        if self.kind != "whole":
            raise _NotPlain
        index = _at(ast.IntegerLiteral(int(self.token)), self.number, self.shift + self.start)
        self._advance()
        return _at(ast.IndexExpression(node, [index]), self.number, start, self._expect("]"))
