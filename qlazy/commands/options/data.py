"""Options that choose and prepare data."""

from __future__ import annotations

import argparse
from typing import get_args

import torch

from qlazy.base.errors import did_you_mean, refuse, require
from qlazy.commands.options.kinds import columns, names, positive
from qlazy.data.datasets import Dataset, load_data
from qlazy.data.named import SOURCES
from qlazy.data.preprocessing import Scaling

IMAGES = {"features": 4, "train": 100, "test": 200}
"""What a run on images takes unless told: small enough for a circuit, large enough for an accuracy."""


def add_data(parser: argparse.ArgumentParser) -> None:
    """The options that choose and prepare data."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data", default="digits", metavar="DATA",
        help=f"a set that comes with qlazy ({', '.join(SOURCES)}; options as in hidden_manifold:dimension=8), or "
        "a CSV or NPZ file of yours (%(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--target", type=columns, metavar="COLUMN,...",
        help="files: the column of labels, or of targets, or several; by name, or from 0, or from -1 backwards "
        "(not needed for NPZ files of X and y, or of x_train, y_train, x_test and y_test)",
    )  # fmt: skip
    group.add_argument(
        "--columns", type=columns, metavar="COLUMN,...", help="files: the inputs (all other columns)"
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


def _data(text: str) -> tuple[str, dict[str, int | float]]:
    """The name of a set and its options, as in hidden_manifold:dimension=8,manifold=3, or a path."""
    name, colon, rest = text.partition(":")
    if name not in SOURCES or not colon:
        return text, {}
    options: dict[str, int | float] = {}
    for part in rest.split(","):
        option, _, value = (piece.strip() for piece in part.partition("="))
        must = f"have options as in {name}:option=3, of {', '.join(SOURCES[name].options) or 'none'}"
        known = option in SOURCES[name].options
        hint = "" if known else did_you_mean(option, SOURCES[name].options)
        require(known and option not in options, "--data", must, f"{text!r}{hint}")
        try:
            options[option] = int(value) if value.lstrip("-").isdecimal() else float(value)
        except ValueError:
            refuse("--data", must, repr(text))
    return name, options
