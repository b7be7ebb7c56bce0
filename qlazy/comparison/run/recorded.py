"""What is recorded of one run of a comparison, and kept in a folder of its own."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import folder_of, positive_of, require, whole_of
from qlazy.base.storage import (
    digest_of_file,
    load_arrays,
    read_as,
    require_arrays,
    require_own_files,
    save_arrays,
)
from qlazy.training.history import History

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class RecordedRun:
    """One model trained at one scale from one seed, beside its linearisation trained on its own.

    Arrays have t recorded steps, p parameters, n training and m test samples, c outputs. Kernels are those of
    the model h, not of a h, on the training inputs.
    """

    model: str
    """The name of the model."""
    seed: int
    """Of the parameters at the start."""
    alpha: float
    """The output scale a."""
    trace: History
    """The trained model, step by step."""
    linear_params: Floats
    """Parameters of the linearised model, (t, p)."""
    linear_train_outputs: Floats
    """Its outputs on the training samples, (t, n, c)."""
    linear_test_outputs: Floats
    """Its outputs on the test samples, (t, m, c)."""
    train_targets: Floats
    """(n, c)."""
    test_targets: Floats
    """(m, c)."""
    kernel_initial: Floats
    """K of h on the training inputs before training, (n c, n c)."""
    kernel_final: Floats
    """The same after it, (n c, n c)."""
    diverged: str = ""
    """Empty, or what stopped the run."""
    law_train_outputs: Floats | None = None
    """Outputs by the variance law, (t, n, c); None where it does not apply."""
    law_test_outputs: Floats | None = None
    """The same on the test samples, (t, m, c)."""
    lipschitz: tuple[float, float] | None = None
    """Upper bounds of the Lipschitz constants of h and Dh in ||.||_n; None where they are not known."""
    curvature: float = math.nan
    """||D^2 h(w0)||_n from below; NaN where it is not known."""
    tangent_changes: Floats | None = None
    """Columns named in CHANGES, (k, 4), at k of the recorded steps, the last one among them."""
    regression_train_outputs: Floats | None = None
    """Kernel regression with the initial kernel, (n, c)."""
    regression_test_outputs: Floats | None = None
    """The same on the test samples, (m, c)."""
    regression_ridge: float = math.nan
    """Its ridge, relative to the mean eigenvalue of the kernel."""

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write to a folder; ``run.npz`` comes last and marks it as finished."""
        folder = folder_of("folder", folder)
        self.trace.save(Path(folder, "trace.npz"))
        settings = {
            name: getattr(self, name) for name in _SETTINGS if getattr(self, name) == getattr(self, name)
        }
        arrays = {name: getattr(self, name) for name in _RUN_ARRAYS}
        held = {name: array for name, array in arrays.items() if array is not None}
        settings |= {"key": Path(folder).name, "trace": digest_of_file(Path(folder, "trace.npz"))}
        save_arrays(Path(folder, "run.npz"), held, settings)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """The run that :meth:`save` wrote.

        Raises ValueError naming a damaged file, and one of another run or without all that a run has.
        """
        folder = folder_of("folder", folder)
        path = folder / "run.npz"
        arrays, settings = load_arrays(path)
        own, beside = settings.pop("key", None), settings.pop("trace", None)
        if own != folder.name:
            raise ValueError(f"{path} is that of another run, {own}")
        trace = folder / "trace.npz"
        require_own_files(path, {trace.name: beside}, {trace.name: digest_of_file(trace)})
        contents: dict[str, Any] = {**settings, **arrays}
        history = History.load(trace)
        with read_as(path, "is not a run"):
            contents["lipschitz"] = contents.get("lipschitz") and tuple(contents["lipschitz"])
            run = cls(**contents, trace=history)
            run.check()
            return run

    def check(self) -> None:
        """Refuse arrays whose shapes do not fit each other, and NaN in what was trained. Raises ValueError."""
        own = {name: getattr(self, name) for name in _RUN_ARRAYS}
        along = {name: getattr(self.trace, name) for name in _ALONG}
        require_arrays({**own, **along}, {**_SHAPES, **_ALONG}, _OPTIONAL, _FINITE)
        require(isinstance(self.model, str), "model", "be a text", self.model)
        require(isinstance(self.diverged, str), "diverged", "be a text", self.diverged)
        whole_of("seed", self.seed, -(2**63))
        positive_of("alpha", self.alpha)


_SETTINGS = ("model", "seed", "alpha", "diverged", "lipschitz", "curvature", "regression_ridge")
_ALONG = {
    "steps": "t", "times": "t", "params": "t p", "train_loss": "t", "train_outputs": "t n c", "test_loss": "t",
    "test_outputs": "t m c",
}  # fmt: skip
_SHAPES = {
    "linear_params": "t p", "linear_train_outputs": "t n c", "linear_test_outputs": "t m c", "train_targets": "n c",
    "test_targets": "m c", "kernel_initial": "nc nc", "kernel_final": "nc nc", "law_train_outputs": "t n c",
    "law_test_outputs": "t m c", "tangent_changes": "k f", "regression_train_outputs": "n c",
    "regression_test_outputs": "m c",
}  # fmt: skip
_OPTIONAL = (
    "test_loss", "test_outputs", "law_train_outputs", "law_test_outputs", "tangent_changes",
    "regression_train_outputs", "regression_test_outputs",
)  # fmt: skip
_FINITE = (
    "steps", "times", "params", "train_loss", "train_outputs", "train_targets", "test_targets", "kernel_initial",
)  # fmt: skip
_RUN_ARRAYS = tuple(f.name for f in fields(RecordedRun) if f.name not in (*_SETTINGS, "trace"))


def is_saved(folder: Path) -> bool:
    """Whether a whole run is in the folder: its last file is."""
    return (folder / "run.npz").exists()
