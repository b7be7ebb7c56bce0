"""Kernels on disk: equal to the dense matrix, taken up where they stopped, and what is refused."""

from __future__ import annotations

import itertools
import json
import resource
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import qlazy
from qlazy import Function, Model, Scaled, TiledKernel, tangent_kernel, tiled_kernel
from qlazy.kernels.tiles import chunks
from tests.makers import curved_function, inputs, qnode_circuit, rng, tanh_net

MAKERS = [curved_function, tanh_net, qnode_circuit]


def compute(model: Model, params, x, *others, **options) -> TiledKernel:
    return tiled_kernel(model, params, x, *others, progress=False, **{"workers": 2, **options})


def tiles_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def stored(tmp_path):
    """A model, its params, 11 inputs, and its kernel in tiles of 4 samples by 2 outputs."""
    model, params, _ = curved_function()
    x = inputs(11, 3)
    return model, params, x, compute(model, params, x, store=tmp_path / "k", tile=4)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("tile", [1, 3, 7, 20])
def test_tiles_are_the_dense_kernel(make, tile, tmp_path):
    model, params, _ = make()
    x, x2 = inputs(7, 3), inputs(5, 3, seed=2)
    for others in ((), (x2,)):
        dense = tangent_kernel(model, params, x, *others).to_dense()
        found = compute(model, params, x, *others, store=tmp_path / str(len(others)), tile=tile)
        torch.testing.assert_close(found.to_dense(), dense, rtol=1e-12, atol=1e-12 * float(dense.abs().max()))
        assert found.shape == tuple(dense.shape)
        found.verify(progress=False)


@settings(max_examples=20)
@given(data=st.data())
def test_blocks_are_slices(data, tmp_path_factory):
    model, params, _ = curved_function()
    n, m, tile = (data.draw(st.integers(1, 9)) for _ in range(3))
    x, x2 = inputs(n, 3), data.draw(st.sampled_from([None, inputs(m, 3, seed=2)]))
    found = compute(model, params, x, x2, store=tmp_path_factory.mktemp("k") / "s", tile=tile, workers=1)
    dense = found.to_dense()
    bounds = st.one_of(st.none(), st.integers(-20, 20))
    part = slice(data.draw(bounds), data.draw(bounds)), slice(data.draw(bounds), data.draw(bounds))
    assert torch.equal(found.block(*part), dense[part])
    v = torch.randn(dense.shape[1], 2, generator=rng(), dtype=torch.float64)
    torch.testing.assert_close(found @ v, dense @ v)
    torch.testing.assert_close(found @ v[:, 0], dense @ v[:, 0])


def test_diagonal_and_trace(stored):
    *arguments, found = stored
    dense = tangent_kernel(*arguments).to_dense()
    torch.testing.assert_close(found.diagonal(), dense.diagonal())
    torch.testing.assert_close(found.trace(), dense.trace())
    assert torch.equal(found.to_dense(), found.to_dense().T)


def test_other_tools_read_the_array(stored):
    found = stored[3]
    array = zarr.open_array(str(found.folder), path="kernel", mode="r")
    np.testing.assert_array_equal(array[:], found.to_dense().numpy())
    assert array.metadata.dimension_names == ("row", "column")


def test_float32_stays_float32(tmp_path):
    model, params, _ = qnode_circuit()
    x = inputs(9, 3).float()
    found = compute(model, params.float(), x, store=tmp_path / "k", tile=4)
    assert found.to_dense().dtype == found.dtype == torch.float32
    dense = tangent_kernel(model, params.float(), x).to_dense()
    torch.testing.assert_close(found.to_dense(), dense, rtol=1e-5, atol=1e-5)


