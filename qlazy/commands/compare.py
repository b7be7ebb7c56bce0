"""``qlazy compare``: train models at several output scales, print what follows, leave a folder."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from qlazy.base.errors import require
from qlazy.base.execution import connected
from qlazy.base.tables import Table, printable
from qlazy.commands import FAILED, OK
from qlazy.commands.options.data import add_data, read_data
from qlazy.commands.options.models import MODELS, MODELS_HELP, add_qnodes, read_qnodes
from qlazy.commands.options.output import add_output
from qlazy.commands.options.training import add_training, add_workers, read_method
from qlazy.commands.showing.answer import add_tables, print_answer, tell_replaced
from qlazy.comparison.baselines import baseline_table
from qlazy.comparison.compare import compare
from qlazy.comparison.compare.job import ALPHAS
from qlazy.comparison.kernel_pairs import RIDGE
from qlazy.comparison.metrics import AXES
from qlazy.training.effort import Effort, watched

if TYPE_CHECKING:
    from qlazy.commands.showing.beside import Asked
    from qlazy.comparison.kernel_pairs import KernelPair
    from qlazy.comparison.result import Comparison
    from qlazy.drawing.page import Page

EXAMPLES = f"""\
{MODELS_HELP}
examples:
  qlazy compare
  qlazy compare hardware_efficient:layers=2 strongly_entangling mlp --seeds 5
  qlazy compare my_circuit.py:circuit mlp --data mine.csv --target label --shapes weights=2x4x3
  qlazy compare my/circuit.qasm:n=6 mlp:16,16,relu --features 6 --alphas 1,10,100
  qlazy compare hardware_efficient:layers=2 mlp --baselines relu,mean:hardware_efficient:layers=2
  qlazy compare data_reuploading mlp --data moons --features 2 --method adam --learning-rate 0.01
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Models, data, training and where to put it all."""
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"circuits and nets, as below ({' '.join(MODELS)})"
    )
    add_qnodes(parser)
    add_data(parser)
    add_training(parser, ALPHAS, seeds=3)
    parser.add_argument(
        "--baselines", type=_specs, default=(), metavar="SPEC,...",
        help="beside the models, in closed form: nets of infinite width, relu, erf or relu:3 with 3 hidden layers, and "
        "circuits over random angles, mean:FAMILY or mean:FAMILY:n=6,layers=2",
    )  # fmt: skip
    add_workers(parser)
    parser.add_argument(
        "--ridge", type=float, default=RIDGE, metavar="R",
        help="of the geometric difference between kernels, at trace N (%(default)s)",
    )  # fmt: skip
    fair = parser.add_argument_group("fairness")
    fair.add_argument(
        "--splits", choices=("one", "per-seed"), default="one",
        help="one split of the data for all seeds, or one for each, which intervals then cover too (%(default)s)",
    )  # fmt: skip
    fair.add_argument(
        "--normalize", action="store_true",
        help="divide each model by the root of tr K / n, and real targets by their size: one scale, one unit",
    )  # fmt: skip
    fair.add_argument(
        "--until-loss", type=float, metavar="SHARE",
        help="compare where this share of the training loss is left, as .1, not after equal steps",
    )  # fmt: skip
    fair.add_argument(
        "--against", choices=AXES, default="alpha",
        help="x axis of figures: the scale, or kappa, which says how lazy a model is at it (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--learnt-features",
        action="store_true",
        help="look at what each model learnt at the least scale: kernels along training, error barriers",
    )
    parser.add_argument(
        "--surrogates", action="store_true",
        help="set each model at a = 1 beside its unentangled twin and models without quantum parts, tuned alike",
    )  # fmt: skip
    parser.add_argument(
        "--trainability", action="store_true",
        help="ask of each circuit whether its gradients and kernels vanish with its size, at random angles",
    )  # fmt: skip
    add_output(parser, Path("qlazy-out/compare"))
    add_tables(parser)


def keeps(arguments: argparse.Namespace) -> Path | None:
    """Where finished runs are kept as they come."""
    return Path(arguments.out)


def run(arguments: argparse.Namespace) -> int:
    """``qlazy compare``: train, print the answer, leave a folder."""
    from qlazy.checking.models import named_models
    from qlazy.commands.showing.beside import asked_beside, documents
    from qlazy.comparison.report import write_comparison
    from qlazy.comparison.specs import build_baseline

    require(arguments.ridge > 0, "--ridge", "be positive", arguments.ridge)
    data = read_data(arguments)
    models = named_models(arguments.models or MODELS, data, **read_qnodes(arguments))
    baselines = [build_baseline(text, data) for text in arguments.baselines]
    tell_replaced(arguments.out, arguments)
    with connected(arguments.scheduler) as client, watched() as effort:
        comparison = compare(
            models,
            data if arguments.splits == "one" else partial(read_data, arguments),
            alphas=arguments.alphas,
            seeds=range(arguments.seeds),
            **read_method(arguments),
            normalized=arguments.normalize,
            until_loss=arguments.until_loss,
            baselines=baselines,
            features=arguments.learnt_features,
            out=arguments.out,
            workers=arguments.workers,
            client=client,
            progress=not arguments.quiet,
        )
    if not arguments.quiet and effort.kept:
        print(f"qlazy: {effort.kept_text}", file=sys.stderr)
    if not arguments.quiet:
        _tell_effort(effort, str(data.y_train.dtype).removeprefix("torch."))
    pairs = comparison.geometry(arguments.ridge)
    arguments.document = comparison_document(comparison, pairs, data.description, arguments.out)
    beside = tuple(asked_beside(arguments, models, data))
    arguments.document |= documents(arguments, beside)
    page = write_comparison(
        comparison, arguments.out, arguments.command, against=arguments.against, ridge=arguments.ridge,
        beside=[one.page for one in beside],
    )  # fmt: skip
    print(data.description + ("" if arguments.splits == "one" else "; another split for every seed"))
    print("; ".join(f"{name}: {model.num_params} parameters" for name, model in models.items()) + "\n")
    print_answer(
        arguments, (*_answer(comparison), *(one.claim for one in beside)), _short(comparison, page, beside),
        page.lead, page.tables, page.save(arguments.out),
    )  # fmt: skip
    failed = [one for one in comparison.runs if one.diverged]
    for one in failed:
        print(
            f"qlazy: {printable(one.model)}, seed {one.seed}, a = {one.alpha:g}: {one.diverged}",
            file=sys.stderr,
        )
    return FAILED if failed else OK


def _answer(comparison: Comparison) -> tuple[str, ...]:
    """The verdict on each model and what it rests on at the least scale, and what was learnt, where that was asked."""
    found = comparison.verdict()
    learnt = (one.sentences()[0] for one in comparison.features)
    return (*(" ".join(one.answer()) for one in found), *found.unread, *learnt)


def _short(comparison: Comparison, page: Page, beside: Sequence[Asked]) -> tuple[Table, ...]:
    """The one table of all models, and those that were asked for by an option."""
    first = () if page.first is None else (page.first,)
    asked = (baseline_table(comparison.baselines, bool(comparison.settings.get("classes"))),)
    return (*first, *(asked if comparison.baselines else ()), *(one.page.tables[0] for one in beside))


def _tell_effort(effort: Effort, dtype: str) -> None:
    """How far training was from what the machine can do, on stderr; nothing where no run was counted."""
    if not effort.flops:
        return
    from qlazy.bench.machine import product_rate

    threads = torch.get_num_threads()
    most = product_rate(threads, dtype, size=512, repeats=4)
    print(
        f"qlazy: {effort.runs} runs trained in {effort.seconds:.3g} s, at {1e-9 * effort.rate:.2g} GFLOP/s: "
        f"{100 * effort.rate / most:.2g} % of what a product of matrices reaches here, {1e-9 * most:.2g} GFLOP/s "
        f"({dtype}, {threads} {'thread' if threads == 1 else 'threads'})",
        file=sys.stderr,
    )


def comparison_document(
    comparison: Comparison, pairs: Sequence[KernelPair], data: str, folder: Path
) -> dict[str, Any]:
    """A comparison as values: rows and slopes as they are printed, verdicts, and every run."""
    verdicts = comparison.verdict()
    runs = [
        {
            "model": run.model, "seed": run.seed, "alpha": run.alpha, "diverged": run.diverged or None,
            "learning_rate": run.trace.learning_rate,
            **({} if run.diverged else {name: of(run) for name, of in comparison.metrics.items()}),
        }
        for run in comparison.runs
    ]  # fmt: skip
    slopes = [
        {"model": model, "metric": metric, **asdict(slope)}
        for (model, metric), slope in comparison.slopes().items()
    ]
    return {
        "data": data, "settings": comparison.settings, "rows": comparison.rows(), "runs": runs, "slopes": slopes,
        "geometric_differences": pairs, "verdicts": {one.model: one.sentences() for one in verdicts},
        "caption": verdicts.caption, "features": {one.model: one.sentences() for one in comparison.features},
        "folder": folder,
    }  # fmt: skip


def _specs(text: str) -> tuple[str, ...]:
    """Specs with commas between; those before a size, as in mean:light_cone:n=6,layers=2, belong to the spec."""
    return tuple(part.strip() for part in re.split(r",(?!\s*\w+\s*=)", text))
