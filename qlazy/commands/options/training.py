"""Options that say how models are trained, and where the work is done."""

from __future__ import annotations

import argparse
from typing import Any

from qlazy.base.errors import refuse, require
from qlazy.commands.options.kinds import numbers, positive
from qlazy.training.losses import CrossEntropy, Logistic, Loss, SquaredError
from qlazy.training.methods import LBFGS, SGD, Adam, GradientDescent, GradientFlow, Method

_LOSSES: dict[str, Loss] = {"square": SquaredError(), "logistic": Logistic(), "cross-entropy": CrossEntropy()}

_METHODS = ("gd", "sgd", "adam", "lbfgs", "flow")


def add_training(parser: argparse.ArgumentParser, alphas: tuple[float, ...], seeds: int) -> None:
    """The options that say how to train, with the scales and the number of seeds taken unless told."""
    group = parser.add_argument_group("training")
    group.add_argument(
        "--alphas", type=numbers, default=alphas, metavar="A,...",
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


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Where independent parts of the work are done."""
    group = parser.add_argument_group("workers")
    group.add_argument("--workers", type=positive, metavar="N", help="that many at a time, on this machine")
    group.add_argument("--scheduler", metavar="ADDRESS", help="on the Dask cluster there: tcp://host:8786")
