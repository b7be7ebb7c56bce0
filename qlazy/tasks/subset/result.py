"""What a selection leaves: the samples chosen, their scores, the labels that look wrong, and how training went."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray

from qlazy.base.errors import require
from qlazy.base.storage import load_arrays, read_as, require_arrays, save_arrays
from qlazy.data.datasets import Dataset

Floats = NDArray[np.floating[Any]]

FORMAT = 2
SHOWN = 10


@final
@dataclass(frozen=True, eq=False, repr=False)
class Subset:
    """k samples chosen out of n, and the run that chose them: t = passes + 1 recorded states of p parameters.

    ``scores`` rank the samples, NaN for those that were never scored; ``margins`` say how far the tangent kernel at
    initialisation, told the labels of the others, speaks for the label each was given, negative where it speaks
    against it (NaN where targets are no class labels): :func:`qlazy.tasks.subset.leave_one_out.label_margins`.
    Accuracy and loss are
    NaN where there was nothing to measure them on.
    """

    indices: NDArray[np.int64]  # (k,), numbers in the training set, the highest score first
    scores: Floats  # (n,)
    margins: Floats  # (n,)
    params: Floats  # (p,), of the model at the end
    validation_loss: Floats  # (t,)
    test_accuracy: Floats  # (t,)
    settings: Mapping[str, Any]

    @property
    def label_issues(self) -> NDArray[np.int64]:
        """Samples whose label the tangent kernel, told those of the others, speaks against, the most doubtful first.

        Not those that the trained model speaks against, which the rule that chose may have left untrained. Six seeds
        of digits with 5, 20 and 40 % of the labels flipped, for a net on four classes and a circuit on two: of these
        doubts 78 to 94 % are right, and they find 57 to 89 % of the flips; of those of the trained model 41 to 87 %
        are (and find 65 to 93 %) after all data, 36 to 92 % (88 to 93) after TracIn, 8 to 57 % (57 to 86) after small
        loss.

        Raises ValueError where the targets are no class labels.
        """
        require(not np.isnan(self.margins).any(), "data", "have class labels to be doubted", "without them")
        return np.argsort(self.margins, kind="stable")[: int((self.margins < 0).sum())]

    def of(self, data: Dataset) -> Dataset:
        """The data set with the chosen samples alone for training; its test part stays whole.

        Raises ValueError for a data set that is not as long as the one chosen from.
        """
        require(len(data.x_train) == len(self.scores), "data", f"have the {len(self.scores)} training samples chosen "
                "from", len(data.x_train))  # fmt: skip
        kept = torch.from_numpy(self.indices).to(data.x_train.device)
        description = (
            f"{data.description}; {len(kept)} of {len(data.x_train)} chosen by {self.settings['selector']}"
        )
        return replace(data, x_train=data.x_train[kept], y_train=data.y_train[kept], description=description)

    def table(self) -> str:
        """What was chosen and what is doubted, as plain text. The numbers themselves are the arrays."""
        rows = list(self._rows().items())
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name.ljust(width)}  {value}" for name, value in rows)

    def plot(self, ax: Any = None, style: Any = None) -> Any:
        """A matplotlib figure: scores against margins, and the history of the run.

        ``ax`` is a figure or a subfigure to draw on, ``style`` what ``matplotlib.style.use`` takes.
        """
        from qlazy.tasks.subset.figures import subset_figure

        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return subset_figure(arrays, self.settings["selector"], ax, style)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to one file of arrays and JSON, atomically; ``numpy.load`` can read its arrays too."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        save_arrays(path, arrays, {"format": FORMAT, "subset": dict(self.settings)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Subset:
        """The subset that :meth:`save` wrote, bit for bit.

        Raises ValueError naming the file where it is damaged, of another kind or of a later format.
        """
        arrays, settings = load_arrays(path)
        is_subset = set(arrays) == set(_ARRAYS) and isinstance(settings.get("subset"), dict)
        must = f"be a subset of format {FORMAT}"
        require(is_subset and settings.get("format") == FORMAT, os.fspath(path), must, "another file")
        with read_as(path, "is not a subset"):
            require_arrays(arrays, _SHAPES)
        return cls(**arrays, settings=settings["subset"])

    def _rows(self) -> dict[str, str]:
        n = len(self.scores)
        rows = {
            "selector": str(self.settings["selector"]),
            "chosen": f"{len(self.indices)} of {n}: {_list(self.indices)}",
        }
        if not np.isnan(self.margins).any():
            rows["suspected labels"] = f"{len(self.label_issues)} of {n}: {_list(self.label_issues)}"
            inside = np.isin(self.indices, self.label_issues).sum()
            rows["suspected among chosen"] = str(int(inside))
        for name, values in (
            ("validation loss", self.validation_loss),
            ("test accuracy", self.test_accuracy),
        ):
            if not np.isnan(values).any():
                rows[name] = f"{values[0]:.4g} -> {values[-1]:.4g}"
        return rows

    def __repr__(self) -> str:
        return f"Subset({len(self.indices)} of {len(self.scores)} by {self.settings['selector']})"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.table())}</pre>"


_ARRAYS = ("indices", "scores", "margins", "params", "validation_loss", "test_accuracy")
_SHAPES = {
    "indices": "k", "scores": "n", "margins": "n", "params": "p", "validation_loss": "t", "test_accuracy": "t"
}  # fmt: skip


def _list(numbers: NDArray[np.int64]) -> str:
    shown = " ".join(str(int(i)) for i in numbers[:SHOWN])
    return shown + (" ..." if len(numbers) > SHOWN else "")
