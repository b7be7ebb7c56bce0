"""One run of a comparison: a model trained at one scale from one seed, beside its linearisation."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qlazy.base.storage import load_arrays, save_arrays
from qlazy.kernels.spectrum import centered
from qlazy.training.drift import kernel_change
from qlazy.training.history import History
from qlazy.training.losses import accuracy, sample_accuracies

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """One model trained at one scale from one seed, beside its linearisation trained on its own.

    Arrays have t recorded steps, p parameters, n training and m test samples, c outputs. Kernels are those of
    the model h, not of a h, on the training inputs.
    """

    model: str
    seed: int
    alpha: float
    trace: History
    linear_params: Floats  # (t, p)
    linear_train_outputs: Floats  # (t, n, c)
    linear_test_outputs: Floats  # (t, m, c)
    train_targets: Floats  # (n, c)
    test_targets: Floats  # (m, c)
    kernel_initial: Floats  # (n c, n c)
    kernel_final: Floats  # (n c, n c)
    diverged: str = ""  # empty, or what stopped the run
    law_train_outputs: Floats | None = None  # (t, n, c), by the variance law; None where it does not apply
    law_test_outputs: Floats | None = None  # (t, m, c)
    lipschitz: tuple[float, float] | None = None  # of h and Dh in ||.||_n, upper bounds; None where unknown

    @property
    def parameter_drift(self) -> float:
        """sup_t ||w_a(t) - w0||."""
        return float(self.trace.drift.max())

    @property
    def relative_drift(self) -> float:
        """sup_t ||w_a(t) - w0|| / ||w0||, infinite for a start at zero."""
        start = float(np.linalg.norm(self.trace.params[0]))
        return self.parameter_drift / start if start else math.inf

    @property
    def parameter_gap(self) -> float:
        """sup_t ||w_a(t) - wbar_a(t)||, wbar the parameters of the linearised model."""
        return float(np.linalg.norm(self.trace.params - self.linear_params, axis=1).max())

    @property
    def output_gap(self) -> float:
        """sup_t ||a h(w_a) - a hbar(wbar_a)|| / ||a h(w0) - y*||, on the training samples."""
        return float(self.output_gaps.max())

    @property
    def output_gaps(self) -> Floats:
        """The output gap at every recorded step, (t,)."""
        return self._distances(self.linear_train_outputs)

    @property
    def law_gap(self) -> float:
        """sup_t ||a h(w_a) - F|| / ||a h(w0) - y*||, F by the variance law; NaN where that does not apply."""
        return (
            math.nan
            if self.law_train_outputs is None
            else float(self._distances(self.law_train_outputs).max())
        )

    @property
    def test_output_gap(self) -> float:
        """The output gap on the test samples: sup_t ||a h(w_a) - a hbar(wbar_a)|| / ||a h(w0) - y*||."""
        outputs = self.trace.test_outputs
        assert outputs is not None
        distance = np.linalg.norm((outputs - self.linear_test_outputs).reshape(len(outputs), -1), axis=1)
        return float(distance.max() / np.linalg.norm(outputs[0] - self.test_targets))

    def _distances(self, others: Floats) -> Floats:
        outputs = self.trace.train_outputs
        distance = np.linalg.norm((outputs - others).reshape(len(outputs), -1), axis=1)
        return distance / np.linalg.norm(outputs[0] - self.train_targets)

    @property
    def kernel_change(self) -> float:
        """||K_T - K_0||_F / ||K_0||_F at the last step."""
        return float(
            kernel_change(torch.from_numpy(self.kernel_final), torch.from_numpy(self.kernel_initial))
        )

    @property
    def centered_kernel_change(self) -> float:
        """The same of kernels centred over the samples: an output bias adds a constant to K that never moves.

        A kernel that is constant over the samples has none to change: infinite if it moves away from that, else 0.
        """
        outputs = self.train_targets.shape[1]
        first, last = (
            centered(torch.from_numpy(k), outputs) for k in (self.kernel_initial, self.kernel_final)
        )
        return _ratio(
            float((last - first).norm()), float(first.norm()), float(np.linalg.norm(self.kernel_initial))
        )

    @property
    def residual_kernel_change(self) -> float:
        """||(K_T - K_0) r_0|| / ||K_0 r_0||: along what is left to learn at initialisation, r_0 = a h(w0) - y*."""
        residual = (self.trace.train_outputs[0] - self.train_targets).reshape(-1)
        change = np.linalg.norm((self.kernel_final - self.kernel_initial) @ residual)
        scale = np.linalg.norm(self.kernel_initial) * np.linalg.norm(residual)
        return _ratio(float(change), float(np.linalg.norm(self.kernel_initial @ residual)), float(scale))

    @property
    def loss_left(self) -> float:
        """The training loss at the last step as a share of that at initialisation."""
        return float(self.trace.train_loss[-1] / self.trace.train_loss[0])

    @property
    def test_answers(self) -> tuple[Floats, Floats]:
        """What each test sample counts in the accuracy of the trained and of the linearised model, (m,) each."""
        assert self.trace.test_outputs is not None
        ends = (self.trace.test_outputs[-1], self.linear_test_outputs[-1])
        targets = torch.from_numpy(self.test_targets)
        trained, linear = (sample_accuracies(torch.from_numpy(end), targets).numpy() for end in ends)
        return trained, linear

    @property
    def train_accuracy(self) -> float:
        return _accuracy(self.trace.train_outputs[-1], self.train_targets)

    @property
    def test_accuracy(self) -> float:
        assert self.trace.test_outputs is not None
        return _accuracy(self.trace.test_outputs[-1], self.test_targets)

    @property
    def linear_test_accuracy(self) -> float:
        return _accuracy(self.linear_test_outputs[-1], self.test_targets)

    @property
    def train_loss(self) -> float:
        return float(self.trace.train_loss[-1])

    @property
    def test_loss(self) -> float:
        assert self.trace.test_loss is not None
        return float(self.trace.test_loss[-1])

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write to a folder; ``run.npz`` comes last and marks it as finished."""
        self.trace.save(Path(folder, "trace.npz"))
        settings = {name: getattr(self, name) for name in _SETTINGS}
        arrays = {name: getattr(self, name) for name in _RUN_ARRAYS}
        held = {name: array for name, array in arrays.items() if array is not None}
        save_arrays(Path(folder, "run.npz"), held, settings)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Run:
        """The run that :meth:`save` wrote. Raises ValueError naming a damaged file."""
        path = Path(folder, "run.npz")
        arrays, settings = load_arrays(path)
        contents: dict[str, Any] = {**settings, **arrays}
        try:
            contents["lipschitz"] = contents.get("lipschitz") and tuple(contents["lipschitz"])
            return cls(**contents, trace=History.load(Path(folder, "trace.npz")))
        except TypeError as error:
            raise ValueError(f"{path} is not a run: {error}") from error

    def __repr__(self) -> str:
        return f"Run({self.model}, seed={self.seed}, alpha={self.alpha:g})"


_SETTINGS = ("model", "seed", "alpha", "diverged", "lipschitz")


def is_saved(folder: Path) -> bool:
    """Whether a whole run is in the folder: its last file is."""
    return (folder / "run.npz").exists()


_RUN_ARRAYS = tuple(f.name for f in fields(Run) if f.name not in (*_SETTINGS, "trace"))


def _ratio(change: float, of: float, scale: float) -> float:
    """``change`` relative to ``of``; where that is rounding beside ``scale``, 0 if the change is too, else infinite."""
    floor = 1e-7 * scale
    if of > floor:
        return change / of
    return 0.0 if change <= floor else math.inf


def _accuracy(outputs: Floats, targets: Floats) -> float:
    return float(accuracy(torch.from_numpy(outputs), torch.from_numpy(targets)))
