"""Models named in a line of text: ``hardware_efficient:n=6,layers=3``, ``circuit.qasm``, ``mlp:16,relu``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, get_args

from torch import nn

from qlazy.base.errors import did_you_mean, refuse, require
from qlazy.comparison.baselines import InfiniteCircuit, InfiniteNet
from qlazy.data.datasets import Dataset
from qlazy.kernels.infinite_nets import Activation
from qlazy.models.model import Model
from qlazy.models.nets import mlp

if TYPE_CHECKING:
    from qlazy.quantum.circuit import Circuit
    from qlazy.quantum.program.program import Program

NET, MEAN = "mlp", "mean:"
ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
}
DEFAULT_WIDTH = 8


@dataclass(frozen=True)
class Spec:
    """One model as it was asked for: the text, the part before the colon, and what follows it."""

    text: str
    name: str
    options: tuple[str, ...] = ()

    @property
    def is_net(self) -> bool:
        return self.name == NET


def parse_spec(text: str) -> Spec:
    """Split a spec into name and options. Raises ValueError for an empty name or option, and for a Python file."""
    must = (
        "be a family, an OpenQASM file or a net (of a Python file, the commands take FILE.py:NAME; in Python "
        "a QNode goes into qlazy.Circuit(qnode, shapes))"
    )
    require(not re.fullmatch(r".+\.py(:[^/\\]*)?", text.strip()), "model", must, text.strip())
    # Options hold no path separator, so that the colon of a drive letter stays part of the path.
    match = re.fullmatch(r"(?P<name>[^:].*?)(?::(?P<options>[^:/\\]*))?", text.strip())
    if match is None:
        refuse("model", "be a spec such as hardware_efficient:n=6,layers=3 or mlp:16,16", repr(text))
    options = () if match["options"] is None else tuple(o.strip() for o in match["options"].split(","))
    require(all(options), "model", "have an option between its commas, as in mlp:16,16", repr(text))
    return Spec(text.strip(), match["name"], options)


def require_readable(text: str) -> None:
    """Refuse a spec that cannot be read, whatever the data are: before models are made of others beside it.

    Raises ValueError for the name of no family, a file that is not there, and options that mean nothing.
    """
    from qlazy.quantum.corpus import locate, names, program_names

    spec = parse_spec(text)
    if spec.is_net:
        _net_options(spec)
        return
    families = (*names(), *program_names())
    is_path = Path(spec.name).suffix or len(Path(spec.name).parts) > 1 or Path(spec.name).is_file()
    if not is_path and spec.name not in families:
        must = (
            f"be the path of a file or one of {', '.join(names())}, {NET} for a net, or a program of "
            "`qlazy circuits --programs`"
        )
        refuse("model", must, f"{spec.name!r}{did_you_mean(spec.name, (*families, NET))}")
    path = locate(spec.name)
    if not path.exists():
        refuse("model", "be a file that is there", f"{path}, and there is no such file{_near(path)}")
    parse_sizes(spec.options, spec.text)


def _near(path: Path) -> str:
    """A file of a circuit beside it with a name like it."""
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    return did_you_mean(path.name, sorted(one.name for one in beside if one.suffix in (".py", ".qasm")))


def build_models(texts: Sequence[str], data: Dataset, beside: Sequence[Model] = ()) -> dict[str, Model]:
    """The models of a comparison, by their specs, with the inputs and outputs of ``data``.

    ``mlp`` without widths has one hidden layer that brings it near the mean parameter count of the circuits among
    them and of the models ``beside`` them. Raises ValueError for a spec that cannot be read, is given twice or does not
    fit the data.
    """
    specs = [parse_spec(text) for text in texts]
    for spec in specs:
        require(sum(spec == other for other in specs) == 1, "models", "be given once each", spec.text)
    circuits: dict[str, Model] = {s.text: build_circuit(s, data) for s in specs if not s.is_net}
    counts = [model.num_params for model in (*circuits.values(), *beside)]
    budget = mean(counts) if counts else None
    return {s.text: build_net(s, data, budget) if s.is_net else circuits[s.text] for s in specs}


def build_baseline(text: str, data: Dataset) -> InfiniteNet | InfiniteCircuit:
    """``relu``, ``erf:3`` with three hidden layers, or ``mean:hardware_efficient:layers=3``: a circuit's mean kernel.

    Raises ValueError for a spec that cannot be read, and for a circuit that does not fit the data.
    """
    if text.startswith(MEAN):
        return InfiniteCircuit(build_circuit(parse_spec(text.removeprefix(MEAN)), data))
    name, colon, hidden = text.partition(":")
    is_net = name in get_args(Activation) and ((hidden.isdecimal() and int(hidden) > 0) or not colon)
    must = f"be {' or '.join(get_args(Activation))}, as in relu or erf:2, or a circuit as {MEAN}light_cone:layers=2"
    require(is_net, "--baselines", must, repr(text))
    return InfiniteNet("relu" if name == "relu" else "erf", int(hidden or 1))


def build_net(spec: Spec, data: Dataset, budget: float | None = None) -> Model:
    """A fully connected net: ``mlp``, ``mlp:16,16`` or ``mlp:16,relu``.

    Without widths, one hidden layer for about ``budget`` parameters, or of DEFAULT_WIDTH units.
    """
    inputs, outputs = data.x_train.shape[1], data.y_train.shape[1]
    widths, named = _net_options(spec)
    if not widths:
        widths = [_width(inputs, outputs, budget)]
    activation = ACTIVATIONS[named[0]] if named else nn.Tanh
    return mlp([inputs, *widths, outputs], activation, dtype=data.y_train.dtype)


def _net_options(spec: Spec) -> tuple[list[int], list[str]]:
    """Hidden widths and an activation, or none."""
    named = [option for option in spec.options if not option.isdecimal()]
    widths = [int(option) for option in spec.options if option.isdecimal()]
    expected = f"name hidden widths, then at most one activation of {', '.join(ACTIVATIONS)}"
    in_order = list(spec.options) == [*map(str, widths), *named]
    require(in_order and len(named) <= 1 and set(named) <= set(ACTIVATIONS), "model", expected, spec.text)
    require(all(widths), "model", "have hidden layers of one unit or more", spec.text)
    return widths, named


def build_circuit(spec: Spec, data: Dataset) -> Circuit:
    """A circuit of the corpus or of a file, ``name:n=6,layers=3``, checked against the data.

    A family with a size ``n`` and data inputs gets as many qubits as the data have features, unless told.
    """
    from qlazy.quantum.circuit import Circuit
    from qlazy.quantum.corpus import load_program

    sizes = parse_sizes(spec.options, spec.text)
    features = data.x_train.shape[1]
    program = load_program(spec.name, **sizes)
    if "n" in program.sizes and "n" not in sizes and program.num_features not in (0, features):
        program = load_program(spec.name, **sizes, n=features)
    _check_fit(spec, program, data)
    return Circuit.from_program(program)


def parse_sizes(options: Sequence[str], text: str) -> dict[str, int]:
    """Sizes such as ("n=6", "layers=3") as integers. Raises ValueError naming ``text``."""
    pairs = [re.fullmatch(r"(\w+)\s*=\s*(-?\d+)", option) for option in options]
    sizes = {pair[1]: int(pair[2]) for pair in pairs if pair}
    bare = next((option for option in options if re.fullmatch(r"[^\W\d]\w*\s*=?", option)), "")
    hint = f" (did you mean '{bare.rstrip(' =')}=3'?)" if bare else ""
    must = "be name=integer, each once, as in n=6,layers=3"
    require(len(sizes) == len(options), "sizes", must, f"{text!r}{hint}")
    return sizes


def _width(inputs: int, outputs: int, budget: float | None) -> int:
    """The h for which h (inputs + 1) + (h + 1) outputs comes nearest to the budget."""
    if budget is None:
        return DEFAULT_WIDTH
    return max(1, round((budget - outputs) / (inputs + 1 + outputs)))


def _check_fit(spec: Spec, program: Program, data: Dataset) -> None:
    has = program.num_features, program.num_outputs
    pairs = (
        ("inputs", "features", has[0], data.x_train.shape[1]),
        ("outputs", "targets", has[1], data.y_train.shape[1]),
    )
    for own, theirs, count, wanted in pairs:
        if count != wanted:
            must = f"have {_counted(wanted, own)}, as {data.name} has {_counted(wanted, theirs)}"
            classes = "; two classes take one" if data.classes else ""
            remedy = f" (a `pragma qlazy.observable` is one{classes})" if own == "outputs" else ""
            refuse(spec.text, f"{must}{remedy}", f"of {_counted(count, own)}")


def _counted(count: int, nouns: str) -> str:
    return f"{count} {nouns.removesuffix('s') if count == 1 else nouns}"
