"""Files of the user's own: what was written is what is read; what is damaged is refused in words, with its place."""

from __future__ import annotations

import ast
import csv
import io
import re
import shlex
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import qlazy
from qlazy.base.errors import NotFiniteError
from qlazy.data import csv_files
from qlazy.data.datasets import from_split, load_data
from qlazy.data.tables import Samples, read_table

ROWS = [["a", "b", "label"], *[[str(i / 4), str(-i), "yes" if i % 3 else "no"] for i in range(12)]]


def written(folder: Path, rows: list[list[str]] = ROWS, name: str = "t.csv", **how: Any) -> Path:
    text = io.StringIO(newline="")
    csv.writer(text, **how).writerows(rows)
    (folder / name).write_bytes(text.getvalue().encode())
    return folder / name


def raw(folder: Path, contents: str | bytes, name: str = "t.csv") -> Path:
    (folder / name).write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    return folder / name


def test_a_csv_file_is_the_arrays_it_holds(tmp_path: Path) -> None:
    data = load_data(written(tmp_path), target="label", train=8, seed=3)
    x = np.array([[i / 4, -i] for i in range(12)])
    expected = qlazy.from_arrays(x, ["yes" if i % 3 else "no" for i in range(12)], train=8, seed=3)
    assert torch.equal(data.x_train, expected.x_train)
    assert torch.equal(data.y_test, expected.y_test)
    assert data.classes == ("no", "yes")
    assert data.name == "t.csv"
    assert data.description.endswith("target label: 2 classes, of texts; features a, b")


cells = st.text(
    st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cc", "Cs")), max_size=8
)
reals = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(st.tuples(reals, reals, st.integers(0, 2)), min_size=6, max_size=30),
    st.lists(cells.map(lambda text: f"_{text}"[:6].strip()), min_size=3, max_size=3, unique=True),
    st.sampled_from(",;\t"),
    st.sampled_from(("\n", "\r\n", "\r")),
    st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
    st.sampled_from(("utf-8", "utf-8-sig", "utf-16")),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_is_what_is_read(
    tmp_path: Path, values: list[Any], texts: list[str], delimiter: str, end: str, quoting: Any, encoding: str
) -> None:
    names = [f"{text}{i}" for i, text in enumerate(("first", "se cond", 'third "or" last'))]
    rows = [names, *[[repr(a), repr(b), texts[k]] for a, b, k in values]]
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    path = raw(tmp_path, file.getvalue().encode(encoding))
    labels = [texts[k] for *_, k in values]
    if len(set(labels)) < 2:
        with pytest.raises(ValueError, match=r"`t.csv` must hold two classes or more"):
            read_table(path, names[2], regression=False)
        return
    found = read_table(path, names[2], regression=False)
    np.testing.assert_array_equal(found.x, [[a, b] for a, b, _ in values])
    assert found.y.tolist() == labels
    assert not found.regression


@given(st.integers(0, 200), st.integers(0, 255), st.sampled_from(("cut", "flip", "insert")))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_read_right_or_refused_in_words(
    tmp_path: Path, at: int, byte: int, how: str
) -> None:
    whole = written(tmp_path).read_bytes()
    at %= len(whole)
    middle = {"cut": b"", "flip": bytes([byte]), "insert": bytes([byte]) + whole[at : at + 1]}[how]
    path = raw(tmp_path, whole[:at] + middle + (b"" if how == "cut" else whole[at + 1 :]))
    found = answer(path)
    if isinstance(found, str):
        assert found.startswith(("`t.csv` must ", "`target` must "))
    else:
        assert len(found.x) == len(found.y) <= 13
        assert found.x.shape[1] == 2


def answer(path: Path) -> Samples | str:
    try:
        return read_table(path, "label")
    except (ValueError, NotFiniteError) as error:
        return str(error)


