"""Compiled code is kept between processes, done without where no folder is writable, and loaded when used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

import qlazy
from qlazy.simulator import PauliRotation, PauliSum, PauliWord, RotationCircuit

ROOT = Path(qlazy.__file__).parent.parent

RUN = """
import numpy as np
from qlazy.simulator import PauliRotation, PauliSum, PauliWord, RotationCircuit
circuit = RotationCircuit(1, [PauliRotation("Y", (0,))], [PauliSum((PauliWord(1.0, "Z", (0,)),))])
assert abs(circuit.values(np.zeros(1), np.empty((1, 0)))[0, 0] - 1) < 1e-15
from qlazy.simulator.kernels.sweep import run_blocks
print(sum(run_blocks.stats.cache_hits.values()), sum(run_blocks.stats.cache_misses.values()))
"""


def python(*arguments: str, **environment: str) -> str:
    command = [sys.executable, *arguments]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, env=variables, check=True, capture_output=True, text=True).stdout.strip()


def test_a_second_process_finds_the_compiled_code() -> None:
    circuit = RotationCircuit(1, [PauliRotation("Y", (0,))], [PauliSum((PauliWord(1.0, "Z", (0,)),))])
    circuit.values(np.zeros(1), np.empty((1, 0)))  # compiled here, if it was not before
    assert python("-c", RUN) == "1 0"


@pytest.mark.skipif(
    not hasattr(numba.config, "CACHE_LOCATOR_CLASSES"), reason="this numba cannot be told where not to look"
)
def test_without_a_folder_for_the_cache_code_is_compiled_in_each_process(tmp_path: Path) -> None:
    source = """
from qlazy.simulator.kernels.compiled import entry
@entry
def successor(x):
    return x + 1
print(successor(1), successor.stats.cache_path)
"""
    (tmp_path / "script.py").write_text(source)
    # The only place numba is allowed to look for is one that was not named.
    assert (
        python(str(tmp_path / "script.py"), NUMBA_CACHE_LOCATOR_CLASSES="UserProvidedCacheLocator")
        == "2 None"
    )


def test_a_process_that_compiles_says_so_once() -> None:
    code = """
from numba import float64, njit, types
from qlazy.simulator.kernels.angles import dot, multiply
njit(lambda x: x + 1)(1)
print("none of qlazy's", flush=True)
for kernel, size in ((multiply, 4), (dot, 3)):
    kernel.compile((types.UniTuple(float64, size),) * 2)
"""
    said = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ).stdout.splitlines()  # fmt: skip
    assert said == [
        "none of qlazy's",
        "qlazy: compiling the simulator, once on this machine; it takes some seconds",
    ]


def test_machine_code_is_made_of_entry_points_alone() -> None:
    code = """
from numba import njit
from qlazy.simulator.kernels.compiled import OPTIONS, around, inline, kernel

@inline
def doubled(x):
    return x + x

@kernel
def added(x, y):
    return doubled(x) + y

@around
def sums(count, y):
    total = 0.0
    for _ in range(count):
        total = added(total, y)
    return total

@njit(**OPTIONS)
def entry(count, y):
    return sums(count, y) + added(y, 0.0)

assert entry(3, 1.5) == 7 * 1.5 + 2 * 1.5

def has_machine_code(function):
    (compiled,) = function.overloads.values()
    name = compiled.fndesc.llvm_func_name
    return compiled.library.codegen._engine.is_symbol_defined(name)

print(*map(has_machine_code, (doubled, added, sums, entry)))
"""
    assert python("-c", code) == "False False False True"


def test_another_numba_compiles_all() -> None:
    code = """
import sys
sys.modules["qlazy.simulator.kernels.linked"] = None  # as where what it imports is not there
from qlazy.simulator.kernels.compiled import OPTIONS, kernel
from numba import njit

@kernel
def added(x, y):
    return x + y

@njit(**OPTIONS)
def entry(x):
    return added(x, x)

(compiled,) = (entry(1.5), added.overloads)[1].values()
print(entry(1.5), compiled.library.codegen._engine.is_symbol_defined(compiled.fndesc.llvm_func_name))
"""
    assert python("-c", code) == "3.0 True"


def test_numba_is_imported_only_when_a_circuit_runs() -> None:
    code = "import sys, qlazy.simulator; print('numba' in sys.modules, 'torch' in sys.modules)"
    assert python("-c", code) == "False False"
