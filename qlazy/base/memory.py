"""Whether what is about to be allocated fits in memory, asked before it is."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from qlazy.base.errors import KernelTooLargeError, require

SMALL = 2**16
"""Bytes of which nobody asks whether they fit: the answer takes longer than to fill them."""
_MEMINFO = Path("/proc/meminfo")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def available_bytes(device: torch.device) -> float:
    """Memory a new allocation could take on ``device``: an upper bound, infinite where it cannot be told."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return float("inf")
    return min(_free_on_host(), _container_limit())


def require_memory(shape: tuple[int, int], like: Tensor) -> None:
    """Raise KernelTooLargeError unless a matrix of this shape, in the dtype of ``like``, fits on its device."""
    what = (
        f"as a dense matrix {shape} of {like.dtype}. `kernel @ v`, `.trace()`, `.diagonal()`, `.eigh(k)` and "
        "`.solve(b)` work without it; `qlazy.tiled_kernel(..., store=...)` puts it on disk; or use fewer samples, or "
        "float32"
    )
    require_bytes("kernel", shape[0] * shape[1], like, what, KernelTooLargeError)


def require_bytes(
    argument: str, entries: int, like: Tensor, what: str, error: type[Exception] = MemoryError
) -> None:
    """Raise ``error`` unless so many entries, in the dtype of ``like``, fit on its device; ``what`` they are."""
    size = entries * like.element_size()
    if size <= SMALL:
        return
    free = available_bytes(like.device)
    must = f"fit in the {free / 2**30:.1f} GiB of memory available"
    require(size <= free, argument, must, f"{size / 2**30:.1f} GiB {what}", error)


def _free_on_host() -> float:
    if _MEMINFO.exists():
        for line in _MEMINFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return 1024.0 * int(value.split()[0])
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    return float("inf")


def _container_limit() -> float:
    text = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.exists() else "max"
    return float("inf") if text == "max" else float(text)
