"""What a selection takes up from its folder is what was asked for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import qlazy
from qlazy.base.storage import load_arrays, save_arrays
from qlazy.models.model import Function, Model
from tests.makers import inputs

X, Y = inputs(8, 3), inputs(8, 1, seed=2)
START = torch.zeros(3, dtype=torch.float64)


def curved(power: int) -> Function:
    """Models that are one at zero, with the same gradient there."""
    return Function(lambda w, x: (x @ w + (x @ w) ** power).unsqueeze(1), 3)


def files(folder: Path, model: Model, **settings: int) -> list[Path]:
    qlazy.select_subset(
        model,
        (X, Y),
        selector=qlazy.subset.SmallLoss(),
        params=START,
        epochs=2,
        batch_size=4,
        fraction=0.5,
        out=folder,
        progress=False,
        **settings,
    )
    return sorted(folder.iterdir())


def test_a_model_that_starts_the_same_has_a_file_of_its_own(tmp_path: Path) -> None:
    assert len(files(tmp_path, curved(3))) == len(files(tmp_path, curved(3))) == 1
    assert len(files(tmp_path, curved(5))) == 2


def test_a_state_of_another_selection_is_refused(tmp_path: Path) -> None:
    (mine,) = files(tmp_path / "one", curved(3))
    (other,) = files(tmp_path / "other", curved(3), seed=1)
    shutil.copy(other, mine)
    with pytest.raises(ValueError, match=mine.name):
        files(tmp_path / "one", curved(3))


@pytest.mark.parametrize("change", [{"done": 10**9}, {"done": 1}, {"done": "2"}, {"params": torch.zeros(2)}])
def test_a_state_that_was_changed_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    (path,) = files(tmp_path, curved(3))
    arrays, settings = load_arrays(path)
    tensors = {name: value.numpy() for name, value in change.items() if isinstance(value, torch.Tensor)}
    save_arrays(path, arrays | tensors, settings | {k: v for k, v in change.items() if k not in tensors})
    with pytest.raises(ValueError, match=path.name):
        files(tmp_path, curved(3))
