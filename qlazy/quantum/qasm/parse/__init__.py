"""From text to syntax tree: the reference parser with its errors turned into positions.

The parser recurses over the text, so its depth is bounded before it starts; it stops at the first error.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable
from typing import Any, NoReturn

from antlr4 import CommonTokenStream, InputStream, Token
from antlr4.error.ErrorListener import ErrorListener
from openqasm3 import ast
from openqasm3.parser import QASM3ParsingError, QASMNodeVisitor, qasm3Lexer, qasm3Parser

from qlazy.quantum.qasm.parse.plain import plain_gates
from qlazy.quantum.qasm.parse.version2 import RealAngles, opaque, version_2_lexer
from qlazy.quantum.qasm.source import Source

MAX_NESTING = 64
LONG = 5_000  # characters
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_OPERATOR_RUN = re.compile(rf"(?:(?:[-~!]|\*\*)\s*){{{MAX_NESTING + 1}}}")
_PLACE = re.compile(r"L(\d+):C(\d+): (.*)", re.DOTALL)


def parse(source: Source) -> ast.Program:
    """The syntax tree of a whole program; one of version 2 in the words of version 3."""
    text = without_comments(source.text)
    if not text.strip():
        return ast.Program([])  # the parser cannot place the end of an empty text
    _check_nesting(source, text)
    if source.version_2:
        _refuse_opaque(source, text)
    tree = _whole(source, source.text) if len(text) < LONG else _quickly(source, text)
    if source.version_2:
        RealAngles().visit(tree)
    return tree


def _refuse_opaque(source: Source, text: str) -> None:
    found = opaque(text)
    if found is not None:
        raise _at_offset(
            source, found.start(1), "an opaque gate has no definition; give it one: `gate name q { ... }`"
        )


def _quickly(source: Source, text: str) -> ast.Program:
    """The same tree, plain gate lines read apart."""
    gates, rest = plain_gates(source.text, text)
    if not gates:
        return _whole(source, source.text)
    tree = _whole(source, rest) if without_comments(rest).strip() else ast.Program([])
    tree.statements = [*heapq.merge(tree.statements, gates, key=_place)]
    return tree


def _whole(source: Source, text: str) -> ast.Program:
    return _parse(source, text, lambda parser: parser.program())


def _place(node: ast.QASMNode) -> tuple[int, int]:
    assert node.span is not None
    return node.span.start_line, node.span.start_column


def parse_expression(source: Source, text: str, line: int, column: int) -> ast.Expression:
    """The tree of an expression that stands at ``line`` and ``column`` (from 0) of ``source``."""
    return _parse(source, _padded(text, line, column), lambda parser: parser.expression())


def parse_range(source: Source, text: str, line: int, column: int) -> ast.QASMNode:
    """The tree of what may follow `in` in a `for`: a range in brackets, a set in braces, or an expression."""
    if text.startswith("{"):
        return _parse(source, _padded(text, line, column), lambda parser: parser.setExpression())
    if text.startswith("[") and text.endswith("]"):
        inner = _padded(" " + text[1:-1], line, column)
        return _parse(source, inner, lambda parser: parser.rangeExpression())
    return parse_expression(source, text, line, column)


def _padded(text: str, line: int, column: int) -> str:
    """``text`` pushed to its place, so that the positions of the tree are right."""
    return "\n" * (line - 1) + " " * column + text


def _parse(source: Source, text: str, rule: Callable[[Any], Any]) -> Any:
    listener = _Listener(source)
    lexer = _lexer(source, text)
    stream = CommonTokenStream(lexer)
    parser = qasm3Parser(stream)
    for recogniser in (lexer, parser):
        recogniser.removeErrorListeners()
        recogniser.addErrorListener(listener)
    try:
        tree = rule(parser)
        rest = stream.LT(1)
        if rest.type != Token.EOF:
            raise source.error(f"`{rest.text}` is not expected here", rest.line, rest.column)
        visitor = QASMNodeVisitor()
        if isinstance(tree, qasm3Parser.ProgramContext):
            return visitor.visit(tree)
        with visitor._push_context(tree):
            return visitor.visit(tree)
    except RecursionError:
        raise source.error("the text is nested too deeply", 1, 0) from None
    except QASM3ParsingError as error:
        place = _PLACE.match(str(error))
        line, column, message = (int(place[1]), int(place[2]), place[3]) if place else (1, 0, "syntax error")
        raise source.error(message, line, column) from error
    except (ValueError, KeyError, AttributeError, IndexError, TypeError) as error:
        if type(error).__module__.startswith("qlazy"):
            raise
        raise source.error(f"cannot be parsed ({error})", 1, 0) from error


_PYTHON_COMPLEX = re.compile(r"[0-9.]j\b")


def _lexer(source: Source, text: str) -> Any:
    if source.version_2:
        return version_2_lexer(text, without_comments(source.text))
    return (_ComplexLexer if _PYTHON_COMPLEX.search(text) else qasm3Lexer)(InputStream(text))


class _ComplexLexer(qasm3Lexer):
    """A lexer that takes Python's `0.5j`, as qiskit exports amplitudes, for `0.5im`."""

    def __init__(self, stream: InputStream) -> None:
        super().__init__(stream)
        self._next: Any = None

    def nextToken(self) -> Any:
        token, self._next = self._next or super().nextToken(), None
        if token.type in (qasm3Lexer.DecimalIntegerLiteral, qasm3Lexer.FloatLiteral):
            self._next = super().nextToken()
            if self._next.text == "j" and self._next.start == token.stop + 1:
                token.text, self._next = f"{token.text}im", None
                token.type = qasm3Lexer.ImaginaryLiteral
        return token


class _Listener(ErrorListener):
    def __init__(self, source: Source):
        self.source = source

    def syntaxError(
        self, recognizer: object, symbol: Any, line: int, column: int, message: str, error: object
    ) -> NoReturn:
        raise self.source.error(_explain(symbol, message), line, column)


def _explain(symbol: Any, message: str) -> str:
    if symbol is None:
        return message.replace("token recognition error at:", "no token of OpenQASM starts with")
    if symbol.type == Token.EOF:
        return "the text ends in the middle of a statement"
    hint = {"pow": "; write a power as `a ** b`", "array": "; `const` and nested declarations take no array"}
    expecting = message.partition(" expecting ")[2]
    expected = f", expected {expecting}" if expecting and len(expecting) < 60 else ""
    return f"`{symbol.text}` is not expected here{expected}{hint.get(symbol.text, '')}"


def without_comments(text: str) -> str:
    """``text`` with blanks for comments, every other character in its place."""
    return _COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def _check_nesting(source: Source, text: str) -> None:
    """Bound brackets and operator runs, on which the parser recurses."""
    depth = 0
    for match in re.finditer(r"[(\[{}\])]", text):
        depth += 1 if match[0] in "([{" else -1
        if depth > MAX_NESTING:
            raise _at_offset(source, match.start(), f"brackets must nest at most {MAX_NESTING} deep")
    run = _OPERATOR_RUN.search(text)
    if run:
        raise _at_offset(source, run.start(), f"at most {MAX_NESTING} operators may follow each other")


def _at_offset(source: Source, offset: int, message: str) -> Exception:
    line = source.text.count("\n", 0, offset) + 1
    return source.error(message, line, offset - (source.text.rfind("\n", 0, offset) + 1))
