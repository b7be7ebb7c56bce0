"""What is changed in place, or beside the program, between two starts is made anew, also where no number shows it."""

from __future__ import annotations

import builtins
import contextlib
import decimal
import functools
import importlib
import io
import multiprocessing
import sqlite3
import string
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from qlazy.base.errors import NotKeptWarning
from tests.comparison.test_keys import of, row, started

Change = tuple[Callable[[], object], Callable[[], object]]
"""What a model reads, and what changes that."""
KEPT: dict[str, Callable[[Path], Change]] = {}
UNTOLD: dict[str, Callable[[Path], Change]] = {}


OPENED = contextlib.ExitStack()


@pytest.fixture(autouse=True)
def closed_at_the_end() -> Iterator[None]:
    yield
    OPENED.close()


def registered(kinds: dict[str, Any]) -> Callable[[Any], Any]:
    def register(make: Any) -> Any:
        kinds[make.__name__] = make
        return make

    return register


kept, untold = registered(KEPT), registered(UNTOLD)


@kept
def default_type(folder: Path) -> Change:
    return lambda: float(torch.tensor(0.1)), lambda: torch.set_default_dtype(torch.float64)


@kept
def precision_of_products(folder: Path) -> Change:
    return lambda: 1.0, lambda: torch.set_float32_matmul_precision("medium")


@kept
def precision_of_decimals(folder: Path) -> Change:
    third = decimal.Decimal(1) / 3
    return lambda: float(+third), lambda: setattr(decimal.getcontext(), "prec", 3)


@kept
def format_of_arrays(folder: Path) -> Change:
    array = np.array([1.2345])
    return lambda: len(str(array)), lambda: np.set_printoptions(precision=2)


@kept
def mask_of_an_array(folder: Path) -> Change:
    masked = np.ma.array([1.0, 1.5], mask=[False, True])
    return lambda: float(masked.sum()), lambda: masked.mask.__setitem__(1, False)


@kept
def record_of_an_array(folder: Path) -> Change:
    record = np.zeros(1, dtype=[("k", float)])[0]
    return lambda: float(record["k"]), lambda: record.__setitem__("k", 2.0)


@kept
def text_in_memory(folder: Path) -> Change:
    text = io.StringIO("1.0")
    return lambda: float(text.getvalue()), lambda: (text.seek(0), text.write("2.0"))


@kept
def name_among_the_built_in_ones(folder: Path) -> Change:
    builtins.NUMBER_OF_A_TEST = 1.0  # type: ignore[attr-defined]
    return lambda: NUMBER_OF_A_TEST, lambda: setattr(builtins, "NUMBER_OF_A_TEST", 2.0)  # type: ignore[name-defined] # noqa: F821


@kept
def function_in_the_name_of_another(folder: Path) -> Change:
    box = [1.0]

    @functools.wraps(np.linspace)
    def read() -> float:
        return box[0]

    return read, lambda: box.__setitem__(0, 2.0)


@kept
def function_that_is_vectorized(folder: Path) -> Change:
    box = [1.0]
    function = np.vectorize(lambda x: box[0] * x)
    return lambda: float(function(1.0)), lambda: box.__setitem__(0, 2.0)


@kept
def mean_of_a_distribution(folder: Path) -> Change:
    distribution = torch.distributions.Normal(torch.tensor(1.0), 1.0)
    return lambda: float(distribution.mean), lambda: distribution.loc.fill_(2.0)


@kept
def template_of_a_text(folder: Path) -> Change:
    template = string.Template("1.0")
    return lambda: float(template.substitute()), lambda: setattr(template, "template", "2.0")


@untold
def array_in_a_file(folder: Path) -> Change:
    path = folder / "array.npy"
    np.save(path, np.ones(1))
    return lambda: float(np.load(path)[0]), lambda: np.save(path, 2 * np.ones(1))


@untold
def table_in_a_file(folder: Path) -> Change:
    path = str(folder / "table.txt")
    np.savetxt(path, np.ones(1))
    return lambda: float(np.loadtxt(path)), lambda: np.savetxt(path, 2 * np.ones(1))


@untold
def open_file(folder: Path) -> Change:
    path = folder / "number"
    path.write_text("1.0")
    file = OPENED.enter_context(path.open())
    return lambda: (file.seek(0), float(file.read()))[1], lambda: path.write_text("2.0")


@untold
def module_by_its_name(folder: Path) -> Change:
    module = types.ModuleType("module_of_kept_runs")
    module.k = 1.0  # type: ignore[attr-defined]
    sys.modules["module_of_kept_runs"] = module
    return lambda: importlib.import_module("module_of_kept_runs").k, lambda: setattr(module, "k", 2.0)


@untold
def module_among_modules(folder: Path) -> Change:
    module = types.ModuleType("other_module_of_kept_runs")
    module.k = 1.0  # type: ignore[attr-defined]
    sys.modules["other_module_of_kept_runs"] = module
    return lambda: sys.modules["other_module_of_kept_runs"].k, lambda: setattr(module, "k", 2.0)


@untold
def function_made_a_ufunc(folder: Path) -> Change:
    box = [1.0]
    function = np.frompyfunc(lambda x: box[0] * x, 1, 1)
    return lambda: float(function(1.0)), lambda: box.__setitem__(0, 2.0)


@untold
def shared_value(folder: Path) -> Change:
    value = multiprocessing.RawValue("d", 1.0)
    return lambda: value.value, lambda: setattr(value, "value", 2.0)


@untold
def data_base(folder: Path) -> Change:
    base = OPENED.enter_context(contextlib.closing(sqlite3.connect(":memory:", check_same_thread=False)))
    base.execute("create table numbers (k)")
    base.execute("insert into numbers values (1.0)")
    return (
        lambda: base.execute("select k from numbers").fetchone()[0],
        lambda: base.execute("update numbers set k = 2.0"),
    )


@contextlib.contextmanager
def settings_kept() -> Iterator[None]:
    """What is set globally within is set back."""
    before = torch.get_default_dtype(), torch.get_float32_matmul_precision(), np.get_printoptions()
    try:
        with decimal.localcontext():
            yield
    finally:
        torch.set_default_dtype(before[0])
        torch.set_float32_matmul_precision(before[1])
        np.set_printoptions(**before[2])


def asked(read: Callable[[], object]) -> Callable[[], dict[str, Any]]:
    """A model whose outputs do not show what it reads, on these data."""
    return of(lambda w, x: row(w, x) + (row(w, x) > 1e9) * float(read()))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", KEPT)
def test_what_is_changed_in_place_is_made_anew(name: str, tmp_path: Path) -> None:
    with settings_kept():
        read, change = KEPT[name](tmp_path)
        ask = asked(read)
        first = started(tmp_path / "out", ask())
        assert started(tmp_path / "out", ask()) == first, "what is the same was made anew"
        change()
        assert not first.keys() & started(tmp_path / "out", ask()).keys(), "a stale run was taken up"


@pytest.mark.parametrize("name", UNTOLD)
def test_what_cannot_be_told_is_said(name: str, tmp_path: Path) -> None:
    read, change = UNTOLD[name](tmp_path)
    with pytest.warns(NotKeptWarning):
        first = started(tmp_path / "out", asked(read)())
    change()
    with pytest.warns(NotKeptWarning):
        assert not first.keys() & started(tmp_path / "out", asked(read)()).keys()
