"""What version 2 of OpenQASM says otherwise than version 3, in terms of version 3.

`^` is a power; numbers between the parentheses of a gate are real, so that 1/2 is a half; words that version 3 reserves
are names. Source: Cross, Bishop, Smolin, Gambetta, "Open Quantum Assembly Language", arXiv 1707.03429.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from antlr4 import InputStream, Token
from openqasm3 import ast
from openqasm3.parser import qasm3Lexer
from openqasm3.visitor import QASMVisitor

_REGISTERS = re.compile(r"\b[qc]reg\s+(\w+)", re.ASCII)
_GATES = re.compile(r"\bgate\s+(\w+)\s*(?:\(([^)]*)\))?([^{;()]*)\{", re.ASCII)
_OPAQUE = re.compile(r"(?m)(?:^|[;}])\s*(opaque)\s")
_BEFORE_SIGN = {qasm3Lexer.LPAREN, qasm3Lexer.COMMA, qasm3Lexer.ASTERISK, qasm3Lexer.SLASH, qasm3Lexer.CARET}
_RESERVED = {"OPENQASM", "include", "qreg", "creg", "gate", "barrier", "measure", "reset", "if"}


def opaque(uncommented: str) -> re.Match[str] | None:
    """The first declaration of a gate without a body."""
    return _OPAQUE.search(uncommented)


def version_2_lexer(text: str, whole: str) -> Any:
    """A lexer of ``text``, a part of the program ``whole``."""
    return _Lexer(text, _declared(whole) - _RESERVED)


def _declared(uncommented: str) -> set[str]:
    """The names that a program gives to registers, gates, and angles and qubits of gates."""
    names = set(_REGISTERS.findall(uncommented))
    for name, angles, qubits in _GATES.findall(uncommented):
        names |= {name, *re.findall(r"\w+", angles + "," + qubits)}
    return names


class _Lexer(qasm3Lexer):
    def __init__(self, text: str, declared: set[str]) -> None:
        super().__init__(InputStream(text))
        self._declared = declared
        self._before = Token.INVALID_TYPE

    def nextToken(self) -> Any:
        token = super().nextToken()
        if token.type == qasm3Lexer.PLUS and self._before in _BEFORE_SIGN:
            token = super().nextToken()  # a sign, which version 3 does not know
        self._before = token.type
        if token.type == qasm3Lexer.CARET:
            token.type, token.text = qasm3Lexer.DOUBLE_ASTERISK, "**"
        elif token.text in self._declared:
            token.type = qasm3Lexer.Identifier
        return token


class RealAngles(QASMVisitor[None]):
    """Turns integers in the arguments of gates into real numbers, in place."""

    def visit_QuantumGate(self, node: ast.QuantumGate) -> None:
        node.arguments = [_real(argument) for argument in node.arguments]


def _real(node: ast.Expression) -> ast.Expression:
    match node:
        case ast.IntegerLiteral():
            real = ast.FloatLiteral(float(node.value))
            real.span = node.span
            return real
        case ast.UnaryExpression():
            node.expression = _real(node.expression)
        case ast.BinaryExpression():
            node.lhs, node.rhs = _real(node.lhs), _real(node.rhs)
        case ast.FunctionCall():
            node.arguments = [_real(argument) for argument in node.arguments]
    return node


class Trained(QASMVisitor[None]):
    """Turns the angles of chosen gates of the program itself into the elements of one input, in place.

    ``wanted`` are names of gates, or None for all with angles. ``angles`` become the expressions that stood there, in
    the order of the text, ``names`` the gates they belong to.
    """

    def __init__(self, name: str, wanted: Sequence[str] | None):
        self.name, self.wanted = name, wanted
        self.names: set[str] = set()
        self.angles: list[ast.Expression] = []

    def visit_QuantumGateDefinition(self, node: ast.QuantumGateDefinition) -> None:
        """The angles in a gate's body are its own."""

    def visit_QuantumGate(self, node: ast.QuantumGate) -> None:
        if self.wanted is None or node.name.name in self.wanted:
            self.names |= {node.name.name} if node.arguments else set()
            node.arguments = [self._element(argument) for argument in node.arguments]

    def _element(self, argument: ast.Expression) -> ast.Expression:
        element = ast.IndexExpression(ast.Identifier(self.name), [ast.IntegerLiteral(len(self.angles))])
        self.angles.append(argument)
        element.span = element.collection.span = argument.span
        return element

    def declaration(self) -> ast.IODeclaration:
        """`input array[float[64], p] name;`"""
        size = ast.IntegerLiteral(len(self.angles))
        array = ast.ArrayType(ast.FloatType(ast.IntegerLiteral(64)), [size])
        return ast.IODeclaration(ast.IOKeyword.input, array, ast.Identifier(self.name))
