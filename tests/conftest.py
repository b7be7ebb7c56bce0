"""Settings of the whole suite."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from qlazy.commands import main as cli

# A first call compiles and imports; a wall-clock deadline would fail on that alone. New examples are for
# developers to find: continuous integration runs the same ones every time.
_WRITABLE = os.access(
    Path.cwd(), os.W_OK
)  # elsewhere Hypothesis has no folder for what it finds, and warns of it
if not _WRITABLE:
    settings.register_profile("unwritable", database=None)
    settings.load_profile("unwritable")
settings.register_profile("qlazy", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=5000)
settings.load_profile("ci" if os.environ.get("CI") else "qlazy")


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """A Dask cluster of two worker processes on this machine, which takes seconds to start."""
    from distributed import Client

    with Client(
        n_workers=2, threads_per_worker=1, processes=True, set_as_default=False,
        dashboard_address="127.0.0.1:0",  # any port: None means 8787, which another cluster may have
    ) as client:  # fmt: skip
        yield client


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In an empty folder, and with the number of threads put back: what a command line may change."""
    threads = torch.get_num_threads()
    monkeypatch.chdir(tmp_path)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What stderr says where a command is refused: nothing on stdout, no traceback, exit code 2."""

    def run(*arguments: str) -> str:
        assert cli.main(list(arguments)) == cli.USAGE
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("qlazy: error: ")
        assert "Traceback" not in captured.err
        return captured.err

    return run
