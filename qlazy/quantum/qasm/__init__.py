"""Reading OpenQASM 3 and 2: `read` turns a text into a `Program`, or raises a `QasmError` that shows the place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from numbers import Integral

from openqasm3 import ast

from qlazy.quantum.backends.unrolling import unroll
from qlazy.quantum.program.program import Gate, PauliSum, Program
from qlazy.quantum.program.walker import WalkError
from qlazy.quantum.qasm import declarations
from qlazy.quantum.qasm.control.subroutines import call
from qlazy.quantum.qasm.observables import read_observable
from qlazy.quantum.qasm.parse import parse
from qlazy.quantum.qasm.parse.version2 import Trained
from qlazy.quantum.qasm.reader import Jump, Pragma, Reader
from qlazy.quantum.qasm.source import QasmError, Source
from qlazy.quantum.qasm.statements import execute_all

__all__ = ["QasmError", "Source", "read"]

MAX_OVERRIDE = 1_000_000
WEIGHTS = "w"
"""The weight that trained angles of a text of version 2 become."""


def read(
    source: Source,
    sizes: Mapping[str, int] | None = None,
    observables: Sequence[str] = (),
    data: Sequence[str] = (),
    name: str = "program",
    weights: Sequence[str] | None = None,
) -> Program:
    """The program that ``source`` describes.

    ``sizes`` set global integer constants that the text gives by a literal. ``observables`` are the outputs,
    in place of those of the pragmas; with neither, the outputs are Z of every qubit. ``data`` names inputs
    that are data, beside those annotated with @qlazy.data. ``weights`` are the gates of a text of version 2 whose
    angles are trained, or ["all"]: element k of the weight `w` is the k-th such angle. Raises QasmError for
    anything the reader does not
    understand or that has no meaning.
    """
    tree = parse(source)
    _check_version(tree, source)
    if weights is not None:
        _train(tree, source, weights)
    _check_overrides(sizes or {}, tree, source)
    overrides = {size: int(value) for size, value in (sizes or {}).items()}
    reader = Reader.of(source, overrides, frozenset(data), call)
    try:
        declarations.declare_physical(reader)
        with suppress(Jump):  # `end`
            execute_all(tree.statements, reader)
        outputs = _outputs(reader, observables)
        _check_meaning(reader)
    except RecursionError:
        reader.fail_here("gates or expressions are nested too deeply")
    _check_inputs(reader, data)
    return Program(
        name=name,
        qubits=tuple(reader.qubits),
        weights=reader.weights,
        data=reader.data,
        operations=tuple(reader.operations),
        observables=outputs,
        sizes=reader.sizes,
        text=source.text,
        path=source.file,
        header=source.header(),
        loops=reader.loops,
    )


def _check_version(tree: ast.Program, source: Source) -> None:
    major = "3" if tree.version is None else tree.version.partition(".")[0]
    if major not in ("2", "3"):
        line = next(i for i, text in enumerate(source.lines, 1) if "OPENQASM" in text)
        raise source.error(
            f"this reader is for OpenQASM 3 and 2, but the text is OpenQASM {tree.version}", line, 0
        )


def _train(tree: ast.Program, source: Source, weights: Sequence[str]) -> None:
    if not source.version_2:
        raise source.error("`weights` is for OpenQASM 2; in version 3 declare `input float[64] w;`", 1, 0)
    trained = Trained(WEIGHTS, None if list(weights) == ["all"] else weights)
    trained.visit(tree)
    missing = [gate for gate in weights if gate != "all" and gate not in trained.names]
    if missing or not trained.angles:
        every = Trained(WEIGHTS, None)
        every.visit(tree)
        known = (
            f"those called with angles are {', '.join(sorted(every.names))}"
            if every.names
            else "none has angles"
        )
        raise source.error(
            f"`weights` must name gates with angles, or be 'all', but is {[*weights]}; {known}", 1, 0
        )
    tree.statements.insert(0, trained.declaration())


def _check_overrides(overrides: Mapping[str, int], tree: ast.Program, source: Source) -> None:
    constants = {n.identifier.name: n for n in tree.statements if isinstance(n, ast.ConstantDeclaration)}
    sizes = [name for name, node in constants.items() if declarations.is_size(node)]
    known = f"its sizes are {', '.join(sizes)}" if sizes else "it has none"
    for name, value in overrides.items():
        if name not in sizes:
            what = "is computed in the program" if name in constants else "is no size of the program"
            node = constants.get(name)
            message = f"`{name}` {what} and cannot be set; {known}"
            raise source.error_at(node, message) if node else source.error(message, 1, 0)
        if not isinstance(value, Integral) or isinstance(value, bool) or not 0 <= value <= MAX_OVERRIDE:
            message = f"`{name}` must be an integer from 0 to {MAX_OVERRIDE:,}, but is {value!r}"
            raise source.error_at(constants[name], message)


def _outputs(reader: Reader, observables: Sequence[str]) -> tuple[PauliSum, ...]:
    if not reader.qubits:
        raise reader.source.error("the program declares no qubits", 1, 0)
    pragmas = [_given(text) for text in observables] or reader.observables
    if not pragmas:
        return tuple(PauliSum.z(wire) for wire in range(len(reader.qubits)))
    return tuple(read_observable(pragma, reader) for pragma in pragmas)


def _given(text: str) -> Pragma:
    """An observable that the caller wrote: errors show it in place of a line of the file."""
    source = Source(text.replace("\n", " "))
    source.file = "<observable>"
    return Pragma(source, source.text, 1, 0)


def _check_meaning(reader: Reader) -> None:
    """Carry the program out in its classical part, so that what fails at run time fails here."""
    if all(isinstance(statement, Gate) for statement in reader.operations):
        return
    try:
        unroll(reader.operations, len(reader.qubits), reader.loops)
    except WalkError as error:
        line, column = error.place or (1, 0)
        raise reader.source.error(str(error), line, column) from error


def _check_inputs(reader: Reader, data: Sequence[str]) -> None:
    for name in data:
        if name not in reader.data:
            known = ", ".join([*reader.weights, *reader.data]) or "none"
            raise reader.source.error(f"`data` names `{name}`, but the inputs are {known}", 1, 0)
