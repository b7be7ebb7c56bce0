"""Options that commands share, and what they stand for."""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import torch

from qlazy.base.errors import refuse, require
from qlazy.commands.json_documents import add_json
from qlazy.comparison.specs import parse_sizes, parse_spec
from qlazy.data.datasets import Dataset, load_data
from qlazy.data.named import SOURCES
from qlazy.data.preprocessing import Scaling
from qlazy.training.losses import CrossEntropy, Logistic, Loss, SquaredError
from qlazy.training.methods import LBFGS, SGD, Adam, GradientDescent, GradientFlow, Method

MODELS = ("strongly_entangling:layers=2", "hardware_efficient:layers=3", "mlp")
IMAGES = {"features": 4, "train": 100, "test": 200}
"""What a run on images takes unless told: small enough for a circuit, large enough for an accuracy."""

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

_LOSSES: dict[str, Loss] = {"square": SquaredError(), "logistic": Logistic(), "cross-entropy": CrossEntropy()}
_METHODS = ("gd", "sgd", "adam", "lbfgs", "flow")


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


def add_data(parser: argparse.ArgumentParser) -> None:
    """The options that choose and prepare data."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data", default="digits", metavar="DATA",
        help=f"a set that comes with qlazy ({', '.join(SOURCES)}; options as in hidden_manifold:dimension=8), or "
        "a CSV or NPZ file of yours (%(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--target", type=_columns, metavar="COLUMN,...",
        help="files: the column of labels, or of targets, or several; by name, or from 0, or from -1 backwards",
    )  # fmt: skip
    group.add_argument(
        "--columns", type=_columns, metavar="COLUMN,...", help="files: the inputs (all other columns)"
    )
    group.add_argument(
        "--task", choices=("classes", "regression"),
        help="files: whether targets are classes or real numbers (unless given: told from the target, and said)",
    )  # fmt: skip
    group.add_argument("--classes", type=names, metavar="A,B", help="images: 3,8 unless given; others: all")
    group.add_argument(
        "--features",
        type=positive,
        metavar="N",
        help="principal components kept, one for each qubit (images: 4; sets with options: all; others: 6, or all)",
    )
    group.add_argument(
        "--scaling", choices=get_args(Scaling), default="angle",
        help="inputs: angles, three standard deviations half a turn; standardised; or as they are (%(default)s)",
    )  # fmt: skip
    group.add_argument("--train", type=positive, metavar="N", help="examples (images: 100; others: 70 %%)")
    group.add_argument("--test", type=positive, metavar="N", help="examples (images: 200; others: the rest)")
    group.add_argument(
        "--data-seed", type=int, default=0, metavar="N", help="seed of the split (%(default)s)"
    )
    group.add_argument(
        "--dtype", choices=("float64", "float32"), default="float64", help="default: %(default)s"
    )


def read_data(arguments: argparse.Namespace, split: int = 0) -> Dataset:
    """The data that the options of :func:`add_data` ask for; ``split`` counts further splits from the first."""
    name, options = _data(arguments.data)
    defaults = IMAGES if name in ("digits", "mnist") else {}
    counts = {name: getattr(arguments, name) or defaults.get(name) for name in IMAGES}
    return load_data(
        name,
        **options,
        target=arguments.target,
        columns=arguments.columns,
        regression=None if arguments.task is None else arguments.task == "regression",
        classes=arguments.classes,
        features=counts["features"],
        train=counts["train"],
        test=counts["test"],
        seed=arguments.data_seed + split,
        scaling=arguments.scaling,
        dtype=getattr(torch, arguments.dtype),
    )


def add_training(parser: argparse.ArgumentParser, alphas: tuple[float, ...], seeds: int) -> None:
    """The options that say how to train, with the scales and the number of seeds taken unless told."""
    group = parser.add_argument_group("training")
    group.add_argument(
        "--alphas", type=_numbers, default=alphas, metavar="A,...",
        help=f"output scales a, each a training of a (h(w) - h(w0)) ({','.join(f'{a:g}' for a in alphas)})",
    )  # fmt: skip
    group.add_argument(
        "--seeds",
        type=positive,
        default=seeds,
        metavar="N",
        help="initialisations, seeds 0 to N-1 (%(default)s)",
    )
    group.add_argument("--steps", type=positive, default=200, metavar="N", help="default: %(default)s")
    group.add_argument("--loss", choices=list(_LOSSES), default="square", help="default: %(default)s")
    group.add_argument(
        "--method", choices=_METHODS, default="gd",
        help="gradient descent, SGD, Adam, L-BFGS or gradient flow (%(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--learning-rate",
        type=float,
        metavar="R",
        help="learning rate (gd: n / (2 lambda_max), n training samples and lambda_max the largest eigenvalue of the "
        "tangent kernel at the start)",
    )
    group.add_argument(
        "--batch-size", type=positive, metavar="N", help="samples a step, for sgd (16) and adam (all)"
    )
    group.add_argument("--horizon", type=float, metavar="T", help="time to flow, for flow")
    group.add_argument(
        "--no-center", dest="centered", action="store_false", help="train a h(w) itself, not a (h(w) - h(w0))"
    )


def read_method(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the options of :func:`add_training` ask for, by the names of :func:`qlazy.compare`."""
    return {
        "method": _method(arguments.method, arguments.learning_rate, arguments.batch_size, arguments.horizon),
        "loss": _LOSSES[arguments.loss],
        "steps": arguments.steps,
        "centered": arguments.centered,
    }


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Where independent parts of the work are done."""
    group = parser.add_argument_group("workers")
    group.add_argument("--workers", type=positive, metavar="N", help="that many at a time, on this machine")
    group.add_argument("--scheduler", metavar="ADDRESS", help="on the Dask cluster there: tcp://host:8786")


def add_output(parser: argparse.ArgumentParser, place: Path | None) -> None:
    """The folder, ``place`` unless told, and how what was found is written and printed; None: one named by the work."""
    told = "qlazy-out/NAME)" if place is None else "%(default)s)"
    parser.add_argument("--out", type=folder, metavar="DIR", default=place, help=f"folder ({told}")
    add_figures(parser)
    add_json(parser)
    add_quiet(parser)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Whether progress is shown."""
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def add_figures(parser: argparse.ArgumentParser) -> None:
    """What figures are written as, and how they look."""
    group = parser.add_argument_group("figures")
    group.add_argument(
        "--formats", type=names, metavar="A,...",
        help="kinds of files for figures, of png, svg, pdf (png,svg); fonts in PDFs are embedded as TrueType",
    )  # fmt: skip
    group.add_argument(
        "--style", metavar="STYLE",
        help="a style of matplotlib on top of qlazy's own look, by its name or as a file",
    )  # fmt: skip


