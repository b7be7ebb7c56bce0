"""The command line. Results go to stdout, progress and errors to stderr; the work is done elsewhere."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch

import qlazy
from qlazy.bench.command import EXAMPLES, add_bench, bench
from qlazy.drafts import remove_stale_drafts
from qlazy.errors import Diverged, KernelTooLarge, NotConverged, NotFinite, UnsupportedModel, require
from qlazy.execution import connected
from qlazy.options import (
    MODELS,
    add_data,
    add_sizes,
    add_training,
    add_workers,
    positive,
    read_data,
    read_method,
    read_sizes,
)
from qlazy.pairs import RIDGE

if TYPE_CHECKING:
    from qlazy.kernel import TangentKernel

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
CHECKED = 1e-7  # what a derivative may be off from central differences

_SPECS = """\
models:
  hardware_efficient:n=6,layers=3   a family of `qlazy circuits`, at sizes of choice; n is the number of
                                    features unless given
  path/to/circuit.qasm:n=6          an OpenQASM 3 file
  mlp:16,16,relu                    a fully connected net with these hidden widths; tanh unless an activation
                                    is named; without widths, of about as many parameters as the circuits have
"""
_COMPARE = f"""{_SPECS}
examples:
  qlazy compare
  qlazy compare hardware_efficient:layers=2 strongly_entangling mlp --seeds 5
  qlazy compare my/circuit.qasm:n=6 mlp:16,16,relu --features 6 --alphas 1,10,100
  qlazy compare data_reuploading mlp --data moons --features 2 --method adam --rate 0.01
"""
_KERNEL = f"""{_SPECS}
examples:
  qlazy kernel hardware_efficient:layers=2
  qlazy kernel hardware_efficient:layers=1 --train 10 --shots 1000
  qlazy kernel mlp:16,16 --data breast_cancer --features 6 --seed 3 --out kernel-of-mlp
"""
_TILES = f"""{_SPECS}
examples:
  qlazy tiles hardware_efficient:layers=2 --data moons --features 2 --train 20000 --test 10 --store k.zarr
  qlazy tiles mlp:64 --data mnist --features 20 --train 4000 --scheduler tcp://host:8786
"""
_CIRCUITS = """\
examples:
  qlazy circuits
  qlazy circuits hardware_efficient --n 6 --layers 2
  qlazy circuits my/circuit.qasm:n=6 --draw circuit.svg
  qlazy circuits --programs
"""
_DIFF = """\
examples:
  qlazy diff my/program.qasm --wrt a --out derivative
  qlazy diff p2 --wrt "a[3, 0]" --mode shift --check
  qlazy diff qnn_medium_while --wrt t1 --count
  qlazy diff repeat_until_success:rounds=3 --wrt b --additive