def refused(path: Path, words: str, error: type[Exception] = ValueError, **how: Any) -> None:
    with pytest.raises(error, match=words):
        read_table(path, **{"target": "label", **how})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "`t.csv` must hold a table, but is empty"),
        ("\n\n", "`t.csv` must hold a table, but is empty"),
        ("a,label\n", "must hold rows below its header, but is a header alone"),
        ("a b label\n1 2 x\n", "must have its cells divided by commas.*one column, 'a b label'"),
        ("a,b,label\n1,2,x\n1,2\n", "must have 3 cells in every row.*commas.*but is of 2 in line 3"),
        ("a,b,label\n1,2,x\n\n1,2,y,z\n", "but is of 4 in line 4"),
        ("a,a,label\n1,2,x\n", "must name each column once, but is of several called a"),
        (",a,label\n0,2,x\n", r"must have a name for every column.*index=False.*without one for column 0"),
        ("a,b,label\n1,2,x\n1,oops,y\n", "must hold numbers.*in column b, but is 'oops' in line 3"),
        ("a;b;label\n1,5;2;x\n1;2;y\n", "column a, but is '1,5' in line 2 .a decimal comma: write points"),
        ("a;label\n1;-2,5\n2;1,5e3\n3;3,5\n", "not in line 2, '-2,5' .a decimal comma: .*, with 3 values in 3 rows"),
        ("a,label\n1,x\n2,y\n", "`t.csv` must have 3 rows or more, .*but is of too few rows, 2"),
        ("a,label\n1,1.5\n2,2.5\n", "`t.csv` must have 3 rows or more, .*but is of too few rows, 2"),
        ("a,b,label\n1,1_000,x\n2,2,y\n", "in column b, but is '1_000' in line 2"),
        ("a,b,label\n1,2,x\n1,,y\n,NA,y\n", "have a value in every row of column a, but is '' in line 4"),
        ("a,b,label\n1,2,x\n3,4,\n", "have a value in every row of column label, but is '' in line 3"),
        ("a,b,label\n1,2,NA\n3,4,x\n", "have a value in every row of column label, but is 'NA' in line 2"),
        ("a,b,label\n1,2,x\n3,4,x\n", "must hold two classes or more in column label, but is one, x"),
        ('a,b,label\n1,2,x\n3,"4,x\n5,6,y\n', "must be a CSV file, but is none from line 3 on: unexpected end"),
        ("label\n1\n", "must have its cells divided by"),
        ("5.1,3.5,setosa\n4.9,3,other\n", "names of columns in its first line, or none and a target told by"),
        ("0,1,2\n1,2,1\n1,3,1\n", "0, 1, 2 there, which could be either"),
        ("1,5;2,5;3\n1,5;2,5;3\n", "divided alike by commas and semicolons .with decimal commas: write points"),
        ("a,b,label\n" + "".join(f"1,{i},w{i}\n" for i in range(30)), "not in line 2, 'w0', with 30 values in 30"),
        (b"a,label\n1,x\n2,\xe9\n", "must be text in UTF-8, but is not in line 3, byte 0xe9 .save it as CSV UTF-8"),
        (b"PK\x03\x04\0\0", "must be a text file, but is binary"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused_with_its_place(tmp_path: Path, text: str | bytes, words: str) -> None:
    refused(raw(tmp_path, text), words)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = raw(tmp_path, "a,b,label\n1,2,x\n1,inf,y\n2,-Infinity,x\n")
    refused(path, "hold finite numbers in column b, but is 'inf' in line 3, and so on in 2", NotFiniteError)
    np.savez(tmp_path / "t.npz", x=np.array([[1, 2], [3, np.nan]]), label=[0, 1])
    refused(tmp_path / "t.npz", r"in column x\[1\], but is nan in row 1", NotFiniteError)


def test_choices_of_columns_are_refused_in_words(tmp_path: Path) -> None:
    path = written(tmp_path)
    refused(path, "`target` must name columns of t.csv, of a, b, label, .*but is 'lab'", target="lab")
    refused(path, "`target` must name columns of t.csv, of a, b, label, but is absent", target=None)
    refused(path, "or count them from 0 to 2, but is 3", target=3)
    wide = raw(
        tmp_path,
        ",".join([*(f"p{i}" for i in range(64)), "label"]) + "\n" + ",".join("1" * 65) + "\n",
        "w.csv",
    )
    refused(wide, "of p0, p1, .*, p15, ..., p62, p63, label, or count them from 0 to 64", target="lab")
    refused(path, "`columns` must name columns .*'c'", columns=["a", "c"])
    refused(path, "`columns` must be other columns than the target, but is label", columns=["a", "label"])
    refused(path, "`columns` must name each column once", columns=["a", 0])
    two = {"target": ["a", "b"], "columns": "c", "regression": False}
    refused(raw(tmp_path, "a,b,c\n1,2,3\n4,5,6\n", "u.csv"), "`target` must be one column for classes", **two)
    refused(path, "must have columns beside the target", target=["label", "a", "b"])
    refused(path, "`target` must be a name or position", TypeError, target=1.5)
    refused(path, "`columns` must be a name or position", TypeError, columns=[True])
    refused(path, "must hold numbers, as 1.5, in column label, but is 'no' in line 2", regression=True)
    with pytest.raises(ValueError, match="`target` must be absent with iris"):
        load_data("iris", target="species")
    with pytest.raises(ValueError, match="`name` must be one of .*moons.*ends in .csv.*but is 't.xlsx'"):
        load_data("t.xlsx", target="label")
    with pytest.raises(FileNotFoundError):
        load_data(tmp_path / "none.csv", target="label")


def test_columns_are_told_by_name_or_position(tmp_path: Path) -> None:
    path = written(tmp_path)
    by_name = read_table(path, "label", ["b", "a"])
    for target, columns in ((2, (1, 0)), (-1, [1, -3]), ("-1", ["1", "0"])):
        same = read_table(path, target, columns)
        assert (same.x == by_name.x).all()
        assert (same.y == by_name.y).all()
    without = read_table(written(tmp_path, [row[:2] for row in ROWS[1:]]), "1")
    assert (without.x == by_name.x[:, 1:]).all()
    assert without.y[:, 0].tolist() == [-i for i in range(12)]
    mixed = read_table(written(tmp_path, ROWS[1:]), -1)
    assert (mixed.x == by_name.x[:, ::-1]).all()
    assert mixed.y.tolist() == by_name.y.tolist()


@pytest.mark.parametrize(
    ("targets", "regression", "told"),
    [
        (["1", "2", "1", "2"], None, "2 classes, of whole numbers"),
        (["1", "2.0", "1.0", "2"], None, "2 classes, of whole numbers"),
        (["1", "2", "1", "2"], True, "real numbers"),
        (["1", "2", "3", "4"], None, "real numbers"),
        (["0.5", "1", "0.5", "1"], None, "real numbers"),
        (["0.5", "1", "0.50", "1"], False, "2 classes, of numbers"),
        (["1", "b", "1", "b"], None, "2 classes, of texts"),
        (["a", "b", "c", "d"], False, "4 classes, of texts"),
    ],
)
def test_what_targets_are_is_told_from_them_and_said(
    tmp_path: Path, targets: list[str], regression: bool | None, told: str
) -> None:
    rows = [["x", "y"], *[[str(i), target] for i, target in enumerate(targets)]]
    found = read_table(written(tmp_path, rows), "y", None, regression)
    assert found.description == f"target y: {told}; features x"
    assert found.regression == (told == "real numbers")
    if found.regression:
        assert found.y[:, 0].tolist() == [float(target) for target in targets]
    else:
        assert len(set(found.y.tolist())) == int(told[0])


def test_several_targets_are_standardised_each(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(20, 4)) * (1, 1, 5, 0.1) + 3
    rows = [["a", "b", "s", "t"], *[[repr(float(value)) for value in row] for row in numbers]]
    data = load_data(written(tmp_path, rows), target=("t", "s"), train=12)
    assert data.classes == ()
    assert data.y_train.shape == (12, 2)
    torch.testing.assert_close(data.y_train.mean(0), torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(data.y_train.std(0, correction=0), torch.ones(2, dtype=torch.float64))
    same = qlazy.from_arrays(numbers[:, :2], numbers[:, [3, 2]], regression=True, train=12)
    assert torch.equal(data.y_test, same.y_test)
    one = qlazy.from_arrays(numbers[:, :2], numbers[:, 3], regression=True, train=12)
    assert torch.equal(one.y_test, same.y_test[:, :1])
    with pytest.raises(
        ValueError, match="`y` must take more than one value in column 1, but is 2 throughout"
    ):
        qlazy.from_arrays(numbers[:, :2], np.c_[numbers[:, 0], np.full(20, 2.0)], regression=True)
    with pytest.raises(ValueError, match="`y_test` must have 2 columns, as y_train, but is 1"):
        qlazy.data.datasets.from_split(
            numbers[:9], numbers[:9, :2], numbers[9:], numbers[9:, 0], regression=True
        )


def test_one_hot_columns_are_classes(tmp_path: Path) -> None:
    rows = [["x", "cat", "dog"], *[[str(i), str(i % 2), str(1 - i % 2)] for i in range(8)]]
    found = read_table(written(tmp_path, rows), ["cat", "dog"])
    assert found.y.tolist() == ["dog", "cat"] * 4


def npz(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "t.npz", **arrays)
    return folder / "t.npz"


def test_an_npz_file_is_the_arrays_it_holds(tmp_path: Path) -> None:
    x, z, y = np.arange(12.0).reshape(6, 2), np.arange(6), np.array(list("ababab"))
    path = npz(tmp_path, x=x, z=z, label=y)
    everything = read_table(path, "label")
    assert (everything.x == np.c_[x, z]).all()
    assert everything.description == "target label: 2 classes, of texts; features x[0], x[1], z"
    for columns, expected in (("x", x), (["z", "x[1]"], np.c_[z, x[:, 1]])):
        assert (read_table(path, "label", columns).x == expected).all()
    several = read_table(npz(tmp_path, x=x, label=x[::-1]), "label")
    assert several.regression
    assert (several.y == x[::-1]).all()
    assert read_table(npz(tmp_path, x=x, label=z % 2 == 0), "label").y.tolist() == [1, 0] * 3


@pytest.mark.parametrize("inputs", ["x", "X", "data", "Inputs", "features", "images"])
@pytest.mark.parametrize("target", ["y", "Y", "target", "targets", "label", "LABELS"])
def test_keys_that_everyone_uses_are_known(tmp_path: Path, inputs: str, target: str) -> None:
    x, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2
    path = npz(tmp_path, **{"names": np.array(["a", "b"]), target: y, inputs: x})
    found, told = read_table(path, None), read_table(path, target, inputs)
    assert (found.x == told.x).all()
    assert (found.y == told.y).all()
    assert found.description == f"{told.description}; left out: names"
    for train in ("{}_train", "train_{}", "{}train", "Train_{}"):
        keys = [
            form.format(name) for form in (train, re.sub("rain", "est", train)) for name in (inputs, target)
        ]
        arrays = dict(zip(keys, (x[:8], y[:8, None], x[8:], y[8:, None]), strict=True))
        parts = read_table(npz(tmp_path, **arrays, x_val=x), None)
        assert (parts.x == x).all()
        assert (parts.y == y).all()
        assert parts.train == 8
        assert parts.description.endswith("; left out: x_val")


def test_a_file_in_two_parts_is_a_data_set_of_that_split(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4)).astype(np.uint8)
    labels = np.arange(20) % 3
    parts = {"x_train": images[:14], "y_train": labels[:14], "x_test": images[14:], "y_test": labels[14:]}
    path = npz(tmp_path, **parts)
    rows = [part.reshape(len(part), -1) for part in (images[:14], images[14:])]
    for options in ({"features": 3}, {"features": 3, "scaling": "none"}, {"features": 2, "classes": (2, 0)}):
        found = qlazy.load_data(path, **options)
        like = from_split(rows[0], labels[:14], rows[1], labels[14:], **options)
        for part in ("x_train", "y_train", "x_test", "y_test"):
            assert torch.equal(getattr(found, part), getattr(like, part))
    assert qlazy.load_data(path, target="y_train", columns="x_train", train=9, seed=1).x_train.shape == (9, 6)
    for count in ("train", "test"):
        with pytest.raises(ValueError, match=f"`{count}` must be absent with t.npz, which has a test part"):
            qlazy.load_data(path, **{count: 3})
    reals = {name: np.asarray(part, float) for name, part in parts.items()}
    refused(
        npz(tmp_path, **reals | {"x_test": images[14:, :3]}),
        "rows of one shape in x_train and x_test",
        target=None,
    )
    reals["x_test"][2, 1, 1] = np.nan
    refused(
        npz(tmp_path, **reals),
        r"column x_train\[5\], but is nan in row 2 \(from 0\) of test",
        NotFiniteError,
        target=None,
    )
    refused(npz(tmp_path, **parts | {"y_test": labels[:5]}), "hold arrays of 5 rows, as y_test", target=None)
    for names in (("x", "X", "y"), ("a", "y"), ("x", "b"), ("x_train", "y_train"), ("x", "y", "label")):
        told = rf"`target` must be a key of t.npz, of {', '.join(names)} \(untold: one of y, target, .*, but is absent"
        refused(npz(tmp_path, **dict.fromkeys(names, labels)), told, target=None)


def test_positions_count_the_columns_of_all_arrays(tmp_path: Path) -> None:
    x, z, y = np.arange(12.0).reshape(6, 2), np.arange(6.0), np.array(list("ababab"))
    for columns, expected in ([0], x[:, :1]), ([1, "z"], np.c_[x[:, 1], z]), ("-1", z[:, None]):
        assert (read_table(npz(tmp_path, x=x, label=y, z=z), "label", columns).x == expected).all()


def test_npz_files_are_refused_in_words(tmp_path: Path) -> None:
    x = np.ones((4, 2))
    refused(npz(tmp_path, x=x, y=x[:, 0]), "`target` must be a key of t.npz, of x, y, but is 'label'")
    path = npz(tmp_path, x=np.array([{}, 1, 2, 3], dtype=object), label=[0, 1, 0, 1])
    refused(path, "must hold arrays of numbers or texts, x among them; pickled objects are not read")
    path = npz(tmp_path, x=x, label=[0, 1, 0, 1], more=np.ones(3))
    refused(path, r"must hold arrays of 4 rows, as label \(`columns` chooses some\).*more \(3,\)")
    assert read_table(path, "label", "x").x.shape == (4, 2)
    refused(npz(tmp_path, x=x, label=np.ones((4, 2, 2))), r"hold a target label of shape \(n,\) or \(n, c\)")
    refused(npz(tmp_path, x=x * 1j, label=[0, 1, 0, 1]), "hold real numbers in x.0., but is complex128")
    refused(npz(tmp_path, x=x, label=x[:, 0] * 1j), "hold labels in label, whole numbers or texts, but is of")
    refused(raw(tmp_path, "a,label\n1,2\n", "t.npz"), "must be an NPZ file, as numpy.savez writes one")
    whole = npz(tmp_path, x=x, label=[0, 1, 0, 1]).read_bytes()
    refused(raw(tmp_path, whole[:-40], "t.npz"), "must be an NPZ file")
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("label.npy", b"nonsense")
    refused(tmp_path / "t.npz", "must hold arrays of numbers or texts, label among them")


def test_a_file_too_large_is_refused_by_its_size_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "available_bytes", lambda device: 100.0)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("was read"))
    refused(
        written(tmp_path), r"`t.csv` must fit in the 0.0 GiB of memory available, but is of 0.0 GiB, up to"
    )


