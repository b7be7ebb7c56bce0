"""Options that name models: their help, shapes of a QNode's weights, sizes of a family, the seed at the start."""

from __future__ import annotations

import argparse
import re
from typing import Any

from qlazy.base.errors import require
from qlazy.comparison.specs import parse_sizes, parse_spec

MODELS = ("strongly_entangling:layers=2", "hardware_efficient:layers=3", "mlp")

MODELS_HELP = """\
models:
  hardware_efficient:n=6,layers=3   a family of `qlazy circuits`, at sizes of choice; n is the number of
                                    features unless given
  path/to/circuit.qasm:n=6          an OpenQASM 3 file
  circuit.py:qnode                  a QNode, a torch module, a qlazy model or a function that returns one, in a
                                    Python file. The file is your own code: it is run, as `python circuit.py` would
  package.module:name               the same in a module that can be imported
  mlp:16,16,relu                    a fully connected net with these hidden widths; tanh unless an activation
                                    is named; without widths, of about as many parameters as the circuits have

Shapes of a QNode's weights are those of its default arguments, as in def circuit(inputs, weights=np.zeros((2, 4, 3))),
or are told by --shapes weights=2x4x3.
"""


def add_model(parser: argparse.ArgumentParser) -> None:
    """One model, and the seed of its parameters."""
    parser.add_argument("model", metavar="MODEL", help="a circuit or a net, as below")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the initial parameters (%(default)s)"
    )


def add_qnodes(parser: argparse.ArgumentParser) -> None:
    """What a QNode of a Python file does not tell."""
    parser.add_argument(
        "--shapes", type=_shapes, nargs="+", action="extend", metavar="NAME=AxB", default=[],
        help="shapes of a QNode's weights, as weights=2x4x3",
    )  # fmt: skip
    parser.add_argument("--inputs", metavar="NAME", help="the QNode's data argument, if not `inputs`")


def read_qnodes(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the options of :func:`add_qnodes` tell, by the names of :func:`qlazy.check`."""
    return {"shapes": dict(arguments.shapes) or None, "inputs": arguments.inputs}


def _shapes(text: str) -> tuple[str, tuple[int, ...]]:
    match = re.fullmatch(r"(\w+)=(\d{1,9}(?:[x,]\d{1,9})*|\(\))", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"must be a name and a shape, as in weights=2x4x3, but is {text!r}")
    sizes = () if match[2] == "()" else tuple(map(int, re.split("[x,]", match[2])))
    return match[1], sizes


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """The sizes nearly every family has; others are given after the name, as in NAME:n=6,layers=2."""
    for name in ("n", "layers"):
        parser.add_argument(f"--{name}", type=int, metavar="N", help=f"as NAME:{name}=N")


def read_sizes(arguments: argparse.Namespace) -> tuple[str, dict[str, int]]:
    """The family or path, and the sizes given either way."""
    spec = parse_spec(arguments.name)
    flags = {name: getattr(arguments, name) for name in ("n", "layers")}
    given = {name: value for name, value in flags.items() if value is not None}
    sizes = parse_sizes(spec.options, spec.text)
    twice = sorted(given.keys() & sizes.keys())
    require(not twice, "sizes", "be given once each", ", ".join(twice))
    return spec.name, {**sizes, **given}
