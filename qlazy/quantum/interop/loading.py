"""Circuits from OpenQASM: of the corpus by name, of a file by its path, of a text."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import get_args

from qlazy.base.errors import require_choice, require_texts
from qlazy.quantum.backends.lowered import MAX_DECLARED, require_wires
from qlazy.quantum.circuit import BackendName, Circuit
from qlazy.quantum.corpus import Folders, load_program, locate, program_from_qasm
from qlazy.quantum.qasm.parse import without_comments
from qlazy.quantum.qasm.source import Source

# `qubit[n] q;` or `qreg q[n];` with a number for n; not an argument of a subroutine, which no semicolon follows
_REGISTER = re.compile(
    r"(?:^|[;}\n])\s*(?:qubit\s*\[\s*(\d{1,9})\s*\]\s*\w+|qreg\s+\w+\s*\[\s*(\d{1,9})\s*\])\s*(?=;)"
)


def load_circuit(
    name_or_path: str | os.PathLike[str],
    *,
    backend: BackendName = "auto",
    cutoff: float = 0.0,
    max_weight: int | None = None,
    include_from: Folders = (),
    **sizes: int,
) -> Circuit:
    """A circuit from the corpus by name, or from an OpenQASM 3 file by path, with its sizes overridden.

    ``load_circuit("hardware_efficient", n=6, layers=3)``. A file may include others of its own folder and those below,
    and of the folders ``include_from``. Raises TypeError for what is no name, ValueError for an unknown name or size,
    and QasmError with file, line and column for a program that is wrong or outside the language covered.
    """
    require_choice("backend", backend, get_args(BackendName))
    _require_declared_width(Source.read(locate(name_or_path)).text, backend)
    program = load_program(name_or_path, include_from, **sizes)
    return Circuit.from_program(program, backend=backend, cutoff=cutoff, max_weight=max_weight)


def from_qasm(
    text: str,
    *,
    observables: Sequence[str] = (),
    data: Sequence[str] = (),
    weights: str | Sequence[str] | None = None,
    backend: BackendName = "auto",
    cutoff: float = 0.0,
    max_weight: int | None = None,
    include_from: Folders = (),
    **sizes: int,
) -> Circuit:
    """A circuit from the text of an OpenQASM 3 program, or of one of version 2.

    ``observables`` are outputs such as "Z q[1]" or "0.5 Z q[0] Z q[1] - X q[2]", ``data`` the names of the inputs that
    are data, for a text that does not say so itself. Version 2 has numbers only, so that its texts run as they stand
    and have no weights, unless ``weights`` names gates, such as ["ry", "rz"], or is "all": each angle of their calls
    outside gate definitions, in the order of the text and in radians, is then an element of the one weight `w`, and the
    numbers of the text are not used. A text includes the standard libraries alone, unless ``include_from`` names
    folders. Raises TypeError for what is no text, ValueError for an unknown name or size, and QasmError with file, line
    and column for a program that is wrong or outside the language covered.
    """
    require_choice("backend", backend, get_args(BackendName))
    require_texts("observables", observables, "['Z q[0]']")
    require_texts("data", data, "['x']")
    _require_declared_width(text, backend)
    if weights is not None and weights != "all":
        require_texts("weights", weights, "['ry', 'rz'], or 'all'")
    program = program_from_qasm(
        text, observables=observables, data=data, weights=weights, include_from=include_from, **sizes
    )
    return Circuit.from_program(program, backend=backend, cutoff=cutoff, max_weight=max_weight)


def _require_declared_width(text: object, backend: str) -> None:
    """Refuse registers too wide for any simulator before the text is parsed, which takes long for a long one."""
    if isinstance(text, str) and backend != "device":
        found = _REGISTER.findall(without_comments(text))
        require_wires(sum(int(new or old) for new, old in found), "program", MAX_DECLARED)
