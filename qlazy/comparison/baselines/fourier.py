"""A Fourier model: linear in the sines and cosines that a circuit's encoding can reach, with no circuit behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from qlazy.base.errors import (
    generator_of,
    make_numbers_plain,
    require,
    require_instance,
    require_tensor,
    whole_of,
)
from qlazy.comparison.baselines.baseline import Baseline, frozen_baseline, require_closed_form
from qlazy.data.datasets import Dataset
from qlazy.training.losses import Loss
from qlazy.training.methods import Method

if TYPE_CHECKING:
    from qlazy.comparison.baselines.frequencies import Encoding, Spectrum
    from qlazy.quantum.circuit import Circuit

MOST = 2000


@final
@dataclass(frozen=True, eq=False)
class FourierModel:
    """Features 1, cos(omega . phi(x)), sin(omega . phi(x)) for the frequencies omega of a circuit's encoding.

    Any output of the circuit, at whatever weights, is a linear function of them where all are taken: Schuld, Sweke,
    Meyer 2021 (arXiv 2008.08605). More than ``max_features`` are a random part, drawn from ``seed`` as often as the
    encoding reaches them: Landman and others 2022 (arXiv 2210.13200), Sweke and others 2023 (arXiv 2309.11647). phi(x)
    is x where angles are linear in it, and otherwise the functions of x that they are sums of.

    In :func:`qlazy.compare` it is a baseline, trained on its features from zero; in :func:`qlazy.surrogates` ridge
    regression. Methods raise UnsupportedModelError for a circuit whose angles multiply data with weights, and for
    amplitudes that are data.

    Raises TypeError for what is no Circuit, ValueError for numbers that do not fit.
    """

    circuit: Circuit
    max_features: int = MOST
    seed: int = 0

    def __post_init__(self) -> None:
        from qlazy.quantum.circuit import Circuit  # compiled code, which a net can do without

        require_instance("circuit", self.circuit, Circuit, "Circuit(qnode, {'weights': (2, 4, 3)})")
        whole_of("max_features", self.max_features, 3, "be a whole number of at least 3")
        generator_of(self.seed)
        require(self.seed >= 0, "seed", "not be negative", self.seed)
        make_numbers_plain(self)

    def __str__(self) -> str:
        return f"Fourier model of {getattr(self.circuit.program, 'name', None) or 'the circuit'}"

    def spectrum(self, x: Tensor) -> Spectrum:
        """The frequencies (f, k) in use, for inputs such as x (n, ...), and whether they are all."""
        return self._encoding(x).spectrum((self.max_features - 1) // 2, self.seed)

    def features(self, x: Tensor) -> Tensor:
        """(n, 1 + 2 f), divided by the root of 1 + f, so that each row has norm 1; float64."""
        encoding = self._encoding(x)
        spectrum = encoding.spectrum((self.max_features - 1) // 2, self.seed)
        phases = encoding.values(x) @ torch.from_numpy(spectrum.values).T
        ones = phases.new_ones(len(x), 1)
        return torch.cat([ones, phases.cos(), phases.sin()], 1) / (1 + phases.shape[1]) ** 0.5

    def kernel(self, x: Tensor, x2: Tensor | None = None) -> Tensor:
        """Products of features, (n, m); x2 = x if absent."""
        left = self.features(x)
        return left @ (left if x2 is None else self.features(x2)).T

    def check(self, data: Dataset, loss: Loss, method: Method) -> None:
        """Refuse settings under which training has no closed form, and circuits without fixed frequencies."""
        require_closed_form(loss, method)
        self._encoding(data.x_train)

    def train(self, data: Dataset, method: Method, steps: int) -> Baseline:
        """The path of training, at the steps a run records. Without a rate it is n / (2 lambda_max)."""
        require_instance("data", data, Dataset, "load_data('digits')")
        require_instance("method", method, Method, "GradientDescent()")
        steps = whole_of("steps", steps, 1)
        kernel = self.kernel(data.x_train).to(data.y_train)
        cross = self.kernel(data.x_test, data.x_train).to(data.y_train)
        return frozen_baseline(str(self), kernel, cross, data, method, steps)

    def _encoding(self, x: Tensor) -> Encoding:
        from qlazy.comparison.baselines.frequencies import encoding_of

        require_tensor("x", x)
        require(x.ndim >= 2, "x", "have shape (n, d)", tuple(x.shape))
        return encoding_of(self.circuit.lowering(x))
