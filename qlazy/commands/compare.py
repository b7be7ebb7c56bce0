"""``qlazy compare``: train models at several output scales, print the tables, leave a folder."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from qlazy.base.errors import require
from qlazy.base.execution import connected
from qlazy.base.keys import readable
from qlazy.base.tables import printable
from qlazy.commands import FAILED, OK
from qlazy.commands.options import (
    MODELS,
    MODELS_HELP,
    add_data,
    add_output,
    add_qnodes,
    add_training,
    add_workers,
    read_data,
    read_method,
    read_qnodes,
)
from qlazy.comparison.compare import compare
from qlazy.comparison.compare.job import ALPHAS
from qlazy.comparison.kernel_pairs import RIDGE
from qlazy.comparison.metrics import AXES
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model
from qlazy.training.effort import Effort, watched

if TYPE_CHECKING:
    from qlazy.comparison.baselines.result import Surrogates
    from qlazy.comparison.kernel_pairs import KernelPair
    from qlazy.comparison.result import Comparison
    from qlazy.theory.trainability.result import Trainability

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


def keeps(arguments: argparse.Namespace) -> Path | None:
    """Where finished runs are kept as they come."""
    return Path(arguments.out)


def run(arguments: argparse.Namespace) -> int:
    """``qlazy compare``: train, print the tables, leave a folder."""
    from qlazy.checking.models import named_models
    from qlazy.comparison.kernel_pairs import pair_table
    from qlazy.comparison.specs import build_baseline

    require(arguments.ridge > 0, "--ridge", "be positive", arguments.ridge)
    data = read_data(arguments)
    models = named_models(arguments.models or MODELS, data, **read_qnodes(arguments))
    baselines = [build_baseline(text, data) for text in arguments.baselines]
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
        _tell_effort(effort, str(data.x_train.dtype).removeprefix("torch."))
    print(data.description + ("" if arguments.splits == "one" else "; another split for every seed"))
    for name, model in models.items():
        print(f"{name}: {model.num_params} parameters")
    if comparison.learning_rates():
        print(f"learning rates, least to greatest over seeds and scales: {comparison.rates_text()}")
    print(f"\n{comparison.table()}\n")
    pairs = comparison.geometry(arguments.ridge)
    if pairs:
        print(f"{pair_table(pairs)}\n")
    arguments.document = comparison_document(comparison, pairs, data.description, arguments.out)
    page = comparison.report(
        arguments.out, arguments.command, against=arguments.against, ridge=arguments.ridge
    )
    verdict = comparison.verdict()
    learnt = "".join(f"\n\n{one}\n\n{one.caption}" for one in comparison.features)
    if arguments.surrogates:
        arguments.document["surrogates"] = _print_surrogates(arguments, models, data)
    if arguments.trainability:
        arguments.document["trainability"] = _print_trainability(arguments, models, data)
    print(
        f"{verdict}\n\n{verdict.caption}{learnt}\n\nfigures, table and arrays: {arguments.out}; all in one page: {page}"
    )
    failed = [one for one in comparison.runs if one.diverged]
    for one in failed:
        print(
            f"qlazy: {printable(one.model)}, seed {one.seed}, a = {one.alpha:g}: {one.diverged}",
            file=sys.stderr,
        )
    return FAILED if failed else OK


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


def _print_surrogates(
    arguments: argparse.Namespace, models: Mapping[str, Model], data: Dataset
) -> dict[str, Any]:
    """Each model beside its twin and classical ones, on the data and seeds of the comparison."""
    from qlazy.comparison.baselines.surrogates import surrogates

    said = {}
    for index, (name, model) in enumerate(models.items()):
        panel = surrogates(
            model,
            data if arguments.splits == "one" else partial(read_data, arguments),
            seeds=range(arguments.seeds),
            steps=arguments.steps,
            progress=not arguments.quiet,
        )
        panel.save(arguments.out / "surrogates" / f"{index}-{readable(name)}")
        _print_panel(f"{name} beside others", panel)
        said[name] = _panel_document(panel)
    return said


def _print_trainability(
    arguments: argparse.Namespace, models: Mapping[str, Model], data: Dataset
) -> dict[str, Any]:
    """Whether the gradients of each circuit vanish, at sizes of its family."""
    from qlazy.quantum.circuit import Circuit
    from qlazy.theory.trainability.panel import trainability

    said = {}
    for index, (name, model) in enumerate(models.items()):
        if isinstance(model, Circuit):
            panel = trainability(model, data, progress=not arguments.quiet)
            panel.save(arguments.out / "trainability" / f"{index}-{readable(name)}")
            _print_panel(f"{name} over random angles", panel)
            said[name] = _panel_document(panel)
    return said


def _panel_document(panel: Surrogates | Trainability) -> dict[str, Any]:
    return {"decision": panel.decision, "sentences": panel.sentences(), "caption": panel.caption}


def _print_panel(title: str, panel: Surrogates | Trainability) -> None:
    print(f"{title}\n{panel.table()}\n\n{panel}\n\n{panel.caption}\n")


def _specs(text: str) -> tuple[str, ...]:
    """Specs with commas between; those before a size, as in mean:light_cone:n=6,layers=2, belong to the spec."""
    return tuple(part.strip() for part in re.split(r",(?!\s*\w+\s*=)", text))
