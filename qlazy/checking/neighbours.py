"""Modules that lie beside a Python file, which others of the same names may have been imported before."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import cloudpickle

from qlazy.base.errors import refuse
from qlazy.base.identity import is_library

_RUN: dict[Path, set[Path]] = {}
"""The files that were run, by their folders."""


@contextmanager
def own_neighbours(path: Path) -> Iterator[None]:
    """Let a file import its own neighbours, where modules of another folder have their names and were imported.

    Who has imported those keeps them, and finds them by their names afterwards. Raises ValueError where such a
    neighbour is imported within a function, later, when there is no telling whose is meant.
    """
    folder = path.parent.resolve()
    own = _modules_in(folder) - {"__main__"}
    aside = {
        name: module for name, module in sys.modules.items()
        if _top(name) in own and not is_library(_top(name)) and not _lies_in(module, folder)
    }  # fmt: skip
    tops = {_top(name) for name in aside}
    _require_told(path, own, tops)
    for name in aside:
        del sys.modules[name]
    _RUN.setdefault(folder, set()).add(path)
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _top(name) in tops]:
            cloudpickle.register_pickle_by_value(sys.modules[name])
            del sys.modules[name]
        sys.modules.update(aside)
        for top in tops & aside.keys():
            cloudpickle.register_pickle_by_value(aside[top])


def _require_told(path: Path, own: set[str], imported: set[str]) -> None:
    folder = path.parent.resolve()
    for name in sorted(imported & _late_imports(path) if imported else ()):
        _refuse(path, name, f"another was imported before, and {folder} has one")
    for other in sorted(_RUN.keys() - {folder}):
        if names := own & _modules_in(other):
            for file in (path, *sorted(_RUN[other])):
                for name in sorted(names & _late_imports(file)):
                    _refuse(file, name, f"{other} and {folder} each have one")


def _refuse(file: Path, name: str, since: str) -> NoReturn:
    must = f"be in files that import {name} at their heads, since {since}"
    refuse("model", must, f"{file}, with an import within a function")


def _modules_in(folder: Path) -> set[str]:
    """Names of files and packages, those without an __init__.py too."""
    return {one.stem for one in folder.glob("*.py")} | {one.parent.name for one in folder.glob("*/*.py")}


def _top(name: str) -> str:
    return name.partition(".")[0]


def _lies_in(module: ModuleType, folder: Path) -> bool:
    places = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", ())]
    return any(folder in Path(place).resolve().parents for place in places)


def _late_imports(path: Path) -> set[str]:
    """Modules that are imported within functions of a file, or of neighbours that it imports."""
    late: set[str] = set()
    seen: set[Path] = set()
    left = [path]
    while left:
        file = left.pop()
        if file in seen:
            continue
        seen.add(file)
        package = "" if file.parent == path.parent else file.relative_to(path.parent).parts[0]
        tree = _parsed(file)
        for part in ast.walk(tree):
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                late.update(_imports(part, package))
        for name in set(_imports(tree, package)) - {""}:
            one = path.parent / f"{name}.py"
            left += [one] if one.is_file() else (path.parent / name).rglob("*.py")
    return late


def _parsed(path: Path) -> ast.AST:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):  # which running it tells
        return ast.Module([], [])


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """What is imported, up to the first dot, in a file of a package or, where that is empty, of none."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (_top(alias.name) for alias in names)
            case ast.ImportFrom(module=module, level=level):
                yield package if level else _top(module or "")
            case ast.Call(
                func=ast.Name(id=called) | ast.Attribute(attr=called),
                args=[ast.Constant(value=str(name)), *_],
            ):
                if called in ("import_module", "__import__"):
                    yield _top(name) or package
