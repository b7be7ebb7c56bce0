"""Which torch modules map each sample on its own by what they are, so that nothing is left to try."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from qlazy.base.torch_private import has_global_hooks

POINTWISE = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus, nn.Softsign,
    nn.Tanh, nn.Tanhshrink, nn.Sigmoid, nn.LogSigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Identity,
)  # fmt: skip
ONCE = (nn.Hardsigmoid,)
"""Those whose gradient torch does not differentiate."""

SPATIAL = {
    nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3, nn.MaxPool1d: 1, nn.MaxPool2d: 2, nn.AvgPool1d: 1, nn.AvgPool2d: 2,
    nn.AdaptiveAvgPool1d: 1, nn.AdaptiveAvgPool2d: 2,
}  # fmt: skip
"""Modules on images of so many dimensions, which come as (n, channels, ...): with one less they are a single one."""

BATCH_NORMS = {nn.BatchNorm1d: (2, 3), nn.BatchNorm2d: (4,), nn.BatchNorm3d: (5,)}
"""Modules that map each sample on its own with running statistics, by the numbers of dimensions that they take."""

_ALL: tuple[Any, ...] = (
    *POINTWISE, *SPATIAL, *BATCH_NORMS, nn.Linear, nn.LayerNorm, nn.GroupNorm, nn.Flatten, nn.Sequential,
)  # fmt: skip
_FORWARD = {kind: kind.forward for kind in _ALL}
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def maps_each_sample(module: nn.Module, x: Tensor) -> bool:
    """Whether a module is made of torch's own parts alone that map rows (n, ...) one by one, to (n, c) in the end.

    That is: exactly these classes, one after the other, with torch's ``forward``, no hooks, nothing written in place.
    """
    return x.is_floating_point() and _dimensions(module, x.ndim) == 2


def _dimensions(module: nn.Module, ndim: int) -> int | None:
    """Of a module's outputs, for inputs of so many dimensions, the first of which counts samples; None if unknown."""
    kind = type(module)
    if ndim < 2 or not _is_as_made(module):
        return None
    if kind is nn.Sequential:
        now: int | None = ndim
        for part in module._modules.values():
            now = None if now is None or part is None else _dimensions(part, now)
        return now
    if kind is nn.Flatten:
        return 2 if [module.start_dim, module.end_dim] == [1, -1] else None
    return ndim if _keeps_dimensions(kind, module, ndim) else None


def _keeps_dimensions(kind: type[nn.Module], module: nn.Module, ndim: int) -> bool:
    if kind in SPATIAL:
        return ndim == SPATIAL[kind] + 2
    if kind in BATCH_NORMS:
        return ndim in BATCH_NORMS[kind] and not module.training and module.running_mean is not None
    if kind is nn.LayerNorm:
        return len(module.normalized_shape) < ndim  # type: ignore[arg-type]
    return kind is nn.GroupNorm or kind is nn.Linear or kind in POINTWISE


def _is_as_made(module: nn.Module) -> bool:
    """Whether a module does what its class did when torch was imported, and no more."""
    kept: Callable[[str], Any] = vars(module).get
    return (
        _FORWARD.get(type(module)) is type(module).forward
        and "forward" not in vars(module)
        and not any(kept(hooks) for hooks in _HOOKS)
        and not has_global_hooks()
        and not kept("inplace")
        and all(type(p) is nn.Parameter for p in module._parameters.values() if p is not None)
        and (not module._buffers or type(module) in BATCH_NORMS)
    )
