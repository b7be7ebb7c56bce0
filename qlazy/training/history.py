"""One training run as a value: what was recorded, under which settings."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import NotFiniteError, require
from qlazy.base.storage import load_arrays, read_as, require_arrays, save_arrays
from qlazy.base.tables import Table, aligned

Floats = NDArray[np.floating[Any]]

FORMAT = 1


@dataclass(frozen=True, eq=False, repr=False)
class History:
    """The recorded states of one training run: t of them, of p parameters, n samples and c outputs.

    Outputs are those of the trained predictor a h(w), and losses R(a h(w)) are theirs, without the factor
    1/a^2 of the objective F_a, so that runs at different scales compare. Test arrays are None where
    there were no test data. Parameters and outputs keep the dtype they were trained in.
    """

    steps: NDArray[np.int64]
    """The steps that were recorded, (t,)."""
    times: Floats
    """Their times, (t,), in the unit that ``clock`` names."""
    params: Floats
    """Parameters w, (t, p)."""
    train_loss: Floats
    """R(a h(w)) on the training samples, (t,)."""
    train_outputs: Floats
    """a h(w) on the training samples, (t, n, c)."""
    test_loss: Floats | None = None
    """R(a h(w)) on the test samples, (t,)."""
    test_outputs: Floats | None = None
    """a h(w) on the test samples, (t, m, c)."""

    alpha: float = 1.0
    """The output scale a."""
    loss: str = ""
    """The formula of the loss R, as its ``convention`` gives it."""
    method: str = ""
    """The method, with its settings."""
    learning_rate: float | None = None
    """That of the method, where it has one."""
    clock: str = "step"
    """What time counts: steps, or rate times step."""
    seed: int | None = None
    """Of batches, where they are drawn."""
    dtype: str = ""
    """In which it was trained."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the libraries, by name."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Further facts that go with it, such as how the data were made."""

    def __post_init__(self) -> None:
        for name, array in self._arrays().items():
            require(len(array) == len(self.steps), name, f"have {len(self.steps)} rows, as steps", len(array))
        # Through JSON now, not after a long run, so that a loaded trace equals the one that was saved.
        object.__setattr__(self, "notes", json.loads(json.dumps(dict(self.notes), allow_nan=False)))

    @property
    def drift(self) -> Floats:
        """Distance ||w - w0|| of the recorded parameters from the first, (t,)."""
        return np.linalg.norm(self.params - self.params[:1], axis=1)

    def until(self, row: int) -> History:
        """The run up to a recorded row, that one included."""
        require(0 <= row < len(self.steps), "row", f"be from 0 to {len(self.steps) - 1}", row)
        kept: dict[str, Any] = {name: array[: row + 1] for name, array in self._arrays().items()}
        return replace(self, **kept)

    def table(self) -> str:
        """The run as plain text, a line for each recorded step. The numbers themselves are the arrays."""
        return aligned([list(self._columns()), *self._rows()], str.rjust)

    def plot(self, ax: Any = None, style: Any = None) -> Any:
        """A matplotlib figure of the losses and the drift along training.

        ``ax`` is a figure or a subfigure to draw on, ``style`` what ``matplotlib.style.use`` takes. Raises ValueError
        for axes, as there are two panels, and for a style that matplotlib does not know.
        """
        from qlazy.training.figures import history_figure

        require(len(self.steps), "history", "hold at least one recorded step", "empty")
        losses = (self.train_loss, self.test_loss)
        return history_figure(self.steps, *losses, self.drift, self.loss, self.alpha, ax, style)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to one file of arrays and JSON, atomically; ``numpy.load`` can read its arrays too."""
        settings = {name: getattr(self, name) for name in _SETTINGS}
        save_arrays(path, self._arrays(), {"format": FORMAT, **settings})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """The trace that :meth:`save` wrote, bit for bit.

        Raises ValueError naming the file where it is damaged, of another kind or of a later format.
        """
        arrays, settings = load_arrays(path)
        found = settings.pop("format", None) if isinstance(settings, dict) else None
        require(found == FORMAT, os.fspath(path), f"be a trace of format {FORMAT}", f"of format {found}")
        with read_as(path, "is not a trace"):
            require_arrays(arrays, _SHAPES, ("test_loss", "test_outputs"))
            return cls(**{**settings, **arrays})

    def __repr__(self) -> str:
        if not len(self.steps):
            return f"History({self.method}, alpha={self.alpha:g}: nothing recorded)"
        change = f"{self.train_loss[0]:.4g} -> {self.train_loss[-1]:.4g}"
        return f"History({self.method}, alpha={self.alpha:g}: {self.steps[-1]} steps, train loss {change})"

    def _repr_html_(self) -> str:
        title = f"{self!r}; loss {self.loss}; time: {self.clock}; {self.dtype}"
        return Table(title, tuple(self._columns()), tuple(map(tuple, self._rows()))).html()

    def _columns(self) -> dict[str, NDArray[Any]]:
        columns: dict[str, NDArray[Any]] = {
            "step": self.steps,
            "time": self.times,
            "train loss": self.train_loss,
        }
        if self.test_loss is not None:
            columns["test loss"] = self.test_loss
        return {**columns, "||w - w0||": self.drift}

    def _rows(self) -> list[list[str]]:
        return [[_show(value) for value in row] for row in zip(*self._columns().values(), strict=True)]

    def _arrays(self) -> dict[str, Floats]:
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return {name: array for name, array in arrays.items() if array is not None}


_SHAPES = {
    "steps": "t", "times": "t", "params": "t p", "train_loss": "t", "train_outputs": "t n c", "test_loss": "t",
    "test_outputs": "t m c",
}  # fmt: skip
_ARRAYS = ("steps", "times", "params", "train_loss", "train_outputs", "test_loss", "test_outputs")
_SETTINGS = tuple(entry.name for entry in fields(History) if entry.name not in _ARRAYS)


def _show(value: Any) -> str:
    return str(value) if isinstance(value, np.integer) else f"{value:.6g}"


class DivergedError(NotFiniteError):
    """Training that ran away. ``step`` is where, ``trace`` holds all that was recorded before."""

    def __init__(self, message: str, step: int = 0, trace: History | None = None) -> None:
        super().__init__(message)
        self.step = step
        self.trace = trace
