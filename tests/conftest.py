"""Settings of the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

# A first call compiles and imports; a wall-clock deadline would fail on that alone. New examples are for
# developers to find: continuous integration runs the same ones every time.
settings.register_profile("qlazy", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.register_profile("fuzz", deadline=None, max_examples=5000)
settings.load_profile("ci" if os.environ.get("CI") else "qlazy")


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """A Dask cluster of two worker processes on this machine, which takes seconds to start."""
    from distributed import Client

    with Client(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, set_as_default=False
    ) as client:
        yield client
