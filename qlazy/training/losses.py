"""What training minimises: losses on outputs (n, c), each a mean over the n samples, and F_a(w) = R(a h(w)) / a^2.

Targets always have the shape of the outputs: +1 and -1 in one column for a binary task, one-hot rows for
several classes. A shape that would broadcast is refused, because (n,) against (n, 1) gives a number, and
the wrong one.
"""

from __future__ import annotations

import abc
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import (
    ZeroJacobianError,
    refuse,
    require,
    require_dtype,
    require_finite,
    require_full_precision,
    require_instance,
    require_shape,
    require_tensor,
)
from qlazy.base.torch_private import vmap
from qlazy.data.arrays import tensor_of
from qlazy.data.datasets import Dataset
from qlazy.models.model import Model


class Loss(abc.ABC):
    """A scalar function of outputs (n, c) and targets (n, c): the R of F_a(w) = R(a h(w)) / a^2.

    ``convention`` is its formula, which results carry along; ``curvature`` the largest eigenvalue that the Hessian of
    one sample's loss in its outputs has anywhere, NaN where it is not known. It decides the critical learning rate.
    """

    convention: ClassVar[str]
    curvature: ClassVar[float] = math.nan

    @final
    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean over samples, a scalar tensor. Raises ValueError where the targets do not fit."""
        self.check(outputs, targets)
        return _unwritten(self.value, outputs, targets)

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """Refuse targets that do not fit the outputs or the loss."""
        _check_shapes(outputs, targets)

    @abc.abstractmethod
    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of arguments already checked."""

    def on_lanes(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The losses (l,) of many outputs (l, n, c) on the same targets (n, c)."""
        return _unwritten(vmap(self.value, (0, None)), outputs, targets)


@final
@dataclass(frozen=True)
class SquaredError(Loss):
    """Half the mean squared error: 1/(2n) sum_i ||f_i - y_i||^2, with gradient (f - y)/n."""

    convention: ClassVar[str] = "1/(2n) sum ||f - y||^2"
    curvature: ClassVar[float] = 1.0

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).square().sum(1).mean() / 2

    def on_lanes(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).square().sum(2).mean(1) / 2


@final
@dataclass(frozen=True)
class Logistic(Loss):
    """The logistic loss 1/n sum_i sum_a log(1 + exp(-f_ia y_ia)), for targets +1 and -1."""

    convention: ClassVar[str] = "1/n sum log(1 + exp(-f y)), y = +-1"
    curvature: ClassVar[float] = 0.25  # of s (1 - s), s the logistic function: at f = 0

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        super().check(outputs, targets)
        _require_signs(targets)

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return torch.nn.functional.softplus(-outputs * targets).sum(1).mean()


@final
@dataclass(frozen=True)
class CrossEntropy(Loss):
    """The cross-entropy -1/n sum_i sum_a y_ia log softmax(f_i)_a, for one-hot or probability targets."""

    convention: ClassVar[str] = "-1/n sum y log softmax(f)"
    curvature: ClassVar[float] = 0.5  # of diag(p) - p p^T: at p = (1/2, 1/2, 0, ...)

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        super().check(outputs, targets)
        classes = outputs.shape[1]
        require(classes > 1, "outputs", "have two columns or more (Logistic takes a single one)", classes)
        require((targets >= 0).all(), "targets", "not be negative", float(targets.min()))
        off = (targets.sum(1) - 1).abs().max()
        require(off <= 1e-4, "targets", "have rows that sum to 1", f"off by up to {float(off):g}")

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return -(targets * torch.log_softmax(outputs, 1)).sum(1).mean()


@final
@dataclass(frozen=True)
class FunctionLoss(Loss):
    """A function of outputs (n, c) and targets (n, c) that returns one number, such as torch.nn.MSELoss().

    Its value is taken as it is: torch.nn.MSELoss() is the mean over samples and columns, without 1/2. Raises ValueError
    where the function returns anything but a number of torch that passes gradients on, and for targets that
    cross-entropies of torch take without a word and get wrong: signs for a probability, a single column of classes.
    """

    function: Callable[[Tensor, Tensor], Tensor]

    @property
    def convention(self) -> str:  # type: ignore[override]
        return f"function {_name(self.function)}"

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        super().check(outputs, targets)
        kind = _innermost(self.function)
        if isinstance(kind, torch.nn.CrossEntropyLoss) or kind is torch.nn.functional.cross_entropy:
            CrossEntropy().check(outputs, targets)
        logits = torch.nn.functional.binary_cross_entropy_with_logits
        if isinstance(kind, torch.nn.BCEWithLogitsLoss) or kind is logits:
            wrong = targets[(targets < 0) | (targets > 1)]
            must = "lie between 0 and 1 for this loss (qlazy.Logistic() takes +1 and -1)"
            require(not len(wrong), "targets", must, f"{float(wrong[0]):g} somewhere" if len(wrong) else "")

    def value(self, outputs: Tensor, targets: Tensor) -> Tensor:
        must = "take outputs and targets (n, c) and return their loss, a scalar tensor"
        try:
            found = self.function(outputs, targets)
        except TypeError as error:
            raise TypeError(f"`loss` must {must}, but raises {error}") from error
        require(
            isinstance(found, Tensor), "loss", must, f"one that returns {type(found).__name__}", TypeError
        )
        require_tensor("loss", found)
        hint = f"{must} (reduction='mean')"
        require(found.ndim == 0, "loss", hint, f"one that returns shape {tuple(found.shape)}")
        require(found.dtype == outputs.dtype, "loss", f"return {outputs.dtype}", found.dtype)
        if outputs.requires_grad and not found.requires_grad:
            refuse("loss", "pass gradients on to the outputs", "cut off from them")
        return found


def loss_of(loss: object) -> Loss:
    """The loss, or a :class:`FunctionLoss` of a function of outputs and targets."""
    if isinstance(loss, Loss | type) or not callable(loss):
        require_instance("loss", loss, Loss, "SquaredError() or torch.nn.MSELoss()")
        assert isinstance(loss, Loss)
        return loss
    return FunctionLoss(loss)


def _unwritten(value: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, targets: Tensor) -> Tensor:
    """The loss, unless it writes to its arguments: outputs go on into records, and targets are the user's data."""
    before = _versions(outputs, targets)
    found = value(outputs, targets)
    must = "leave outputs and targets as they are (`f - y` for `f.sub_(y)`, or a .clone() first)"
    require(_versions(outputs, targets) == before, "loss", must, "one that writes to them", TypeError)
    return found


def _versions(*tensors: Tensor) -> list[int]:
    """How often each was written to; inference tensors do not count."""
    return [0 if tensor.is_inference() else tensor._version for tensor in tensors]


Pair = tuple[Tensor, Tensor]
"""Inputs (n, ...) and targets (n, c)."""


def as_tensor(argument: str, value: Any, dtype: torch.dtype = torch.float64) -> Any:
    """A NumPy array as a tensor by :func:`tensor_of`; all else as it is, for others to judge."""
    return tensor_of(argument, value, dtype) if isinstance(value, np.ndarray) else value


def examples_of(
    data: Dataset | Pair | tuple[NDArray[Any], NDArray[Any]], params: Tensor | None = None
) -> tuple[Tensor, Tensor, Pair | None]:
    """Inputs and targets, and the test part where there is one. Raises ValueError for what is no data.

    Whole numbers of NumPy's are numbers of the dtype of ``params``, float64 without.
    """
    if isinstance(data, Dataset):
        return data.x_train, data.y_train, (data.x_test, data.y_test) if len(data.x_test) else None
    pair = isinstance(data, tuple) and len(data) == 2
    require(pair, "data", "be a Dataset or a pair (x, y) of tensors or NumPy arrays", type(data).__name__)
    dtype = torch.float64 if params is None else params.dtype
    x, y = (as_tensor(name, part, dtype) for name, part in zip("xy", data, strict=True))
    for name, part in (("x", x), ("y", y)):
        require(isinstance(part, Tensor), name, "be a torch tensor or a NumPy array", type(part).__name__)
        require_tensor(name, part)
    return x, y, None


def require_samples(argument: str, tensor: Tensor) -> None:
    """Refuse what is no tensor of one or more finite samples."""
    require(isinstance(tensor, Tensor), argument, "be a torch tensor", f"a {type(tensor).__name__}")
    require_finite(argument, tensor)
    shape = f"of shape {tuple(tensor.shape)}"
    require(tensor.ndim >= 1 and len(tensor) > 0, argument, "hold at least one sample", shape)


@dataclass(frozen=True)
class Objective:
    """F_a(w) = R(a h(w)) / a^2 on inputs x (n, ...) and targets y (n, c).

    With the factor 1/a^2 the outputs a h move at a speed that does not grow with a, and one learning rate
    serves every scale (Chizat, Oyallon, Bach 2019, arXiv 1812.07956).
    """

    model: Model
    x: Tensor
    y: Tensor
    alpha: float
    loss: Loss

    def check(self, params: Tensor, x_name: str = "x", y_name: str = "y") -> None:
        """Refuse examples that are not finite, do not fit the model at ``params``, or that the loss cannot take."""
        require_instance("loss", self.loss, Loss, "SquaredError()")
        require_full_precision("params", params)
        require_finite("params", params)
        require_samples(x_name, self.x)
        require_samples(y_name, self.y)
        must = "be made outside of torch.inference_mode (`.clone()`)"
        require(not self.x.is_inference(), x_name, must, "an inference tensor")
        with torch.no_grad():
            outputs = self.outputs(params)
        require_finite("outputs at initialisation", outputs)
        flat = self.y.ndim == 1 and outputs.shape[1:] == (1,) and len(self.y) == len(outputs)
        must = f"have shape {tuple(outputs.shape)} (`{y_name}[:, None]`)"
        require(not flat, y_name, must, tuple(self.y.shape))
        require_shape(y_name, self.y, tuple(outputs.shape))
        require_dtype(y_name, self.y, params, "params")
        self.loss.check(outputs, self.y)
        with torch.no_grad():
            first, second = (self.loss(outputs.clone(), self.y.clone()) for _ in range(2))
        same = torch.equal(first.nan_to_num(), second.nan_to_num())
        must = "be a function of outputs and targets alone, without random numbers"
        require(same, "loss", must, "another number at a second call")

    @cached_property
    def _on_inputs(self) -> Callable[[Tensor], Tensor]:
        return self.model.on(self.x)

    def outputs(self, params: Tensor) -> Tensor:
        """The predictor a h(w), (n, c)."""
        return self.alpha * self._on_inputs(params)

    def risk(self, params: Tensor) -> float:
        """R(a h(w)), without the factor 1/a^2."""
        with torch.no_grad():
            return self.loss(self.outputs(params), self.y).item()

    def risk_and_gradient(self, params: Tensor) -> tuple[float, Tensor]:
        """R(a h(w)), and the gradient of F_a, (p,), by one backward pass."""
        with torch.enable_grad():
            leaf = params.detach().requires_grad_()
            risk = self.loss(self.outputs(leaf), self.y)
            if not risk.requires_grad:
                refuse("model", "pass gradients on to its params", "cut off from them", ZeroJacobianError)
            (gradient,) = torch.autograd.grad(risk / self.alpha**2, leaf, materialize_grads=True)
        return risk.item(), gradient

    def rows(self, index: Tensor) -> Objective:
        """The objective on a batch of the samples."""
        return replace(self, x=self.x[index], y=self.y[index])


@dataclass(frozen=True)
class Magnified:
    """The objective around w0 in the coordinates u = a (w - w0), where its gradient is O(1) in a.

    A walk in u with speed -a grad F_a is the walk in w with speed -grad F_a: the time is the same.
    """

    objective: Objective
    origin: Tensor

    def place(self, u: Tensor) -> Tensor:
        return self.origin + u / self.objective.alpha

    def risk_and_gradient(self, u: Tensor) -> tuple[float, Tensor]:
        """R(a h(w)), and its gradient in u."""
        risk, gradient = self.objective.risk_and_gradient(self.place(u))
        return risk, self.objective.alpha * gradient


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of samples (n, c) put in the right class: by sign where c = 1, by the largest output otherwise.

    Outputs that tie count as a draw among the tied would on average: a centred model, whose outputs are all zero at its
    anchor, scores 1/2 on a binary task, not 0. Raises TypeError for what is no tensor, ValueError for a single column
    of targets other than +1 and -1, NotFiniteError for outputs that are not finite.
    """
    return sample_accuracies(outputs, targets).mean()


def sample_accuracies(outputs: Tensor, targets: Tensor) -> Tensor:
    """What each sample counts in :func:`accuracy`, (n,): 1 where it is right, 0 where wrong, its share of a tie."""
    _check_shapes(outputs, targets)
    require_finite("outputs", outputs)
    if outputs.shape[1] == 1:
        _require_signs(targets)
        outputs, targets = torch.cat([outputs, -outputs], 1), torch.cat([targets, -targets], 1)
    chosen = outputs == outputs.amax(1, keepdim=True)
    right = chosen.gather(1, targets.argmax(1, keepdim=True)).squeeze(1)
    return right.to(outputs.dtype) / chosen.sum(1)


def _check_shapes(outputs: Tensor, targets: Tensor) -> None:
    require_tensor("outputs", outputs)
    require(
        outputs.ndim == 2 and outputs.numel() > 0,
        "outputs",
        "have shape (n, c) with n and c positive",
        tuple(outputs.shape),
    )
    require_shape("targets", targets, tuple(outputs.shape))
    require_dtype("targets", targets, outputs, "the outputs")


def _require_signs(targets: Tensor) -> None:
    wrong = targets[targets.abs() != 1]
    require(
        wrong.numel() == 0, "targets", "be +1 or -1", f"{float(wrong[0]):g} somewhere" if len(wrong) else ""
    )


def plain_settings(values: Mapping[str, Any], *but: str) -> list[str]:
    """What of ``values`` is a number, a text or a tuple of these, as name=value in the order of names."""
    return [
        f"{name}={values[name]!r}"
        for name in sorted(values)
        if not name.startswith("_") and name not in but and _is_plain(values[name])
    ]


def _is_plain(value: object) -> bool:
    kinds = (bool, int, float, str)
    return isinstance(value, kinds) or (isinstance(value, tuple) and all(isinstance(v, kinds) for v in value))


def _innermost(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _name(function: Any) -> str:
    if isinstance(function, functools.partial):
        given = [*map(repr, function.args), *(f"{k}={v!r}" for k, v in sorted(function.keywords.items()))]
        return f"{_name(function.func)}({', '.join(given)})"
    if isinstance(function, torch.nn.Module):
        return f"{type(function).__name__}({', '.join(plain_settings(vars(function), 'training'))})"
    return getattr(function, "__qualname__", None) or type(function).__name__
