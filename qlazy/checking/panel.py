"""What the answer to each question of a verdict has."""

from __future__ import annotations

import os
from typing import Protocol


class Panel(Protocol):
    """The answer to one question."""

    @property
    def decision(self) -> str: ...
    @property
    def caption(self) -> str: ...
    def sentences(self) -> tuple[str, ...]: ...
    def table(self) -> str: ...
    def save(self, folder: str | os.PathLike[str]) -> object: ...
