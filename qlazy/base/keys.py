"""Names of what is kept: two are the same only where the settings and every bit of the numbers behind them are.

A model's code cannot be hashed, but what it computes can: whoever keeps results hands in the numbers that tell one
model, one set of data from another.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

DIGITS = 12
"""Hexadecimal digits of a digest in a name."""
LONGEST = 40
"""Characters of a readable stem."""


def digest(*arrays: Tensor | NDArray[Any]) -> str:
    """A hash (64 hexadecimal digits) of arrays or tensors: of each its dtype, its shape and every bit."""
    found = sha256()
    for array in arrays:
        values = np.ascontiguousarray(
            array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()
        )
        found.update(f"{values.dtype.str}{values.shape}".encode())
        found.update(values.tobytes())
    return found.hexdigest()


def key(stem: str, settings: Any, *arrays: Tensor | NDArray[Any]) -> str:
    """A file name: ``stem``, and a digest that is the same only for the same ``settings``, as JSON, and ``arrays``.

    The order of a mapping's entries does not count. Raises TypeError for settings that are not JSON.
    """
    text = json.dumps([settings, digest(*arrays)], sort_keys=True)
    return f"{stem}-{sha256(text.encode()).hexdigest()[:DIGITS]}"


def readable(text: str) -> str:
    """At most LONGEST characters of a text that may stand in any file name; others become hyphens."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in text)[:LONGEST]
