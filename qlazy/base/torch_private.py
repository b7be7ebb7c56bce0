"""What qlazy takes from torch beneath its public face, in one place: where a new version of torch may break it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch._C import DisableTorchFunctionSubclass as without_overrides
from torch._C import _are_functorch_transforms_active as are_transforms_active
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
from torch._functorch.utils import unwrap_dead_wrappers
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

__all__ = [
    "are_transforms_active",  # torch's own autograd.Function.apply asks it, before it binds signatures
    "is_transformed",
    "outside_transforms",
    "tree_flatten",  # torch's results are nested tuples, and torch.func has no public way through them
    "tree_map",
    "tree_unflatten",
    "unwrap_dead_wrappers",  # apply() does it to tensors that outlived their transform
    "within_transform",
    "without_overrides",  # __torch_function__ of a subclass must call below itself
    "wrapper_subclass",
]

wrapper_subclass = torch.Tensor._make_wrapper_subclass
"""A tensor without memory of its own, for a subclass that holds its values elsewhere; documented, yet private."""


def is_transformed(*tensors: Tensor) -> bool:
    """Whether a transform of ``torch.func`` is looking at a tensor: its values cannot be, and its rules count."""
    return any(map(torch._C._functorch.is_functorch_wrapped_tensor, tensors))


def within_transform() -> bool:
    """Whether the code runs inside a transform of ``torch.func``, whatever its tensors are."""
    return torch._C._functorch.peek_interpreter_stack() is not None


@contextmanager
def outside_transforms() -> Iterator[None]:
    """Plain tensors are plain in here, even while ``torch.func`` maps or differentiates around it."""
    with temporarily_clear_interpreter_stack(), torch.no_grad():
        yield
