"""Class labels of any kind as strings, and targets as the numbers a loss is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import require, require_finite
from qlazy.data.arrays import is_missing
from qlazy.data.fitting import Floats

Labels = NDArray[Any]


def class_labels(name: str, labels: Labels) -> Labels:
    """Labels as strings; 3, 3.0 and "3" are one class."""
    require(labels.dtype.kind not in "cV", name, "hold labels, texts or whole numbers", f"of {labels.dtype}")
    if labels.dtype.kind == "f":
        labels = labels.astype(np.float64)
        require_finite(name, torch.from_numpy(labels))
        broken = labels[labels != np.round(labels)].tolist()
        require(not broken, name, "hold class labels unless regression=True", broken)
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "backslashreplace")
    names = labels.tolist()
    missing = [i for i, label in enumerate(names) if is_missing(label)]
    shown = f"without one at {', '.join(map(str, missing[:8]))}{', ...' * (len(missing) > 8)} (from 0)"
    require(not missing, name, "have a label for every sample", shown)
    return np.array([_label(label) for label in names])


def _label(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def choose_classes(chosen: Sequence[object] | None, labels: Labels) -> tuple[str, ...]:
    present = sorted(set(labels.tolist()), key=_by_number)
    listed = chosen is None or (isinstance(chosen, Iterable) and not isinstance(chosen, str | bytes | Tensor))
    listed = listed and getattr(chosen, "ndim", 1) == 1
    require(listed, "classes", "be a sequence of classes", chosen)
    names = tuple(present) if chosen is None else tuple(_label(name) for name in chosen)
    unknown = [name for name in names if name not in present]
    require(not unknown, "classes", f"be among {', '.join(present)}", ", ".join(unknown))
    require(len(set(names)) == len(names), "classes", "name each class once", ", ".join(names))
    require(len(names) >= 2, "classes", "be at least two", f"{names[0]} alone" if names else "none")
    return names


def _by_number(label: str) -> tuple[float, str]:
    """Sorts "10" after "9" and words, after all numbers, by the alphabet."""
    try:
        return float(label), ""
    except ValueError:
        return math.inf, label


def require_known(labels: Labels, names: tuple[str, ...]) -> None:
    unknown = sorted(set(labels.tolist()) - set(names))
    require(
        not unknown, "y_test", f"hold classes of y_train, {', '.join(names)}", f"also {', '.join(unknown)}"
    )


def encoder(names: tuple[str, ...]) -> Callable[[Labels], Floats]:
    """Signs (n, 1) for two classes, one-hot columns (n, c) for more."""

    def encode(labels: Labels) -> Floats:
        one_hot = (labels[:, None] == np.array(names)).astype(np.float64)
        return one_hot[:, 1:] - one_hot[:, :1] if len(names) == 2 else one_hot

    return encode


def describe_classes(names: tuple[str, ...]) -> str:
    if not names:
        return "regression"
    if len(names) == 2:
        return f"classes {names[0]} (-1) and {names[1]} (+1)"
    return f"classes {', '.join(names)} (one-hot)"


def classes(targets: NDArray[np.floating[Any]]) -> NDArray[np.int64] | None:
    """The class of each row of targets (n, c), (n,); None where the targets are no classes."""
    if targets.shape[1] == 1:
        return (targets[:, 0] > 0).astype(np.int64) if (np.abs(targets) == 1).all() else None
    one_hot = np.isin(targets, (0.0, 1.0)).all() and (targets.sum(1) == 1).all()
    return targets.argmax(1) if one_hot else None


def are_labels(targets: Tensor) -> bool:
    """Whether targets (n, c) are class labels: signs in one column, or one-hot rows."""
    if targets.shape[1] == 1:
        return bool((targets.abs() == 1).all())
    return bool(((targets == 0) | (targets == 1)).all() & (targets.sum(1) == 1).all())


def label_codes(targets: Tensor) -> Tensor:
    """One-hot labels (n, classes): of one column of signs two columns, of several the columns themselves."""
    return torch.cat([(1 - targets) / 2, (1 + targets) / 2], 1) if targets.shape[1] == 1 else targets