@contextmanager
def figures_asked_for(arguments: argparse.Namespace) -> Iterator[None]:
    """The files and the look of all figures of a command, as its options have it."""
    formats, style = (getattr(arguments, name, None) for name in ("formats", "style"))
    if formats is None and style is None:
        yield
        return
    from qlazy.drawing.files import written_as
    from qlazy.drawing.style import drawn_in

    with written_as(formats), drawn_in(style):
        yield


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


def _shapes(text: str) -> tuple[str, tuple[int, ...]]:
    match = re.fullmatch(r"(\w+)=(\d{1,9}(?:[x,]\d{1,9})*|\(\))", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"must be a name and a shape, as in weights=2x4x3, but is {text!r}")
    sizes = () if match[2] == "()" else tuple(map(int, re.split("[x,]", match[2])))
    return match[1], sizes


def _method(name: str, learning_rate: float | None, batch: int | None, horizon: float | None) -> Method:
    remedy = {"gd": ": gradient descent on batches is sgd", "lbfgs": ": its line search needs all samples"}
    belongs = batch is None or name in ("sgd", "adam")
    require(belongs, "--batch-size", f"come with --method sgd or adam{remedy.get(name, '')}", f"with {name}")
    require(horizon is None or name == "flow", "--horizon", "come with --method flow", f"with {name}")
    if name == "gd":
        return GradientDescent(learning_rate)
    if name == "lbfgs":
        return LBFGS() if learning_rate is None else LBFGS(learning_rate)
    if name == "flow":
        require(
            learning_rate is None,
            "--learning-rate",
            "be absent with --method flow, which has --horizon",
            learning_rate,
        )
        return GradientFlow(_needed("horizon", horizon, name))
    step = _needed("learning-rate", learning_rate, name)
    if name == "adam":
        return Adam(step, batch_size=batch)
    return SGD(step, 16 if batch is None else batch)


def _needed(option: str, value: float | None, method: str) -> float:
    if value is None:
        refuse(f"--{option}", f"be given with --method {method}", "absent")
    return value


def _list_of(read: Callable[[str], Any], text: str) -> tuple[Any, ...]:
    return tuple(read(part.strip()) for part in text.split(","))


def names(text: str) -> tuple[str, ...]:
    """An option that is a list of names with commas between."""
    return _list_of(str, text)


def _data(text: str) -> tuple[str, dict[str, int | float]]:
    """The name of a set and its options, as in hidden_manifold:dimension=8,manifold=3, or a path."""
    name, colon, rest = text.partition(":")
    if name not in SOURCES or not colon:
        return text, {}
    options: dict[str, int | float] = {}
    for part in rest.split(","):
        option, _, value = (piece.strip() for piece in part.partition("="))
        must = f"have options as in {name}:option=3, of {', '.join(SOURCES[name].options) or 'none'}"
        require(option in SOURCES[name].options and option not in options, "--data", must, repr(text))
        try:
            options[option] = int(value) if value.lstrip("-").isdecimal() else float(value)
        except ValueError:
            refuse("--data", must, repr(text))
    return name, options


def _columns(text: str) -> tuple[str, ...]:
    """Names with commas between; one that has commas itself stands in double quotes, as in a CSV file."""
    try:
        (names,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        names = []
    if not all(name.strip() for name in names) or not names:
        raise argparse.ArgumentTypeError(f"must be names of columns with commas between, but is {text!r}")
    return tuple(name.strip() for name in names)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return _list_of(float, text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be numbers with commas between, but is {text!r}") from None


def add_model(parser: argparse.ArgumentParser) -> None:
    """One model, and the seed of its parameters."""
    parser.add_argument("model", metavar="MODEL", help="a circuit or a net, as below")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the initial parameters (%(default)s)"
    )


def folder(text: str) -> Path:
    """An option that is a folder, there already or not; refused before any work is done where it is a file."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"must be a folder, but {text} is a file")
    return path


LARGEST = 10_000_000


def positive(text: str) -> int:
    """An option that is a whole number from 1 up."""
    if not text.isdecimal() or not text.lstrip("0"):
        raise argparse.ArgumentTypeError(f"must be a positive integer, but is {text!r}")
    if len(text) > 10 or int(text) > LARGEST:
        raise argparse.ArgumentTypeError(f"must be at most {LARGEST}, but is {text[:20]}")
    return int(text)