def test_a_large_jacobian_is_never_whole(tmp_path, monkeypatch):
    # Wider than the kernel: tiles from blocks of the Jacobian, here of one sample each.
    from qlazy.models import model as models

    monkeypatch.setattr(models, "BLOCK_BYTES", 1)
    model = Function(lambda w, x: torch.sin(x @ w.reshape(3, 50)).sum(1, keepdim=True), 150)
    params, x = model.init(rng()), inputs(6, 3)
    found = compute(model, params, x, store=tmp_path / "k", tile=4)
    assert found.description.rule == "gram"
    torch.testing.assert_close(found.to_dense(), tangent_kernel(model, params, x).to_dense())


def test_what_is_missing_is_computed_and_nothing_else(stored):
    model, params, x, found = stored
    before = tiles_of(found.folder)
    lost = [found.folder / "kernel" / "c" / "0" / "1", found.folder / "kernel" / "c" / "2" / "0"]
    for path in lost:
        path.unlink()
    assert found.missing() == [(0, 1), (0, 2)]
    with pytest.raises(ValueError, match="which lacks 2 tiles"):
        TiledKernel.load(found.folder)
    with pytest.raises(ValueError, match=r"c/0/1 is missing"):
        found.to_dense()
    kept = found.folder / "kernel" / "c" / "1" / "1"
    modified = kept.stat().st_mtime_ns
    compute(model, params, x, store=found.folder, tile=4)
    assert tiles_of(found.folder) == before
    assert kept.stat().st_mtime_ns == modified


def test_a_finished_store_runs_no_tiles(stored, monkeypatch):
    model, params, x, found = stored
    monkeypatch.setattr(chunks.ChunkedMatrix, "write", None)
    again = compute(model, params, x, store=found.folder, tile=4)
    assert torch.equal(again.to_dense(), TiledKernel.load(found.folder).to_dense())


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_number_of_workers_changes_no_bit(stored, tmp_path, workers):
    model, params, x, found = stored
    other = compute(model, params, x, store=tmp_path / "other", tile=4, workers=workers)
    assert tiles_of(other.folder) == tiles_of(found.folder)


def test_a_model_runs_on_one_thread_at_a_time(tmp_path):
    # functional_call changes a module while it runs: two threads would read each other's parameters.
    alone = threading.Lock()

    def forward(w: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        assert alone.acquire(blocking=False), "two threads run the model at once"
        time.sleep(0.001)
        alone.release()
        return torch.sin(x * w)

    params, x = torch.ones(3).double(), inputs(30, 3)
    model = Function(forward, 3)
    compute(model, params, x, store=tmp_path / "k", tile=3, workers=4, key="sleeps")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tile": 5}, "whose tile is 4, not 5"),
        ({"params": 1.0}, "whose params are others"),
        ({"x": 1.0}, "whose inputs x are others"),
        ({"x2": 1.0}, "whose inputs x2 is None"),
        ({"dtype": torch.float32}, "whose dtype is float64, not float32"),
        ({"model": 1.01}, "code and settings, and versions, are others"),
    ],
)
def test_a_store_of_another_kernel_is_refused(stored, change, message):
    model, params, x, found = stored
    before = tiles_of(found.folder)
    if "model" in change:
        model = Scaled(model, change["model"])
    params = (params + change.get("params", 0)).to(change.get("dtype"))
    x = (x + change.get("x", 0)).to(change.get("dtype"))
    others = (x[:11] + 1,) if "x2" in change else ()
    with pytest.raises(ValueError, match=message) as error:
        compute(model, params, x, *others, store=found.folder, tile=change.get("tile", 4))
    assert str(found.folder) in str(error.value)
    assert tiles_of(found.folder) == before


def test_the_same_kernel_by_another_name_goes_on(stored):
    # A centred model has the kernel of the model: the store is its own.
    model, params, x, found = stored
    again = compute(qlazy.Centered(model, params), params, x, store=found.folder, tile=4)
    assert again.shape == found.shape


