"""The version of qlazy, and those of the libraries behind a result."""

from __future__ import annotations

from functools import cache
from importlib import metadata

__version__ = "0.1.0"

LIBRARIES = ("torch", "numpy", "scipy", "pennylane", "numba")


def versions() -> dict[str, str]:
    """Of the libraries behind a result, whether this process has loaded them or another one has."""
    return {"qlazy": __version__, **{name: _version(name) for name in LIBRARIES}}


@cache
def _version(library: str) -> str:
    return metadata.version(library)
