"""What self-training leaves: both players, and how losses, weights, gradients and accuracies went."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import require
from qlazy.base.storage import load_arrays, read_as, require_arrays, save_arrays
from qlazy.base.tables import aligned

Floats = NDArray[np.floating[Any]]

FORMAT = 1


@final
@dataclass(frozen=True, eq=False, repr=False)
class SelfTrained:
    """Student and teacher at the end, p parameters each, and t recorded steps of the run.

    ``supervised_loss`` is the student's cross-entropy on the labelled samples, ``lesson_loss`` the mean weighted
    divergence from the pseudo-labels without its factor, ``weight`` the mean weight. ``direct`` and ``interaction``
    are the norms of the two parts of the gradient. Accuracies are on the test part, NaN where there is none.
    """

    student: Floats  # (p,)
    teacher: Floats  # (p,)
    steps: NDArray[np.int64]  # (t,)
    supervised_loss: Floats  # (t,)
    lesson_loss: Floats  # (t,)
    weight: Floats  # (t,)
    direct: Floats  # (t,)
    interaction: Floats  # (t,)
    student_accuracy: Floats  # (t,)
    teacher_accuracy: Floats  # (t,)
    settings: Mapping[str, Any]

    def table(self) -> str:
        """The run as plain text, a line for each recorded step. The numbers themselves are the arrays."""
        columns = {name: getattr(self, name) for name in _ALONG}
        shown = {name: column for name, column in columns.items() if not np.isnan(column).any()}
        head = ["step", *(name.replace("_", " ") for name in shown)]
        rows = zip(self.steps, *shown.values(), strict=True)
        return aligned([head, *([str(step), *(f"{v:.4g}" for v in row)] for step, *row in rows)], str.rjust)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to one file of arrays and JSON, atomically; ``numpy.load`` can read its arrays too."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        save_arrays(path, arrays, {"format": FORMAT, "self_trained": dict(self.settings)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SelfTrained:
        """The result that :meth:`save` wrote, bit for bit.

        Raises ValueError naming the file where it is damaged, of another kind or of a later format.
        """
        arrays, settings = load_arrays(path)
        known = (
            set(arrays) == set(_ARRAYS)
            and isinstance(settings, dict)
            and isinstance(settings.get("self_trained"), dict)
        )
        must = f"be a self-training result of format {FORMAT}"
        require(known and settings.get("format") == FORMAT, os.fspath(path), must, "another file")
        with read_as(path, "is not a self-training result"):
            require_arrays(arrays, _SHAPES)
        return cls(**arrays, settings=settings["self_trained"])

    def __repr__(self) -> str:
        return f"SelfTrained({self.settings['teacher']}: {self.steps[-1]} steps)"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p><pre>{html.escape(self.table())}</pre>"


_ALONG = (
    "supervised_loss", "lesson_loss", "weight", "direct", "interaction", "student_accuracy", "teacher_accuracy"
)  # fmt: skip
_ARRAYS = ("student", "teacher", "steps", *_ALONG)
_SHAPES = {"student": "p", "teacher": "q", **dict.fromkeys(("steps", *_ALONG), "t")}
