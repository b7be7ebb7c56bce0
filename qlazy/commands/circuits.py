"""``qlazy circuits``: the list, or one of them, as text or as a drawing."""

from __future__ import annotations

import argparse
from pathlib import Path

from qlazy.base.errors import require
from qlazy.commands import OK
from qlazy.commands.json_documents import add_json
from qlazy.commands.options.models import add_sizes, read_sizes

EXAMPLES = """\
examples:
  qlazy circuits
  qlazy circuits hardware_efficient --n 6 --layers 2
  qlazy circuits my/circuit.qasm:n=6 --draw circuit.svg
  qlazy circuits --programs
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which circuit at which sizes, and where to draw it."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="a family, or the path of an OpenQASM 3 file")
    add_sizes(parser)
    parser.add_argument("--draw", type=Path, metavar="FILE", help="draw into a PNG, SVG or PDF file")
    add_json(parser)
    parser.add_argument("--programs", action="store_true", help="list those that measure and branch")


def run(arguments: argparse.Namespace) -> int:
    """``qlazy circuits``: the list, or one of them."""
    from qlazy.commands.showing.circuits_text import (
        circuit_document,
        circuit_text,
        families_text,
        family_document,
    )
    from qlazy.quantum.corpus import families, load_program, program_families

    if arguments.name is None:
        alone = [f"--{name}" for name in ("n", "layers", "draw") if getattr(arguments, name) is not None]
        require(not alone, "NAME", f"be given with {', '.join(alone)}", "absent")
        found = program_families() if arguments.programs else families()
        arguments.document = {"circuits": [family_document(family) for family in found]}
        print(families_text(found))
        return OK
    name, sizes = read_sizes(arguments)
    program = load_program(name, **sizes)
    arguments.document = circuit_document(program)
    if arguments.draw is None:
        print(circuit_text(program))
        return OK
    from qlazy.commands.showing.circuit_drawing import save_drawing

    arguments.document["drawing"] = save_drawing(program, arguments.draw)
    print(arguments.document["drawing"])
    return OK
