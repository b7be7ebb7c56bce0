"""Checking a gate body where it is defined: every name in it must be declared, whether or not the gate is
ever called.

A body calls gates defined before it only, so that no gate can call itself.
"""

from __future__ import annotations

from openqasm3 import ast
from openqasm3.visitor import QASMVisitor

from qlazy.quantum.qasm.gates.standard import STANDARD
from qlazy.quantum.qasm.reader import Reader


def check_body(node: ast.QuantumGateDefinition, reader: Reader) -> None:
    """Refuse unknown gates and undeclared names in the body of ``node``."""
    check = _BodyCheck(node, reader)
    for statement in node.body:
        check.visit(statement)


def check_gate_name(name: ast.Identifier, reader: Reader) -> None:
    if name.name not in reader.gates:
        if name.name in reader.subroutines:
            reader.fail(name, f"`{name.name}` is a subroutine, not a gate: call it as `{name.name}(...);`")
        hint = '; write include "stdgates.inc";' if name.name in STANDARD else ""
        reader.fail(name, f"unknown gate `{name.name}`{hint}")


class _BodyCheck(QASMVisitor[None]):
    def __init__(self, gate: ast.QuantumGateDefinition, reader: Reader):
        self.gate, self.reader = gate, reader
        self.local = {name.name for name in (*gate.arguments, *gate.qubits)}

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
        if node.name not in self.local:
            self.reader.binding(node)
