"""Checking a gate body where it is defined: every name in it must be declared, whether or not the gate is
ever called.

A body calls gates defined before it only, so that no gate can call itself.
"""

from __future__ import annotations

from openqasm3 import ast
from openqasm3.visitor import QASMVisitor

from qlazy.quantum.qasm.expressions.values import PHYSICAL
from qlazy.quantum.qasm.gates.standard import STANDARD
from qlazy.quantum.qasm.reader import Reader


def check_body(node: ast.QuantumGateDefinition, reader: Reader) -> frozenset[str]:
    """Refuse unknown gates and undeclared names in the body of ``node``; the names that stand in it."""
    check = _BodyCheck(node, reader)
    for statement in node.body:
        check.visit(statement)
    return frozenset(check.names)


def is_complex(node: ast.Expression) -> bool:
    """Whether an imaginary number stands in an expression."""
    match node:
        case ast.ImaginaryLiteral():
            return True
        case ast.UnaryExpression(expression=inner):
            return is_complex(inner)
        case ast.BinaryExpression(lhs=left, rhs=right):
            return is_complex(left) or is_complex(right)
    return False


_BEYOND = "; stdgates.inc lacks it, so that a program defines it: "
_VERSION_2 = {
    "u": _BEYOND + "`gate u(t, f, l) a { U(t, f, l) a; }`",
    "csx": _BEYOND + "`gate csx a, b { ctrl @ sx a, b; }`",
    "rzz": _BEYOND + "`gate rzz(t) a, b { cx a, b; rz(t) b; cx a, b; }`",
    "rxx": _BEYOND + "`gate rxx(t) a, b { h a; h b; cx a, b; rz(t) b; cx a, b; h a; h b; }`",
    "iswap": _BEYOND + "`gate iswap a, b { s a; s b; h a; cx a, b; cx b, a; h b; }`",
    "r": _BEYOND + "`gate r(t, f) a { rz(-f) a; rx(t) a; rz(f) a; }`",
}


def check_gate_name(name: ast.Identifier, reader: Reader) -> None:
    if name.name not in reader.gates:
        if name.name in reader.subroutines:
            reader.fail(name, f"`{name.name}` is a subroutine, not a gate: call it as `{name.name}(...);`")
        library = "qelib1.inc" if reader.source.version_2 else "stdgates.inc"
        hint = f'; write include "{library}";' if name.name in STANDARD else _VERSION_2.get(name.name, "")
        reader.fail(name, f"unknown gate `{name.name}`{hint}")


class _BodyCheck(QASMVisitor[None]):
    def __init__(self, gate: ast.QuantumGateDefinition, reader: Reader):
        self.gate, self.reader = gate, reader
        self.local = {name.name for name in (*gate.arguments, *gate.qubits)}
        self.names: set[str] = set()

    def visit_QuantumGate(self, node: ast.QuantumGate) -> None:
        if node.name.name == self.gate.name.name:
            self.reader.fail(node.name, f"the gate `{node.name.name}` calls itself")
        check_gate_name(node.name, self.reader)
        for part in (*node.modifiers, *node.arguments, *node.qubits):
            self.visit(part)

    def visit_ForInLoop(self, node: ast.ForInLoop) -> None:
        self.visit(node.set_declaration)
        self.local.add(node.identifier.name)
        for statement in node.block:
            self.visit(statement)

    def visit_FunctionCall(self, node: ast.FunctionCall) -> None:
        for argument in node.arguments:
            self.visit(argument)

    def visit_Identifier(self, node: ast.Identifier) -> None:
        self.names.add(node.name)
        if node.name.startswith(PHYSICAL):
            self.reader.fail(node, f"a gate acts on its own qubits, not on the physical qubit `{node.name}`")
        if node.name not in self.local:
            self.reader.binding(node)
