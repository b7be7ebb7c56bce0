"""Copies of a torch module's structure, for whoever has to change a module while it runs."""

from __future__ import annotations

import copy
import threading
from typing import Any, final

from torch import nn


def replica(module: nn.Module) -> nn.Module:
    """A copy of the module that shares its parameters and buffers."""
    shared = [*module.parameters(), *module.buffers()]
    return copy.deepcopy(module, {id(tensor): tensor for tensor in shared})


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