def test_damage_is_named(stored):
    model, params, x, found = stored
    tile = found.folder / "kernel" / "c" / "1" / "2"
    contents = bytearray(tile.read_bytes())
    contents[5] ^= 1
    tile.write_bytes(contents)
    for use in (
        found.to_dense,
        lambda: found.verify(progress=False),
        lambda: found @ torch.ones(22).double(),
    ):
        with pytest.raises(ValueError, match=r"c/1/2 is damaged"):
            use()
    tile.write_bytes(contents[:-9])
    with pytest.raises(ValueError, match=r"c/1/2 is damaged: it must have 516 bytes, but has 507; remove it"):
        compute(model, params, x, store=found.folder, tile=4)
    tile.unlink()
    assert torch.equal(compute(model, params, x, store=found.folder, tile=4).to_dense(), found.to_dense())


def test_a_damaged_block_of_the_jacobian_is_named(tmp_path):
    model, params, _ = curved_function()
    x = inputs(11, 3)
    found = compute(model, params, x, store=tmp_path / "k", tile=4)
    block = found.folder / "jacobian" / "c" / "1" / "0"
    contents = bytearray(block.read_bytes())
    contents[5] ^= 1
    block.write_bytes(contents)
    (found.folder / "kernel" / "c" / "0" / "1").unlink()
    with pytest.raises(ValueError, match=r"jacobian/c/1/0 is damaged"):
        compute(model, params, x, store=found.folder, tile=4)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 1, "shape": [1]}'])
def test_a_damaged_description_is_named(stored, text):
    model, params, x, found = stored
    (found.folder / "qlazy.json").write_text(text)
    for use in (
        lambda: TiledKernel.load(found.folder),
        lambda: compute(model, params, x, store=found.folder, tile=4),
    ):
        with pytest.raises(ValueError, match=r"qlazy\.json is damaged"):
            use()


def test_a_damaged_array_is_named(stored):
    (stored[3].folder / "kernel" / "zarr.json").write_text("{")
    with pytest.raises(ValueError, match=r"kernel/zarr\.json is damaged"):
        TiledKernel.load(stored[3].folder)


def test_mirrors_that_differ_are_found(stored):
    found = stored[3]
    matrix = found._matrix
    matrix.write(1, 0, matrix.read(0, 1))
    with pytest.raises(ValueError, match="must mirror the tile across the diagonal"):
        found.verify(progress=False)


def test_a_chunk_of_another_place_is_told(stored):
    """Its own checksum holds, and it has the size of the one that belongs there."""
    found = stored[3]
    there = found.folder / "kernel" / "c" / "1" / "0"
    shutil.copy(found.folder / "kernel" / "c" / "0" / "1", there)
    with pytest.raises(ValueError, match="not the chunk of this place") as refusal:
        found.to_dense()
    assert str(there) in str(refusal.value)


def test_a_chunk_of_another_store_is_told(stored, tmp_path):
    model, params, x, found = stored
    other = compute(model, params, x + 1, store=tmp_path / "other", tile=4)
    for part in ("kernel/c/0/1", "seals/kernel/0/1"):
        shutil.copy(other.folder / part, found.folder / part)
    with pytest.raises(ValueError, match="not the chunk of this place"):
        found.to_dense()


def test_a_chunk_without_its_seal_is_computed_again(stored):
    model, params, x, found = stored
    expected = found.to_dense()
    (found.folder / "seals" / "kernel" / "0" / "1").unlink()
    assert found.missing() == [(0, 1)]
    torch.testing.assert_close(
        compute(model, params, x, store=found.folder, tile=4).to_dense(), expected, rtol=0, atol=0
    )


