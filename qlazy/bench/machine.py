"""The machine that a benchmark ran on."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

VECTORS = {"avx512f": "AVX-512", "avx2": "AVX2"}


def machine(threads: int, dtype: str) -> dict[str, str | int | float]:
    """Processor, vector instructions, cores, system, and the rate of a matrix product in ``dtype``, in GFLOP/s."""
    return {
        "cpu": _cpuinfo("model name") or platform.processor() or "unknown",
        "vectors": next((name for flag, name in VECTORS.items() if flag in _cpuinfo("flags").split()), ""),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "gflops": round(1e-9 * product_rate(threads, dtype), 1),
    }


def _cpuinfo(entry: str) -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(entry)), "")


def product_rate(threads: int, dtype: str, size: int = 1024, repeats: int = 8) -> float:
    """Floating-point operations a second of the fastest of some products of square matrices on so many threads."""
    import torch  # here alone: a worker may live in an environment without it

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        left = torch.ones(size, size, dtype=getattr(torch, dtype))
        return 2.0 * size**3 / min(_product(left) for _ in range(repeats))
    finally:
        torch.set_num_threads(before)


def _product(left: Any) -> float:
    start = time.perf_counter()
    left @ left
    return time.perf_counter() - start
