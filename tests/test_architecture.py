"""The shape of the package: wings on floors, imports strictly down, no circles, libraries in their places.

Every import counts: lazy ones within functions, and those under TYPE_CHECKING.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import qlazy

PACKAGE = Path(qlazy.__file__).parent

FLOORS = {
    "base": 0,
    "data": 1,
    "drawing": 1,
    "simulator": 1,
    "models": 2,
    "quantum": 3,
    "kernels": 4,
    "theory": 5,
    "training": 6,
    "comparison": 7,
    "checking": 8,
    "tasks": 8,
    "bench": 9,
    "studies": 9,
    "commands": 10,
    "__main__": 11,
    "testing": 10,
}
"""The wings of qlazy. Imports run from a floor to lower ones, or within a wing."""

OWNERS = {
    "pennylane": {"quantum", "bench"},
    "numba": {"simulator"},
    "openqasm3": {"quantum"},
    "zarr": {"kernels"},
    "distributed": {"base"},
    "tensorly": {"tasks"},
    "cvxpy": {"tasks"},
    "cvxpylayers": {"tasks"},
}
"""Libraries that only some wings may import, at any depth. The benchmarks run PennyLane as a peer."""

ENTRIES = 13
"""A folder holds as many at most, beside its ``__init__.py``."""


class Import(NamedTuple):
    """One arrow: from a module to a module, and the name taken where one is."""

    source: str
    target: str
    name: str


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def wing_of(module: str) -> str:
    return module.split(".")[1]


@cache
def imports() -> tuple[Import, ...]:
    return tuple(
        arrow
        for module, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for arrow in arrows_of(node, module)
    )


def arrows_of(node: ast.AST, module: str) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(module, alias.name, "")
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{module} imports relatively; the package writes its imports out"
        assert node.module is not None
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            if inner in modules():
                yield Import(module, inner, "")
            else:
                yield Import(module, node.module, alias.name)


def inside() -> list[Import]:
    """The arrows between modules of qlazy; the face, which only lists names, has none."""
    return [a for a in imports() if a.target.startswith("qlazy.") and a.source != "qlazy"]


def test_every_wing_has_a_floor() -> None:
    found = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert found - {"__init__"} == set(FLOORS)


def test_nothing_imports_the_face() -> None:
    """What it lists lies above: an arrow to it would close a circle."""
    assert not [a.source for a in imports() if a.target == "qlazy"]


def test_imports_run_down() -> None:
    upward = [
        f"{a.source} -> {a.target}"
        for a in inside()
        if wing_of(a.source) != wing_of(a.target) and FLOORS[wing_of(a.target)] >= FLOORS[wing_of(a.source)]
    ]
    assert not sorted(set(upward))


def test_no_modules_import_each_other() -> None:
    """Over all arrows: the strongly connected groups of modules are single modules."""
    targets: dict[str, set[str]] = {module: set() for module in modules()}
    for arrow in inside():
        if arrow.source != arrow.target:
            targets[arrow.source].add(arrow.target)
    assert not [sorted(group) for group in groups(targets) if len(group) > 1]


def groups(targets: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components (Kosaraju), by two passes over the arrows."""
    order: list[str] = []
    seen: set[str] = set()
    for start in targets:
        visit(start, targets, seen, order)
    back: dict[str, set[str]] = {module: set() for module in targets}
    for source, found in targets.items():
        for target in found:
            back[target].add(source)
    seen.clear()
    components = []
    for start in reversed(order):
        component: list[str] = []
        visit(start, back, seen, component)
        if component:
            components.append(set(component))
    return components


def visit(start: str, targets: dict[str, set[str]], seen: set[str], order: list[str]) -> None:
    """Depth first from ``start``; modules enter ``order`` when all they lead to has."""
    stack = [(start, iter(sorted(targets[start])))] if start not in seen else []
    seen.add(start)
    while stack:
        module, rest = stack[-1]
        following = next((t for t in rest if t not in seen), None)
        if following is None:
            order.append(module)
            stack.pop()
        else:
            seen.add(following)
            stack.append((following, iter(sorted(targets[following]))))


def test_folders_are_small() -> None:
    folders = [PACKAGE, *(path.parent for path in PACKAGE.rglob("__init__.py"))]
    counts = {
        str(folder.relative_to(PACKAGE.parent)): len(
            [e for e in folder.iterdir() if e.suffix == ".py" or (e / "__init__.py").exists()]
        )
        - 1
        for folder in folders
    }
    limits = {"qlazy": 17}  # the wings
    assert not {name: count for name, count in counts.items() if count > limits.get(name, ENTRIES)}


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_stays_with_its_owner(library: str) -> None:
    users = {wing_of(a.source) for a in imports() if a.target.split(".")[0] == library}
    assert users <= OWNERS[library]
    assert users, f"nothing imports {library}: the rule checks nothing"


def test_matplotlib_stays_with_the_figures() -> None:
    """In drawing/, in modules and folders called figures, and where a command draws."""
    users = {a.source for a in imports() if a.target.split(".")[0] == "matplotlib" and a.source != "qlazy"}
    strangers = [
        module
        for module in users
        if wing_of(module) not in ("drawing", "commands")
        and not set(module.split(".")) & {"figures", "figure"}
    ]
    assert not sorted(strangers)
    assert users


def test_no_private_names_across_wings() -> None:
    private = [
        f"{a.source}: {a.target}.{a.name}"
        for a in inside()
        if (a.name.startswith("_") or "._" in a.target)
        and not a.name.startswith("__")
        and wing_of(a.source) != wing_of(a.target)
    ]
    assert not private


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


def test_what_is_private_in_torch_stands_in_one_module() -> None:
    private = re.compile(r"torch(\.\w+)*\._[a-zA-Z]|from torch(\.\w+)* import _[a-zA-Z]")
    users = {module for module, path in modules().items() if private.search(path.read_text(encoding="utf-8"))}
    assert users == {"qlazy.base.torch_private"}


def test_functions_of_users_are_mapped_without_words_of_torch() -> None:
    loud = re.compile(r"torch\.(func\.)?(vmap|jacrev|jacfwd|hessian)\(|from torch\.func import")
    users = {module for module, path in modules().items() if loud.search(path.read_text(encoding="utf-8"))}
    assert {module for module in users if not module.startswith("qlazy.bench.peers.")} == set()
