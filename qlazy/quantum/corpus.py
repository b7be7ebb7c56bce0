"""The circuits that come with qlazy: finding them, listing them, and reading them at given sizes.

A file of `circuits/` is a family: its integer constants are sizes with defaults. Those of `circuits/programs/`
measure and branch. The folder stands beside the package in a checkout, and inside it in an installed wheel.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

from qlazy.base.errors import did_you_mean, path_of, refuse, require
from qlazy.quantum.program.program import Program
from qlazy.quantum.qasm import Source, read
from qlazy.quantum.qasm.source import is_file

_SUFFIX = ".qasm"
_PROGRAMS = "programs"


@dataclass(frozen=True)
class Family:
    """One file of the corpus, read at its default sizes.

    ``description`` is the first paragraph of the header comment, ``source`` the paragraph that begins with
    "Source:".
    """

    name: str
    description: str
    source: str
    program: Program

    def __str__(self) -> str:
        return f"{self.program} -- {self.description}"


Folders = Any
"""A folder, or a list of folders: not told to type checkers, for whom sizes by ``**`` could be them."""


def load_program(name_or_path: str | PathLike[str], include_from: Folders = (), **sizes: int) -> Program:
    """The program of a family of the corpus (`"hardware_efficient"`) or of an OpenQASM 3 file
    (`"my/circuit.qasm"`).

    ``sizes`` set integer constants of the file: `load_program("hardware_efficient", n=6, layers=8)`. Raises
    ValueError for an unknown circuit, and QasmError, a ValueError, for an unknown size and for a text that
    cannot be read. The file may include others of its own folder, and of the folders ``include_from``.
    """
    path = locate(name_or_path)
    return read(Source.read(path, _folders(include_from)), sizes, name=path.stem)


def program_from_qasm(
    text: str,
    observables: Sequence[str] = (),
    data: Sequence[str] = (),
    weights: str | Sequence[str] | None = None,
    include_from: Folders = (),
    **sizes: int,
) -> Program:
    """The program of an OpenQASM 3 or 2 text.

    ``observables`` such as `("Z q[0]", "0.5 X q[0] X q[1]")` are the outputs, in place of the text's own;
    with neither, the outputs are Z of every qubit. ``data`` names the inputs that are data rather than
    weights. ``weights`` are the gates of a text of version 2 whose angles are trained, or "all". Files are included
    from the folders ``include_from`` alone.
    """
    require(isinstance(text, str), "text", "be a str of OpenQASM; a file is read by `load_circuit`",
            type(text).__name__, TypeError)  # fmt: skip
    gates = None if weights is None else _several(weights)
    source = Source(text, None, _folders(include_from))
    return read(source, sizes, _several(observables), _several(data), weights=gates)


def _folders(include_from: Folders) -> tuple[Path, ...]:
    one = isinstance(include_from, str | PathLike)
    require(one or isinstance(include_from, list | tuple), "include_from", "be a folder or a list of folders",
            include_from, TypeError)  # fmt: skip
    found = tuple(path_of("include_from", folder) for folder in ([include_from] if one else include_from))
    for folder in found:
        require(folder.is_dir(), "include_from", "name folders that are there", str(folder))
    return found


def _several(texts: Sequence[str]) -> Sequence[str]:
    return (texts,) if isinstance(texts, str) else texts


@cache
def folder() -> Path:
    """The folder of the corpus."""
    package = Path(__file__).parents[1]
    for candidate in (package / "circuits", package.parent / "circuits"):
        if any(candidate.glob(f"*{_SUFFIX}")):
            return candidate
    raise FileNotFoundError("the circuits of qlazy are not installed beside it")


def names() -> tuple[str, ...]:
    """The families of circuits, in alphabetical order."""
    return _names(folder())


def program_names() -> tuple[str, ...]:
    """The families of programs, which measure and branch, in alphabetical order."""
    return _names(folder() / _PROGRAMS)


def families() -> tuple[Family, ...]:
    """Every family of circuits at its default sizes."""
    return tuple(_family(name) for name in names())


def program_families() -> tuple[Family, ...]:
    """Every family of programs at its default sizes."""
    return tuple(_family(name) for name in program_names())


def _names(place: Path) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in place.glob(f"*{_SUFFIX}")))


def locate(name_or_path: str | PathLike[str]) -> Path:
    """The file of a family, or the path itself if it is written as one (a folder or a suffix) or exists."""
    must = "be the name of a circuit or the path of a file"
    require(
        isinstance(name_or_path, str | PathLike), "name_or_path", must, type(name_or_path).__name__, TypeError
    )
    is_text = isinstance(name_or_path, str) and (";" in name_or_path or "\n" in name_or_path)
    require(
        not is_text, "name_or_path", f"{must}; a text is read by `from_qasm`", "a text of several statements"
    )
    path = Path(name_or_path)
    if path.suffix or len(path.parts) > 1 or is_file(path):
        return path
    places = {**dict.fromkeys(names(), folder()), **dict.fromkeys(program_names(), folder() / _PROGRAMS)}
    if str(path) not in places:
        _refuse_name(str(path))
    return places[str(path)] / f"{path}{_SUFFIX}"


def _refuse_name(name: str) -> NoReturn:
    hint = did_you_mean(name, [*names(), *program_names()])
    known = (
        f"be the path of a file or one of {', '.join(names())}, or a program of `qlazy circuits --programs`"
    )
    refuse("name_or_path", known, f"{name!r}{hint}")


def _family(name: str) -> Family:
    program = load_program(name)
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", program.header)]
    source = next((part for part in paragraphs if part.startswith("Source:")), "")
    return Family(name, paragraphs[0], source.removeprefix("Source:").strip(), program)
