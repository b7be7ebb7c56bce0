"""``qlazy tiles``: a tangent kernel into a Zarr store, tile by tile."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from qlazy.base.execution import connected
from qlazy.commands import OK
from qlazy.commands.json_documents import add_json
from qlazy.commands.options.data import add_data, read_data
from qlazy.commands.options.kinds import folder, positive
from qlazy.commands.options.models import MODELS_HELP, add_model, add_qnodes, read_qnodes
from qlazy.commands.options.output import add_quiet
from qlazy.commands.options.training import add_workers
from qlazy.kernels.tiles.computing import tiled_kernel

EXAMPLES = f"""\
{MODELS_HELP}
examples:
  qlazy tiles hardware_efficient:layers=2 --data moons --features 2 --train 20000 --test 10 --store k.zarr
  qlazy tiles mlp:64 --data mnist --features 20 --train 4000 --scheduler tcp://host:8786
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model, data, seed, tiles and store."""
    add_model(parser)
    add_qnodes(parser)
    add_data(parser)
    add_workers(parser)
    parser.add_argument(
        "--tile", type=positive, metavar="N", help="samples of a tile (as many as give 1024 rows)"
    )
    parser.add_argument(
        "--store",
        type=folder,
        metavar="DIR",
        default=Path("qlazy-out/kernel.zarr"),
        help="folder (%(default)s)",
    )
    parser.add_argument("--verify", action="store_true", help="read every tile back and check it")
    add_json(parser)
    add_quiet(parser)


def keeps(arguments: argparse.Namespace) -> Path | None:
    """Where finished tiles are kept as they come."""
    return Path(arguments.store)


def run(arguments: argparse.Namespace) -> int:
    """``qlazy tiles``: a tangent kernel into a Zarr store, tile by tile."""
    from qlazy.checking.models import named_models

    data = read_data(arguments)
    ((name, model),) = named_models([arguments.model], data, **read_qnodes(arguments)).items()
    params = model.init(torch.Generator().manual_seed(arguments.seed)).to(data.y_train)
    with connected(arguments.scheduler) as client:
        stored = tiled_kernel(
            model, params, data.x_train, store=arguments.store, tile=arguments.tile,
            workers=arguments.workers, client=client, progress=not arguments.quiet,
        )  # fmt: skip
    if arguments.verify:
        stored.verify(progress=not arguments.quiet)
    (rows, columns), tile, trace = stored.shape, stored.description.tile, float(stored.trace())
    arguments.document = {
        "model": name, "parameters": model.num_params, "data": data.description, "seed": arguments.seed,
        "shape": [rows, columns], "tile": tile, "trace": trace, "store": arguments.store,
    }  # fmt: skip
    print(f"{name}: {rows} x {columns}, trace {trace:.6g}, tiles of {tile} samples")
    print(f"Zarr array `kernel`: {arguments.store}")
    return OK
