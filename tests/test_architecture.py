"""The shape of the package: imports run to lower layers only, and importing it costs next to nothing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import qlazy

PACKAGE = Path(qlazy.__file__).parent

LAYERS = (
    {"drafts", "errors", "execution", "memory", "norms", "replicas", "simulator", "storage", "tables"},
    {"model"},
    {
        "transforms",
        "readout",
        "nets",
        "layerwise",
        "quantum",
        "labels",
        "preprocessing",
        "sources",
        "losses",
        "spectrum",
        "geometry",
        "infinite",
        "regimes",
    },
    {
        "jacobian",
        "kernel",
        "drift",
        "data",
        "objective",
        "methods",
        "prediction",
        "trace",
        "training",
        "curvature",
        "lowrank",
        "bounds",
        "variance_law",
        "pairs",
        "baselines",
        "shots",
        "allocation",
        "tensor",
        "quadratic",
    },
    {
        "linearization",
        "run",
        "guarantees",
        "comparison",
        "sweep",
        "testing",
        "tiles",
        "verdict",
        "estimators",
        "tracking",
        "subset",
        "teaching",
    },
    {"report", "specs", "studies", "bench"},
    {"commands", "cli"},
)
"""The modules and packages of qlazy, lowest layer first. A new one has to find its place here."""

OWNERS = {
    "pennylane": {"quantum", "bench"},
    "matplotlib": {"report"},
    "numba": {"simulator"},
    "openqasm3": {"quantum"},
    "zarr": {"tiles"},
    "distributed": {"execution"},
    "tensorly": {"tensor"},
    "cvxpy": {"subset"},
    "cvxpylayers": {"subset"},
}
"""Libraries that only some packages may import, at any depth. The benchmarks run PennyLane as a peer."""

UPWARD = {("trace", "report"), ("comparison", "report"), ("subset", "report")}
"""Values that draw themselves: matplotlib is imported when a plot is asked for, within the method."""

Import = tuple[str, str, bool]  # part of qlazy it stands in, module imported, whether at the top level


def layer(part: str) -> int:
    places = [index for index, parts in enumerate(LAYERS) if part in parts]
    assert len(places) == 1, f"{part} must stand in one layer of the table, but stands in {len(places)}"
    return places[0]


def part_of(module: str) -> str:
    """The module or package directly under qlazy: "qlazy.quantum.qasm" is in "quantum"."""
    return module.split(".")[1]


def imports() -> Iterator[Import]:
    """Every import of every file that is ever carried out, those within functions included."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        if path == PACKAGE / "__init__.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = set(tree.body)
        for node in set(ast.walk(tree)) - for_types_only(tree):
            for name in imported(node, module):
                yield part_of(module), name, node in top


def for_types_only(tree: ast.Module) -> set[ast.AST]:
    """What stands under `if TYPE_CHECKING:`, which a running program never comes to."""
    guards = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
    ]
    return {node for guard in guards for child in guard.body for node in ast.walk(child)}


def imported(node: ast.AST, module: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    assert node.level == 0, f"{module} imports relatively; the package writes its imports out"
    assert node.module is not None
    if node.module == "qlazy":  # from qlazy import kernel
        return [f"qlazy.{alias.name}" for alias in node.names]
    return [node.module]


def test_every_part_has_a_place() -> None:
    parts = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert parts - {"__init__"} <= set().union(*LAYERS)


def test_imports_run_to_lower_layers() -> None:
    upward = []
    for part, name, at_top in imports():
        if not name.startswith("qlazy."):
            continue
        target = part_of(name)
        allowed = (part, target) in UPWARD and not at_top
        if not allowed and layer(target) > layer(part):
            upward.append(f"{part} -> {name}")
    assert not upward


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_stays_with_its_owner(library: str) -> None:
    users = {part for part, name, _ in imports() if name.split(".")[0] == library}
    assert users <= OWNERS[library]
    assert users, f"nothing imports {library}: the rule checks nothing"


def test_importing_costs_next_to_nothing() -> None:
    """`import qlazy` after torch, and then the classical interface as well, without any of the heavy libraries."""
    heavy = (
        "pennylane",
        "matplotlib",
        "sklearn",
        "scipy",
        "numba",
        "openqasm3",
        "zarr",
        "distributed",
        "cvxpy",
    )
    program = f"""
import json, sys, time
import torch
known = set(sys.modules)
start = time.perf_counter()
import qlazy
bare = time.perf_counter() - start
qlazy.Model, qlazy.Net, qlazy.Scaled, qlazy.tangent_kernel, qlazy.train, qlazy.compare, qlazy.load_data
new = set(sys.modules) - known
print(json.dumps([bare, [name for name in {heavy} if name in new]]))
"""
    runs = [
        json.loads(
            subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
        )
        for _ in range(2)
    ]
    assert all(not loaded for _, loaded in runs)
    assert min(seconds for seconds, _ in runs) < 0.5


def test_every_public_name_can_be_had() -> None:
    assert all(getattr(qlazy, name) is not None for name in qlazy.__all__)
    assert set(qlazy.__all__) <= set(dir(qlazy))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = qlazy.nothing
