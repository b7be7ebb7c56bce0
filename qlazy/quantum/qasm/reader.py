"""The state of one reading: what has been declared, what has been emitted, and the bounds on both."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NoReturn

from openqasm3 import ast

from qlazy.quantum.program.classical import Kind, Variable, has_locals
from qlazy.quantum.program.program import Semantics, Shape
from qlazy.quantum.program.statements import Gate, Place, Statement
from qlazy.quantum.qasm.expressions.evaluation import Context, integer
from qlazy.quantum.qasm.expressions.values import (
    CONSTANTS,
    Binding,
    GateDefinition,
    GateLike,
    Role,
    Scope,
    StandardGate,
    Subroutine,
    Value,
)
from qlazy.quantum.qasm.gates.standard import EXTRA
from qlazy.quantum.qasm.source import Source

MAX_GATES = 100_000
MAX_STEPS = 200_000
MAX_QUBITS = 10_000
MAX_ELEMENTS = 100_000
MAX_INCLUDES = 50
QELIB1 = "qelib1.inc"


@dataclass
class Pragma:
    """An observable still to be read: its text and where it starts."""

    source: Source
    text: str
    line: int
    column: int


@dataclass
class Frame:
    """What a jump leaves: a loop, a subroutine or the program.

    ``depth`` counts the branches at run time around it. A jump from deeper down is a flag that is raised, and
    what it skips is guarded.
    """

    kind: str
    depth: int
    leave: Variable | None = None
    again: Variable | None = None
    result: Value | None = None
    slot: Variable | None = None
    returns: ast.ClassicalType | None = None


class Jump(Exception):
    """A jump known while reading, on its way to ``frame``."""

    def __init__(self, frame: Frame, again: bool = False) -> None:
        super().__init__(frame.kind)
        self.frame, self.again = frame, again


def _replaceable(gate: GateLike) -> bool:
    """Gates beyond the library of version 3: programs bring their own."""
    if isinstance(gate, GateDefinition):
        return gate.source.file == QELIB1
    return gate.name in EXTRA


@dataclass
class Reader(Context):
    """Collects the parts of a `Program` while statements are executed in order."""

    call_subroutine: Callable[[ast.FunctionCall, Reader], Value | None] = lambda *_: None
    overrides: Mapping[str, int] = field(default_factory=dict)
    data_names: frozenset[str] = frozenset()
    gates: dict[str, GateLike] = field(default_factory=lambda: {"U": StandardGate("U")})
    qubits: list[str] = field(default_factory=list)
    weights: dict[str, Shape] = field(default_factory=dict)
    data: dict[str, Shape] = field(default_factory=dict)
    operations: list[Statement] = field(default_factory=list)
    observables: list[Pragma] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    including: tuple[str, ...] = ()
    statement: ast.QASMNode | None = None
    loops: Semantics = "exit"
    frames: list[Frame] = field(default_factory=lambda: [Frame("program", 0)])
    jumped: set[Variable] = field(default_factory=set)
    depth: int = 0
    _steps: int = 0
    _emitted: int = 0
    _includes: int = 0
    _names: dict[str, int] = field(default_factory=dict)

    @staticmethod
    def of(
        source: Source,
        overrides: Mapping[str, int],
        data: frozenset[str],
        call_subroutine: Callable[[ast.FunctionCall, Reader], Value | None],
    ) -> Reader:
        built_in = Scope()
        for name, value in CONSTANTS.items():
            built_in.names[name] = Binding(Role.CONSTANT, value, Kind("float"))
        reader = Reader(source, Scope(built_in), {}, call_subroutine, overrides, data)
        if source.version_2:
            reader.gates["CX"] = StandardGate("CX")
        return reader

    @property
    def is_global(self) -> bool:
        return self.scope.parent is not None and self.scope.parent.parent is None

    def step(self, node: ast.QASMNode) -> None:
        """Count one statement or round of a loop."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            self.fail(node, f"the program takes more than {MAX_STEPS:,} steps to unroll")

    def emit(self, statements: tuple[Statement, ...], node: ast.QASMNode) -> None:
        self._emitted += len(statements)
        if self._emitted > MAX_GATES:
            self.fail(node, f"the program unrolls to more than {MAX_GATES:,} gates")
        self.operations.extend(self._placed(statement, node) for statement in statements)

    def _placed(self, statement: Statement, node: ast.QASMNode) -> Statement:
        """A gate that may fail at run time, with its place; every other statement as it is."""
        if isinstance(statement, Gate) and any(map(has_locals, statement.angles)):
            return replace(statement, place=self.place(node))
        return statement

    def variable(self, name: str, kind: Kind) -> Variable:
        """A new variable of the program, under ``name`` or one that is still free."""
        free = name
        while free in self._names:
            self._names[name] += 1
            free = f"{name}_{self._names[name]}"
        self._names[free] = 0
        return Variable(free, kind)

    @contextmanager
    def collecting(self) -> Iterator[list[Statement]]:
        """Statements put apart: a block that runs only in some cases."""
        outer, self.operations = self.operations, []
        self.depth += 1
        try:
            yield self.operations
        finally:
            self.operations = outer
            self.depth -= 1

    def place(self, node: ast.QASMNode) -> Place | None:
        return None if node.span is None else (node.span.start_line, node.span.start_column)

    def declare(self, node: ast.Identifier, binding: Binding) -> None:
        """Bind a new name in the present scope."""
        if node.name in self.scope.names:
            self.fail(node, f"`{node.name}` is declared twice")
        built_in = () if self.scope.parent is None else self.scope.parent.names
        if self.source.version_2 and node.name != "pi":
            built_in = ()  # version 2 knows pi alone
        if self.is_global and node.name in built_in:
            self.fail(node, f"`{node.name}` is built in and cannot be declared")
        self.scope.names[node.name] = binding

    def define(self, node: ast.QASMNode, name: str, gate: GateLike) -> None:
        """Name a gate. Gates and values are named apart: `x` may be a gate and an input."""
        known = self.gates.get(name)
        if known is not None and not (_replaceable(known) or self._extends_version_2(name, known)):
            where = ": it is in the library" if isinstance(known, StandardGate) else ""
            self.fail(node, f"the gate `{name}` is defined twice{where}")
        self.gates[name] = gate

    def _extends_version_2(self, name: str, known: GateLike) -> bool:
        """Version 2 began with fewer gates than its library has today: programs bring those that it lacked."""
        return self.source.version_2 and isinstance(known, StandardGate) and name not in ("U", "CX")

    def count_include(self, node: ast.QASMNode) -> None:
        self._includes += 1
        if self._includes > MAX_INCLUDES:
            self.fail(node, f"more than {MAX_INCLUDES} files are included")

    @contextmanager
    def block(self) -> Iterator[None]:
        """A new scope inside the present one."""
        outer, self.scope = self.scope, Scope(self.scope)
        try:
            yield
        finally:
            self.scope = outer

    @contextmanager
    def body_of(self, gate: GateDefinition, names: dict[str, Binding]) -> Iterator[list[Statement]]:
        """The scope of a gate body, whose gates are collected apart."""
        saved = self.source, self.scope, self.operations, self._emitted
        self.source, self.scope, self.operations = gate.source, Scope(self.outermost, gate, names), []
        try:
            yield self.operations
        finally:
            self.source, self.scope, self.operations, self._emitted = saved

    @contextmanager
    def subroutine(self, subroutine: Subroutine, frame: Frame, names: dict[str, Binding]) -> Iterator[None]:
        """The body of a subroutine, whose statements go where the call stands."""
        saved = self.source, self.scope
        self.source, self.scope = subroutine.source, Scope(self.outermost, subroutine, names)
        self.frames.append(frame)
        try:
            yield
        finally:
            self.source, self.scope = saved
            self.frames.pop()

    @property
    def outermost(self) -> Scope:
        """The global scope."""
        scope = self.scope
        while scope.parent is not None and scope.parent.parent is not None:
            scope = scope.parent
        return scope

    def call(self, node: ast.FunctionCall) -> Value:
        value = self.call_subroutine(node, self)
        if value is None:
            self.fail(node, f"`{node.name.name}` returns nothing")
        return value

    @contextmanager
    def inside(self, source: Source) -> Iterator[None]:
        """Read an included text."""
        outer, names = self.source, self.including
        self.source, self.including = source, (*names, source.file or "")
        try:
            yield
        finally:
            self.source, self.including = outer, names

    def shape(self, dimensions: list[ast.Expression]) -> Shape:
        shape = tuple(integer(dimension, self) for dimension in dimensions)
        for extent, node in zip(shape, dimensions, strict=True):
            if extent < 0:
                self.fail(node, f"an array must have a non-negative length, but this one has {extent}")
        if math.prod(shape) > MAX_ELEMENTS:
            self.fail(
                dimensions[0],
                f"an array may have at most {MAX_ELEMENTS:,} elements, not {math.prod(shape):,}",
            )
        return shape

    def fail_here(self, message: str) -> NoReturn:
        """An error at the top-level statement being executed."""
        if self.statement is None:
            raise self.source.error(message, 1, 0)
        self.fail(self.statement, message)
