"""Tiled kernels on a Dask cluster: the bits of one process."""

from __future__ import annotations

import pytest

import qlazy
from tests.makers import inputs, rng


@pytest.mark.parametrize("kind", ["circuit", "net"])
def test_two_workers_write_the_same_bytes(kind, client, tmp_path):
    model = (
        qlazy.load_circuit("hardware_efficient", n=3, layers=1) if kind == "circuit" else qlazy.mlp([3, 4, 2])
    )
    params, x = model.init(rng()), inputs(40, 3)
    options = {"tile": 7, "progress": False}
    alone = qlazy.tiled_kernel(model, params, x, store=tmp_path / "alone", workers=1, **options)
    shared = qlazy.tiled_kernel(model, params, x, store=tmp_path / "shared", client=client, **options)
    files = [path.relative_to(alone.folder) for path in alone.folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert (alone.folder / path).read_bytes() == (shared.folder / path).read_bytes()


def test_an_error_on_a_worker_names_the_file(client, tmp_path):
    model = qlazy.load_circuit("hardware_efficient", n=3, layers=1)
    params, x = model.init(rng()), inputs(40, 3)
    options = {"store": tmp_path / "k", "tile": 7, "progress": False}
    qlazy.tiled_kernel(model, params, x, workers=1, **options)
    (tmp_path / "k" / "kernel" / "c" / "0" / "1").unlink()
    block = tmp_path / "k" / "jacobian" / "c" / "1" / "0"
    block.write_bytes(bytes(len(block.read_bytes())))
    with pytest.raises(ValueError, match=r"jacobian/c/1/0 is damaged"):
        qlazy.tiled_kernel(model, params, x, client=client, **options)
