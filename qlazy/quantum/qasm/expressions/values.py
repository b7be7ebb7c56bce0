"""What names stand for while a program is read: constants, variables, inputs, arrays, registers and gates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from openqasm3 import ast

from qlazy.quantum.program.classical import Classical, Kind, Variable
from qlazy.quantum.program.expression import Expression
from qlazy.quantum.qasm.source import Source

# bool is an int to Python, and is told apart by its type. A Classical is known only while the program runs.
Number = int | float | Expression | Classical
NUMBER_NAMES = {bool: "bool", int: "int", float: "float"}


@dataclass
class Array:
    """A rectangular array, row-major. Only declared arrays are assigned to."""

    shape: tuple[int, ...]
    elements: list[Number | None]  # None: declared without a value

    def part(self, index: int) -> Number | Array | None:
        """The element, or the sub-array, at ``index`` of the first axis."""
        if len(self.shape) == 1:
            return self.elements[index]
        count = math.prod(self.shape[1:])
        return Array(self.shape[1:], self.elements[index * count : (index + 1) * count])


@dataclass(frozen=True)
class Register:
    """Qubits by wire. ``single`` is one qubit, which broadcasts, unlike a register of one."""

    wires: tuple[int, ...]
    single: bool = False


@dataclass(frozen=True)
class Bits:
    """Classical bits, the lowest first. ``single`` is one bit, unlike a register of one; ``text`` names them."""

    bits: tuple[Variable, ...]
    single: bool = False
    text: str = ""


@dataclass(frozen=True)
class GateDefinition:
    """A user's gate, lowered anew at each call."""

    name: str
    parameters: tuple[str, ...]
    qubits: tuple[str, ...]
    body: Sequence[ast.Statement]
    source: Source
    names: frozenset[str] = frozenset()  # that stand in the body


@dataclass(frozen=True)
class StandardGate:
    """A gate of the standard library, or a built-in one."""

    name: str


@dataclass(frozen=True, eq=False)
class Subroutine:
    """A `def`, executed anew at each call."""

    node: ast.SubroutineDefinition
    source: Source


Value = Number | Array | Register | Bits
GateLike = GateDefinition | StandardGate


class Role(Enum):
    """What a name was declared as: this decides who may see it and who may assign to it."""

    CONSTANT = "constant"
    VARIABLE = "variable"
    INPUT = "input"
    QUBITS = "qubits"
    PARAMETER = "gate parameter"


@dataclass
class Binding:
    role: Role
    value: Value | None  # None: declared without a value
    kind: Kind | None = None
    slots: tuple[Variable, ...] = ()  # where the value lives at run time, once it does


@dataclass
class Scope:
    """Names in one block, and the block around it. ``gate`` marks the body of a definition."""

    parent: Scope | None = None
    gate: GateDefinition | Subroutine | None = None
    names: dict[str, Binding] = field(default_factory=dict)

    def find(self, name: str) -> Binding | None:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None

    def gates_around(self) -> bool:
        """Whether this is inside the body of a gate."""
        scope: Scope | None = self
        while scope is not None:
            if isinstance(scope.gate, GateDefinition):
                return True
            scope = scope.parent
        return False

    def hidden(self, name: str) -> Role | None:
        """Why a body may not use ``name``: the role that the language keeps out of gates and subroutines."""
        scope: Scope | None = self
        inside = None
        while scope is not None:
            if name in scope.names:
                binding = scope.names[name]
                kept_out = binding.role in (Role.VARIABLE, Role.INPUT, Role.QUBITS)
                return binding.role if inside is not None and kept_out else None
            inside = inside or scope.gate
            scope = scope.parent
        return None


PHYSICAL = "$"


def physical_name(text: str) -> str:
    """`$7` for `$7` and `$007`."""
    return PHYSICAL + (text.lstrip(PHYSICAL).lstrip("0") or "0")


CONSTANTS = {"pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e}
