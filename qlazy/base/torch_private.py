"""What qlazy takes from torch beneath its public face, in one place: where a new version of torch may break it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch._C import DisableTorchFunctionSubclass as without_overrides
from torch._C import _are_functorch_transforms_active as are_transforms_active
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch._functorch.utils import unwrap_dead_wrappers
from torch._vmap_internals import _vmap
from torch.autograd.graph import _engine_run_backward
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

__all__ = [
    "WEIGHT_NORM",
    "are_transforms_active",  # torch's own autograd.Function.apply asks it, before it binds signatures
    "cotangents_of",
    "default_device",
    "gradients_along",
    "has_global_hooks",
    "in_plain_autograd",
    "is_differentiated",
    "is_followed",
    "is_transformed",
    "jacrev",
    "outside_transforms",
    "plain_params",
    "plain_rows",
    "require_mapped_anew",
    "tree_flatten",  # torch's results are nested tuples, and torch.func has no public way through them
    "tree_map",
    "tree_unflatten",
    "unwrap_dead_wrappers",  # apply() does it to tensors that outlived their transform
    "values_of",
    "vmap",
    "with_dual_numbers",
    "within_inference",
    "within_transform",
    "without_overrides",  # __torch_function__ of a subclass must call below itself
    "wrapper_subclass",
]

T = TypeVar("T")
_without_dual_numbers = partial(torch.autograd.forward_ad._set_fwd_grad_enabled, False)

_say_that_torch_loops = torch._C._functorch._set_vmap_fallback_warning_enabled  # type: ignore[attr-defined]

wrapper_subclass = torch.Tensor._make_wrapper_subclass
"""A tensor without memory of its own, for a subclass that holds its values elsewhere; documented, yet private."""


def with_dual_numbers(rule: Callable[..., T]) -> Callable[..., T]:
    """Decorates a rule that maps a function over a batch, which torch may call from within a rule of forward mode.

    Those run without dual numbers: derivatives by a forward mode around them would be lost without a word.
    """

    @wraps(rule)
    def mapped(*args: Any) -> T:
        with torch.autograd.forward_ad._set_fwd_grad_enabled(True):
            return rule(*args)

    return mapped


def gradients_along(
    pairs: Iterable[tuple[Tensor, Tensor]],
    leaves: Sequence[Tensor],
    *,
    recorded: bool = False,
    keep: bool = False,
) -> tuple[Tensor, ...]:
    """The gradients of sum(outputs * weights), summed over pairs of the two, by ``leaves``; zero where there is none.

    ``recorded`` ones can be differentiated again, ``keep`` keeps the graph for another call. With the weights handed
    to ``torch.autograd.grad`` itself its first call takes half a second: torch (2.13) imports sympy to compare shapes.
    """
    with torch.enable_grad():
        total = torch.stack([(outputs * weights).sum() for outputs, weights in pairs]).sum()
    return torch.autograd.grad(
        total, list(leaves), create_graph=recorded, retain_graph=recorded or keep,
        allow_unused=True, materialize_grads=True,
    )  # fmt: skip


class _Looping:
    """Torch (2.13) loops over a batch where it has no rule for an operation. That is right, and not said within this.

    It is a flag of the whole process, so that all who are within count.
    """

    def __init__(self) -> None:
        self._count, self._lock = 0, threading.Lock()

    def __enter__(self) -> None:
        self._move(1)

    def __exit__(self, *_: object) -> None:
        self._move(-1)

    def _move(self, step: int) -> None:
        with self._lock:
            self._count += step
            _say_that_torch_loops(self._count == 0)


_LOOPING = _Looping()


def _without_words(transform: Callable[..., Callable[..., Any]]) -> Callable[..., Callable[..., Any]]:
    @wraps(transform)
    def transformed(*args: Any, **options: Any) -> Callable[..., Any]:
        function = transform(*args, **options)

        def quiet(*tensors: Any) -> Any:
            with _LOOPING:
                return function(*tensors)

        return quiet

    return transformed


vmap, jacrev = _without_words(torch.func.vmap), _without_words(torch.func.jacrev)
"""Those of ``torch.func``, for functions of others: what torch says of its own rules would be no help to them."""


FEW_OUTPUTS = 4
"""Of fewer outputs the gradients are sooner had one after the other than mapped over."""


def cotangents_of(outputs: Tensor, values: Sequence[Tensor]) -> list[Tensor]:
    """The gradients of sum_i outputs[i, k] by values (n, ...) on the way to outputs (n, c): (n, c, ...) each.

    What ``torch.autograd.grad`` does with ``is_grads_batched``, without the import of sympy by its first call.
    """
    units = torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device)
    weights = units.unsqueeze(1).expand(len(units), *outputs.shape)

    def gradients(weight: Tensor) -> tuple[Tensor, ...]:
        found: tuple[Tensor, ...] = _engine_run_backward(
            (outputs,), (weight,), True, False, tuple(values), False, accumulate_grad=False
        )
        return found

    if len(units) < FEW_OUTPUTS:
        return [torch.stack(one, 1) for one in zip(*map(gradients, weights), strict=True)]
    return [found.transpose(0, 1) for found in _vmap(gradients)(weights)]


def is_transformed(*tensors: Tensor) -> bool:
    """Whether a transform of ``torch.func`` is looking at a tensor: its values cannot be, and its rules count."""
    return any(map(torch._C._functorch.is_functorch_wrapped_tensor, tensors))


def is_differentiated(*tensors: Tensor) -> bool:
    """Whether derivatives of what is computed from these may be asked for, by autograd or a transform of any kind."""
    recorded = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return recorded or within_transform() or any(map(_has_tangent, tensors))


def is_followed(tensor: Tensor) -> bool:
    """Whether autograd or a transform of ``torch.func`` may follow a tensor to where it came from, or map over it.

    What is constant within a transform is wrapped like all others, and is not.
    """
    functorch = torch._C._functorch
    while not (tensor.requires_grad or _has_tangent(tensor)):
        if not functorch.is_functorch_wrapped_tensor(tensor):
            return False
        if functorch.is_batchedtensor(tensor):
            return True
        tensor = functorch.get_unwrapped(tensor)
    return True


def _has_tangent(tensor: Tensor) -> bool:
    return torch.autograd.forward_ad.unpack_dual(tensor).tangent is not None


def require_mapped_anew(tensor: Tensor) -> None:
    """Refuse what ``torch.autograd.functional`` maps over by rules older than those of ``torch.func``."""
    if torch._C._functorch.is_legacy_batchedtensor(tensor):
        raise RuntimeError(
            "a circuit is not differentiated with vectorize=True of torch.autograd.functional: leave it out, or take "
            "torch.func.jacrev"
        )


def within_transform() -> bool:
    """Whether the code runs inside a transform of ``torch.func``, whatever its tensors are."""
    return torch._C._functorch.peek_interpreter_stack() is not None


@contextmanager
def outside_transforms() -> Iterator[None]:
    """Plain tensors are plain in here, even while ``torch.func`` maps or differentiates around it."""
    with temporarily_clear_interpreter_stack(), torch.no_grad():
        yield


@contextmanager
def in_plain_autograd() -> Iterator[None]:
    """As :func:`outside_transforms`, with autograd that records, whatever mode the code around runs in.

    What is computed within a transform carries its wrappers: take values in by ``plain_params`` and ``plain_rows``.
    """
    with outside_transforms(), torch.inference_mode(False), torch.enable_grad(), _without_dual_numbers():
        yield


def plain_params(params: Tensor) -> Tensor:
    """Parameters (p,) without wrappers and history: of a batch of them the first."""
    return _plain(_unwrapped(params, lambda batch: batch[0]))


def plain_rows(x: Tensor) -> Tensor:
    """Inputs (n, ...) without wrappers and history: the rows of all that a transform maps over."""
    return _plain(_unwrapped(x, lambda batch: batch.flatten(0, 1)))


def values_of(tensor: Tensor) -> NDArray[Any]:
    """The numbers of a tensor, without wrappers and history: of all entries that a transform maps over."""
    plain = _plain(_unwrapped(tensor, lambda batch: batch))
    with outside_transforms():
        values: NDArray[Any] = plain.resolve_conj().cpu().numpy()
        return values


def _unwrapped(tensor: Tensor, merge: Callable[[Tensor], Tensor]) -> Tensor:
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(tensor):
        inner = functorch.get_unwrapped(tensor)
        if functorch.is_batchedtensor(tensor):
            inner = merge(inner.movedim(functorch.maybe_get_bdim(tensor), 0))
        tensor = inner
    return tensor


def _plain(tensor: Tensor) -> Tensor:
    with in_plain_autograd():
        return tensor.clone() if tensor.is_inference() else tensor.detach()


_DERIVES_IN_INFERENCE = tuple(int(part) for part in torch.__version__.split(".")[:2]) >= (2, 12)


def within_inference() -> bool:
    """Whether derivatives are asked for within ``torch.inference_mode()``.

    Raises RuntimeError under torch before 2.12, whose ``torch.func`` takes them all for zero there.
    """
    if torch.is_inference_mode_enabled() and not _DERIVES_IN_INFERENCE:
        raise RuntimeError(
            f"torch {torch.__version__} gives derivatives of zero within torch.inference_mode(): leave it, "
            "take torch.no_grad() instead, or install torch 2.12 or later"
        )
    return torch.is_inference_mode_enabled()


_GLOBAL_HOOKS = [
    registry
    for name, registry in vars(torch.nn.modules.module).items()
    if name.startswith("_global_") and isinstance(registry, dict)
]


def has_global_hooks() -> bool:
    """Whether hooks are registered for every module there is: outputs may then be other than those of the layers."""
    return any(_GLOBAL_HOOKS)


def default_device() -> str:
    """Where torch makes tensors; quickly where no mode of any kind says so, by which torch sets it."""
    if not torch._C._len_torch_function_stack():
        return "cpu"
    try:
        return str(torch.get_default_device())
    except AttributeError:  # torch 2.8, where one was set and taken back
        return "cpu"


WEIGHT_NORM = torch._weight_norm
"""What `weight_norm` calls: (v, g, dim) -> g v / |v|."""
