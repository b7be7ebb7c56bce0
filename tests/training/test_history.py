"""Traces: what is written is what is read, bit for bit, or an error that names the file."""

from __future__ import annotations

import dataclasses
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import qlazy.base.storage
from qlazy.base.storage import atomic_write, load_arrays, save_arrays
from qlazy.training.history import History

ARRAYS = ("steps", "times", "params", "train_loss", "train_outputs", "test_loss", "test_outputs")


def some_trace(t: int = 3, dtype: type = np.float64, test: bool = True) -> History:
    rng = np.random.default_rng(0)
    return History(
        steps=np.arange(t),
        times=0.1 * np.arange(t),
        params=rng.normal(size=(t, 5)).astype(dtype),
        train_loss=rng.random(t),
        train_outputs=rng.normal(size=(t, 4, 2)).astype(dtype),
        test_loss=rng.random(t) if test else None,
        test_outputs=rng.normal(size=(t, 6, 2)).astype(dtype) if test else None,
        alpha=0.1 + 0.2,
        loss="1/(2n) sum ||f - y||^2",
        method="SGD(rate=0.5, batch_size=<b>)",
        learning_rate=1 / 3,
        seed=7,
        dtype=np.dtype(dtype).name,
        versions={"qlazy": "0"},
        notes={"data": "Zürich & <i>", "sizes": (1, 2)},
    )


def assert_same(a: History, b: History) -> None:
    for entry in dataclasses.fields(History):
        left, right = getattr(a, entry.name), getattr(b, entry.name)
        if entry.name in ARRAYS and left is not None:
            assert left.dtype == right.dtype
            assert left.tobytes() == right.tobytes()
            assert left.shape == right.shape
        else:
            assert left == right


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("test", [True, False])
def test_a_trace_survives_the_disk_bit_for_bit(tmp_path: Path, dtype: type, test: bool) -> None:
    trace = some_trace(dtype=dtype, test=test)
    trace.save(tmp_path / "deep" / "run.npz")
    assert_same(trace, History.load(tmp_path / "deep" / "run.npz"))


@given(
    arrays.arrays(np.float64, (2, 3), elements=st.floats(width=64)),
    st.floats(min_value=1e-300, max_value=1e300),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_float_survives(tmp_path: Path, params: np.ndarray, alpha: float) -> None:
    trace = dataclasses.replace(some_trace(2), params=params, alpha=alpha)
    trace.save(tmp_path / "run.npz")
    assert_same(trace, History.load(tmp_path / "run.npz"))


def test_equal_traces_are_equal_files_that_numpy_can_read(tmp_path: Path) -> None:
    some_trace().save(tmp_path / "a.npz")
    some_trace().save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["params"], some_trace().params)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("trace") / "run.npz"
    some_trace().save(path)
    return path.read_bytes()


def test_a_truncated_file_is_refused_by_name(tmp_path: Path, saved: bytes) -> None:
    path = tmp_path / "run.npz"
    for length in range(0, len(saved), 37):
        path.write_bytes(saved[:length])
        with pytest.raises(ValueError, match=r"run\.npz"):
            History.load(path)


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_byte_is_refused_or_harmless(tmp_path: Path, saved: bytes, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(saved) - 1))
    damaged = bytearray(saved)
    damaged[position] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "run.npz"
    path.write_bytes(damaged)
    try:
        trace = History.load(path)
    except ValueError as error:
        assert "run.npz" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert_same(trace, some_trace())


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, steps=np.arange(3))
    with pytest.raises(ValueError, match=r"other\.npz"):
        History.load(path)
    save_arrays(path, {"steps": np.arange(3)}, {"format": 1})
    with pytest.raises(ValueError, match=r"other\.npz is not a trace"):
        History.load(path)
    save_arrays(path, {}, {"format": 99})
    with pytest.raises(ValueError, match="format 1.*format 99"):
        History.load(path)
    with pytest.raises(FileNotFoundError):
        History.load(tmp_path / "absent.npz")


def test_pickles_are_neither_written_nor_read(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return (os.mkdir, (str(tmp_path / "exploded"),))

    with pytest.raises(ValueError, match="allow_pickle"):
        save_arrays(tmp_path / "a.npz", {"x": np.array([object()])}, {})
    assert not list(tmp_path.iterdir())
    np.savez(tmp_path / "b.npz", x=np.array([Bomb()], dtype=object))
    (tmp_path / "c.npz").write_bytes(pickle.dumps(Bomb()))
    for name in ("b.npz", "c.npz"):
        with pytest.raises(ValueError, match=name):
            load_arrays(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some_trace().save(tmp_path / "run.npz")

    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(qlazy.base.storage.os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        dataclasses.replace(some_trace(), alpha=2.0).save(tmp_path / "run.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]
    assert_same(History.load(tmp_path / "run.npz"), some_trace())


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with atomic_write(tmp_path / "file") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


def test_a_trace_is_frozen_and_consistent() -> None:
    trace = some_trace()
    with pytest.raises(dataclasses.FrozenInstanceError):
        trace.alpha = 2.0  # type: ignore[misc]
    with pytest.raises(ValueError, match="`train_loss` must have 3 rows"):
        dataclasses.replace(trace, train_loss=np.zeros(2))
    with pytest.raises(TypeError):
        dataclasses.replace(trace, notes={"model": object()})


def test_text_and_html_show_the_run_and_escape_it() -> None:
    trace = some_trace()
    lines = trace.table().splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 1 + len(trace.steps)
    assert f"{trace.test_loss[-1]:.6g}" in lines[-1]
    assert "test loss" not in some_trace(test=False).table()
    page = trace._repr_html_()
    assert page.count("<tr>") == 4
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


def test_drift_is_the_distance_from_the_first_state() -> None:
    trace = dataclasses.replace(some_trace(2), params=np.array([[1.0, 2.0], [4.0, 6.0]]))
    np.testing.assert_array_equal(trace.drift, [0.0, 5.0])
