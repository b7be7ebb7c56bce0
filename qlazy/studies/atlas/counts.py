"""The atlas in numbers: of how many cells is what said, for circuits and for nets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qlazy.base.tables import Table

DIFFERENCES = {
    "less kernel": "trained, less kernel regression with its own kernel",
    "less twin": "trained, less its unentangled twin",
    "less classical": "trained, less the best of five classical models",
}


def counts(arrays: Mapping[str, NDArray[Any]]) -> tuple[Table, Table]:
    """Tables over all data sets; a cell is a model on a data set."""
    nets = together(arrays, "is net").astype(bool)
    rows = []
    for name, chosen in (("circuits", ~nets), ("nets", nets)):
        lazy = together(arrays, "lazy")[chosen]
        words = ("lazy", "undecided", "not lazy")
        rows.append(
            (name, "lazy at a = 1, undecided, not lazy", *_shown([(lazy == word).sum() for word in words]))
        )
        for column, title in DIFFERENCES.items():
            low, high = (together(arrays, column)[chosen][:, end] for end in (1, 2))
            known = np.isfinite(low)
            if known.any():
                found = [(low > 0).sum(), ((low <= 0) & (high >= 0)).sum(), (high < 0).sum()]
                rows.append((name, title, *_shown(found)))
    title = "in how many cells, a model on a data set each, the 95 % interval says what"
    head = ("", "", "ahead, or lazy", "undecided", "behind, or not lazy")
    return Table(title, head, tuple(rows)), _moves_and_gains(arrays, ~nets)


def _moves_and_gains(arrays: Mapping[str, NDArray[Any]], circuits: NDArray[np.bool_]) -> Table:
    """Does a kernel that moves further tell that training pays? Cells share data, so that there is no interval."""
    from scipy.stats import spearmanr

    gains = together(arrays, "less kernel")[circuits, 0]
    rows = tuple(
        (name, f"{spearmanr(together(arrays, name)[circuits, 0], gains).statistic:+.2f}")
        for name in ("kernel change", "output gap")
    )
    title = "rank correlation over the circuits' cells with what training gains on kernel regression"
    return Table(title, ("at a = 1", "Spearman"), rows)


def together(arrays: Mapping[str, NDArray[Any]], column: str) -> NDArray[Any]:
    """A column of all data sets, one after the other."""
    return np.concatenate([array for key, array in arrays.items() if key.endswith(f": {column}")])


def _shown(found: list[Any]) -> tuple[str, ...]:
    return tuple(str(int(count)) for count in found)
