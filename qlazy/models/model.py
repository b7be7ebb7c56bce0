"""The one interface: a parametrised model with a flat parameter vector, and what is derived from it.

Circuits, nets and plain functions are all a :class:`Model`. Jacobian products and the tangent kernel have
defaults built on ``torch.func`` from ``forward`` alone; a leaf may replace any of them by an exact faster
rule, which :mod:`qlazy.testing` then holds to the default.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import (
    UnsupportedModelError,
    ZeroJacobianError,
    generator_or_seed,
    refuse,
    require,
    require_dtype,
    require_shape,
    require_tensor,
    whole_of,
)
from qlazy.base.memory import require_bytes
from qlazy.base.torch_private import vmap
from qlazy.models.derivatives import Derivatives, forward_derivatives, mapped_jacobian
from qlazy.models.norms import norms_for_transforms

JACOBIAN_BYTES = 2**30
"""The default kernel keeps this much of a Jacobian at a time (1 GiB) on each side, and never less than a sample."""

BLOCK_BYTES = 2**26
"""A block of :func:`jacobian_blocks` takes about this much memory (64 MiB), and never less than one sample."""

SAME_DTYPE = (
    " (data and parameters have `.to(dtype)`; a net takes that of its module: `Net(module.double())`)"
)

_MOST_OUTPUTS = 256  # small Jacobians are not worth measuring the outputs for


class Model(abc.ABC):
    """A map from a flat parameter vector (p,) and inputs (n, ...) to real outputs (n, c).

    A subclass gives ``num_params``, ``blocks``, ``init`` and ``forward``; everything else follows. A model is
    a value: calling it changes nothing, and row i of the outputs depends on row i of the inputs alone.
    """

    @property
    @abc.abstractmethod
    def num_params(self) -> int:
        """Length p of the flat parameter vector."""

    @property
    @abc.abstractmethod
    def blocks(self) -> Mapping[str, slice]:
        """Named consecutive slices of the parameter vector, in order, covering all of it."""

    @abc.abstractmethod
    def init(self, generator: torch.Generator) -> Tensor:
        """Draw an initial parameter vector (p,) from ``generator``; models of qlazy take a seed for one, too."""

    @abc.abstractmethod
    def forward(self, params: Tensor, x: Tensor) -> Tensor:
        """Outputs (n, c) for parameters (p,) and inputs (n, ...). Called with arguments already checked."""

    @final
    def __call__(self, params: Tensor, x: Tensor) -> Tensor:
        """Outputs (n, c), in the dtype and on the device of ``params``.

        Raises ValueError where shapes, dtypes or the result's shape do not fit.
        """
        self.check(params, x)
        with norms_for_transforms():
            outputs = self.forward(params, x)
        require(
            isinstance(outputs, Tensor), "outputs", "be a torch tensor", type(outputs).__name__, TypeError
        )
        require(
            outputs.ndim == 2 and len(outputs) == len(x),
            "outputs",
            f"have shape (n, c) with n = {len(x)}",
            tuple(outputs.shape),
        )
        return outputs

    def check(self, params: Tensor, x: Tensor) -> None:
        """Refuse parameters and inputs that do not fit each other or the model."""
        require_shape("params", params, (self.num_params,))
        require(params.is_floating_point(), "params", "be real floating point", params.dtype)
        require_tensor("x", x)
        require(x.ndim >= 1, "x", "have shape (n, ...)", tuple(x.shape))
        if x.is_floating_point():
            require_dtype("x", x, params, "params", SAME_DTYPE)

    def on(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """The model on fixed inputs: params -> outputs (n, c), for use in a loop that changes params alone.

        What does not depend on the parameters may be computed here, once.
        """
        return lambda params: self(params, x)

    def on_lanes(self, x: Tensor) -> Callable[[Tensor], Tensor] | None:
        """The model on fixed inputs at many parameter vectors: (l, p) -> (l, n, c), or None where there is no such way.

        Numbers of a lane must not depend on the others: :mod:`qlazy.training.lanes` looks whether they do.
        """
        return None

    def lane_work(self, params: Tensor, x: Tensor) -> int:
        """About how many multiplications an evaluation takes, and numbers it keeps: lanes pay where they are few."""
        return len(x) * self.num_params

    def gradient_flops(self, params: Tensor, x: Tensor) -> int | None:
        """Additions and multiplications that one value and gradient on x takes at least; None where not counted."""
        return None

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor:
        """Derivatives of every output with respect to every parameter, (n, c, p)."""
        self.check(params, x)
        if len(x) == 0:
            return params.new_zeros(*self(params, x).shape, self.num_params)
        return mapped_jacobian(self, params, x)

    def jvp(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        """J v for a parameter direction v (p,): the directional derivative of the outputs, (n, c)."""
        require_params("model", self)
        self.check(params, x)
        require_tangent(params, tangent)
        return torch.func.jvp(lambda w: self(w, x), (params,), (tangent,))[1]

    def vjp(self, params: Tensor, x: Tensor, cotangent: Tensor) -> Tensor:
        """J^T u for output weights u (n, c): the gradient of sum(u * outputs), (p,)."""
        require_params("model", self)
        self.check(params, x)
        require_cotangent(params, x, cotangent)
        outputs, pull, *_ = torch.func.vjp(lambda w: self(w, x), params)
        require_shape("cotangent", cotangent, tuple(outputs.shape))
        return pull(cotangent)[0]

    def hvp(self, params: Tensor, x: Tensor, cotangent: Tensor, tangent: Tensor) -> Tensor:
        """H v for a direction v (p,), with H the Hessian of sum(u * outputs), u (n, c): the rate of J^T u, (p,)."""
        self.check_second(params, x, cotangent, tangent)
        return torch.func.jvp(lambda w: self.vjp(w, x, cotangent), (params,), (tangent,))[1]

    def second_derivative(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        """D^2 h[v, v] for a direction v (p,): the second directional derivative of the outputs, (n, c)."""
        self.check_second(params, x, None, tangent)
        return torch.func.jvp(lambda w: self.jvp(w, x, tangent), (params,), (tangent,))[1]

    def hessian(self, params: Tensor, x: Tensor, cotangent: Tensor | None = None) -> Tensor:
        """The Hessian (p, p) of sum(u * outputs) for output weights u (n, c), or those of every output, (n, c, p, p).

        Raises MemoryError, before computing anything, where it would not fit.
        """
        self.check_second(params, x, cotangent)
        require_hessian(self, params, x, cotangent)
        if cotangent is None:
            return forward_derivatives(lambda w: self.jacobian(w, x), params, len(x))
        return forward_derivatives(lambda w: self.vjp(w, x, cotangent), params, len(x))

    def check_second(
        self, params: Tensor, x: Tensor, cotangent: Tensor | None, tangent: Tensor | None = None
    ) -> None:
        """Refuse what second derivatives cannot be taken of."""
        require_params("model", self)
        self.check(params, x)
        if cotangent is not None:
            require_cotangent(params, x, cotangent)
        if tangent is not None:
            require_tangent(params, tangent)

    def gram(self, params: Tensor, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The tangent kernel between the inputs x (n, ...) and y (m, ...), (n, c, m, c); y = x if absent.

        Each Jacobian is computed once and kept whole up to JACOBIAN_BYTES. Larger ones are taken a block of
        samples at a time, those of the columns again for every block of rows.
        """
        self.check(params, x)
        samples = max(len(x), 0 if y is None else len(y))
        size = self._block_size(params, x, samples)
        if samples > size:
            return self._gram_by_blocks(params, x, y, size)
        left = self.jacobian(params, x)
        right = left if y is None else self.jacobian(params, y)
        return torch.tensordot(left, right, ([2], [2]))

    def measured(self, shots: int, generator: torch.Generator | None = None) -> Model:
        """The model as ``shots`` shots of each of its circuits show it, measured anew at every call.

        Raises UnsupportedModelError for a model that has no circuits to measure.
        """
        must = "be a circuit, or a wrapper of one, to be measured (leave `shots` out for the exact kernel)"
        refuse("model", must, repr(self), UnsupportedModelError)

    def _gram_by_blocks(self, params: Tensor, x: Tensor, y: Tensor | None, size: int) -> Tensor:
        columns = x if y is None else y
        outputs = self(params, x[:1]).shape[1]
        kernel = params.new_empty(len(x), outputs, len(columns), outputs)
        for i in range(0, len(x), size):
            left = self.jacobian(params, x[i : i + size])
            for j in range(0 if y is not None else i, len(columns), size):
                right = left if y is None and i == j else self.jacobian(params, columns[j : j + size])
                block = torch.tensordot(left, right, ([2], [2]))
                kernel[i : i + size, :, j : j + size] = block
                if y is None and i != j:
                    kernel[j : j + size, :, i : i + size] = block.permute(2, 3, 0, 1)
        return kernel

    def _block_size(self, params: Tensor, x: Tensor, samples: int) -> int:
        """How many samples have a Jacobian of at most JACOBIAN_BYTES, one or more."""
        row = self.num_params * params.element_size()
        if len(x) == 0 or samples * row <= JACOBIAN_BYTES // _MOST_OUTPUTS:
            return samples
        with torch.no_grad():
            outputs = self(params, x[:1]).shape[1]
        return max(1, JACOBIAN_BYTES // max(1, outputs * row))


def _blocks(blocks: Mapping[str, slice], num_params: int) -> Mapping[str, slice]:
    """The named slices, which follow each other and cover all parameters."""
    must = f"be a dict of names to slices that follow each other from 0 to {num_params}"
    require(isinstance(blocks, Mapping), "blocks", must, blocks, TypeError)
    end = 0
    for name, block in blocks.items():
        follows = isinstance(block, slice) and block.start == end and block.step in (None, 1)
        require(isinstance(name, str) and follows, "blocks", must, dict(blocks))
        require(isinstance(block.stop, int) and block.stop >= end, "blocks", must, dict(blocks))
        end = block.stop
    require(end == num_params, "blocks", must, dict(blocks))
    return dict(blocks)


class AutogradModel(Model):
    """A leaf made of torch operations: its derivatives are those of plain autograd, and it maps over parameters.

    A leaf sets ``_derivatives``, and may have faster rules of its own for some.
    """

    _derivatives: Derivatives

    def on_lanes(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        # Inputs of its own for each lane: products of matrices in a batch do not depend on how many there are.
        return lambda params: vmap(self)(params, x.expand(len(params), *x.shape))

    def jacobian(self, params: Tensor, x: Tensor) -> Tensor:
        self.check(params, x)
        return self._derivatives.jacobian(self, params, x)

    def jvp(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        self.check(params, x)
        require_tangent(params, tangent)
        return self._derivatives.jvp(self, params, x, tangent)

    def vjp(self, params: Tensor, x: Tensor, cotangent: Tensor) -> Tensor:
        self.check(params, x)
        require_cotangent(params, x, cotangent)
        return self._derivatives.vjp(self, params, x, cotangent)

    def hvp(self, params: Tensor, x: Tensor, cotangent: Tensor, tangent: Tensor) -> Tensor:
        self.check_second(params, x, cotangent, tangent)
        return self._derivatives.hvp(self, params, x, cotangent, tangent)

    def second_derivative(self, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        self.check_second(params, x, None, tangent)
        return self._derivatives.second_derivative(self, params, x, tangent)

    def hessian(self, params: Tensor, x: Tensor, cotangent: Tensor | None = None) -> Tensor:
        self.check_second(params, x, cotangent)
        require_hessian(self, params, x, cotangent)
        return self._derivatives.hessian(self, params, x, cotangent)


@final
class Function(AutogradModel):
    """A model from a plain function ``f(params, x) -> (n, c)`` made of torch operations, row by row.

    Its derivatives are those of plain autograd (:mod:`qlazy.models.derivatives`).
    ``init`` draws standard normal float64 parameters unless a function of a generator is given.

    Raises TypeError for an ``f``, ``init`` or ``blocks`` of another type, ValueError for a number or slices that do not
    fit.
    """

    def __init__(
        self,
        f: Callable[[Tensor, Tensor], Tensor],
        num_params: int,
        *,
        blocks: Mapping[str, slice] | None = None,
        init: Callable[[torch.Generator], Tensor] | None = None,
    ) -> None:
        is_function = callable(f) and not isinstance(f, type)
        require(is_function, "f", "be a function of parameters and inputs", f, TypeError)
        require(init is None or callable(init), "init", "be a function of a generator", init, TypeError)
        self._f = f
        self._num_params = whole_of("num_params", num_params, 1)
        self._blocks = (
            {"params": slice(0, self._num_params)} if blocks is None else _blocks(blocks, self._num_params)
        )
        self._init = init
        self._derivatives = Derivatives("f")

    @property
    def num_params(self) -> int:
        return self._num_params

    @property
    def blocks(self) -> Mapping[str, slice]:
        return self._blocks

    def init(self, generator: torch.Generator | int) -> Tensor:
        generator = generator_or_seed(generator)
        if self._init is not None:
            drawn = self._init(generator)
            require_shape("init(generator)", drawn, (self._num_params,))
            return drawn
        return torch.randn(self._num_params, generator=generator, dtype=torch.float64)

    def keyed_by(self, x: Tensor | None) -> object:
        """What decides the results: see :mod:`qlazy.base.identity`."""
        return self._f, self._num_params, self._blocks, self._init

    def forward(self, params: Tensor, x: Tensor) -> Tensor:
        return self._f(params, x)

    def __repr__(self) -> str:
        name = getattr(self._f, "__name__", type(self._f).__name__)
        return f"Function({name}, num_params={self._num_params})"


def require_tangent(params: Tensor, tangent: object) -> None:
    """Refuse what is no direction (p,) in the dtype of the parameters."""
    require_tensor("tangent", tangent)
    assert isinstance(tangent, Tensor)
    require_shape("tangent", tangent, tuple(params.shape))
    require_dtype("tangent", tangent, params, "params")


def require_cotangent(params: Tensor, x: Tensor, cotangent: object) -> None:
    """Refuse what are no weights (n, c) of outputs in the dtype of the parameters."""
    require_tensor("cotangent", cotangent)
    assert isinstance(cotangent, Tensor)
    fits = cotangent.ndim == 2 and len(cotangent) == len(x)
    require(fits, "cotangent", f"have shape (n, c) with n = {len(x)}", tuple(cotangent.shape))
    require_dtype("cotangent", cotangent, params, "params")


def require_hessian(model: Model, params: Tensor, x: Tensor, cotangent: Tensor | None) -> None:
    """Refuse a Hessian that would not fit in memory."""
    if cotangent is not None:
        require_bytes(
            "hessian", model.num_params**2, params, "of (p, p) numbers; `hvp` gives products with it"
        )
        return
    count = len(x) * (num_outputs(model, params, x) if len(x) else 0)
    what = "of (n, c, p, p) numbers; with output weights it is one of (p, p)"
    require_bytes("hessian", count * model.num_params**2, params, what)


def require_model(argument: str, model: object) -> None:
    """Refuse what is no model, such as the torch module or the QNode that one would be made of."""
    must = "be a qlazy Model, such as qlazy.Net(module), Circuit(qnode, weight_shapes) or load_circuit(name)"
    require(isinstance(model, Model), argument, must, f"a {kind_with_remedy(model)}", TypeError)
    assert isinstance(model, Model)
    require_params(argument, model)


def kind_with_remedy(value: object) -> str:
    """The kind of what is no model, for a refusal; of a QNode or a torch module with the call that makes one of it."""
    kind = type(value)
    if any(one.__name__ == "QNode" and one.__module__.startswith("pennylane.") for one in kind.__mro__):
        return f"{kind.__name__}: qlazy.Circuit(qnode, shapes) makes one of it, as shapes={{'weights': (2, 4, 3)}}"
    if isinstance(value, torch.nn.Module):
        return f"{kind.__name__}: qlazy.Net(module) makes one of it"
    return kind.__name__


def require_params(argument: str, model: Model) -> None:
    """Refuse a model without parameters, such as a program without `input`, which has nothing to differentiate."""
    must = "have a parameter to be differentiated, such as an `input float[64] w;` of an OpenQASM program"
    require(model.num_params > 0, argument, must, f"{model!r}, which has none", UnsupportedModelError)


def jacobian_blocks(
    model: Model, params: Tensor, x: Tensor, outputs: int | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """Yield (rows, J) with J (b, c, p) the Jacobian at the samples x[rows], in order, covering all of x.

    J carries no autograd graph. ``outputs`` is c, measured at the first sample where it is not given.
    """
    c = num_outputs(model, params, x) if outputs is None else outputs
    per_sample = c * model.num_params * params.element_size()
    size = max(1, BLOCK_BYTES // per_sample)
    for start in range(0, len(x), size):
        rows = slice(start, min(start + size, len(x)))
        yield rows, model.jacobian(params, x[rows]).detach()


def num_outputs(model: Model, params: Tensor, x: Tensor) -> int:
    """c, from the model's outputs at the first sample."""
    require(x.ndim >= 1 and len(x) > 0, "x", "hold at least one sample", tuple(x.shape))
    outputs = model(params, x[:1]).shape[1]
    require(outputs > 0, "model", "have at least one output", outputs)
    return outputs


def refuse_zero_jacobian(model: Model, params: Tensor, x: Tensor, outputs: int) -> None:
    """Raise ZeroJacobianError if J^T u = 0 exactly for a random u, which happens only where J = 0."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(len(x), outputs, generator=generator, dtype=torch.float64).to(params)
    if not model.vjp(params, x, weights).any():
        actual = (
            f"zero at all {len(x)} inputs. Does the model use its parameters? "
            "Pass allow_zero=True where a zero kernel is meant"
        )
        refuse("jacobian", "have a nonzero entry", actual, ZeroJacobianError)


def blocks_of(sizes: Mapping[str, int]) -> dict[str, slice]:
    """Consecutive slices for named block sizes, in order."""
    blocks: dict[str, slice] = {}
    start = 0
    for name, size in sizes.items():
        blocks[name] = slice(start, start + size)
        start += size
    return blocks
