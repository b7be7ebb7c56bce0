"""Control flow: what is known while reading is carried out, and what is not becomes a statement.

A jump out of a block that runs in some cases only raises a flag, and what it skips is put under the condition
that no flag is up: branches and loops are all the control that a program has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from openqasm3 import ast

from qlazy.quantum.program.classical import BIT, Classical, Literal, Operation
from qlazy.quantum.program.statements import Assign, Branch, Statement, While
from qlazy.quantum.qasm.control.counting import rounds_of
from qlazy.quantum.qasm.expressions import arithmetic
from qlazy.quantum.qasm.expressions.evaluation import condition, integer, loop_values, number, scalar_kind
from qlazy.quantum.qasm.expressions.values import Binding, Role
from qlazy.quantum.qasm.parse import parse_expression
from qlazy.quantum.qasm.reader import Frame, Jump, Reader
from qlazy.quantum.qasm.runtime import assign, outside_gates, settle
from qlazy.quantum.qasm.statements import (
    Skipped,
    any_of,
    block_apart,
    execute,
    execute_all,
    none_of,
)


@execute.register
def _(node: ast.BranchingStatement, reader: Reader) -> None:
    value = condition(node.condition, reader)
    if not isinstance(value, Classical):
        with reader.block():
            execute_all(node.if_block if value else node.else_block, reader)
        return
    settle([*node.if_block, *node.else_block], node, reader)
    then, otherwise = (block_apart(block, reader) for block in (node.if_block, node.else_block))
    reader.emit((Branch(value, then, otherwise, reader.place(node)),), node)


@execute.register
def _(node: ast.SwitchStatement, reader: Reader) -> None:
    value = number(node.target, reader)
    default = [] if node.default is None else node.default.statements
    cases = [([integer(v, reader) for v in values], block.statements) for values, block in node.cases]
    labels = [label for values, _ in cases for label in values]
    if len(set(labels)) != len(labels):
        reader.fail(node, "a `switch` has the same case twice")
    if not isinstance(value, Classical):
        if type(value) is not int:
            reader.fail(node.target, "a `switch` needs an integer")
        with reader.block():
            execute_all(next((block for values, block in cases if value in values), default), reader)
        return
    settle([s for _, block in cases for s in block] + default, node, reader)
    rest = block_apart(default, reader)
    for values, statements in reversed(cases):
        chosen = any_of([Operation("==", (value, Literal(each))) for each in values])
        rest = (Branch(chosen, block_apart(statements, reader), rest, reader.place(node)),)
    reader.emit(rest, node)


@execute.register
def _(node: ast.ForInLoop, reader: Reader) -> None:
    kind = scalar_kind(node.type, reader)
    values = loop_values(node.set_declaration, reader)
    frame, start = Frame("loop", reader.depth), len(reader.operations)
    reader.frames.append(frame)
    try:
        for value in values:
            reader.step(node)
            converted = reader.attempt(node, arithmetic.convert, value, kind)

            def declare(value: object = converted) -> None:
                reader.declare(node.identifier, Binding(Role.VARIABLE, value, kind))  # type: ignore[arg-type]

            if not _round(node.block, frame, node, reader, declare):
                break
    finally:
        reader.frames.pop()
    _close(frame, start, reader, node)


def _round(
    statements: Sequence[ast.QASMNode],
    frame: Frame,
    node: ast.QASMNode,
    reader: Reader,
    declare: Callable[[], None] = lambda: None,
) -> bool:
    """One round of a loop that is unrolled; whether there may be another."""
    if frame.again is not None:
        assign(frame.again, 0, node, reader)
    try:
        if reader.jumped:
            _guarded_round(statements, node, reader, declare)
        else:
            with reader.block():
                declare()
                execute_all(statements, reader)
    except Jump as jump:
        if jump.frame is not frame:
            raise
        return jump.again
    finally:
        if frame.again is not None:
            reader.jumped.discard(frame.again)
    return True


def _guarded_round(
    statements: Sequence[ast.QASMNode], node: ast.QASMNode, reader: Reader, declare: Callable[[], None]
) -> None:
    flags = reader.jumped
    settle(statements, node, reader)
    with reader.block():
        declare()
        block = block_apart(statements, reader)
    reader.emit((Branch(none_of(flags), block, (), reader.place(node)),), node)


def _close(frame: Frame, start: int, reader: Reader, node: ast.QASMNode) -> None:
    """Lower a loop's flags before it begins, and forget them behind it."""
    flags = [flag for flag in (frame.leave, frame.again) if flag is not None]
    lowered: list[Statement] = [Assign(flag, Literal(0), reader.place(node)) for flag in flags]
    reader.operations[start:start] = lowered
    reader.jumped.difference_update(flags)


