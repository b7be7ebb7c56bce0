"""Names of what is kept: two are the same only where the settings and every bit of the numbers behind them are.

What was asked for is told by all that decides it (:mod:`qlazy.base.identity`), and by numbers that it computes.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import NotKeptWarning, require
from qlazy.base.identity import UnkeyedError, identity, numerics
from qlazy.base.version import versions

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


def told(
    what: str,
    parts: Any,
    x: Tensor | None,
    compute: Callable[[], Iterable[Tensor]],
    given: str | None = None,
) -> str | None:
    """64 digits that are the same only for the same ``parts``, numbers and versions of libraries; None with a warning.

    ``parts`` are all that decides a result, ``x`` the inputs of a model among them. ``compute`` gives a few numbers
    that they make: a second lock, and what changes while it computes cannot be told. ``given`` is the user's own text,
    which stands for parts that cannot be told.
    """
    require(given is None or (isinstance(given, str) and given), "key", "be a text or None", given, TypeError)
    about = [given, versions(), numerics()]
    try:
        found = identity(parts, x)
        numbers = digest(*compute())
        if identity(parts, x) != found:
            raise UnkeyedError("it changes while it is called")
        return identity([about, found, numbers])
    except UnkeyedError as error:
        if given is not None:
            return identity([about, what])
        warnings.warn(
            f"{what} is made anew at every start: what it depends on cannot be told from something else: {error}. Give "
            "`key=`, a text of your own that changes whenever it does",
            NotKeptWarning,
            stacklevel=2,
        )
        return None


def readable(text: str) -> str:
    """At most LONGEST characters of a text that may stand in any file name; others become hyphens."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in text)[:LONGEST]
