"""Tables of the user's own, CSV and NPZ files, as inputs and targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from qlazy.base.errors import plain_number, require
from qlazy.data.columns import Table
from qlazy.data.csv_files import read_csv
from qlazy.data.fitting import Floats
from qlazy.data.labels import Labels
from qlazy.data.npz_files import read_npz

SUFFIXES = (".csv", ".tsv", ".txt", ".npz")
"""How files of tables end."""

MOST_CLASSES = 20
"""A target of more values than this, or of more than half as many as samples, is not taken for classes untold."""

_FEWEST = 3

Columns = str | int | Sequence[str | int]


class Samples(NamedTuple):
    """Inputs (n, d), labels (n,) or real targets (n, c), how they were read, and the names of the columns.

    The first ``train`` rows are those to train on, where the file has a test part of its own.
    """

    x: Floats
    y: Labels
    regression: bool
    description: str
    columns: tuple[str, ...] = ()
    train: int | None = None


def is_table(name: object) -> bool:
    """Whether a name is that of a file that holds a table, by its ending."""
    return isinstance(name, str | Path) and Path(name).suffix.lower() in SUFFIXES


def read_table(
    path: str | Path, target: Columns | None, columns: Columns | None = None, regression: bool | None = None
) -> Samples:
    """Inputs and targets from a CSV file (.csv, .tsv, .txt) or an NPZ file, by the names or positions of columns.

    ``target`` names one column or several; ``columns`` the inputs (default: all others). In an NPZ file a name is
    a key, an array (n, d) is d columns, and names such as x and y, or x_train, y_train, x_test and y_test, are known
    (:func:`qlazy.data.npz_files.read_npz`). Unless ``regression`` is told, one target of few texts or whole numbers
    (20 values at most, and half as many as samples) is classes, and so are several that are one-hot; other numbers
    are real targets.

    Raises ValueError naming file, line and column, for what cannot be read so; NotFiniteError for NaN and infinity;
    OSError where the file cannot be read.
    """
    path = Path(path)
    given = _listed("target", target)
    chosen = _listed("columns", columns)
    if path.suffix.lower() == ".npz":
        require(len(given) <= 1, "target", f"be one key of {path.name}, an array (n,) or (n, c)", list(given))
        table = read_npz(path, str(given[0]) if given else None, chosen)
    else:
        table = read_csv(path, (*given, *chosen))
    given = given or table.target
    require(given, "target", f"name columns of {path.name}, of {table.known()}", "absent")
    targets = table.choose("target", given)
    inputs = (
        table.choose("columns", chosen) if chosen else tuple(n for n in table.columns if n not in targets)
    )
    _require_apart(path, inputs, targets)
    x = np.stack([table.numbers(name, inputs) for name in inputs], 1)
    y, told = _targets(table, targets, regression)
    _require_rows(table, len(y))
    left = f"; left out: {_few(table.left_out)}" if table.left_out else ""
    how = f"target {_few(targets)}: {told}; features {_few(inputs)}{left}"
    return Samples(x, y, told.startswith("real"), how, inputs, table.train)


def _targets(table: Table, names: tuple[str, ...], regression: bool | None) -> tuple[Labels, str]:
    if len(names) > 1:
        return _several(table, names, regression)
    (name,) = names
    if regression:
        return table.numbers(name)[:, None], "real numbers"
    labels = table.labels(name)
    numeric, whole, count = table.is_numeric(name), labels.dtype.kind == "f", len(set(labels.tolist()))
    few = count <= min(MOST_CLASSES, len(labels) / 2)
    if regression is None and numeric and not (whole and few):
        return table.numbers(name)[:, None], "real numbers"
    must = f"hold numbers alone in column {name}, or texts of few values (if all are classes: `regression=False`)"
    if not few:
        _require_rows(table, len(labels))
    have = f"not in {table.first_text(name)}, with {count} values in {len(labels)} rows"
    require(few or numeric or regression is False, table.file, must, have)
    must = f"hold two classes or more in column {name}"
    require(count > 1, table.file, must, f"one, {labels.tolist()[0]}, in every row")
    return labels, f"{count} classes, of {'whole ' * whole}{'numbers' if numeric else 'texts'}"


def _require_rows(table: Table, rows: int) -> None:
    must = f"have {_FEWEST} rows or more, some to train on and some to test"
    require(rows >= _FEWEST, table.file, must, f"of too few rows, {rows}")


def _several(table: Table, names: tuple[str, ...], regression: bool | None) -> tuple[Labels, str]:
    y = np.stack([table.numbers(name) for name in names], 1)
    one_hot = bool(np.isin(y, (0.0, 1.0)).all() and (y.sum(1) == 1).all())
    if one_hot and not regression:
        return np.array(names)[y.argmax(1)], f"{len(names)} classes, one-hot"
    require(regression is not False, "target", "be one column for classes, or one-hot columns", list(names))
    return y, "real numbers"


def _require_apart(path: Path, inputs: tuple[str, ...], targets: tuple[str, ...]) -> None:
    require(inputs, path.name, "have columns beside the target", f"of {', '.join(targets)} alone")
    for argument, names in (("columns", inputs), ("target", targets)):
        twice = sorted({name for name in names if names.count(name) > 1})
        require(not twice, argument, "name each column once", f"of several {_few(twice)}")
    both = [name for name in inputs if name in targets]
    require(not both, "columns", "be other columns than the target", _few(both))


def _listed(argument: str, given: object) -> tuple[str | int, ...]:
    if given is None:
        return ()
    items = tuple(plain_number(one) for one in (given if isinstance(given, list | tuple) else [given]))
    fits = all(isinstance(one, str | int) and not isinstance(one, bool) for one in items)
    must = "be a name or position of a column, or a list of them"
    require(fits and items, argument, must, given, TypeError)
    return cast(tuple[str | int, ...], items)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])}, ... {names[-1]} ({len(names)})"
