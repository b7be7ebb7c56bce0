"""Norms whose second derivatives are right under ``torch.func``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from qlazy.base.torch_private import within_transform


def norms_for_transforms() -> AbstractContextManager[object]:
    """Within, under a transform of ``torch.func``, norms are computed with scale and shift outside of them.

    torch (2.13) differentiates the vmapped gradient of the scale of a layer or instance norm as if mean and
    variance were constants: without an error, second derivatives of per-sample gradients come out wrong. A
    scale that is multiplied afterwards has no such gradient. Outside of transforms nothing is changed.
    """
    return _SeparateScales() if within_transform() else nullcontext()


@final
class _SeparateScales(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Collection[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return _SEPARATE.get(func, func)(*args, **(kwargs or {}))


def _separate(norm: Callable[..., Tensor], align: Callable[[Tensor, int], Tensor]) -> Callable[..., Tensor]:
    signature = inspect.signature(norm)

    def separate(*args: Any, **kwargs: Any) -> Tensor:
        given = signature.bind(*args, **kwargs)
        scale, shift = (given.arguments.pop(name, None) for name in ("weight", "bias"))
        result = norm(*given.args, **given.kwargs)
        if scale is not None:
            result = result * align(scale, result.ndim)
        return result if shift is None else result + align(shift, result.ndim)

    return separate


def _last(values: Tensor, ndim: int) -> Tensor:
    return values


def _channels(values: Tensor, ndim: int) -> Tensor:
    return values.reshape(-1, *[1] * (ndim - 2))


def _layer_norm(x: Tensor, *args: Any, cudnn_enable: bool = True, **kwargs: Any) -> Tensor:
    return _SEPARATE[F.layer_norm](x, *args[:4], **kwargs)


_SEPARATE: dict[Callable[..., Any], Callable[..., Tensor]] = {
    F.layer_norm: _separate(F.layer_norm, _last),
    torch.layer_norm: _layer_norm,
    F.instance_norm: _separate(F.instance_norm, _channels),
    F.batch_norm: _separate(F.batch_norm, _channels),
}
