"""What the answer to each question of a verdict has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from qlazy.base.tables import Table

if TYPE_CHECKING:
    from qlazy.drawing.style import Figure


class Panel(Protocol):
    """The answer to one question."""

    @property
    def decision(self) -> str: ...
    @property
    def words(self) -> str: ...
    @property
    def caption(self) -> str: ...
    def sentences(self) -> tuple[str, ...]: ...
    def tables(self) -> tuple[Table, ...]: ...
    def figures(self) -> Mapping[str, Figure]: ...
    def save(self, folder: str | os.PathLike[str]) -> None: ...
