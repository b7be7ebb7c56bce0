"""Settings of libraries on which a circuit's numbers may depend: where they stand is asked before every call."""

from __future__ import annotations

import decimal
import sys
from collections.abc import Callable, Mapping

import numpy as np
import torch

from qlazy.base.torch_private import default_device

Ask = Callable[[], object]


def settings() -> tuple[Ask, ...]:
    """What every circuit depends on."""
    pennylane = sys.modules.get("pennylane")
    decomposition = getattr(pennylane, "decomposition", None)
    by_graph = () if decomposition is None else (decomposition.enabled_graph,)
    return (torch.get_default_dtype, torch.get_float32_matmul_precision, default_device, *by_graph)


def decomposes_by_graph() -> bool:
    """Whether PennyLane, from 0.41 on, chooses among ways to decompose operators, to which the user may add."""
    return settings()[-1]() is True


def _format_of_arrays() -> str:
    return repr(sorted(np.get_printoptions().items(), key=str))


def _format_of_decimals() -> str:
    return repr(decimal.getcontext())


OF_WRITING: tuple[Ask, ...] = (_format_of_arrays,)
"""What circuits depend on that write numbers as texts."""
OF_LIBRARIES: Mapping[str, Ask] = {"decimal": _format_of_decimals}
"""What circuits depend on that read anything of these libraries."""