"""
_STUDY = """\
examples:
  qlazy study
  qlazy study wide_circuits
  qlazy study wide_circuits --full --out wide
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, where argparse would print the usage first."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"qlazy: error: {message} (see `{self.prog} --help`)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns 0, or 1 for a run that failed, 2 for bad input, 130 when interrupted."""
    try:
        arguments = _parse(argv)
        arguments.command = shlex.join(["qlazy", *(sys.argv[1:] if argv is None else argv)])
        torch.set_num_threads(arguments.threads)
        return arguments.run(arguments)
    except SystemExit as stop:  # argparse leaves this way, --help and --version included
        return int(stop.code or 0)
    except KeyboardInterrupt:
        print(
            "qlazy: interrupted; started again, it goes on where it stopped",
            file=sys.stderr,
        )
        return INTERRUPTED
    except BrokenPipeError:  # `qlazy circuits | head`: nobody reads on, and Python must not complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (Diverged, KernelTooLarge, NotConverged, NotFinite) as error:
        return _fail(error, FAILED)
    except (ValueError, TypeError, ImportError, OSError) as error:
        return _fail(error, USAGE)


def compare(arguments: argparse.Namespace) -> int:
    """``qlazy compare``: train, print the tables, leave a folder."""
    from qlazy.pairs import pair_table
    from qlazy.specs import build_models
    from qlazy.verdict import verdict_text

    require(arguments.ridge > 0, "--ridge", "be positive", arguments.ridge)
    data = read_data(arguments)
    models = build_models(arguments.models or MODELS, data)
    with connected(arguments.scheduler) as client:
        comparison = qlazy.compare(
            models,
            data,
            alphas=arguments.alphas,
            seeds=range(arguments.seeds),
            **read_method(arguments),
            baselines=arguments.baselines,
            out=arguments.out,
            workers=arguments.workers,
            client=client,
            progress=not arguments.quiet,
        )
    print(data.description)
    for name, model in models.items():
        print(f"{name}: {model.num_params} parameters")
    print(f"\n{comparison.table()}\n")
    pairs = comparison.geometry(arguments.ridge)
    if pairs:
        print(f"{pair_table(pairs)}\n")
    page = comparison.report(arguments.out, arguments.command)
    print(
        f"{verdict_text(comparison)}\n\nfigures, table and arrays: {arguments.out}; all in one page: {page}"
    )
    failed = [run for run in comparison.runs if run.diverged]
    for run in failed:
        print(f"qlazy: {run.model}, seed {run.seed}, a = {run.alpha:g}: {run.diverged}", file=sys.stderr)
    return FAILED if failed else OK


def kernel(arguments: argparse.Namespace) -> int:
    """``qlazy kernel``: the tangent kernel at initialisation, in figures and pictures."""
    from qlazy.report.facts import facts_text, kernel_facts
    from qlazy.report.html import write_kernel
    from qlazy.report.plot import plot_kernel
    from qlazy.specs import build_models
    from qlazy.storage import save_arrays

    data = read_data(arguments)
    ((name, model),) = build_models([arguments.model], data).items()
    generator = torch.Generator().manual_seed(arguments.seed)
    params = model.init(generator).to(data.x_train)
    tangent = qlazy.tangent_kernel(model, params, data.x_train)
    shown = None if arguments.shots is None else _from_shots(tangent, arguments.shots, generator)
    facts = kernel_facts(tangent, data.y_train)
    facts = {"model": f"{name}, {model.num_params} parameters", "data": data.description, **facts}
    facts |= {} if shown is None else shown[0]
    print(facts_text(facts))
    matrix = tangent.to_dense()
    arrays = {
        "kernel": matrix, "eigenvalues": tangent.eigenvalues(), "params": params, "x": data.x_train,
        "y": data.y_train, **({} if shown is None else shown[1]),
    }  # fmt: skip
    remove_stale_drafts(arguments.out)
    settings = {"model": name, "seed": arguments.seed, "data": data.description, "facts": facts}
    save_arrays(arguments.out / "kernel.npz", {key: t.numpy() for key, t in arrays.items()}, settings)
    page = write_kernel(facts, plot_kernel(matrix, data.y_train), arguments.out, arguments.command)
    print(f"\nfigures and arrays: {arguments.out}; all in one page: {page}")
    return OK


def _from_shots(
    tangent: TangentKernel, shots: int, generator: torch.Generator
) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """The same kernel measured: what there is to say about it, and its arrays."""
    from qlazy.allocation import naive_excess
    from qlazy.quantum.shifted import ShiftedCircuits
    from qlazy.report.facts import measured_facts
    from qlazy.shots import BATCHES

    model, params, x = tangent.model, tangent.params, tangent.x
    circuits = ShiftedCircuits(model.measured(1), params, x)
    count = circuits.circuits * BATCHES
    print(
        f"{len(x)} samples, {circuits.shape[1] + 1} circuits each, in {BATCHES} batches: {count} circuits, "
        f"{circuits.circuits * shots} shots", file=sys.stderr,
    )  # fmt: skip
    measured = qlazy.tangent_kernel(model, params, x, shots=shots, generator=generator)
    try:
        predicted = naive_excess(circuits.weights, circuits.variances(), shots)
    except UnsupportedModel:
        predicted = None
    facts = {"shots": f"{shots} a circuit, in {BATCHES} batches; {circuits.circuits * shots} in all"}
    arrays = {"measured": measured.values, "errors": measured.errors, "naive": measured.naive}
    return facts | measured_facts(measured, tangent.to_dense(), predicted), arrays


def tiles(arguments: argparse.Namespace) -> int:
    """``qlazy tiles``: a tangent kernel into a Zarr store, tile by tile."""
    from qlazy.specs import build_models

    data = read_data(arguments)
    ((name, model),) = build_models([arguments.model], data).items()
    params = model.init(torch.Generator().manual_seed(arguments.seed)).to(data.x_train)
    with connected(arguments.scheduler) as client:
        stored = qlazy.tiled_kernel(
            model, params, data.x_train, store=arguments.store, tile=arguments.tile,
            workers=arguments.workers, client=client, progress=not arguments.quiet,
        )  # fmt: skip
    if arguments.verify:
        stored.verify(progress=not arguments.quiet)
    rows, columns = stored.shape
    print(
        f"{name}: {rows} x {columns}, trace {float(stored.trace()):.6g}, tiles of {stored.description.tile} samples"
    )
    print(f"Zarr array `kernel`: {arguments.store}")
    return OK


def circuits(arguments: argparse.Namespace) -> int:
    """``qlazy circuits``: the list, or one of them."""
    from qlazy.quantum.corpus import families, load_program, program_families
    from qlazy.report.text import circuit_text, families_text

    if arguments.name is None:
        print(families_text(program_families() if arguments.programs else families()))
        return OK
    name, sizes = read_sizes(arguments)
    program = load_program(name, **sizes)
    if arguments.draw is None:
        print(circuit_text(program))
        return OK
    from qlazy.report.circuits import save_drawing

    print(save_drawing(program, arguments.draw))
    return OK


def diff(arguments: argparse.Namespace) -> int:
    """``qlazy diff``: the derivative of a program as programs, or what can be said of it."""
    from qlazy.quantum.corpus import load_program
    from qlazy.quantum.differentiation import SampledDerivative, additive_form, differentiate
    from qlazy.report import derivatives

    name, sizes = read_sizes(arguments)
    program = load_program(name, **sizes)
    if arguments.loops is not None:
        program = replace(program, loops=arguments.loops)
    if arguments.count:
        print(derivatives.counts_text(program, arguments.wrt))
        return OK
    require(arguments.wrt is not None, "--wrt", "name the parameter, as in --wrt theta[2]", "absent")
    if arguments.additive:
        print(additive_form(program, arguments.wrt))
        return OK
    found = differentiate(program, arguments.wrt, arguments.mode)
    terms: Sequence[Any] = found if not isinstance(found, SampledDerivative) else ()
    if isinstance(found, SampledDerivative):
        terms, found = [found.draw(torch.Generator().manual_seed(arguments.seed))], found.derivative
    print(derivatives.derivative_text(found))
    if arguments.check:
        error = derivatives.check_error(found, arguments.seed)
        print(f"largest difference from central differences: {error:.2g}")
        return OK if error < CHECKED else FAILED
    if arguments.out is None:
        print(f"\n{derivatives.programs_text(terms)}", end="")
    else:
        paths = derivatives.save_programs(terms, arguments.out)
        print(f"{len(paths)} file{'s' * (len(paths) != 1)}: {arguments.out}")
    return OK


def study(arguments: argparse.Namespace) -> int:
    """``qlazy study``: run one, print its findings, leave a folder; the list without a name."""
    from qlazy.studies import STUDIES, find_study

    if arguments.name is None:
        print("\n".join(f"{name}  {summary}" for name, summary in STUDIES.items()))
        return OK
    module = find_study(arguments.name)
    settings = module.Settings.full() if arguments.full else module.Settings.quick()
    folder = arguments.out or Path("qlazy-out", arguments.name)
    result = module.run(settings, folder, progress=not arguments.quiet)
    print(
        f"{result.table()}\n\nfigures, table and arrays: {folder}; all in one page: {folder / 'report.html'}"
    )
    return OK


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    # argparse takes the models before the first option or those after it, not both.
    if rest and ("models" not in arguments or any(text.startswith("-") for text in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        arguments.models += rest
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="qlazy",
        description="Is this variational circuit learning, or is it a kernel method in disguise?",
        epilog="`qlazy COMMAND --help` shows the options and examples of a command.",
    )
    parser.add_argument("--version", action="version", version=f"qlazy {qlazy.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    one = _command(commands, "compare", compare, "train models at several output scales", _COMPARE)
    one.add_argument("models", nargs="*", metavar="MODEL", help=f"default: {' '.join(MODELS)}")
    add_data(one)
    add_training(one)
    add_workers(one)
    one.add_argument(
        "--ridge", type=float, default=RIDGE, metavar="R",
        help="of the geometric difference between kernels, at trace N (%(default)s)",
    )  # fmt: skip
    one.add_argument("--out", type=Path, default=Path("qlazy-out/compare"), help="folder (%(default)s)")
    one.add_argument("--quiet", action="store_true", help="show no progress")
    one = _command(commands, "kernel", kernel, "measure a model's tangent kernel", _KERNEL)
    one.add_argument("model", metavar="MODEL")
    add_data(one)
    one.add_argument("--seed", type=int, default=0, help="seed of the initial parameters (%(default)s)")
    one.add_argument(
        "--shots", type=positive, metavar="S", help="measure a circuit's kernel too, with S shots a circuit"
    )
    one.add_argument("--out", type=Path, default=Path("qlazy-out/kernel"), help="folder (%(default)s)")
    one = _command(commands, "tiles", tiles, "put a tangent kernel on disk, tile by tile", _TILES)
    one.add_argument("model", metavar="MODEL")
    add_data(one)
    add_workers(one)
    one.add_argument("--seed", type=int, default=0, help="seed of the initial parameters (%(default)s)")
    one.add_argument("--tile", type=int, metavar="N", help="samples of a tile (as many as give 1024 rows)")
    one.add_argument("--store", type=Path, default=Path("qlazy-out/kernel.zarr"), help="folder (%(default)s)")
    one.add_argument("--verify", action="store_true", help="read every tile back and check it")
    one.add_argument("--quiet", action="store_true", help="show no progress")
    one = _command(commands, "circuits", circuits, "list, show or draw circuits", _CIRCUITS)
    one.add_argument("name", nargs="?", metavar="NAME", help="a family, or the path of an OpenQASM 3 file")
    add_sizes(one)
    one.add_argument("--draw", type=Path, metavar="FILE", help="draw into a PNG, SVG or PDF file")
    one.add_argument("--programs", action="store_true", help="list those that measure and branch")
    _add_diff(_command(commands, "diff", diff, "differentiate a program into programs", _DIFF))
    one = _command(commands, "study", study, "run a study: figures beside a paper's or a closed form", _STUDY)
    one.add_argument("name", nargs="?", metavar="NAME", help="which one; without it, the list")
    one.add_argument("--full", action="store_true", help="the full setting, which takes its time")
    one.add_argument("--out", type=Path, help="folder (default: qlazy-out/NAME)")
    one.add_argument("--quiet", action="store_true", help="show no progress")
    add_bench(_command(commands, "bench", bench, "time qlazy against every peer installed", EXAMPLES))
    return parser


def _add_diff(one: argparse.ArgumentParser) -> None:
    one.add_argument("name", metavar="FILE", help="an OpenQASM 3 file, or a family of `qlazy circuits`")
    add_sizes(one)
    one.add_argument("--wrt", metavar="NAME", help="the parameter: a, theta[2], theta[1, 2]")
    one.add_argument(
        "--mode", choices=("ancilla", "shift", "sampled"), default="ancilla",
        help="one run with an ancilla, shifts without, or one program at random (%(default)s)",
    )  # fmt: skip
    one.add_argument(
        "--loops", choices=("exit", "discard"),
        help="what has not left a loop at its bound goes on, or is lost as in while^(T) (default: as the file says)",
    )  # fmt: skip
    one.add_argument("--out", type=Path, help="folder for a file a program (default: print them)")
    one.add_argument("--check", action="store_true", help="compare with central differences instead")
    one.add_argument("--count", action="store_true", help="count occurrences and programs instead")
    one.add_argument("--additive", action="store_true", help="print the sum before compilation instead")
    one.add_argument("--seed", type=int, default=0, help="of --check and of --mode sampled (%(default)s)")


def _command(
    commands: argparse._SubParsersAction[_Parser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    epilog: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=summary, description=summary, epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument(
        "--threads", type=positive, default=1, help="of torch; small circuits want one (%(default)s)"
    )
    parser.set_defaults(run=run)
    return parser


def _fail(error: Exception, code: int) -> int:
    print(f"qlazy: error: {error or type(error).__name__}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
