"""Damaged results are refused by name or made anew; ``python -m tests.damage`` draws as many cases as are wanted."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from tests import damage

QUICK = ("tiles", "subset", "study", "comparison", "store", "history", "chosen")


def broken(name: str, count: int, tmp_path: Path) -> list[dict[str, object]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        at = damage.prepared(name, tmp_path / name)
        found = [damage.case(at, seed, tmp_path / f"case{seed}") for seed in range(count)]
    return [one for one in found if one["outcome"] not in damage.GOOD]


@pytest.mark.parametrize("name", QUICK)
def test_damage_is_told(name: str, tmp_path: Path) -> None:
    assert broken(name, 15, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", damage.KINDS)
def test_much_damage_is_told(name: str, tmp_path: Path) -> None:
    assert damage.run(name, 200, 7, tmp_path)["bad"] == []


def test_what_is_not_looked_at_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without seals, tiles of other places are read as if they belonged there, and the cases show it."""
    from qlazy.kernels.tiles.chunks import ChunkedMatrix

    monkeypatch.setattr(damage, "DAMAGES", {"exchanged": damage.exchanged})
    monkeypatch.setattr(ChunkedMatrix, "_sealed", lambda self, i, j: b"0" * 64)
    assert any(str(one["outcome"]).startswith("accepted") for one in broken("store", 30, tmp_path))
