"""A plugin of pytest for tests in an order of chance: ``-p tests.shuffling --shuffle SEED``.

Modules are shuffled, and tests within each: what a module shares is made once. A failure comes again with its seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--shuffle", type=int, default=None, metavar="SEED", help="run tests in an order of chance"
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    seed = config.getoption("--shuffle")
    return None if seed is None else f"order of chance: --shuffle {seed}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.getoption("--shuffle")
    if seed is not None:
        items[:] = shuffled(items, seed)


def shuffled(items: Iterable[pytest.Item], seed: int) -> list[pytest.Item]:
    rng, modules = random.Random(seed), {}  # type: ignore[var-annotated]
    for item in items:
        modules.setdefault(item.path, []).append(item)
    groups = list(modules.values())
    rng.shuffle(groups)
    for group in groups:
        rng.shuffle(group)
    return [item for group in groups for item in group]
