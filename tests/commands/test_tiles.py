"""``qlazy tiles`` into a store."""

from __future__ import annotations

from pathlib import Path

import pytest

import qlazy
from qlazy.commands import main as cli

pytestmark = pytest.mark.usefixtures("elsewhere")


def test_tiles_go_into_a_store(capsys, refused, tmp_path: Path) -> None:
    command = [
        "tiles",
        "mlp:3",
        "--train",
        "20",
        "--test",
        "8",
        "--tile",
        "8",
        "--store",
        "k",
        "--verify",
        "--quiet",
    ]
    assert cli.main(command) == cli.OK
    assert capsys.readouterr().out.startswith("mlp:3: 20 x 20, trace ")
    assert qlazy.TiledKernel.load(tmp_path / "k").shape == (20, 20)
    assert "whose tile is 8, not 7" in refused(*command[:-4], "--store", "k", "--tile", "7")