def test_samples_are_split_and_scaled_as_arrays_are(tmp_path: Path) -> None:
    found = read_table(written(tmp_path), "label")
    assert isinstance(found, Samples)
    data = load_data(tmp_path / "t.csv", target="label", scaling="none", train=6, test=6)
    rows = torch.cat([data.x_train, data.x_test])
    assert sorted(rows.tolist()) == sorted(found.x.tolist())


def test_a_column_of_dates_is_refused_with_how_to_leave_it_out(tmp_path) -> None:
    """And the remedy runs: in Python and, read as a shell does, on the command line."""
    path = tmp_path / "dated.csv"
    rows = [f"2024-01-{day:02d},{day}.5,{day * day},{day % 2}" for day in range(1, 21)]
    path.write_text("\n".join(['day,"a, b",c d,label', *rows]))
    with pytest.raises(ValueError, match=r"column day.*leave it out: columns=\['a, b', 'c d'\]") as caught:
        qlazy.load_data(str(path), target="label", classes=None)
    said = str(caught.value)
    option = shlex.split(re.search(r"--columns (.+) on the command line", said)[1])
    assert option == ['"a, b",c d']
    found = qlazy.load_data(
        str(path), target="label", columns=ast.literal_eval(re.search(r"columns=(\[.*?\])", said)[1])
    )
    assert found.x_train.shape[1] == 2


def test_a_column_of_texts_among_texts_has_no_remedy(tmp_path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("\n".join(["one,two,label", *(f"t{i},u{i},{i % 2}" for i in range(12))]))
    with pytest.raises(ValueError, match="column one") as caught:
        qlazy.load_data(str(path), target="label")
    assert "leave it out" not in str(caught.value)
