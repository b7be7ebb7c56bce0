"""Arrays and tables of the user's own, from NumPy, torch, pandas and their like: nothing missing is lost on the way."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from qlazy.base.errors import refuse, require, require_finite, require_tensor, require_unmasked
from qlazy.data.fitting import Floats

Objects = NDArray[Any]
_FLOATS = (np.float64, np.float32, np.float16)


def array_of(argument: str, values: ArrayLike | Tensor) -> Objects:
    """A NumPy array of what is one, of a tensor, and of what turns into one: lists, tables of pandas, and others.

    Raises ValueError for what turns into none, for sparse matrices and for arrays with masked entries.
    """
    if isinstance(values, Tensor):
        require_tensor(argument, values)
        widened = values.double() if values.dtype == torch.bfloat16 else values
        return widened.detach().cpu().resolve_conj().resolve_neg().numpy()
    require(not hasattr(values, "toarray"), argument, "be dense (`.toarray()`)", "a sparse matrix")
    require_unmasked(argument, values)
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        return refuse(argument, "be an array, with rows of one length", f"none ({error})")
    require(array.ndim, argument, "be an array, with a row for each sample", f"a {type(values).__name__}")
    return array


def real_array(argument: str, values: ArrayLike | Tensor) -> Floats:
    """The same as float64; a table whose columns are of several kinds is read entry by entry.

    Raises ValueError for what holds anything but real numbers, and says what stands where; NotFiniteError for missing
    values, NaN and infinity.
    """
    array = array_of(argument, values)
    if array.dtype == object:
        array = _by_entry(argument, array, column_names(values))
    require(array.dtype.kind in "biuf", argument, "hold real numbers", f"of dtype {array.dtype}")
    numbers = array.astype(np.float64)
    require_finite(argument, torch.from_numpy(numbers))
    return numbers


def tensor_of(argument: str, array: Objects, dtype: torch.dtype) -> Tensor:
    """A copy as a tensor: floats in the precision that they have, whole numbers and booleans as numbers of ``dtype``.

    Raises ValueError for masked entries and for what holds anything else.
    """
    require_unmasked(argument, array)
    is_whole = array.dtype.kind in "biu"
    must = "be a torch tensor, or a NumPy array of floats (float64 or shorter), whole numbers or booleans"
    require(is_whole or array.dtype in _FLOATS, argument, must, f"of dtype {array.dtype}")
    copied = np.array(array, dtype=np.float64 if is_whole else array.dtype, order="C")
    return torch.from_numpy(copied).to(dtype) if is_whole else torch.from_numpy(copied)


def for_scikit_learn(argument: str, values: Any) -> Any:
    """Tensors as arrays, all else as it is, with the names of its columns. Refuses what NumPy would turn into numbers.

    That are masked entries, times and records.
    """
    if isinstance(values, Tensor):
        return array_of(argument, values)
    require_unmasked(argument, values)
    dtype = getattr(values, "dtype", None)
    is_number = not isinstance(dtype, np.dtype) or dtype.kind not in "mMV"
    require(is_number, argument, "hold real numbers", f"of dtype {dtype}")
    return values


def column_names(values: object) -> tuple[str, ...]:
    """How the columns of a table are called; nothing for what has no names of columns."""
    named = getattr(values, "column_names", getattr(values, "columns", ()))
    return () if named is None or callable(named) else tuple(str(name) for name in named)


def require_same_columns(argument: str, values: object, like_argument: str, like: object) -> None:
    """Refuse a table whose columns are other ones, or stand in another order, than those of the table before it."""
    names, others = column_names(like), column_names(values)
    fits = not names or not others or len(names) != len(others) or names == others
    must = f"have the columns of {like_argument} in their order, {_few(names)}"
    require(fits, argument, must, f"of {_few(others)}")


def is_missing(value: object) -> bool:
    """Whether an entry stands for no value: None, NaN, and the NA and NaT of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float | np.floating | np.datetime64) and value != value


def _by_entry(argument: str, array: Objects, names: Sequence[str]) -> Floats:
    numbers = np.empty(array.shape)
    for place, value in np.ndenumerate(array):
        is_number = isinstance(value, Real | Decimal | np.bool_)
        if not is_number and not is_missing(value):
            column = f" of column {names[place[1]]}" if len(names) > place[-1] and len(place) == 2 else ""
            refuse(
                argument, "hold real numbers", f"{value!r} in row {place[0]}{column or _at(place)} (from 0)"
            )
        numbers[place] = float(value) if is_number else np.nan
    return numbers


def _at(place: tuple[int, ...]) -> str:
    return "".join(f", column {index}" for index in place[1:])


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + ", ..." * (len(names) > 8)