def test_foreign_folders_and_files_are_left_alone(stored, tmp_path):
    model, params, x, _ = stored
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("mine")
    for name in ("mine", "file"):
        with pytest.raises(ValueError, match="must be a new folder or hold a tiled kernel"):
            compute(model, params, x, store=tmp_path / name)
    assert [entry.name for entry in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
    with pytest.raises(FileNotFoundError, match="not a tiled kernel"):
        TiledKernel.load(tmp_path / "mine")
    (tmp_path / "empty").mkdir()
    compute(model, params, x, store=tmp_path / "empty")


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_full_disk_names_the_file_and_keeps_what_is_finished(tmp_path):
    model, params, _ = curved_function()
    x = inputs(40, 3)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, hard))
    try:  # tiles of 40 by 40 need 12,800 bytes, blocks of the Jacobian do with less
        with pytest.raises(OSError, match=r"kernel/c/\d/\d"):
            compute(model, params, x, store=tmp_path / "k", tile=20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert not list((tmp_path / "k").rglob("*.tmp"))
    assert len(list((tmp_path / "k" / "jacobian" / "c").iterdir())) == 2
    found = compute(model, params, x, store=tmp_path / "k", tile=20)
    torch.testing.assert_close(found.to_dense(), tangent_kernel(model, params, x).to_dense())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": 0}, "`tile` must be a positive integer, but is 0"),
        ({"tile": 2.0}, "`tile` must be a positive integer, but is 2.0"),
        ({"workers": 0}, "`workers` must be a positive integer, but is 0"),
        ({"client": object(), "workers": None}, "`client` must be a dask.distributed Client"),
    ],
)
def test_refused_options(stored, tmp_path, options, message):
    model, params, x, _ = stored
    with pytest.raises((ValueError, TypeError), match=message):
        compute(model, params, x, store=tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_refused_inputs(stored, tmp_path):
    model, params, x, _ = stored
    new = tmp_path / "new"
    with pytest.raises(ValueError, match="`x` must hold at least one sample"):
        compute(model, params, x[:0], store=new)
    with pytest.raises(ValueError, match="`x` must have the dtype of params"):
        compute(model, params, x.float(), store=new)
    with pytest.raises(ValueError, match="must be float64 or float32"):
        compute(Function(lambda w, x: x @ w.unsqueeze(1), 3), params.bfloat16(), x.bfloat16(), store=new)
    with pytest.raises(qlazy.base.errors.ZeroJacobianError):
        compute(Function(lambda w, x: x + 0 * w, 3), params, x, store=new)
    with pytest.raises(qlazy.base.errors.NotFiniteError):
        compute(Function(lambda w, x: x * w.sqrt(), 3), 0 * params, x, store=new)
    assert not new.exists()


def test_a_kernel_that_is_zero_where_that_is_meant(stored, tmp_path):
    _, params, x, _ = stored
    model = Function(lambda w, x: x + 0 * w, 3)
    found = compute(model, params, x, store=tmp_path / "zero", tile=4, allow_zero=True)
    assert not found.to_dense().any()


def test_a_model_that_is_random_is_refused(stored, tmp_path):
    _, params, x, _ = stored
    calls = itertools.count(1)
    model = Function(lambda w, x: (x @ w).unsqueeze(1) * next(calls), 3)
    with pytest.raises(ValueError, match="must (compute the same kernel twice|pass gradients back linearly)"):
        compute(model, params, x, store=tmp_path / "new")


def test_without_zarr_the_remedy_is_named(stored, tmp_path, monkeypatch):
    model, params, x, _ = stored
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match="pip install zarr$"):
        compute(model, params, x, store=tmp_path / "new")


def test_the_description_is_readable(stored):
    values = json.loads((stored[3].folder / "qlazy.json").read_text())
    assert values["shape"] == [22, 22]
    assert values["tile"] == 4
    assert values["model"].startswith("Function(f")
    attributes = json.loads((stored[3].folder / "zarr.json").read_text())["attributes"]["qlazy"]
    assert attributes["outputs"] == 2


def test_a_tile_that_is_not_finite_is_named(stored):
    """Whole and with a right checksum, as a kernel of infinities would be written."""
    *_, found = stored
    found._matrix.write(1, 0, torch.full((8, 8), float("inf"), dtype=torch.float64).numpy())
    with pytest.raises(ValueError, match="must be finite"):
        found.verify(progress=False)
