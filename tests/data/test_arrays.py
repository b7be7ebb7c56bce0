"""Arrays of every kind give the numbers that they hold, or are refused: what is missing is never a number."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import qlazy
from qlazy.base.errors import NotFiniteError
from qlazy.data.arrays import array_of, is_missing, real_array
from qlazy.data.datasets import from_arrays, from_split

X = np.random.default_rng(0).integers(-3, 4, (40, 4)).astype(float)
Y = (X[:, 0] > 0).astype(int)
REAL = X[:, 1] + X[:, 2]


def same_data(first: qlazy.Dataset, second: qlazy.Dataset) -> None:
    for part in ("x_train", "y_train", "x_test", "y_test"):
        assert torch.equal(getattr(first, part), getattr(second, part))
    assert first.description == second.description


KINDS: dict[str, Callable[[NDArray[Any]], Any]] = {
    "lists": lambda values: values.tolist(),
    "float32": lambda values: values.astype(np.float32),
    "int8": lambda values: values.astype(np.int8),
    "objects": lambda values: values.astype(object),
    "decimals": lambda values: np.vectorize(lambda one: Decimal(str(one)), otypes=[object])(values),
    "fractions": lambda values: np.vectorize(Fraction, otypes=[object])(values),
    "tensor": torch.from_numpy,
    "tensor with gradient": lambda values: torch.tensor(values, requires_grad=True),
    "bfloat16": lambda values: torch.from_numpy(values).bfloat16(),
    "nothing masked": lambda values: np.ma.masked_greater(values, 99),
    "strided": lambda values: np.repeat(values, 2, axis=0)[::2],
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_table_of_many_kinds_is_one_data_set(kind: str) -> None:
    turned = KINDS[kind]
    same_data(from_arrays(turned(X), Y, features=3), from_arrays(X, Y, features=3))
    found = from_arrays(turned(X), turned(REAL), regression=True)
    same_data(found, from_arrays(X, REAL, regression=True))


@pytest.mark.parametrize("seed", range(12))
def test_a_table_of_pandas_is_read_column_by_column(seed: int) -> None:
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(seed)
    kinds = ["float64", "float32", "int16", "Int64", "Float64", "object", "bool", "boolean"]
    columns = {}
    plain = np.empty_like(X)
    for k in range(X.shape[1]):
        kind = str(rng.choice(kinds))
        values = X[:, k] > 0 if kind.startswith("bool") else X[:, k]
        plain[:, k] = values
        columns[f"c{k}"] = pandas.Series(values).astype(kind)
    table = pandas.DataFrame(columns)
    same_data(from_arrays(table, Y), from_arrays(plain, Y))
    place = int(rng.integers(40)), f"c{rng.integers(4)}"
    broken = table.astype("object")
    broken.loc[place] = "red"
    with pytest.raises(ValueError, match=rf"`x` .*'red' in row {place[0]} of column {place[1]} "):
        from_arrays(broken, Y)
    for missing in (None, pandas.NA, pandas.NaT, np.nan):
        broken.loc[place] = missing
        with pytest.raises(
            NotFiniteError, match=rf"1 of 160 entries, first at \({place[0]}, {place[1][1]}\)"
        ):
            from_arrays(broken, Y)


def masked(values: NDArray[Any]) -> Any:
    hidden = np.zeros(values.shape, dtype=bool)
    hidden[3] = True
    return np.ma.array(values, mask=hidden)


MODEL = qlazy.mlp([4, 3, 1])
W = MODEL.init(0)
TARGETS = REAL[:, None]
ENTRIES: dict[str, Callable[[], object]] = {
    "`x`": lambda: from_arrays(masked(X), Y),
    "`y`": lambda: from_arrays(X, masked(Y)),
    "real `y`": lambda: from_arrays(X, masked(REAL), regression=True),
    "`x_train`": lambda: from_split(masked(X), Y, X, Y),
    "`y_train`": lambda: from_split(X, masked(Y), X, Y),
    "`x_test`": lambda: from_split(X, Y, masked(X), Y),
    "`y_test`": lambda: from_split(X, Y, X, masked(Y)),
    "`x` of a pair": lambda: qlazy.train(MODEL, W, (masked(X), TARGETS), steps=1),
    "`y` of a pair": lambda: qlazy.train(MODEL, W, (X, masked(TARGETS)), steps=1),
    "`x` of a kernel": lambda: qlazy.tangent_kernel(MODEL, W, masked(X)),
    "`x2` of a kernel": lambda: qlazy.tangent_kernel(MODEL, W, X, masked(X)),
    "`X` of features": lambda: qlazy.TangentFeatures(MODEL).fit(masked(X)),
    "`X` to transform": lambda: qlazy.TangentFeatures(MODEL).fit(X).transform(masked(X)),
    "`X` of a regressor": lambda: qlazy.LinearizedRegressor(MODEL).fit(masked(X), REAL),
    "`y` of a regressor": lambda: qlazy.LinearizedRegressor(MODEL).fit(X, masked(REAL)),
    "`X` to predict": lambda: qlazy.LinearizedRegressor(MODEL).fit(X, REAL).predict(masked(X)),
    "`X` of a classifier": lambda: qlazy.LinearizedClassifier(MODEL).fit(masked(X), Y),
    "`y` of a classifier": lambda: qlazy.LinearizedClassifier(MODEL).fit(X, masked(Y)),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_masked_entries_are_refused_wherever_arrays_enter(entry: str) -> None:
    name = entry[entry.index("`") :].split(" ")[0]
    with pytest.raises(ValueError, match=f"{name} must have a value in every entry.*masked in"):
        ENTRIES[entry]()


@pytest.mark.parametrize("order", [(1, 0, 2, 3), (0, 1, 3, 2), (3, 2, 1, 0)])
def test_two_tables_of_a_split_have_their_columns_in_one_order(order: tuple[int, ...]) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=list("abcd"))
    other = table.iloc[:, list(order)]
    same_data(from_split(table, Y, table, Y), from_split(X, Y, X, Y))
    same_data(from_split(table, Y, X, Y), from_split(X, Y, X, Y))
    with pytest.raises(
        ValueError, match="`x_test` must have the columns of x_train in their order, a, b, c, d"
    ):
        from_split(table, Y, other, Y)
    with pytest.raises(ValueError, match="`y_test` must have the columns of y_train"):
        from_split(X, table, X, other, regression=True)


def test_what_is_no_array_is_told_by_its_kind() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    for make in (sparse.csr_matrix, sparse.coo_array, sparse.csc_array):
        with pytest.raises(ValueError, match=r"`x` must be dense \(`.toarray\(\)`\)"):
            array_of("x", make(X))
    for wrong in ({"a": [1.0]}, (row for row in X), {1, 2}, "label", None, 3.0):
        with pytest.raises(ValueError, match=f"`x` must be an array, .* but is a {type(wrong).__name__}"):
            array_of("x", wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"`x` must hold real numbers, but is 'b' in row 1, column 0"):
        real_array("x", np.array([[1, 2], ["b", 4]], dtype=object))


def test_targets_that_are_real_have_no_classes() -> None:
    for make in (
        lambda: from_arrays(X, REAL, regression=True, classes=(0, 1)),
        lambda: from_split(X, REAL, X, REAL, regression=True, classes=(0, 1)),
        lambda: qlazy.load_data("diabetes", classes=(0, 1)),
    ):
        with pytest.raises(ValueError, match="`classes` must be absent where targets are real"):
            make()


def test_labels_that_are_missing_are_counted_and_not_all_listed() -> None:
    labels = np.array(["a", "b"] * 20, dtype=object)
    labels[5:30] = None
    with pytest.raises(ValueError, match=r"without one at 5, 6, 7, 8, 9, 10, 11, 12, ... \(from 0\)"):
        from_arrays(X, labels)
    assert from_arrays(X, np.array([b"n", b"p"])[Y]).classes == ("n", "p")
    assert not any(map(is_missing, (0, "", False, 0.0, "nan", np.datetime64("2020-01-01"))))
    assert all(map(is_missing, (None, float("nan"), np.float32("nan"), np.datetime64("NaT"))))


WHOLE = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")
NO_NUMBERS = (
    "complex64",
    "complex128",
    "longdouble",
    "object",
    "U3",
    "S3",
    "datetime64[D]",
    "timedelta64[D]",
    "f8,f8",
)
CIRCUIT = qlazy.load_circuit("hardware_efficient", n=4, layers=1)
TAKERS: dict[str, Callable[[Any], Any]] = {
    "kernel of a net": lambda x: qlazy.tangent_kernel(MODEL, W, x).to_dense(),
    "kernel of a circuit": lambda x: qlazy.tangent_kernel(CIRCUIT, CIRCUIT.init(0), x).to_dense(),
    "short kernel": lambda x: qlazy.tangent_kernel(MODEL, W.float(), x).to_dense(),
    "cross kernel": lambda x: qlazy.tangent_kernel(MODEL, W, X, x).to_dense(),
    "training": lambda x: torch.as_tensor(qlazy.train(MODEL, W, (x, TARGETS), steps=2).drift),
    "targets": lambda x: torch.as_tensor(qlazy.train(MODEL, W, (X, x[:, :1]), steps=2).drift),
    "short training": lambda x: torch.as_tensor(qlazy.train(MODEL, W.float(), (x, x[:, :1]), steps=2).drift),
    "features": lambda x: torch.from_numpy(qlazy.TangentFeatures(MODEL).fit_transform(x)),
    "regressor": lambda x: torch.from_numpy(qlazy.LinearizedRegressor(MODEL, ridge=1).fit(x, REAL).X_fit_),
}


@pytest.mark.parametrize("taker", TAKERS)
def test_whole_numbers_are_numbers_wherever_arrays_enter(taker: str) -> None:
    take, length = TAKERS[taker], np.float32 if "short" in taker else np.float64
    for kind in WHOLE:
        x = np.abs(X).astype(kind)
        torch.testing.assert_close(take(x), take(x.astype(length)), rtol=0, atol=0)


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("taker", list(TAKERS)[:7])
def test_what_is_no_number_is_refused_by_its_dtype(taker: str, kind: str) -> None:
    wrong = np.zeros((40, 4), kind)
    with pytest.raises(ValueError, match=r"`(x|x2|y)` must .*NumPy array of floats.*, but is of dtype"):
        TAKERS[taker](wrong)


@pytest.mark.parametrize("kind", ["datetime64[D]", "timedelta64[D]", "f8,f8"])
@pytest.mark.parametrize("taker", ["features", "regressor"])
def test_times_are_no_numbers_for_estimators(taker: str, kind: str) -> None:
    with pytest.raises(ValueError, match="`X` must hold real numbers, but is of dtype"):
        TAKERS[taker](np.zeros((40, 4), kind))


def test_tensors_of_every_float_are_read_by_estimators() -> None:
    distinct = X[np.sort(np.unique(X, axis=0, return_index=True)[1])]
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        fitted = qlazy.LinearizedRegressor(MODEL, ridge=1).fit(torch.from_numpy(X).to(dtype), REAL)
        np.testing.assert_array_equal(fitted.X_fit_, distinct)


@pytest.mark.parametrize("kind", [*WHOLE, "float16", "longdouble", "object"])
def test_labels_of_every_dtype_are_the_same_classes(kind: str) -> None:
    names = ("False", "True") if kind == "bool" else ("0", "1")
    assert from_arrays(X, Y.astype(kind)).classes == names


@pytest.mark.parametrize("kind", ["complex128", "f8,f8"])
def test_labels_that_are_none_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="`y` must hold labels, texts or whole numbers, but is of"):
        from_arrays(X, np.zeros(40, kind))


class Words(torch.nn.Module):
    """A net of words by their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.readout = torch.nn.Embedding(5, 3), torch.nn.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.readout(self.table(x).flatten(1))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_a_comparison_of_words_stays_in_whole_numbers(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    words, net = torch.randint(5, (30, 2), dtype=dtype), qlazy.Net(Words().double())
    signs = (words[:, :1] > 2).double() * 2 - 1
    data = qlazy.Dataset("words", words[:20], signs[:20], words[20:], signs[20:], ("low", "high"), "drawn")
    run = qlazy.compare({"net": net}, data, alphas=(10,), seeds=1, steps=3).runs[0]
    own = qlazy.train(qlazy.Centered(net, net.init(0)), net.init(0), data, alpha=10.0, steps=3)
    assert run.parameter_drift == pytest.approx(max(own.drift), rel=1e-6)
    short = data.to(torch.float32)
    assert (short.x_train.dtype, short.y_train.dtype) == (dtype, torch.float32)
