"""What is kept from the outermost of nested calls to its end: blocks stand in the arguments of blocks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, final


@final
class Kept(threading.local):
    """Found values by keys, in a thread's outermost :meth:`scope`; there are none outside of one."""

    def __init__(self) -> None:
        self._found: dict[Any, Any] | None = None

    @property
    def found(self) -> dict[Any, Any]:
        assert self._found is not None
        return self._found

    @contextmanager
    def scope(self) -> Iterator[None]:
        if self._found is not None:
            yield
            return
        self._found = {}
        try:
            yield
        finally:
            self._found = None
