"""Derivatives of a function that torch differentiates, by the rule that is right for it.

The Jacobian of a function is what reverse mode gives row by row, by plain autograd: what training follows.
``torch.func`` is faster and not always the same. It cannot map every module over samples (recurrent layers,
branches on values), and its forward mode is another derivative wherever gradients are stopped or replaced on the
way backward (``no_grad``, ``detach``, a padding index, an ``autograd.Function`` of one's own). So each rule is tried
once, against plain autograd on the rows at hand, and a slower one is taken where it differs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, final

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from qlazy.base.errors import SlowBackendWarning, UnsupportedModelError, refuse
from qlazy.base.torch_private import in_plain_autograd, jacrev, plain_params, plain_rows, vmap
from qlazy.models.derivatives.rules import (
    BLOCK_BYTES,
    Function,
    along,
    along_in_reverse,
    forward_derivatives,
    forward_product,
    forward_twice,
    hessian_product,
    is_plain,
    is_recorded,
    jacobian_by_rows,
    mapped_jacobian,
    pulled_back,
    rewritten_product,
    rewritten_second,
    second_derivative,
    units_of,
)

Key = tuple[Any, ...]

TRIED_ROWS = 3
"""The map over samples is tried on so many rows, spread over x."""

TRIED_DIRECTIONS = 3
"""Second derivatives are held to differences along so many directions at most."""

TRIED_TANGENTS = 64
"""Forward mode is tried on so many rows, spread over x."""

SecondForm = Literal["mapped", "forward", "reverse", "rewritten"]
"""Forward mode over gradients, mapped over directions or not; backward twice; that with functions written otherwise."""

Bending = Callable[[Function, Tensor, Tensor, Tensor], Tensor]
"""A rule for D^2 f[v, v], from f, params, x and v."""


def kind_of(params: Tensor, x: Tensor) -> Key:
    """What a rule is tried once for: the shape of a row, dtypes and device."""
    return x.shape[1:], x.dtype, params.dtype, params.device


def spread(x: Tensor, count: int) -> Tensor:
    """``count`` rows of x or fewer, evenly spaced from the first to the last."""
    if len(x) <= count:
        return x
    return x[torch.linspace(0, len(x) - 1, count, device=x.device).long()]


@final
class Derivatives:
    """Jacobian products of one function, and which rules hold for it, found out at their first use."""

    def __init__(self, function: str) -> None:
        self._function = function  # how the argument that holds it is called
        self._unmapped: dict[Key, str] = {}  # why not; nothing where torch.func maps it
        self._warned: set[Key] = set()
        self._forms: dict[Key, Literal["forward", "reverse", "rows"]] = {}
        self._second_forms: dict[Key, SecondForm] = {}
        self._bending: dict[Key, Bending] = {}

    def jacobian(self, f: Function, params: Tensor, x: Tensor) -> Tensor:
        """(n, c, p)."""
        if len(x) == 0:
            return params.new_zeros(*f(params, x).shape, len(params))
        return (mapped_jacobian if self.is_mapped(f, params, x) else jacobian_by_rows)(f, params, x)

    def jvp(self, f: Function, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        """J v for v (p,): (n, c)."""
        form = self._form(f, params, x)
        if form == "forward":
            return along(f, params, x, tangent)
        if form == "reverse":
            return along_in_reverse(f, params, x, tangent)
        size = self._block_size(f, params, x)
        return torch.cat([self.jacobian(f, params, rows) @ tangent for rows in x.split(size)])

    def vjp(self, f: Function, params: Tensor, x: Tensor, cotangent: Tensor) -> Tensor:
        """J^T u for u (n, c): (p,)."""
        return pulled_back(f, params, x, cotangent)

    def hvp(self, f: Function, params: Tensor, x: Tensor, cotangent: Tensor, tangent: Tensor) -> Tensor:
        """H v for v (p,), with H the Hessian of sum(u * f), u (n, c): (p,)."""
        form = self._second_form(f, params, x)
        if form == "reverse":
            return hessian_product(f, params, x, cotangent, tangent)
        if form == "rewritten":
            return rewritten_product(f, params, x, cotangent, tangent)
        return forward_product(f, params, x, cotangent, tangent)

    def second_derivative(self, f: Function, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        """D^2 f[v, v] for v (p,): (n, c). Along single rows and outputs where nothing faster agrees with H v."""
        if not is_plain(params, x, tangent) or is_recorded(params, x, tangent):
            return forward_twice(f, params, x, tangent)
        key = kind_of(params, x)
        if key not in self._bending and len(x):
            at, rows = plain_params(params), plain_rows(x)
            with in_plain_autograd():
                self._bending[key] = self._try_bending(f, at, spread(rows, TRIED_ROWS))
        return self._bending.get(key, forward_twice)(f, params, x, tangent)

    def _try_bending(self, f: Function, params: Tensor, x: Tensor) -> Bending:
        """The first rule for which <u, D^2 f[v, v]> = <H_u v, v>."""
        weights, direction = _random(f(params, x)), _random(params)
        product = self.hvp(f, params, x, weights, direction)
        size = product.norm() * direction.norm()
        for rule in (second_derivative, rewritten_second, forward_twice):
            try:
                found = (weights * rule(f, params, x, direction)).sum()
            except Exception:  # no derivatives in this form
                continue
            if _agree(found, product @ direction, size):
                return rule
        return self._one_by_one

    def _one_by_one(self, f: Function, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
        with torch.no_grad():
            units = units_of(f(params, x[:1]))
        rows = ([self.hvp(f, params, row, unit, tangent) @ tangent for unit in units] for row in x.split(1))
        return torch.stack([torch.stack(row) for row in rows])

    def hessian(self, f: Function, params: Tensor, x: Tensor, cotangent: Tensor | None) -> Tensor:
        """The Hessian (p, p) of sum(u * f) for u (n, c), or those of all outputs (n, c, p, p)."""
        if self._second_form(f, params, x) == "mapped":
            if cotangent is None:
                return forward_derivatives(lambda w: self.jacobian(f, w, x), params, len(x))
            return forward_derivatives(lambda w: pulled_back(f, w, x, cotangent), params, len(x))
        if cotangent is not None:
            unit = torch.eye(len(params), dtype=params.dtype, device=params.device)
            return torch.stack([self.hvp(f, params, x, cotangent, v) for v in unit])
        with torch.no_grad():
            units = units_of(f(params, x[:1]))
        rows = [torch.stack([self.hessian(f, params, row, unit) for unit in units]) for row in x.split(1)]
        return torch.stack(rows)

    def _second_form(self, f: Function, params: Tensor, x: Tensor) -> SecondForm:
        """How second derivatives are taken."""
        key = kind_of(params, x)
        if key not in self._second_forms and len(x):
            at, rows = plain_params(params), plain_rows(x)
            with in_plain_autograd():
                self._second_forms[key] = self._try_second_forms(f, at, spread(rows, TRIED_ROWS))
        return self._second_forms.get(key, "mapped")

    def _try_second_forms(self, f: Function, params: Tensor, x: Tensor) -> SecondForm:
        """The fastest form that agrees with central differences of the gradient.

        Those are in doubt next to a kink only, and then another direction decides. Raises UnsupportedModelError
        where autograd does not differentiate its own gradients rightly, as where they are stopped on the way.
        """
        weights = _random(f(params, x))
        for seed in range(TRIED_DIRECTIONS):
            direction = _random(params, seed)
            step = torch.finfo(params.dtype).eps ** (1 / 3)
            ahead, behind = (self._gradient(f, params + e * direction, x, weights) for e in (step, -step))
            expected, size = (ahead - behind) / (2 * step), 0.1 * ahead.norm()
            if self._is_mapped_twice(f, params, x, weights, direction, expected, size):
                return "mapped"
            forms: dict[SecondForm, Any] = {
                "forward": forward_product, "reverse": hessian_product, "rewritten": rewritten_product
            }  # fmt: skip
            for name, form in forms.items():
                try:
                    found = form(f, params, x, weights, direction)
                except Exception:  # no second derivative in this form
                    continue
                if _nearly_agree(found, expected, size):
                    return name
        must = "have gradients that torch.autograd differentiates once more"
        actual = "not: their derivatives are not those of differences (are gradients stopped on the way?)"
        return refuse(self._function, must, actual, UnsupportedModelError)

    def _is_mapped_twice(
        self, f: Function, params: Tensor, x: Tensor, weights: Tensor, direction: Tensor, expected: Tensor, size: Tensor
    ) -> bool:  # fmt: skip
        try:
            directions = torch.stack([direction, -direction])
            found = vmap(lambda v: forward_product(f, params, x, weights, v))(directions)
        except Exception:  # no forward mode, or no map
            return False
        return _nearly_agree(found[0], expected, size) and self.is_mapped(f, params, x)

    def _block_size(self, f: Function, params: Tensor, x: Tensor) -> int:
        with torch.no_grad():
            outputs = f(params, x[:1]).shape[1]
        return max(1, BLOCK_BYTES // max(1, outputs * len(params) * params.element_size()))

    def is_mapped(self, f: Function, params: Tensor, x: Tensor) -> bool:
        """Whether ``torch.func`` maps the gradients of f over samples; a warning says why it does not.

        Raises UnsupportedModelError where gradients are not linear in their cotangents or mix the rows.
        """
        is_mapped, key = self.maps(f, params, x), kind_of(params, x)
        if not is_mapped and key not in self._warned:
            self._warned.add(key)
            message = (
                f"`{self._function}` is differentiated row by row, which is slower: {self._unmapped[key]}"
            )
            warnings.warn(message, SlowBackendWarning, stacklevel=2)
        return is_mapped

    def maps(self, f: Function, params: Tensor, x: Tensor) -> bool:
        """The same without a word, for what has another way."""
        key = kind_of(params, x)
        if key not in self._unmapped:
            at, rows = plain_params(params), plain_rows(x)
            with in_plain_autograd():
                self._unmapped[key] = self._why_unmapped(f, at, spread(rows, TRIED_ROWS))
        return not self._unmapped[key]

    def _why_unmapped(self, f: Function, params: Tensor, x: Tensor) -> str:
        weights = _random(f(params, x))
        pairs = zip(x.split(1), weights.split(1), strict=True)
        alone = torch.stack([self._gradient(f, params, row, u) for row, u in pairs])
        together = self._gradient(f, params, x, -2 * weights)
        if not _agree(together, -2 * alone.sum(0), alone.norm()):
            must = "pass gradients back linearly and from each sample on its own"
            actual = "not: the gradient of a batch is not the sum of those of its rows"
            refuse(self._function, must, actual, UnsupportedModelError)
        try:
            gradients = vmap(jacrev(_contraction(f)), (None, 0, 0))(params, x, weights)
            why = "its gradients under torch.func.vmap are not those of plain autograd"
        except (
            Exception
        ) as error:  # whatever a module raises where torch hands it something else than a tensor
            gradients, why = None, f"torch.func cannot map it over samples ({_first_line(error)})"
        is_right = gradients is not None and _agree(gradients.squeeze(1), alone, alone.norm())
        return "" if is_right else why

    def _gradient(self, f: Function, params: Tensor, x: Tensor, weights: Tensor) -> Tensor:
        try:
            return pulled_back(f, params, x, weights)
        except RuntimeError as error:
            must = "have gradients by torch.autograd"
            actual = f"without them ({_first_line(error)})"
            return refuse(self._function, must, actual, UnsupportedModelError)

    def _form(self, f: Function, params: Tensor, x: Tensor) -> Literal["forward", "reverse", "rows"]:
        key = kind_of(params, x)
        if key not in self._forms and len(x):
            at, rows = plain_params(params), plain_rows(x)
            with in_plain_autograd():
                self._forms[key] = self._try_forms(f, at, spread(rows, TRIED_TANGENTS))
        return self._forms.get(key, "forward")

    def _try_forms(self, f: Function, params: Tensor, x: Tensor) -> Literal["forward", "reverse", "rows"]:
        """The fastest form for which <u, J v> = <J^T u, v>, and autograd finds J^T u as the gradient of that by v."""
        with torch.no_grad(), _PaddingRecorder() as recorder:
            outputs = f(params, x)
            alone = torch.cat([f(params, row) for row in x[-TRIED_ROWS:].split(1)])
        if not _agree(alone, outputs[-TRIED_ROWS:], outputs.norm()):
            actual = "not: a batch and its rows one by one differ"
            refuse(self._function, "map each sample on its own", actual, UnsupportedModelError)
        weights, direction = _random(outputs), _random(params)
        gradient = self._gradient(f, params, x, weights)
        expected, size = gradient @ direction, gradient.norm() * direction.norm()
        forms: dict[Literal["forward", "reverse"], Any] = {"forward": along, "reverse": along_in_reverse}
        for name, form in forms.items():
            if name == "forward" and recorder.found:
                continue
            leaf = direction.clone().requires_grad_()
            try:
                with torch.enable_grad():
                    found = (weights * form(f, params, x, leaf)).sum()
                    (by_direction,) = torch.autograd.grad(found, leaf)
            except Exception:  # no forward mode, or no second derivative: there is another form
                continue
            if _agree(found.detach(), expected, size) and _agree(by_direction, gradient, gradient.norm()):
                return name
        return "rows"


class _PaddingRecorder(TorchFunctionMode):
    """Notes embeddings with a padding index, which has no gradient: rows that were not tried may hold it."""

    found = False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.embedding:
            padding = args[2] if len(args) > 2 else kwargs.get("padding_idx")
            self.found = self.found or padding is not None
        return func(*args, **kwargs)


def _contraction(f: Function) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    def contraction(params: Tensor, row: Tensor, weights: Tensor) -> Tensor:
        return (f(params, row.unsqueeze(0)) * weights).sum(1)

    return contraction


def _random(like: Tensor, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like.detach())


def _agree(found: Tensor, expected: Tensor, size: Tensor) -> bool:
    """Up to rounding; what is not finite is not for this module to judge."""
    error = (found - expected).norm()
    return not bool(error > torch.finfo(expected.dtype).eps ** 0.5 * size)


def _nearly_agree(found: Tensor, expected: Tensor, size: Tensor) -> bool:
    """Up to the error of a central difference in float32."""
    error, scale = (found - expected).norm(), torch.maximum(found.norm(), expected.norm())
    return not bool(error > 1e-2 * (scale + size))


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"
