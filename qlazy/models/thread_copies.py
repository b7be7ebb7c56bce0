"""Copies of a torch module's structure, for whoever has to change a module while it runs."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from qlazy.base.errors import UnsupportedModelError


def replica(module: nn.Module) -> nn.Module:
    """A copy of the module that shares its parameters and buffers."""
    return copied(module, [*module.parameters(), *module.buffers()])


def copied(
    module: nn.Module, shared: Iterable[Tensor] = (), also: Mapping[int, nn.Module] | None = None
) -> nn.Module:
    """A deep copy of the module but for the tensors that it shares.

    ``also`` gives parts, by their ``id``, that others stand for in the copy.

    What it keeps of a computation with its parameters, which would stay as it was when they change, is NaN.

    Raises UnsupportedModelError for a module that holds what cannot be copied.
    """
    memo: dict[int, Any] = {id(tensor): tensor for tensor in shared} | dict(also or {})
    for part in module.modules():  # torch copies no results, such as the weight of an old-style weight norm
        results = (v for v in vars(part).values() if isinstance(v, Tensor) and not v.is_leaf)
        memo |= {id(tensor): torch.full_like(tensor.detach(), torch.nan) for tensor in results}
    try:
        return copy.deepcopy(module, memo)
    except (TypeError, RuntimeError, AttributeError, copy.Error) as error:
        must = "`module` must be one that copy.deepcopy copies"
        raise UnsupportedModelError(f"{must}, but is a {type(module).__name__}: {error}") from error


@final
class ReplicaPerThread(threading.local):
    """A replica of one module for each thread that asks, made at its first use.

    ``torch.func.functional_call`` puts other tensors into the module while it runs: threads that shared one
    would compute with each other's parameters.
    """

    def __init__(self, module: nn.Module) -> None:  # called again in every thread
        self.module = replica(module)
        self._original = module

    def __reduce__(self) -> tuple[Any, ...]:
        return ReplicaPerThread, (self._original,)
