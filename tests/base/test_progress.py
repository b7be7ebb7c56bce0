"""One rule for bars: where somebody watches, and nowhere else."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

import qlazy
from qlazy.base.execution import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "progress", "shown"),
    [
        (Terminal, True, True),
        (Terminal, False, False),
        (io.StringIO, True, False),
        (io.StringIO, False, False),
    ],
)
def test_a_bar_is_on_a_terminal_alone(stream, progress, shown, monkeypatch) -> None:
    told = stream()
    monkeypatch.setattr("sys.stderr", told)
    assert list(progress_bar(range(3), progress=progress, desc="a bar")) == [0, 1, 2]
    assert ("a bar" in told.getvalue()) is shown


def test_no_other_bar_is_made() -> None:
    """Every long command goes by the rule."""
    package = Path(qlazy.__file__).parent
    own = package / "base" / "execution.py"
    others = [
        path for path in package.rglob("*.py") if path != own and re.search(r"\btqdm\(", path.read_text())
    ]
    assert others == []
