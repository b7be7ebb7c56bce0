"""Columns of a table, as texts or numbers, and what is wrong with one, said with its place in the file."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from qlazy.base.errors import NotFiniteError, did_you_mean, refuse, require
from qlazy.data.fitting import Floats
from qlazy.data.labels import Labels

DECIMAL_POINTS = "write points, as pandas `read_csv(path, sep=';', decimal=',').to_csv(path, index=False)`"
"""What to do with a file of decimal commas."""

_SHOWN = 12
"""So many columns are named in a remedy."""

_MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}


@dataclass(frozen=True)
class Table:
    """Columns by name, each (n,) of texts (dtype object) or of numbers; ``where`` says where row i stands.

    ``groups`` names columns that belong together, as those of one array do; ``target`` is that which the file's own
    names tell, and ``left_out`` what they leave. The first ``train`` rows are to train on, where the file says so.
    """

    file: str
    columns: Mapping[str, Labels]
    where: Callable[[int], str]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    target: tuple[str, ...] = ()
    train: int | None = None
    left_out: tuple[str, ...] = ()

    def choose(self, argument: str, chosen: Sequence[str | int]) -> tuple[str, ...]:
        """Names of columns by name, by the name of a group, or by position from 0, or from -1 backwards."""
        return tuple(name for one in chosen for name in self._named(argument, one))

    def _named(self, argument: str, one: str | int) -> tuple[str, ...]:
        names = list(self.columns)
        if isinstance(one, str) and one in self.groups:
            return self.groups[one]
        if isinstance(one, str) and one in self.columns:
            return (one,)
        if is_position(one) and -len(names) <= int(one) < len(names):
            return (names[int(one)],)
        must = f"name columns of {self.file}, of {self.known()}, or count them from 0 to {len(names) - 1}"
        return refuse(argument, must, f"{one!r}{did_you_mean(one, names)}")

    def known(self) -> str:
        """The names that can be chosen."""
        names = list(self.groups or self.columns)
        return ", ".join(names if len(names) <= 20 else [*names[:16], "...", *names[-3:]])

    def first_text(self, name: str) -> str:
        """Where the first text of a column stands, for a refusal."""
        column = self.columns[name].tolist()
        rows = (row for row, cell in enumerate(column) if isinstance(cell, str) and not is_number(cell))
        return next((f"{self.where(row)}, {column[row]!r}{_remedy(column[row])}" for row in rows), "any")

    def numbers(self, name: str, among: Sequence[str] = ()) -> Floats:
        """A column as numbers, one of the inputs ``among`` which it can be left out.

        Raises ValueError for missing values and texts, NotFiniteError for infinity and NaN.
        """
        column = self.columns[name]
        self._require_whole(name, column)
        if column.dtype == object:
            wrong = [row for row, cell in enumerate(column) if not is_number(cell)]
            must = f"hold numbers, as 1.5, in column {name}"
            self._require_none(wrong, must, column, beside=lambda: self._without_texts(among))
        else:
            require(column.dtype.kind in "biuf", self.file, f"hold real numbers in {name}", str(column.dtype))
        values = column.astype(np.float64)
        wrong = np.flatnonzero(~np.isfinite(values)).tolist()
        self._require_none(wrong, f"hold finite numbers in column {name}", column, NotFiniteError)
        return values

    def labels(self, name: str) -> Labels:
        """A column as labels: numbers where all are, else texts. Raises as :meth:`numbers`, save for texts."""
        column = self.columns[name]
        if self.is_numeric(name):
            values = self.numbers(name)
            whole = (values == np.round(values)).all()
            return values if whole else np.array([repr(value) for value in values.tolist()])
        must = f"hold labels in {name}, whole numbers or texts"
        require(column.dtype.kind in "OUS", self.file, must, f"of dtype {column.dtype}")
        self._require_whole(name, column)
        return column.astype(str)

    def is_numeric(self, name: str) -> bool:
        """Whether all values there are in a column are numbers."""
        column = self.columns[name]
        if column.dtype != object:
            return column.dtype.kind in "biuf"
        return all(is_number(cell) or _is_missing(cell) for cell in column)

    def _without_texts(self, among: Sequence[str]) -> str:
        """How the columns of texts are left out, where some are left."""
        left = [name for name in among if self.is_numeric(name)]
        if not left:
            return ""
        if len(left) > _SHOWN:
            return (
                " (leave it out: name the other columns in columns=[...], or --columns on the command line)"
            )
        option = shlex.quote(",".join(f'"{name}"' if "," in name else name for name in left))
        return f" (leave it out: columns={left}, or --columns {option} on the command line)"

    def _require_whole(self, name: str, column: Labels) -> None:
        if column.dtype.kind in "OU":
            wrong = [row for row, cell in enumerate(column.tolist()) if _is_missing(cell)]
            self._require_none(wrong, f"have a value in every row of column {name}", column)

    def _require_none(
        self,
        wrong: Sequence[int],
        must: str,
        column: Labels,
        error: type[Exception] = ValueError,
        beside: Callable[[], str] = str,
    ) -> None:
        if wrong:
            more = f", and so on in {len(wrong)} rows" if len(wrong) > 1 else ""
            first = column.tolist()[wrong[0]]
            shown = repr(first) or "nothing"
            refuse(
                self.file, must, f"{shown} in {self.where(wrong[0])}{more}{_remedy(first) or beside()}", error
            )


def _remedy(cell: object) -> str:
    comma = isinstance(cell, str) and re.fullmatch(r"[-+]?[0-9]+,[0-9]+([eE][-+]?[0-9]+)?", cell.strip())
    return f" (a decimal comma: {DECIMAL_POINTS})" if comma else ""


def is_number(cell: str) -> bool:
    """Whether a text is a number, finite or not, as a file of numbers has it."""
    try:
        return not math.isnan(float(cell)) and "_" not in cell
    except ValueError:
        return False


def is_position(one: str | int) -> bool:
    """Whether a column is told by where it stands."""
    return not isinstance(one, str) or re.fullmatch(r"-?[0-9]{1,9}", one) is not None


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in _MISSING
