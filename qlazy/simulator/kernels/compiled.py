"""Compiling and keeping what was compiled.

Compiled code is cached on disk where any folder can be written to (beside the sources, or in the user's cache
folder; :mod:`qlazy.simulator.kernels.kept_code`), and compiled again in each process where none can. Only the entry
points are cached; what they call is compiled into them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.event import Listener, register

from qlazy.simulator.kernels.kept_code import KeptCode

try:
    from qlazy.simulator.kernels.linked import LinkedCompiler

    _LINKED: dict[str, Any] = {"pipeline_class": LinkedCompiler}
except (
    ImportError,
    AttributeError,
):  # a numba that is made in another way: it compiles all, and takes longer
    _LINKED = {}

# Nothing is allocated, so nothing is counted: references held by tuples would be, in every inner loop.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "_nrt": False}

# What only other kernels call needs no entry for Python or C, and no machine code: half of the time to compile it.
_INNER: dict[str, Any] = {
    "no_cpython_wrapper": True, "no_cfunc_wrapper": True, **_LINKED, **OPTIONS,
}  # fmt: skip

kernel = njit(**_INNER)
inline = njit(forceinline=True, **_INNER)


def around(function: Callable[..., Any]) -> Any:
    """A kernel of loops around others, with little of its own: it is optimised as a part of its callers alone."""
    function.optimized_by_callers = True  # type: ignore[attr-defined]
    return kernel(function)


def entry(function: Callable[..., Any]) -> Any:
    """Compile an entry point, with a cache on disk if there is a place for one."""
    # The disk cache looks only at the file of the entry point: its name keeps it from serving older kernels.
    function.__qualname__ += f"-{fingerprint()}"
    compiled = njit(nogil=True, **OPTIONS)(function)
    with suppress(RuntimeError):  # no folder can be written to
        compiled._cache = KeptCode(function)
    return compiled


class _Notice(Listener):
    """Says on stderr, once a process, that kernels are compiled: one would think that every call takes so long."""

    said = False

    def on_start(self, event: Any) -> None:
        own = event.data["dispatcher"].py_func.__module__.startswith(__name__.rpartition(".")[0])
        if own and not self.said:
            self.said = True
            print(
                "qlazy: compiling the simulator, once on this machine; it takes some seconds", file=sys.stderr
            )

    def on_end(self, event: Any) -> None:
        pass


register("numba:compile", _Notice())


@cache
def fingerprint() -> str:
    """Changes with any of the sources that are compiled, or make what those read."""
    folder = Path(__file__).parent
    sources = [*sorted(folder.rglob("*.py")), *sorted((folder.parent / "compiling").glob("*.py"))]
    return sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