@execute.register
def _(node: ast.WhileLoop, reader: Reader) -> None:
    outside_gates(node, reader)
    bound = _bound(node, reader)
    frame, start = Frame("loop", reader.depth), len(reader.operations)
    reader.frames.append(frame)
    try:
        while bound is None:
            value = _pure_condition(node, reader)
            if isinstance(value, Classical):
                bound = rounds_of(node, reader)
            elif not value:
                break
            else:
                reader.step(node)
                if not _round(node.block, frame, node, reader):
                    break
        if bound is not None:
            _loop(node, bound, frame, reader)
    finally:
        reader.frames.pop()
    _close(frame, start, reader, node)


def _loop(node: ast.WhileLoop, bound: int, frame: Frame, reader: Reader) -> None:
    """A loop that stays a loop."""
    settle(node.block, node, reader)
    value = _pure_condition(node, reader)
    flags = set(reader.jumped)
    body = block_apart(node.block, reader)
    if frame.again is not None:
        body = (Assign(frame.again, Literal(0), reader.place(node)), *body)
        reader.jumped.discard(frame.again)
    stay = value if isinstance(value, Classical) else Literal(value)
    if raised := flags | reader.jumped:
        stay = Operation("&&", (none_of(raised), stay))
    reader.emit((While(stay, body, bound, reader.place(node)),), node)


def _pure_condition(node: ast.WhileLoop, reader: Reader) -> bool | Classical:
    before = len(reader.operations)
    value = condition(node.while_condition, reader)
    if len(reader.operations) > before:
        reader.fail(
            node.while_condition, "the condition of a loop cannot measure: measure into a bit in its body"
        )
    return value


def _bound(node: ast.WhileLoop, reader: Reader) -> int | None:
    for annotation in node.annotations:
        if annotation.keyword == "qlazy.bound":
            assert annotation.span is not None
            text, line = annotation.command or "", annotation.span.start_line
            if not text.strip():
                reader.fail(annotation, "@qlazy.bound needs a number, such as `@qlazy.bound 18`")
            column = reader.source.lines[line - 1].index("qlazy.bound") + len("qlazy.bound") + 1
            bound = integer(parse_expression(reader.source, text, line, column), reader)
            if bound < 0:
                reader.fail(annotation, f"a bound must be non-negative, but is {bound}")
            return bound
    return None


@execute.register
def _(node: ast.BreakStatement, reader: Reader) -> None:
    jump(_innermost("loop", node, reader), node, reader)


@execute.register
def _(node: ast.ContinueStatement, reader: Reader) -> None:
    jump(_innermost("loop", node, reader), node, reader, again=True)


@execute.register
def _(node: ast.EndStatement, reader: Reader) -> None:
    outside_gates(node, reader)
    jump(reader.frames[0], node, reader)


def _innermost(kind: str, node: ast.QASMNode, reader: Reader) -> Frame:
    frame = reader.frames[-1]
    if frame.kind != kind:
        reader.fail(node, "there is no loop here to leave")
    return frame


def jump(frame: Frame, node: ast.QASMNode, reader: Reader, again: bool = False) -> None:
    """Leave ``frame``, or go on with its next round."""
    if reader.depth == frame.depth:
        raise Jump(frame, again)
    if again:
        frame.again = flag = frame.again or reader.variable("skipped", BIT)
    else:
        frame.leave = flag = frame.leave or reader.variable(_FLAGS[frame.kind], BIT)
    assign(flag, 1, node, reader)
    reader.jumped.add(flag)
    raise Skipped


_FLAGS = {"loop": "left", "subroutine": "returned", "program": "ended"}
