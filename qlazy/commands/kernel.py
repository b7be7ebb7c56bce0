"""``qlazy kernel``: the tangent kernel at initialisation, in figures and pictures, exact and from shots."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.base.storage import remove_stale_drafts, require_writable
from qlazy.commands import OK
from qlazy.commands.options.data import add_data, read_data
from qlazy.commands.options.kinds import positive
from qlazy.commands.options.models import MODELS_HELP, add_model, add_qnodes, read_qnodes
from qlazy.commands.options.output import add_output
from qlazy.commands.showing.answer import tell_replaced
from qlazy.kernels.operator import tangent_kernel

if TYPE_CHECKING:
    from qlazy.kernels.operator import TangentKernel

EXAMPLES = f"""\
{MODELS_HELP}
examples:
  qlazy kernel hardware_efficient:layers=2
  qlazy kernel my_circuit.py:circuit --data mine.csv --target label --shapes weights=2x4x3
  qlazy kernel hardware_efficient:layers=1 --train 10 --shots 1000
  qlazy kernel mlp:16,16 --data breast_cancer --features 6 --seed 3 --out kernel-of-mlp
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model, data, seed and shots."""
    add_model(parser)
    add_qnodes(parser)
    add_data(parser)
    parser.add_argument(
        "--shots", type=positive, metavar="S", help="measure a circuit's kernel too, with S shots a circuit"
    )
    add_output(parser, Path("qlazy-out/kernel"))


def run(arguments: argparse.Namespace) -> int:
    """``qlazy kernel``: the tangent kernel at initialisation, in figures and pictures."""
    from qlazy.base.storage import save_arrays
    from qlazy.checking.models import named_models
    from qlazy.kernels.facts import facts_text, kernel_facts
    from qlazy.kernels.figures import plot_kernel
    from qlazy.kernels.report import learnable, write_kernel

    data = read_data(arguments)
    remove_stale_drafts(require_writable(arguments.out))
    tell_replaced(arguments.out, arguments)
    ((name, model),) = named_models([arguments.model], data, **read_qnodes(arguments)).items()
    generator = torch.Generator().manual_seed(arguments.seed)
    params = model.init(generator).to(data.y_train)
    tangent = tangent_kernel(model, params, data.x_train)
    shown = None if arguments.shots is None else _from_shots(tangent, arguments, generator)
    facts = kernel_facts(tangent, data.y_train)
    facts = {"model": f"{name}, {model.num_params} parameters", "data": data.description, **facts}
    facts |= {} if shown is None else shown[0]
    print(f"{learnable(facts)}\n\n{facts_text(facts)}")
    matrix = tangent.to_dense()
    arguments.document = {
        "model": name, "parameters": model.num_params, "data": data.description, "classes": data.classes,
        "seed": arguments.seed, "facts": facts, "trace": matrix.trace(), "eigenvalues": tangent.eigenvalues(),
        "folder": arguments.out,
    }  # fmt: skip
    arrays = {
        "kernel": matrix, "eigenvalues": tangent.eigenvalues(), "params": params, "x": data.x_train,
        "y": data.y_train, **({} if shown is None else shown[1]),
    }  # fmt: skip
    settings = {"model": name, "seed": arguments.seed, "data": data.description, "facts": facts}
    save_arrays(arguments.out / "kernel.npz", {key: t.numpy() for key, t in arrays.items()}, settings)
    page = write_kernel(
        facts, plot_kernel(matrix, data.y_train, data.classes), arguments.out, arguments.command
    )
    print(f"\nfigures and arrays: {arguments.out}; all in one page: {page}")
    return OK


def _from_shots(
    tangent: TangentKernel, arguments: argparse.Namespace, generator: torch.Generator
) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """The same kernel measured: what there is to say about it, and its arrays."""
    from qlazy.kernels.allocation import naive_excess
    from qlazy.kernels.facts import measured_facts
    from qlazy.kernels.shots import BATCHES
    from qlazy.quantum.backends.shifted import ShiftedCircuits

    model, params, x, shots = tangent.model, tangent.params, tangent.x, arguments.shots
    require(shots >= BATCHES, "--shots", f"be at least one for each of {BATCHES} batches", shots)
    circuits = ShiftedCircuits(model.measured(1), params, x)
    count = circuits.circuits * BATCHES
    print(
        f"{len(x)} samples, {circuits.shape[1] + 1} circuits each, in {BATCHES} batches: {count} circuits, "
        f"{circuits.circuits * shots} shots", file=sys.stderr,
    )  # fmt: skip
    measured = tangent_kernel(
        model, params, x, shots=shots, generator=generator, progress=not arguments.quiet
    )
    try:
        predicted = naive_excess(circuits.weights, circuits.variances(), shots)
    except UnsupportedModelError:
        predicted = None
    facts = {"shots": f"{shots} a circuit, in {BATCHES} batches; {circuits.circuits * shots} in all"}
    arrays = {"measured": measured.values, "errors": measured.errors, "naive": measured.naive}
    return facts | measured_facts(measured, tangent.to_dense(), predicted), arrays
