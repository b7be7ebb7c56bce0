"""Prints what docs/scale.md extrapolates from: seconds of a tiled kernel on one and on two Dask workers."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import torch
from distributed import Client

import qlazy

SAMPLES, TILE, LAYERS = 8192, 1024, (6, 60)


def seconds(layers: int, workers: int) -> float:
    """Wall time of the kernel, the cluster started and its imports done beforehand."""
    model = qlazy.load_circuit("hardware_efficient", n=6, layers=layers)
    params = model.init(torch.Generator().manual_seed(0))
    x = 6.28 * torch.rand(SAMPLES, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    options = {"tile": TILE, "progress": False}
    with (
        tempfile.TemporaryDirectory() as folder,
        Client(n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0") as client,
    ):
        qlazy.tiled_kernel(
            model, params, x[:512], store=Path(folder, "w"), client=client, tile=64, progress=False
        )
        start = time.perf_counter()
        qlazy.tiled_kernel(model, params, x, store=Path(folder, "k"), client=client, **options)
        return time.perf_counter() - start


if __name__ == "__main__":
    torch.set_num_threads(1)
    tiles = (SAMPLES // TILE) * (SAMPLES // TILE + 1) // 2
    for layers in LAYERS:
        one, two = (seconds(layers, workers) for workers in (1, 2))
        took = f"1 worker {one:.2f} s ({1e3 * one / tiles:.1f} ms a tile), 2 workers {two:.2f} s"
        print(f"{12 * layers} parameters, {SAMPLES} x {SAMPLES}: {took}, {one / two:.2f} times", flush=True)
