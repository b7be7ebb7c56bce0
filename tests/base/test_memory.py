"""How much memory there is: of the machine and of the container, whichever is less."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import qlazy
from qlazy.base import memory
from qlazy.base.errors import KernelTooLargeError
from qlazy.base.memory import available_bytes, require_bytes
from tests.makers import inputs

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("limit", "kilobytes", "expected"),
    [
        ("1000", 5, 1000),
        ("max", 5, 5 * 1024),
        ("9999", 5, 5 * 1024),
        (None, 5, 5 * 1024),
        ("1000", None, 1000),
    ],
)
def test_the_lesser_of_machine_and_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, kilobytes: int | None, expected: int
) -> None:
    """A container's limit holds on a machine that has more: what exceeds it is killed, not refused."""
    info, cgroup = tmp_path / "meminfo", tmp_path / "memory.max"
    if kilobytes is not None:
        info.write_text(f"MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable: {kilobytes} kB\n")
    if limit is not None:
        cgroup.write_text(f"{limit}\n")
    monkeypatch.setattr(memory, "_MEMINFO", info)
    monkeypatch.setattr(memory, "_CGROUP_LIMIT", cgroup)
    assert available_bytes(CPU) == expected


def test_what_just_fits_is_taken_and_what_does_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda device: 80_000.0)
    like = torch.zeros(0, dtype=torch.float64)
    require_bytes("kernel", 10_000, like, "dense")
    with pytest.raises(
        MemoryError, match="`kernel` must fit in the 0.0 GiB of memory available, but is 0.0 GiB dense"
    ):
        require_bytes("kernel", 10_001, like, "dense")
    require_bytes("kernel", 20_000, like.float(), "dense")


def test_a_million_outputs_are_refused_before_anything_is_allocated():
    """A kernel of a million outputs of four samples is a matrix of 4 x 10^6 rows."""
    x, y = inputs(4, 3), torch.zeros(4, 10**6, dtype=torch.float64)
    wide = qlazy.Function(lambda w, x: (x @ w).unsqueeze(1).expand(-1, 10**6), 3)
    with pytest.raises(KernelTooLargeError, match="`kernel` must fit in the .* GiB of memory available"):
        qlazy.compare({"wide": wide}, qlazy.Dataset("points", x, y, x, y, (), ""), seeds=1, progress=False)
