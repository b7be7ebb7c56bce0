"""The notebooks run from beginning to end, as a user would run them, and are kept as they came out."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")  # of Jupyter's own parts
def test_it_runs(path, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(
        "PYTHONWARNINGS", "ignore::FutureWarning:torch.jit._script"
    )  # torch 2.15 on its own code
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = json.dumps([cell.get("outputs", []) for cell in notebook.cells])
    assert "Warning" not in printed


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_is_kept_with_its_outputs(path) -> None:
    """Every cell was run, in order, without an error, and says nothing of the machine it ran on."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = json.dumps([cell.outputs for cell in cells])
    assert '"error"' not in outputs
    assert not any(trace in outputs for trace in ("site-packages", "/home/", "/tmp/", "Warning"))


def test_there_is_one_for_every_question() -> None:
    assert [path.stem[0] for path in EXAMPLES] == [str(number) for number in range(1, len(EXAMPLES) + 1)]
