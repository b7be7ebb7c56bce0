"""How many rounds a loop takes at most, where a counter bounds it.

The condition of such a loop holds only while a counter, known before it, is on one side of a constant, and
each round moves the counter by a constant towards it: `while (failed && k < 18) { ...; k += 1; }`. Counter, step and
limit are integers whose names the body neither assigns otherwise nor declares anew, and the counter reaches the limit
within its type.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from openqasm3 import ast

from qlazy.quantum.qasm.expressions import arithmetic
from qlazy.quantum.qasm.expressions.evaluation import number
from qlazy.quantum.qasm.reader import Reader
from qlazy.quantum.qasm.runtime import Visitor, assigned
from qlazy.quantum.qasm.source import QasmError

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def rounds_of(node: ast.WhileLoop, reader: Reader) -> int:
    """The bound of a loop; an error that says how to give one where no counter does."""
    bounds = [] if _Continues().found(node) else list(_bounds(node, reader))
    if not bounds:
        reader.fail(
            node,
            "the rounds of this loop are not bounded: write `@qlazy.bound 18` on the line before it, "
            "or count them, as in `while (c && k < 18) { ...; k += 1; }`",
        )
    return min(bounds)


def _bounds(node: ast.WhileLoop, reader: Reader) -> Iterator[int]:
    changed, hidden = assigned(node.block), _declared(node.block)
    moved = hidden | set(changed)
    for part in _conjuncts(node.while_condition):
        if not isinstance(part, ast.BinaryExpression) or part.op.name not in _MIRRORED:
            continue
        for counter, symbol, limit in (
            (part.lhs, part.op.name, part.rhs),
            (part.rhs, _MIRRORED[part.op.name], part.lhs),
        ):
            if not isinstance(counter, ast.Identifier) or counter.name in hidden:
                continue
            step = _step(counter.name, node, reader, moved) if changed.get(counter.name) == 1 else None
            start, end = _known(counter, reader), _known(limit, reader, moved)
            if start is None or end is None or not step:
                continue
            for rounds in _count(start, symbol, end, step):
                if _holds(counter, start + rounds * step, reader):
                    yield rounds


def _holds(counter: ast.Identifier, value: int, reader: Reader) -> bool:
    """Whether the counter's type has the value at which the loop ends: a narrow one would wrap before."""
    kind = reader.binding(counter).kind
    try:
        return kind is not None and arithmetic.convert(value, kind) == value
    except arithmetic.ArithmeticRefusal:
        return False


def _count(start: int, symbol: str, end: int, step: int) -> Iterator[int]:
    """The rounds k = start, start + step, ... for which `k symbol end`."""
    distance = end - start if step > 0 else start - end
    if (step > 0) == (symbol in ("<", "<=")):
        inclusive = 1 if symbol in ("<=", ">=") else 0
        yield max(0, -(-(distance + inclusive) // abs(step)))


def _conjuncts(node: ast.Expression) -> Iterator[ast.Expression]:
    if isinstance(node, ast.BinaryExpression) and node.op.name == "&&":
        yield from _conjuncts(node.lhs)
        yield from _conjuncts(node.rhs)
    else:
        yield node


def _step(name: str, node: ast.WhileLoop, reader: Reader, moved: Set[str]) -> int | None:
    """What every round adds to the counter, if it is one constant, of names that the body leaves alone."""
    for statement in node.block:
        if isinstance(statement, ast.ClassicalAssignment) and _is(statement.lvalue, name):
            if statement.op.name in ("+=", "-="):
                step = _known(statement.rvalue, reader, moved)
                return -step if step is not None and statement.op.name == "-=" else step
            return _added(name, statement.rvalue, reader, moved) if statement.op.name == "=" else None
    return None


def _added(name: str, value: ast.Expression, reader: Reader, moved: Set[str]) -> int | None:
    if not isinstance(value, ast.BinaryExpression) or value.op.name not in "+-":
        return None
    if _is(value.lhs, name):
        step = _known(value.rhs, reader, moved)
        return -step if step is not None and value.op.name == "-" else step
    return _known(value.lhs, reader, moved) if value.op.name == "+" and _is(value.rhs, name) else None


def _is(node: ast.QASMNode, name: str) -> bool:
    return isinstance(node, ast.Identifier) and node.name == name


def _known(node: ast.Expression, reader: Reader, moved: Set[str] = frozenset()) -> int | None:
    """The value of an expression that no round changes."""
    if _names(node) & (set(reader.subroutines) | moved):
        return None
    try:
        value = number(node, reader)
    except QasmError:
        return None
    return value if type(value) is int else None


def _names(node: ast.QASMNode) -> set[str]:
    found = _Names()
    found.visit(node)
    return found.names


class _Names(Visitor):
    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_Identifier(self, node: ast.Identifier) -> None:
        self.names.add(node.name)


def _declared(statements: Iterable[ast.QASMNode]) -> set[str]:
    """The names that a block declares anywhere in it: within, they are not those outside."""
    found = _Declared()
    for statement in statements:
        found.visit(statement)
    return found.names


class _Declared(Visitor):
    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_ClassicalDeclaration(self, node: ast.ClassicalDeclaration) -> None:
        self.names.add(node.identifier.name)

    visit_ConstantDeclaration = visit_ClassicalDeclaration

    def visit_AliasStatement(self, node: ast.AliasStatement) -> None:
        self.names.add(node.target.name)

    def visit_ForInLoop(self, node: ast.ForInLoop) -> None:
        self.names.add(node.identifier.name)
        self.generic_visit(node)


class _Continues(Visitor):
    """Whether a round may be cut short: its counter might then stand still."""

    def __init__(self) -> None:
        self.any = False

    def visit_ContinueStatement(self, node: ast.ContinueStatement) -> None:
        self.any = True

    def found(self, node: ast.WhileLoop) -> bool:
        for statement in node.block:
            self.visit(statement)
        return self.any
